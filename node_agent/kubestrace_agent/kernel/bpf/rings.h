/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What rings.bpf.c writes and rings.py reads, by this file. */
#pragma once
#include <linux/types.h>

/* A thread of the kernel takes work from a ring of the process, which then needs no system call. */
#define RING_POLLED 1
/* Rings that a task has registered (IO_RINGFD_REG_MAX of the kernel), and the one that it used last. */
#define RINGS_REGISTERED 16
#define RINGS_OF_TASK 17
/* Processes that make rings between two snapshots and have a name then. */
#define MAX_RING_MAKERS 1024

/* A task that uses io_uring, works for a process that does, or holds a descriptor of a ring. */
struct ring_user {
  u32 generation; /* of the slot */
  u32 pid;        /* as the host numbers the process, then as its innermost pid namespace does */
  u32 inner_pid;
  u32 flags;
  u64 rings[RINGS_OF_TASK]; /* addresses of its rings in the kernel; 0: none */
  char process[16];
};

struct ring_maker {
  u32 generation;
  u32 pid;
};
