/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of memory: an iterator over all tasks keeps the breaks of the processes that live, and reports these. */
#pragma once
#include "kernel/bpf/tasks.bpf.c"
#include "views/memory/memory.bpf.c"

int walk_memory(struct bpf_iter__task *ctx) {
  u32 zero = 0, number;
  u64 flags;
  struct task_struct *task;
  struct bpf_iter_meta *meta;
  void *seq;
  LOAD(u64, task, ctx, 8);
  struct config *cfg = config.lookup(&zero);
  if (!task || !cfg) return 0;
  LOAD(u32, flags, task, FLAGS_OFFSET);
  if (flags & (PF_KTHREAD | PF_IO_WORKER | PF_EXITING)) return 0;
  if (read_u32((u64)task, TID_OFFSET) != read_u32((u64)task, PID_OFFSET)) return 0;
  struct slot_ref *ref = slot_of_task(cfg, task);
  if (!ref) return 0;
  number = ref->slot;
  struct memory_slot *slot = memory_slots.lookup(&number);
  if (!slot || !slot->generation || slot->generation != ref->generation) return 0;
  u64 memory = memory_of((u64)task);
  if (!memory) return 0;
  if (!memory_breaks.lookup(&memory)) keep_break(memory);
  struct memory_process record = {.generation = ref->generation, .pid = read_u32((u64)task, PID_OFFSET)};
  LOAD(u64, meta, ctx, 0);
  LOAD(u64, seq, meta, 0);
  bpf_seq_write(seq, &record, sizeof(record));
  return 0;
}
