/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What memory.bpf.c writes and kernel.py reads, by this file. */
#pragma once
#include "kernel/bpf/syscalls.h"

/* Processes whose break is known, of the whole node. */
#define MAX_MEMORY_BREAKS 32768

/* What kernel.py says of a call, by its ABI and number. */
enum memory_call { MEMORY_MMAP = 1, MEMORY_MUNMAP, MEMORY_MREMAP, MEMORY_BRK, MEMORY_MADVISE, MEMORY_MPROTECT, MEMORY_MLOCK };

enum memory_flow {
  FLOW_ANON_PRIVATE,
  FLOW_ANON_SHARED,
  FLOW_FILE_PRIVATE,
  FLOW_FILE_SHARED,
  FLOW_RESERVED, /* PROT_NONE: addresses without memory */
  FLOW_HUGETLB,
  FLOW_UNMAPPED,
  FLOW_REMAPPED_LARGER,
  FLOW_REMAPPED_SMALLER,
  FLOW_BREAK_UP,
  FLOW_BREAK_DOWN,
  FLOW_BREAK_ASKED, /* neither */
  FLOW_GIVEN_BACK,  /* madvise: DONTNEED, FREE, REMOVE */
  FLOW_ADVISED,     /* other advice */
  FLOW_PROTECTED,
  FLOW_LOCKED,
  FLOWS
};
#define MEMORY_FLOWS 16

struct memory_flow_row {
  u64 calls;
  u64 failed;
  u64 bytes;
  u64 total_ns;
};

/* Of a slot, written by both sides. */
struct memory_slot {
  u64 generation; /* of the slot that wants the view; 0: none does */
  u64 lost;       /* processes for whose break there was no room */
  u64 unsized_calls;
  struct memory_flow_row flows[MEMORY_FLOWS];
};

/* What the iterator reports of a process. */
struct memory_process {
  u64 generation;
  u64 pid;
};
