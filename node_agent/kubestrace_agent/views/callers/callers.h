/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What callers.bpf.c writes and kernel.py reads, by this file. */
#pragma once
#include "kernel/bpf/stacks.h"
#include <linux/types.h>

/* Rows of which a part of the calls is taken, of all slots: successes and failures apart. */
#define MAX_CALLER_ROWS 16384
/* In the row of a key: calls that failed. */
#define CALLER_FAILED 0x10000
/* Of fewer calls than one in so many, as a power of two, none is taken. */
#define MAX_CALLER_SHIFT 24

/* Of a slot, written by both sides; the first one is of all slots. */
struct caller_slot {
  u64 generation; /* of the slot that wants the view; 0: none does */
  s64 room;       /* bytes of the ring that may be filled until the agent reads */
  u64 lost;       /* calls that were chosen and found no room */
  u64 window;     /* only of all: the agent counts its windows of time here */
  u64 allowance;  /* only of all: so many stacks of one row, then half as many calls are chosen from */
  u64 granted;    /* only of all: stacks that may be taken, and those that were */
  u64 taken;
  u64 saved;      /* only of all: with fewer stacks left, each one halves the calls that its row is chosen from */
};

struct caller_key {
  u32 generation;
  u32 row;
};

/* Which part of a row's calls is chosen: one in 2^shift. */
struct caller_share {
  u32 window; /* what follows is of this one */
  u32 shift;
  u32 taken;   /* since the shift changed */
  u32 doubled; /* the shift grew in this window */
};

struct caller_sample {
  u32 generation;
  u32 abi; /* as in a row's head */
  s32 nr;
  s32 result; /* 0: it did not fail */
  u32 shift;  /* as it was when the call was chosen */
  u32 pid;    /* as the host numbers it, then as the innermost pid namespace does */
  u32 inner_pid;
  u32 unused;
  struct user_stack user;
};
