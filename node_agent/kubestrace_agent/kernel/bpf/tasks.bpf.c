/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Beside the counting: which tasks are inside a call, and the family of a process that is followed by its PID. */
#pragma once
#include "kernel/bpf/rows.bpf.c"
#include "kernel/bpf/waits.bpf.c"
#ifdef DETAILS
#include "kernel/bpf/calls.bpf.c"
#endif

struct bpf_iter_meta;
struct bpf_iter__task {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
};

#ifdef WALK
/* Helper 175 (Linux has it since 5.15): bcc's own headers may be older. */
static void *(*const task_regs)(struct task_struct *task) = (void *)175;
BPF_PERCPU_ARRAY(walk_cache, struct cgroup_cache, 1);

/* As find_slot, for any task. The cgroup of the last one is kept: the tasks of a process come one after the other. */
static __always_inline struct slot_ref *slot_of_task(struct config *cfg, struct task_struct *task) {
  u32 zero = 0;
  struct slot_ref *followed = slot_of_process(cfg, task);
  if (followed) return followed;
  struct cgroup_cache *cache = walk_cache.lookup(&zero);
  if (!cache) return NULL;
  u64 set, cgroup, own = cgroup_of(task);
  if (cache->cgroup == own && cache->generation == cfg->generation) return cache->ref.slot ? &cache->ref : NULL;
  cache->generation = cfg->generation;
  cache->cgroup = own;
  cache->ref.slot = 0;
  LOAD(u64, set, task, CGROUPS_OFFSET);
  LOAD(u64, cgroup, set, DFL_CGRP_OFFSET);
#pragma unroll /* kernels up to 6.1 do not take this loop in every program */
  for (u32 i = 0; i < WALK_LEVELS && cgroup; i++) {
    u64 node, id, state;
    LOAD(u64, node, cgroup, KN_OFFSET);
    LOAD(u64, id, node, ID_OFFSET);
    struct slot_ref *ref = containers.lookup(&id);
    if (ref) {
      cache->ref = *ref;
      return &cache->ref;
    }
    LOAD(u64, state, cgroup, PARENT_OFFSET);
    if (!state) return NULL;
    LOAD(u64, cgroup, state, CSS_CGROUP_OFFSET);
  }
  return NULL;
}

static __always_inline u32 state_of(struct task_struct *task) {
  u64 state;
  LOAD(u32, state, task, STATE_OFFSET);
  return state;
}

static __always_inline bool is_asleep(struct task_struct *task) {
  u32 state = state_of(task);
  return state && !(state & TASK_STOPPED);
}

/* Whether a call that is under way is a wait by now; `entry` is the task's, where its beginning was counted. */
static __always_inline bool waits_by_now(struct task_struct *task, struct entry *entry, u32 abi, s32 nr) {
#ifdef UNDER_WAY
  bool slept = entry ? sleeps_of(task) != entry->sleeps : is_asleep(task);
  return slept && has_waited(task, false, (u64)task_regs(task), abi, nr, 0, UNDER_WAY | state_of(task));
#else
  return false;
#endif
}

/* Inside a call, as its registers say: the kernel keeps -ENOSYS in the result until the call has returned, and no
 * number in those of a task that an interrupt took from user mode. */
static __always_inline bool is_inside(struct task_struct *task, s32 *nr) {
  u64 flags, running;
  LOAD(u32, flags, task, FLAGS_OFFSET);
  LOAD(u8, running, task, ON_CPU_OFFSET); /* an int, or a byte */
  if (running || flags & (PF_KTHREAD | PF_EXITING | PF_IO_WORKER)) return false;
  void *regs = task_regs(task);
  if (!regs || bpf_probe_read_kernel(nr, sizeof(*nr), regs + NR_OFFSET) || *nr == -1) return false;
#ifdef RESULT_OFFSET
  s64 result = 0;
  bpf_probe_read_kernel(&result, sizeof(result), regs + RESULT_OFFSET);
  return result == -ENOSYS;
#else
  return is_asleep(task);
#endif
}

#ifdef RQ_CLOCK_OFFSET
/* How long a task has not run, at least. The scheduler notes when it last did, by the clock of its CPU that leaves out
 * interrupts; that clock's distance from the common one has only grown since, and ours was read at the last tick. Where
 * the processors' counters are not in step, the clocks of two of them may differ by a tick. */
static __always_inline u64 idle_of(struct task_struct *task) {
  u64 theirs = read_u64(read_u64((u64)task, CFS_RQ_OFFSET), RQ_OFFSET);
  u64 ours = read_u64(read_u64((u64)bpf_get_current_task_btf(), CFS_RQ_OFFSET), RQ_OFFSET);
  u64 left_out = read_u64(theirs, RQ_CLOCK_OFFSET) - read_u64(theirs, RQ_CLOCK_TASK_OFFSET);
  u64 ran = read_u64((u64)task, EXEC_START_OFFSET) + left_out, now = read_u64(ours, RQ_CLOCK_OFFSET);
  return now > ran + CLOCKS_DIFFER_NS ? now - ran - CLOCKS_DIFFER_NS : 0;
}
#else
static __always_inline u64 idle_of(struct task_struct *task) { return 0; }
#endif

/* A call that has no start: it began before counting did, waits before its entry is seen (seccomp asks somebody, a
 * tracer holds it), or found no row. */
