/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What waits.bpf.c and the agent share: what a call that slept must be for the sleep to be a wait (calls.py writes it). */
#pragma once
#include <linux/types.h>

/* A rule is one word: its kind, the places of two descriptors among the arguments (the same one twice: there is only
 * one), the place of flags that tell the call not to wait, and values: of a command, or of these flags, as bits. The kind
 * WAIT_NEVER: the call works, however long it sleeps. Beside it: what the call's result is, and how it is told for which
 * descriptors it is to wait (polls.h). */
enum wait_kind {
  WAIT_NEVER,
  WAIT_ALWAYS,      /* nothing else puts it to sleep: timers, children, events */
  WAIT_DESCRIPTORS, /* one of its descriptors has another end, and waiting for it was not ruled out */
  WAIT_DEVICE,      /* the same, where the call does not heed O_NONBLOCK */
  WAIT_COMMAND,     /* the first argument is one of the values (bits): FUTEX_WAIT, F_SETLKW */
  WAIT_FLAG,        /* ... has one of the values: CLONE_VFORK */
  WAIT_CLONE,       /* ... points to flags, as clone3 has it */
  WAIT_OPENED,      /* what it opened is a named pipe */
  WAIT_SOCKETCALL   /* a call of sockets by number, its arguments behind a pointer */
};
#define WAIT_KIND_MASK 15
#define WAIT_FIRST_SHIFT 4
#define POLLS_ARRAY (1 << 7)
#define WAIT_SECOND_SHIFT 8
#define POLLS_SETS (1 << 11)
#define WAIT_FLAGS_SHIFT 12
#define WAIT_PLACE_MASK 7
#define WAIT_NO_FLAGS 7
#define MOVES_BYTES (1 << 15)
#define WAIT_VALUES_SHIFT 16
#define WAIT_VALUES 48
