/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What rings.bpf.c writes and rings.py reads, by this file. */
#pragma once
#include <linux/types.h>

/* A thread of the kernel takes work from a ring of the process, which then needs no system call. */
#define RING_POLLED 1

/* A task that has used io_uring, or works for a process that does. */
struct ring_user {
  u32 generation; /* of the slot */
  u32 pid;        /* as the host numbers the process, then as its innermost pid namespace does */
  u32 inner_pid;
  u32 flags;
  char process[16];
};
