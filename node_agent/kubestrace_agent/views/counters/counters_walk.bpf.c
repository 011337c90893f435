/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of counters: an iterator over all tasks reports those that live. */
#pragma once
#include "kernel/bpf/tasks.bpf.c"
#include "views/counters/counters.bpf.c"

int walk_counters(struct bpf_iter__task *ctx) {
  u32 zero = 0;
  u64 flags;
  struct task_struct *task;
  struct bpf_iter_meta *meta;
  void *seq;
  LOAD(u64, task, ctx, 8);
  struct config *cfg = config.lookup(&zero);
  if (!task || !cfg) return 0;
  LOAD(u32, flags, task, FLAGS_OFFSET);
  if (flags & (PF_KTHREAD | PF_IO_WORKER)) return 0;
  if (counters_marks.task_storage_get(task, 0, 0)) return 0;
  struct slot_ref *ref = slot_of_task(cfg, task);
  if (!ref || !counters_slot_of(ref->slot, ref->generation)) return 0;
  struct counters_open record = {.generation = ref->generation};
  read_sums(&record.sums, task);
  LOAD(u64, meta, ctx, 0);
  LOAD(u64, seq, meta, 0);
  bpf_seq_write(seq, &record, sizeof(record));
  return 0;
}
