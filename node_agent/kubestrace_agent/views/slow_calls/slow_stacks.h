/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What slow_stacks.bpf.c writes and stacks_kernel.py reads, by this file. */
#pragma once
#include "kernel/bpf/stacks.h"
#include <linux/types.h>

#define KERNEL_FRAMES 24
/* Set in the first word of a record that is a stack and no call. */
#define IS_STACK (1ULL << 63)

/* Of a task: where in the kernel it slept longest in the call that it is in. */
struct wait {
  u64 call_ns;    /* when that call began */
  u64 out_ns;     /* when it went to sleep last; 0: it did not */
  u64 out_ran_ns; /* its time on a processor by then */
  u64 longest_ns; /* off the processor */
  u32 longest;    /* which of the stacks is that of the longest; the other one is of the last */
  s32 bytes[2];
  u64 stacks[2][KERNEL_FRAMES];
};

struct slow_stack {
  u64 end_ns; /* with IS_STACK; the call of the same thread that ended then follows */
  u64 waited_ns;
  u32 tid;
  u32 generation;
  s32 kernel_bytes; /* less than 0: the kernel could not tell */
  u32 unused;
  u64 kernel[KERNEL_FRAMES];
  struct user_stack user;
};
