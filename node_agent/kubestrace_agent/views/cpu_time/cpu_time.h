/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What cpu_time.bpf.c writes and kernel.py reads, by this file. */
#pragma once
#include <linux/types.h>

/* Where the time of a task goes just now, as an index of its parts. */
enum place {
  PLACE_USER,  /* outside of calls */
  PLACE_OTHER, /* in a call that has no row: left out by the session, or a new task's way out of its making */
  PLACE_CALL,  /* in the call of `row` */
  PLACES
};

struct cpu_parts {
  u64 on_ns;       /* on a CPU */
  u64 runnable_ns; /* in a CPU's run queue */
  u64 asleep_ns;
};

/* Of a task that is followed: written by itself alone, so that nothing is shared on the way of a call. */
struct cpu_clock {
  u32 sequence;   /* odd while it changes */
  u32 generation; /* of the slot that it counts for; 0: for none any more */
  u32 slot;
  u32 row;
  u32 place;
  u32 preempted; /* it gave up its CPU and did not fall asleep: all of its absence is waiting for a CPU */
  u32 told; /* the number of a walk that reported it: written by the iterator, 0 once that is over */
  u32 unused;
  u64 born_ns;      /* since when it counts */
  u64 last_ns;      /* until when all is kept apart */
  u64 start_ns;     /* of the call, as the counting has it; 0: it has none */
  u64 run_delay_ns; /* the scheduler's sum of waits in run queues, as far as it is in the parts */
  struct cpu_parts parts[PLACES + 1]; /* of the whole life, but PLACE_CALL: of the call, or of the last one */
};

/* What tasks leave behind. */
struct cpu_gone {
  u64 thread_ns;
  struct cpu_parts user;
  struct cpu_parts other;
};

struct cpu_slot {
  u32 generation; /* 0: the view is off */
  u32 unused;
  u64 begin_ns;
  u64 lost; /* tasks and calls for which there was no memory */
  struct cpu_gone gone;
  struct cpu_gone late; /* of these, the tasks that the walk that is going on had reported before */
};

struct cpu_key {
  u32 generation;
  u32 row; /* above 16 bits: the number of a walk, for calls that ended after it had reported their tasks */
};

/* What the agent tells the iterator. */
struct cpu_walk {
  u64 last_ns; /* when it walked last: tasks that are new to it came since */
  u32 forget;  /* of which generation clocks are to be taken away; 0: tell all clocks */
  u32 number;  /* odd while it goes on, until everything beside it has been read */
};

/* A living task's clock as it would stand if it had an event now. */
struct cpu_open {
  u32 generation;
  u32 row; /* 0: in none */
  u64 thread_ns;
  struct cpu_parts parts[PLACES];
};
