/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What the programs and the agent share: layout.py reads it from this file. */
#pragma once
#include <linux/types.h>

/* Numbers of one ABI in the index; x32 takes two parts, as its own calls start at 512. */
#define ABI_NUMBERS 512
#define INDEX_ENTRIES (4 * ABI_NUMBERS)
enum abi { ABI_NATIVE, ABI_COMPAT, ABI_X32 };
/* Beside the ABI in a row's key and head: the row of those calls that waited for a neighbour (waits.bpf.c). */
#define WAITED 0x100
#define ABI_MASK 0xff

/* Values of the index beside row ids (1..0x7ffe): no row yet, not wanted, and a flag for calls that need more than a note
 * of the time as they begin: those that never return, and those whose sets of descriptors do not last. */
#define NO_ROW 0
#define NOT_WANTED 0xffff
#define ODD_AT_ENTRY 0x8000
#define NEVER_RETURNS 0x8000
#define ROW_MASK 0x7fff

#define MAX_LEVELS 16
#define BUCKETS 320
/* errno 1..135 by their value, 512..519 (the restart codes among them) from 136 on, 0: did not fit anywhere. */
#define ERRNOS 144
#define LOW_ERRNOS 136
#define RESTART_ERRNO 512
/* Of the counters of a row, errnos and buckets in a row, and what calls moved: at most 64 groups. */
#define GROUP 8
#define MOVED_GROUP ((ERRNOS + BUCKETS) / GROUP)

/* Calls of at least this length are slow. The view that asks for them defines it; without one no call is slow. */
#ifndef LEAST_SLOW_NS
#define LEAST_SLOW_NS ~0ULL
#endif

/* When the counting calls the programs of views (chain.bpf.c), in the order in which it does so at one entry or exit. */
enum chain {
  FIRST_ENTER, /* the first counted entry of a task since config.followed changed */
  EACH_ENTER,  /* each entry of a traced task */
  POLLS,       /* the counted entry of a call that waits for descriptors which it is told as it begins */
  EACH_EXIT,   /* each exit of a task that is or was traced; what it writes into struct entry, the following see */
  COUNTED,     /* a call was counted, or one that never returns has begun */
  FAILED,      /* it returned an error */
  SLOW,        /* it took LEAST_SLOW_NS or longer */
  SEARCHED,    /* it succeeded, soon after one of the same task that looked for something in vain */
  CHAINS
};
/* Programs of all views together. */
#define CHAIN_PLACES 20

struct config {
  u32 generation; /* changes with every change of containers: caches filled under another one are void. The agent writes
                   * the upper half, as it cannot add in one step; pods.bpf.c adds to the whole */
  u32 epoch;      /* the number of the interval between two snapshots */
  u32 processes;  /* how many slots follow a process; in the upper half, how many processes are of pods.bpf.c's joiners */
  u32 level_count;
  u32 levels[MAX_LEVELS]; /* depths in the cgroup tree at which containers stand, deepest first */
  u32 followed;  /* changes when a view wants to see each traced task's next entry once */
  u32 choosy;    /* places of programs that are called for some system calls only: call_places (chain.bpf.c) */
  u64 joined_ns;      /* when a trace joined any slot that was counted already: CLOCK_MONOTONIC */
  u32 chains[CHAINS]; /* the places (bits) of the programs that run at each kind of event; 0: none */
};

/* A call that was under way when a trace joined its slot, and has ended. */
struct attach_call {
  u64 start_ns;
  u64 length_ns;
  u32 generation;
  u32 row;
};
#define MAX_ATTACH_CALLS 8192

struct slot_ref {
  u32 slot;
  u32 generation; /* of the slot: never used twice */
};

struct cgroup_cache {
  u64 cgroup;
  u32 generation; /* of config */
  struct slot_ref ref;
};

/* Each program has a cache of its own: where programs are preempted, another one may run on this CPU meanwhile. */
enum program { AT_EXIT, AT_ENTRY, AT_EXIT_AGAIN, AT_ENTRY_AGAIN, IN_VIEW, CGROUP_CACHES };

