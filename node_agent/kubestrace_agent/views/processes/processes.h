/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What processes.bpf.c writes and kernel.py reads, by this file. */
#pragma once
#include <linux/types.h>

/* Different system calls of one thread that are kept apart until it is reported; hints find them by the row. */
#define USES 64
#define HINTS 128
#define PROBES 8
#define NO_HINT 0xff
#define ARGUMENT_BYTES 64
#define FILE_BYTES 32
#define PATH_BYTES 256
/* Linux include/linux/sched/signal.h: all threads end, with the group's exit code. */
#define SIGNAL_GROUP_EXIT 4

/* What a record is. */
enum told { TOLD_THREAD = 1, TOLD_EXEC = 2, TOLD_ALIVE = 3 };
/* Of a thread: it has ended, the process has, the status is the process's. */
#define THREAD_ENDED 1
#define PROCESS_ENDED 2
#define STATUS_KNOWN 4

/* One system call of one thread. */
struct use {
  u64 total_ns;
  u32 calls;
  u32 errors;
  u32 row;
  u16 abi;
  u16 unused;
  s32 nr;
  u32 unused_too;
};

/* One thread: in its own task storage, and reported as it is up to the last used one of its calls. */
struct thread {
  u32 told;
  u32 generation; /* of the slot; 0: it has been reported for the last time */
  u64 begin_ns;   /* CLOCK_MONOTONIC; with begin_tid its name for the agent */
  u64 start_ns;   /* of the process: with pid its name for the agent */
  u64 told_ns;
  u32 slot;
  u32 begin_tid;
  u32 table; /* how often the uses were reported and begun anew */
  u32 flags;
  u32 status; /* as wait(2) has it */
  u32 tid;    /* as the host numbers them, then as the innermost pid namespace does */
  u32 pid;
  u32 parent;
  u32 inner_tid;
  u32 inner_pid;
  u32 inner_parent;
  u32 used;
  char name[16];
  char process[16];
  char file[FILE_BYTES]; /* the last name of the executable's path */
  char argument[ARGUMENT_BYTES];
  struct use uses[USES];
  u8 hints[HINTS];
  u32 changed; /* since the agent read it */
  u32 calls;   /* of the uses together */
};

/* A living thread that has not made a call since it was read. */
struct alive {
  u32 told;
  u32 begin_tid;
  u64 begin_ns;
};

struct exec {
  u32 told;
  u32 generation;
  u64 time_ns;
  u64 start_ns;
  u32 pid;
  u32 inner_pid;
  u32 parent;
  u32 inner_parent;
  char argument[ARGUMENT_BYTES];
  char path[PATH_BYTES];
};

/* Of a slot, written by both sides. */
struct process_slot {
  u64 generation; /* of the slot that wants the view; 0: none does */
  s64 room;       /* bytes of the ring that may be filled until the agent reads */
  u64 lost_calls; /* of threads for whose record there was no room */
  u64 lost_execs;
};
