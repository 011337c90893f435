/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Who uses io_uring, also where no system call says so: an iterator over tasks. A task has a context of io_uring from its
 * first ring or its first work for one on. A ring may be polled by a thread of the kernel in the process (IORING_SETUP_SQPOLL),
 * which is named iou-sqp-PID; its workers have a context no more than any other thread. */
#pragma once
#include "kernel/bpf/calls.bpf.c"
#include "kernel/bpf/rings.h"
#include "kernel/bpf/tasks.bpf.c"

static __always_inline bool polls(struct task_struct *task) {
  u64 flags;
  char name[8] = {};
  LOAD(u32, flags, task, FLAGS_OFFSET);
  if (!(flags & PF_IO_WORKER)) return false;
  bpf_probe_read_kernel(name, sizeof(name), (void *)((u64)task + CALL_COMM_OFFSET));
  return name[0] == 'i' && name[3] == '-' && name[4] == 's' && name[5] == 'q' && name[6] == 'p';
}

int tell_rings(struct bpf_iter__task *ctx) {
  u32 zero = 0;
  struct task_struct *task;
  struct bpf_iter_meta *meta;
  void *seq;
  u64 context, flags;
  LOAD(u64, task, ctx, 8);
  struct config *cfg = config.lookup(&zero);
  if (!task || !cfg) return 0;
  LOAD(u64, context, task, RING_CONTEXT_OFFSET);
  bool polled = polls(task);
  if (!context && !polled) return 0;
  LOAD(u32, flags, task, FLAGS_OFFSET);
  if (flags & PF_EXITING) return 0;
  struct slot_ref *ref = slot_of_task(cfg, task);
  if (!ref) return 0;
  u64 leader = read_u64((u64)task, CALL_LEADER_OFFSET);
  struct ring_user user = {
      .generation = ref->generation,
      .pid = read_u32((u64)task, PID_OFFSET),
      .inner_pid = inner_number(read_u64(leader, CALL_PID_OFFSET)),
      .flags = polled ? RING_POLLED : 0,
  };
  bpf_probe_read_kernel(user.process, sizeof(user.process), (void *)(leader + CALL_COMM_OFFSET));
  LOAD(u64, meta, ctx, 0);
  LOAD(u64, seq, meta, 0);
  bpf_seq_write(seq, &user, sizeof(user));
  return 0;
}