struct entry {
  u64 start_ns;   /* 0: not in a call */
  u64 sleeps;     /* how often the task had gone to sleep until then */
  u64 read_bytes; /* and how much it had read from disks */
  u32 generation; /* of the slot in which this task was seen last */
  u32 row;
  /* For the views behind the counting. */
  u64 last_ns;       /* how long the call took that ended last; 0: not known */
  u64 slow_start_ns; /* when the call began that was slow last */
  u32 followed;      /* as config has it: the views have seen this task */
  u32 last_row;      /* where the last call was counted; 0: nowhere. With NEVER_RETURNS if it never returns. */
  u32 endless_row;   /* where a call was counted that never returns and that COUNTED has not seen yet; 0: none */
  u32 todo;          /* places in the chain that are still to run at this entry or exit */
  u32 widened; /* as the index had it when a call of this task was found that nobody saw begin */
  u32 program; /* the one that counted the last call: views have a scratch for each */
  /* What a view knows of one call, for the others: of its length, on a CPU and in a run queue. */
  u64 used_start_ns; /* when that call began; 0: of none */
  u64 used_on_ns;
  u64 used_runnable_ns;
  u32 searching; /* exits of this task that SEARCHED is still to see */
  u32 unused;
#ifdef PREEMPTIBLE
  u32 handled[AT_ENTRY + 1]; /* exits and entries that were counted, */
  u32 checked[AT_ENTRY + 1]; /* and how many of these the second programs know */
#endif
};

struct index {
  u16 rows[INDEX_ENTRIES];
  u32 others_wanted; /* numbers beyond the index */
  u32 used;
  u64 joined_ns; /* when a trace joined the slot, which was counted already: CLOCK_MONOTONIC */
  u32 widened;   /* how often more calls were wanted than before: those under way were left alone as they began */
  u32 stopped;   /* nothing more is counted: no row is taken */
};

struct row_key {
  u32 generation;
  u32 abi;
  s32 nr;
};

/* Who owns a row; shared by all CPUs, read at every call and written rarely. */
struct head {
  u32 generation; /* of the owner; 0: nobody */
  u32 touched;    /* the last epoch in which any CPU counted here */
  u32 slot;
  u32 abi;
  s32 nr;
  u32 stopped;  /* the owner counts nothing more */
  u32 wait_row; /* of those of these calls that waited; 0: not known */
  u32 moves;    /* a result is how many bytes were moved, if it is no error */
};

/* How calls ended and how long they took. Wraps at 32 bits, all but the bytes. */
struct counters {
  u32 errnos[ERRNOS];
  u32 buckets[BUCKETS];
  /* A group: the sum of results, and how many of them were 0, where the row's head says that its calls move bytes. */
  u64 bytes;
  u32 nothings;
  u32 unused[5];
};

/* One system call of one slot on one CPU. Everything but the maxima only grows, 32-bit counters wrap. */
struct row {
  u64 total_ns;
  u64 max_ns[2]; /* of the epoch in epochs[]: the even ones and the odd ones */
  u32 epochs[2];
  u32 untimed;
  u32 unmatched;
  u64 used; /* bits of the groups of GROUP counters that this CPU has added to: readers look at no others */
#ifndef COPIES
  struct counters counters;
#endif
};

struct odd_errno {
  u32 generation;
  u16 row;
  u16 number;
};

/* What the iterator writes for a task that is inside a call. */
struct in_flight {
  u64 start_ns; /* 0: not known, as the call began before it was counted */
  u64 since_ns; /* the call was under way then */
  u32 generation;
  u32 abi;
  s32 nr;
  u32 tid;
  u32 pid;
  u32 seen;    /* an earlier call of the task was seen in this slot: this one began after counting did */
  u32 details; /* bytes that follow: a struct call with as much of its text as is used */
  u32 unused;
};
