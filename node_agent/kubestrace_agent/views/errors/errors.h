/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What errors.bpf.c writes and kernel.py reads, by this file. */
#pragma once
#include <linux/types.h>

/* Of calls that fail alike the 1st, 4th, 16th, 64th ... after a snapshot are reported: powers of two that have these bits. */
#define TOLD_BITS 0x5555555555555555ULL
/* And so many in an epoch whose path is another than those before, or whose address is: looked for in the first ones of an
 * epoch and then in one of some, as reading it costs more than all else here. */
#define NAMES_TOLD 64
/* Three bits for each name: with so many names known, one in 40 new ones is taken for one of them, with 50 one in 2,500. Then
 * they are forgotten. */
#define NAME_WORDS 32
#define NAMES_KNOWN 200
#define PATH_WORDS 512
/* The words of a path in memory, with room for the one that ends it. */
struct error_path {
  u64 words[PATH_WORDS + 1];
};
#define ALL_HASHED 4096
#define NOT_HASHED_MASK 15
/* Of one slot: calls that fail in so many different ways have a time, more are counted as lost. */
#define SLOT_KINDS 1024

struct error_key {
  u32 generation;
  u16 row;
  u16 number;
};

struct error_times {
  u64 first_ns; /* CLOCK_MONOTONIC */
  u64 last_ns;
  u64 calls;    /* in this epoch, roughly: CPUs may count at once */
  u64 names[NAME_WORDS]; /* bits of the hashes of paths and addresses that were reported */
  u32 names_known;
  u32 names_told; /* in this epoch */
  u32 unused;
  u32 epoch;
  u32 abi;
  s32 nr;
};

/* Of a slot, written by both sides. */
struct error_slot {
  u64 generation; /* of the slot that wants the view; 0: none does */
  u64 since_ns;   /* what failed first before that begins anew */
  s64 room;       /* bytes of the ring that may be filled until the agent reads */
  u64 lost;       /* calls to tell for which there was no room */
  u64 kinds;
};
