/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What locks.bpf.c writes and kernel.py reads, by this file. */
#pragma once
#include "kernel/bpf/syscalls.h"

/* Addresses of all slots, each of 1.4 KiB once it is used; waits for further ones are added up in their slot. */
#define MAX_LOCK_ROWS 4096
/* Threads that have waited, by address. */
#define MAX_LOCK_USERS 32768
#define LOCK_NAME_BYTES 16

/* What a call is to the view; 0: nothing. */
enum lock_call {
  LOCK_FUTEX = 1, /* the second argument says what it does */
  LOCK_WAIT,      /* futex_wait and futex_wake of Linux 6.7 */
  LOCK_WAKE
};

struct lock_key {
  u32 generation; /* of the slot */
  u32 pid;
  u64 address;
};

struct lock_user_key {
  struct lock_key lock;
  u32 tid;
  u32 unused;
};

/* Everything only grows, but what begins it. */
struct lock_row {
  u32 inner_pid;
  u32 holder; /* the thread whose wait ended last */
  char process[LOCK_NAME_BYTES];
  u64 threads;   /* that have waited here and were woken */
  u64 waits;     /* calls that slept */
  u64 failed;    /* of waits: timeouts, interruptions */
  u64 wakes;     /* calls that woke somebody */
  u64 handed_on; /* of wakes: by a thread that has waited here itself */
  u64 holds;     /* from the end of a thread's wait to its next wake, where nobody else's wait ended between */
  u64 held_ns;
  u64 longest_held_ns;
  u64 total_ns; /* of waits */
  u64 max_ns;
  u32 buckets[BUCKETS];
};

/* Of a slot, written by both sides. */
struct lock_slot {
  u64 generation; /* of the slot that wants the view; 0: none does */
  u64 other_waits; /* for addresses that found no row */
  u64 other_ns;
  u64 lost; /* waits whose thread found no room: of its wakes is not known that it had waited */
};
