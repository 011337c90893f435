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
  u64 name_bytes; /* of the name that is hashed: kept here, where the verifier does not follow its every value */
};
#define ALL_HASHED 4096
#define NOT_HASHED_MASK 15
/* What was looked for in vain is remembered, and whether one of so many next calls of the task finds it. */
#define SEARCH_CALLS 256
#define SEARCHES 4096
/* Of the last name of a path; of a program's only the first, as that is what a task is called by after it. */
#define LONGEST_NAME_BYTES 255
#define TASK_NAME_BYTES 15
#define ERR_NOT_FOUND 2
#define ERR_NO_TERMINAL 25
/* How programs ask whether a descriptor is a terminal: isatty of glibc (TCGETS, TCGETS2) and of musl (TIOCGWINSZ). */
#define ASKS_TERMINAL 0x5401
#define ASKS_TERMINAL_2 0x802c542a
#define ASKS_WINDOW 0x5413
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
  u64 expected; /* of all since first_ns: for these it is known that they do no harm */
  u64 names[NAME_WORDS]; /* bits of the hashes of paths and addresses that were reported */
  u32 names_known;
  u32 names_told; /* in this epoch */
  u32 unused;
  u32 epoch;
  u32 abi;
  s32 nr;
};

/* Whose calls of one kind looked in vain for something of this name: in how many places is the value. */
struct error_search {
  u64 name; /* its hash */
  u32 generation;
  u32 row;
  u32 pid;
  u32 unused;
};

/* Of a slot, written by both sides. */
struct error_slot {
  u64 generation; /* of the slot that wants the view; 0: none does */
  u64 since_ns;   /* what failed first before that begins anew */
  s64 room;       /* bytes of the ring that may be filled until the agent reads */
  u64 lost;       /* calls to tell for which there was no room */
  u64 kinds;
};