static __always_inline bool find_flight(struct config *cfg, struct task_struct *task, struct entry *entry,
                                        struct in_flight *record) {
  s32 nr = -1;
  if (!is_inside(task, &nr)) return false;
  struct slot_ref *ref = slot_of_task(cfg, task);
  if (!ref) return false;
  record->generation = ref->generation;
  record->seen = entry && entry->generation == ref->generation;
  if (record->seen) record->start_ns = entry->start_ns;
  if (record->seen && !record->start_ns && !is_asleep(task)) return false;
  record->abi = abi_of(task, &nr);
  record->nr = nr;
  record->since_ns = bpf_ktime_get_ns() - idle_of(task);
  return true;
}
#endif

#if defined(WALK) && defined(DETAILS)
BPF_PERCPU_ARRAY(walk_scratch, struct call, 1);

/* The memory of another task is out of reach here: of what arguments name, only files behind descriptors are read. */
static __always_inline void read_descriptor(struct call *call, u32 which, u32 shape, struct task_struct *task) {
  u32 before = call->used, kind = shape & 15;
  u64 value = argument(call, shape >> 4 & 7);
  call->modes[which] = 0;
  if (!is_full(call)) {
    if (kind == CAPTURE_FILE) {
      read_file(call, value, (u64)task, &call->modes[which]);
    } else if (which == 0 && is_polled(kind)) {
      read_polled(call, kind, value, task, &call->modes[which]);
    }
  }
  call->text_bytes[which] = *(volatile u32 *)&call->used - before;
}

static __always_inline void tell_flight(void *seq, struct in_flight *record, struct task_struct *task) {
  u32 zero = 0, shape = shape_of(record->abi & ABI_MASK, record->nr);
  struct call *call = walk_scratch.lookup(&zero);
  if (!call) return;
  call->end_ns = call->length_ns = call->result = 0;
  call->on_ns = call->runnable_ns = ~0ULL;
  call->generation = record->generation;
  call->slot = 0;
  call->abi = record->abi;
  call->nr = record->nr;
  call->used = 0;
  call->relative = 0;
  read_task(call, (u64)task);
  read_arguments(call, (u64)task_regs(task));
  read_descriptor(call, 0, shape, task);
  read_descriptor(call, 1, shape >> 8, task);
  u64 size = size_of(call);
  record->details = size;
  bpf_seq_write(seq, record, sizeof(*record));
  bpf_seq_write(seq, call, size);
}
#else
static __always_inline void tell_flight(void *seq, struct in_flight *record, struct task_struct *task) {
  bpf_seq_write(seq, record, sizeof(*record));
}
#endif

/* A call whose entry was counted. The pointers are looked at where they are known to be some: older kernels do not see
 * that one condition holds because another did. */
static __always_inline bool find_counted(struct entry *entry, struct in_flight *record) {
  if (!entry) return false;
  u32 id = entry->row & ROW_MASK;
  u64 start = entry->start_ns;
  if (!start || id == NO_ROW) return false;
  struct head *head = heads.lookup(&id);
  if (!head || head->generation != entry->generation) return false;
  record->start_ns = start;
  record->generation = head->generation;
  record->abi = head->abi;
  record->nr = head->nr;
  record->seen = 1;
  return true;
}

/* Read by the agent at each snapshot; walks all tasks that it can see. */
BPF_ITER(task) {
  u32 zero = 0;
  struct task_struct *task;
  struct bpf_iter_meta *meta;
  void *seq;
  LOAD(u64, task, ctx, 8);
  struct config *cfg = config.lookup(&zero);
  if (!task || !cfg) return 0;
  struct in_flight record = {};
  struct entry *entry = tasks.task_storage_get(task, 0, 0);
  bool counted = find_counted(entry, &record);
#ifdef WALK
  if (!counted && !find_flight(cfg, task, entry, &record)) return 0;
#else
  if (!counted) return 0;
#endif
  u64 tid, pid;
  LOAD(u32, tid, task, TID_OFFSET);
  LOAD(u32, pid, task, PID_OFFSET);
  record.tid = tid;
  record.pid = pid;
#ifdef WALK
  if (waits_by_now(task, counted ? entry : NULL, record.abi, record.nr)) record.abi |= WAITED;
#endif
  LOAD(u64, meta, ctx, 0);
  LOAD(u64, seq, meta, 0);
  tell_flight(seq, &record, task);
  return 0;
}

/* Runs in the parent before the child does; a thread has its process's PID already. */
int on_sched_process_fork(struct bpf_raw_tracepoint_args *ctx) {
  u32 parent = bpf_get_current_pid_tgid() >> 32, child = 0;
  struct slot_ref *ref = slots_by_pid.lookup(&parent);
  if (!ref) return 0;
  bpf_probe_read_kernel(&child, sizeof(child), (void *)ctx->args[1] + PID_OFFSET);
  struct slot_ref inherited = *ref;
  if (child != parent && slots_by_pid.update(&child, &inherited)) count_lost(inherited.slot);
  return 0;
}

/* The last thread of a process: its PID may come back as another's. */
int on_sched_process_exit(struct bpf_raw_tracepoint_args *ctx) {
  u32 pid = bpf_get_current_pid_tgid() >> 32;
  u64 signal = 0;
  s32 live = 1;
  if (!slots_by_pid.lookup(&pid)) return 0;
  bpf_probe_read_kernel(&signal, sizeof(signal), (void *)bpf_get_current_task_btf() + SIGNAL_OFFSET);
  bpf_probe_read_kernel(&live, sizeof(live), (void *)signal + LIVE_OFFSET);
  if (live == 0) slots_by_pid.delete(&pid);
  return 0;
}
