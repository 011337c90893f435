/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of counters: what the kernel counts of each thread anyway, read when a thread ends. Nothing is on the way of a
 * call. */
#pragma once
#include "kernel/bpf/cgroup_filter.bpf.c"
#include "views/counters/counters.h"

BPF_F_TABLE("array", u32, struct counters_slot, counters_slots, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_HASH(counters_generations, u32, u32, MAX_SLOTS);
BPF_TASK_STORAGE(counters_marks, struct counters_mark);

static __always_inline struct counters_slot *counters_slot_of(u32 number, u32 generation) {
  struct counters_slot *slot = counters_slots.lookup(&number);
  return slot && generation && slot->generation == generation ? slot : NULL;
}

/* The slot of a thread that ends. A process that is followed by its PID is not, any more, as its last thread ends: then
 * it is the one in which the thread's last call was counted. */
static __always_inline struct counters_slot *counters_slot_of_ending(struct task_struct *task) {
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  struct slot_ref *ref = cfg ? find_slot(cfg, task) : NULL;
  if (ref) return counters_slot_of(ref->slot, ref->generation);
  struct entry *entry = tasks.task_storage_get(task, 0, 0);
  if (!entry) return NULL;
  u32 generation = entry->generation;
  u32 *number = counters_generations.lookup(&generation);
  return number ? counters_slot_of(*number, generation) : NULL;
}

static __always_inline void read_sums(struct thread_sums *sums, struct task_struct *task) {
  LOAD(u64, sums->minor_faults, task, COUNTERS_MINOR_OFFSET);
  LOAD(u64, sums->major_faults, task, COUNTERS_MAJOR_OFFSET);
  LOAD(u64, sums->voluntary, task, COUNTERS_VOLUNTARY_OFFSET);
  LOAD(u64, sums->involuntary, task, COUNTERS_INVOLUNTARY_OFFSET);
  LOAD(u64, sums->migrations, task, COUNTERS_MIGRATIONS_OFFSET);
  LOAD(u64, sums->run_delay_ns, task, COUNTERS_RUN_DELAY_OFFSET);
  LOAD(u64, sums->cpu_ns, task, COUNTERS_RUNTIME_OFFSET);
}

/* A thread has begun to die. It is marked first: who walks over it now does not count it. */
int on_counters_end(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct counters_slot *slot = counters_slot_of_ending(task);
  if (!slot) return 0;
  struct counters_mark mark = {.ended = 1};
  struct thread_sums sums = {};
  if (!counters_marks.task_storage_get(task, &mark, BPF_LOCAL_STORAGE_GET_F_CREATE))
    __sync_fetch_and_add(&slot->lost, 1);
  read_sums(&sums, task);
  /* It gives up its CPU once more, for good. */
  __sync_fetch_and_add(&slot->ended.minor_faults, sums.minor_faults);
  __sync_fetch_and_add(&slot->ended.major_faults, sums.major_faults);
  __sync_fetch_and_add(&slot->ended.voluntary, sums.voluntary + 1);
  __sync_fetch_and_add(&slot->ended.involuntary, sums.involuntary);
  __sync_fetch_and_add(&slot->ended.migrations, sums.migrations);
  __sync_fetch_and_add(&slot->ended.run_delay_ns, sums.run_delay_ns);
  __sync_fetch_and_add(&slot->ended.cpu_ns, sums.cpu_ns);
  __sync_fetch_and_add(&slot->ends, 1);
  return 0;
}
