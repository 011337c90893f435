/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What memory_growth.bpf.c writes and growth_kernel.py reads, by this file. */
#pragma once
#include "kernel/bpf/stacks.h"
#include <linux/types.h>

/* Calls that add less than this are not looked at. */
#define LEAST_GROWTH_BYTES (1ULL << 20)

/* Of a slot, written by both sides. */
struct growth_slot {
  u64 generation; /* of the slot that wants stacks; 0: none does */
  s64 room;       /* bytes of the ring that may be filled until the agent reads */
  u64 calls;      /* that added so much, with a stack or without */
  u64 bytes;
  u64 granted; /* stacks that may be taken, and those that were */
  u64 taken;
};

struct growth_sample {
  u32 generation;
  u32 flow; /* enum memory_flow */
  u64 bytes;
  u32 pid; /* as the host numbers it, then as the innermost pid namespace does */
  u32 inner_pid;
  struct user_stack user;
};
