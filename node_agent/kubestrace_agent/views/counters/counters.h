/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What counters.bpf.c writes and kernel.py reads, by this file. */
#pragma once
#include "kernel/bpf/syscalls.h"

/* What the kernel counts of each thread from its birth on. */
struct thread_sums {
  u64 minor_faults;
  u64 major_faults;
  u64 voluntary;
  u64 involuntary;
  u64 migrations;
  u64 run_delay_ns;
  u64 cpu_ns;
};

/* Of a slot, written by both sides. */
struct counters_slot {
  u64 generation; /* of the slot that wants the view; 0: none does */
  u64 ends;       /* threads that have ended since */
  u64 lost;       /* of these, those that may be counted twice */
  struct thread_sums ended;
};

/* What the iterator reports of a thread that lives. */
struct counters_open {
  u64 generation;
  struct thread_sums sums;
};

/* A thread whose sums are among those of the ended. */
struct counters_mark {
  u64 ended;
};
