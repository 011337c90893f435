/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What io_uring.bpf.c writes and kernel.py reads, by this file. */
#pragma once
#include "kernel/bpf/syscalls.h"

/* Operations that are under way and get a length; of more the lengths are not known. */
#define MAX_RING_REQUESTS 65536
/* Kinds of operations of all slots, each of 1.4 KiB once it is used, and ways in which they fail. */
#define MAX_RING_ROWS 8192
#define MAX_RING_ERRNOS 16384
/* In place of an opcode: results of which the kernel does not say to what request they belong. */
#define FURTHER_RESULTS 256
/* Linux include/uapi/linux/io_uring.h: IOSQE_CQE_SKIP_SUCCESS, which is REQ_F_CQE_SKIP of a request. */
#define RING_SKIPS_SUCCESS 64

struct ring_key {
  u32 generation; /* of the slot */
  u32 opcode;
};

struct ring_errno_key {
  u32 generation;
  u16 opcode;
  u16 number;
};

/* An operation that is under way. */
struct ring_request {
  u64 start_ns; /* CLOCK_MONOTONIC */
  struct ring_key key;
};

/* Everything only grows. */
struct ring_row {
  u64 submitted;
  u64 completed; /* with a result that was seen */
  u64 errors;    /* of completed: results below 0 */
  u64 untimed;   /* of completed: the beginning was not noted */
  u64 silent;    /* of submitted: no result is told of its success, or there was no room for it in the ring */
  u64 bytes;     /* results above 0, added up */
  u64 total_ns;
  u64 max_ns;
  u32 buckets[BUCKETS];
};

/* Of a slot, written by both sides. */
struct ring_slot {
  u64 generation; /* of the slot that wants the view; 0: none does */
  u64 lost;       /* operations and results for which there was no row */
};
