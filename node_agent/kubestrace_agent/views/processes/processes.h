/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What processes.bpf.c writes and kernel.py reads, by this file. */
#pragma once
#include "kernel/bpf/origins.h"
#include <linux/types.h>

/* Different system calls of one thread that are kept apart until it is reported; hints find them by the row. */
#define USES 64
#define HINTS 128
#define PROBES 8
#define NO_HINT 0xff
#define ARGUMENT_BYTES 64
#define FILE_BYTES 32
#define PATH_BYTES 256
#define TITLE_BYTES 128
/* Of the words of a command line, where a session asks for them. */
#define WORDS_BYTES 1024
/* Linux include/linux/sched/signal.h: all threads end, with the group's exit code. */
#define SIGNAL_GROUP_EXIT 4

/* What a record is. */
enum told { TOLD_THREAD = 1, TOLD_EXEC = 2, TOLD_ALIVE = 3, TOLD_WORDS = 4 };
/* Of a thread: it has ended, the process has, the status is the process's; seccomp ended it for the call `denied_nr`; the
 * kernel chose its process to free memory; this image of the process ends here, as it has executed another. */
#define THREAD_ENDED 1
#define PROCESS_ENDED 2
#define STATUS_KNOWN 4
#define ENDED_BY_SECCOMP 8
#define ENDED_FOR_MEMORY 16
#define IMAGE_ENDED 32
/* Linux include/linux/seccomp.h and uapi: a filter is on; it has ended this thread (5.17, and 5.15.25). */
#define SECCOMP_FILTERS 2
#define SECCOMP_ENDED 3
/* One system call of one thread. */
struct use {
  u64 total_ns;
  u32 calls;
  u32 errors;
  u32 row;
  u16 abi;
  u16 unused;
  s32 nr;
  u32 denied; /* by seccomp: they ended before they began */
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
  u32 image;     /* how often this task and those it was forked from have executed a program: it counts up with each */
  u32 origin;    /* enum origin */
  u32 file_state;
  u32 denied_abi;
  s32 denied_nr;
  u32 exec_row; /* 1: it has executed a program, and its next call is that exec, which the program before has made */
  u64 title_ns; /* when the title was read */
  char name[16];
  char process[16];
  char first_name[16]; /* both as they were when this table was begun */
  char first_process[16];
  char file[FILE_BYTES]; /* the last name of the executable's path */
  char argument[ARGUMENT_BYTES];
  char title[TITLE_BYTES]; /* what stands in the place of argv[0] by now */
  struct use uses[USES];
  u8 hints[HINTS];
  u32 changed; /* since the agent read it */
  u32 calls;   /* of the uses together */
  u32 words;   /* as process_slot has it: these words were told */
  u32 unused;
};

/* A living thread that has not made a call since it was read. */
struct alive {
  u32 told;
  u32 begin_tid;
  u64 begin_ns;
};

/* A program that was executed, or the words of one that was before; as much of the words as there are. */
struct exec {
  u32 told;
  u32 generation;
  u64 time_ns;
  u64 start_ns;
  u32 pid;
  u32 inner_pid;
  u32 parent;
  u32 inner_parent;
  u32 image;
  u32 file_state;
  u32 words_bytes; /* that were read; all there are: words_all */
  u32 words_all;
  char argument[ARGUMENT_BYTES];
  char file[ARGUMENT_BYTES];
  char path[PATH_BYTES];
  char words[WORDS_BYTES];
};

/* Of a slot, written by both sides. */
struct process_slot {
  u64 generation; /* of the slot that wants the view; 0: none does */
  s64 room;       /* bytes of the ring that may be filled until the agent reads */
  u64 lost_calls; /* of threads for whose record there was no room */
  u64 lost_execs;
  u64 words;    /* 0: nobody asks for words; else it changes with each who begins to ask */
  u64 begin_ns; /* since when the slot wants the view: CLOCK_MONOTONIC */
};
