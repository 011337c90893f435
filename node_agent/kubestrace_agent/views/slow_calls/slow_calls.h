/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What slow_calls.bpf.c writes and kernel.py reads, by this file. */
#pragma once
#include "kernel/bpf/calls.h"
#include <linux/types.h>

/* Of a slot, written by both sides: 0 calls that work, 1 calls that waited. */
#define SLOT_WAITS_BIT 31 /* in the slot of a call that is reported */
struct slow_slot {
  u64 floor_ns[2]; /* shorter ones are not asked for; all bits: none is */
  u64 lost[2];     /* over the floor, and no room */
  s64 room[2];     /* bytes of the ring that may be filled until the agent reads */
  u64 stacks;      /* are asked for, too */
  u64 stacks_lost;
};

/* A call on its way into the ring. */
struct slow_call {
  struct call call;
  u64 bytes;
  u64 waits;
  u64 start_ns; /* as the task's entry had it */
};

/* Of a task: how it and its process were called before the call that began then. */
struct names_before {
  u64 start_ns;
  char thread[16];
  char process[16];
};
