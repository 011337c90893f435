/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of processes: the counting goes on here after each call, and leaves the row where it counted it in the task's
 * entry. Counts once more in a table of the task's own, without a lock, as a task runs on one CPU at a time. A
 * table is reported when it is full and when its thread ends; those of living threads the agent reads by an iterator. */
#pragma once
#include "kernel/bpf/calls.bpf.c"
#include "kernel/bpf/chain.bpf.c"
#include "kernel/bpf/rows.bpf.c"
#include "kernel/bpf/tasks.bpf.c"
#include "views/processes/processes.h"

BPF_F_TABLE("array", u32, struct process_slot, process_slots, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_TASK_STORAGE(process_threads, struct thread);
BPF_PERCPU_ARRAY(process_scratch, struct exec, 1);
/* The agent's own takes its place while the view is on. */
BPF_RINGBUF_OUTPUT(first_ring, 1);
BPF_ARRAY_OF_MAPS(process_rings, "first_ring", 1);

static __always_inline struct process_slot *slot_that_wants(u32 number, u32 generation) {
  struct process_slot *slot = process_slots.lookup(&number);
  return slot && slot->generation == generation ? slot : NULL;
}

/* A parent's number as its child sees it; 0: it is outside of the child's pid namespace. */
static __always_inline u32 parent_number(u64 parent, u64 child) {
  u64 above = read_u64(parent, CALL_PID_OFFSET);
  u32 level = read_u32(read_u64(child, CALL_PID_OFFSET), CALL_LEVEL_OFFSET);
  if (read_u32(above, CALL_LEVEL_OFFSET) < level) return 0;
  return read_u32(above, CALL_NUMBERS_OFFSET + 16 * (u64)(level & 31));
}

static __always_inline void describe(struct thread *thread, u64 task) {
  u64 leader = read_u64(task, CALL_LEADER_OFFSET), memory = read_u64(task, PROCESS_MM_OFFSET);
  u64 parent = read_u64(read_u64(task, PROCESS_PARENT_OFFSET), CALL_LEADER_OFFSET);
  thread->tid = read_u32(task, TID_OFFSET);
  thread->pid = read_u32(task, PID_OFFSET);
  thread->parent = read_u32(parent, PID_OFFSET);
  thread->inner_tid = inner_number(read_u64(task, CALL_PID_OFFSET));
  thread->inner_pid = inner_number(read_u64(leader, CALL_PID_OFFSET));
  thread->inner_parent = parent_number(parent, leader);
  thread->start_ns = read_u64(leader, PROCESS_START_OFFSET);
  bpf_probe_read_kernel(thread->process, sizeof(thread->process), (void *)(leader + CALL_COMM_OFFSET));
  if (!memory) return; /* it has ended and given its memory back */
  u64 path = read_u64(memory, PROCESS_EXE_OFFSET) + CALL_PATH_OFFSET;
  u64 name = read_u64(read_u64(path, CALL_PATH_DENTRY_OFFSET), CALL_NAME_OFFSET);
  bpf_probe_read_kernel_str(thread->file, sizeof(thread->file), (void *)name);
  read_string(thread->argument, sizeof(thread->argument), (void *)read_u64(memory, PROCESS_ARGUMENTS_OFFSET));
}

static __always_inline void count_lost_table(struct process_slot *slot, struct thread *thread) {
  __sync_fetch_and_add(&slot->lost_calls, thread->calls);
}

/* Puts a record into the ring, as far as the slot has room there. */
static __always_inline bool put(struct process_slot *slot, void *record, u64 size) {
  u32 zero = 0;
  void *ring = process_rings.lookup(&zero);
  if (!ring || *(volatile s64 *)&slot->room <= 0) return false;
  __sync_fetch_and_add(&slot->room, -(s64)size - 16); /* with the ring's own words */
  return bpf_ringbuf_output(ring, record, size, BPF_RB_NO_WAKEUP) == 0;
}

static __always_inline void empty(struct thread *thread) {
  thread->used = thread->calls = 0;
  __builtin_memset(thread->hints, NO_HINT, sizeof(thread->hints));
}

static __always_inline u64 table_size(struct thread *thread) {
  u64 used = *(volatile u32 *)&thread->used;
  BOUND(used, 127);
  if (used > USES) used = USES;
  return __builtin_offsetof(struct thread, uses) + used * sizeof(struct use);
}

static __always_inline void tell_table(struct thread *thread, u64 task, u32 flags) {
  struct process_slot *slot = slot_that_wants(thread->slot, thread->generation);
  thread->told_ns = bpf_ktime_get_ns();
  thread->flags = flags;
  bpf_probe_read_kernel(thread->name, sizeof(thread->name), (void *)(task + CALL_COMM_OFFSET));
  if (slot && !put(slot, thread, table_size(thread))) count_lost_table(slot, thread);
  thread->table += 1;
  empty(thread);
}

/* The table of a thread that was not seen before in this slot. */
static __always_inline struct thread *begin(struct task_struct *task, u32 slot_number, u32 generation) {
  struct process_slot *slot = slot_that_wants(slot_number, generation);
  if (!slot) return NULL;
  struct thread *thread = process_threads.task_storage_get(task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!thread) return NULL;
  struct process_slot *before = slot_that_wants(thread->slot, thread->generation);
  if (before && thread->generation) count_lost_table(before, thread); /* it was moved to another container */
  thread->generation = 0;
  thread->told = TOLD_THREAD;
  thread->table = thread->flags = 0;
  empty(thread);
  thread->slot = slot_number;
  thread->begin_ns = bpf_ktime_get_ns();
  describe(thread, (u64)task);
  thread->begin_tid = thread->tid;
  *(volatile u32 *)&thread->generation = generation;
  return thread;
}

/* Where a call of this row is counted: found by its hints, or begun; NULL: the table is full, or all its hints are. */
static __always_inline struct use *use_of(struct thread *thread, u32 row) {
  u64 hinted = 0, at;
  u32 used = *(volatile u32 *)&thread->used;
  bool room = false;
#pragma unroll /* kernels up to 6.1 find a loop too complex */
  for (u32 i = 0; i < PROBES; i++) {
    hinted = row + i;
    BOUND(hinted, HINTS - 1);
    at = thread->hints[hinted];
    BOUND(at, USES - 1);
    room = at >= used;
    if (room) break;
    if (thread->uses[at].row == row) return &thread->uses[at];
  }
  struct head *head = heads.lookup(&row);
  if (!head || !room || used >= USES) return NULL;
  at = used;
  BOUND(at, USES - 1);
  struct use *use = &thread->uses[at];
  use->row = row;
  use->abi = head->abi;
  use->nr = head->nr;
  use->calls = use->errors = 0;
  use->total_ns = 0;
  BOUND(hinted, HINTS - 1);
  thread->hints[hinted] = at;
  *(volatile u32 *)&thread->used = used + 1;
  return use;
}

/* A call that was counted there; with NEVER_RETURNS one that never returns. */
static __always_inline void count_call(struct task_struct *task, struct entry *entry, u32 row, s64 result) {
  bool returned = !(row & NEVER_RETURNS);
  row &= ROW_MASK;
  struct thread *thread = process_threads.task_storage_get(task, 0, 0);
  if (!thread || thread->generation != entry->generation) {
    struct head *head = heads.lookup(&row);
    if (!head || head->generation != entry->generation) return;
    thread = begin(task, head->slot, head->generation);
    if (!thread) return;
  }
  struct use *use = use_of(thread, row);
  if (!use) {
    tell_table(thread, (u64)task, 0);
    use = use_of(thread, row);
    if (!use) return;
  }
  use->calls += 1;
  thread->calls += 1;
  if (returned) {
    use->total_ns += entry->last_ns;
    if (has_failed(result)) use->errors += 1;
  }
  *(volatile u32 *)&thread->changed = 1;
}

int on_process_call(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  count_call(task, entry, entry->last_row, ctx->args[1]);
  go_on(ctx, entry);
  return 0;
}

/* Its memory, name and arguments are the new program's; a thread that was not the first has taken the first one's ids. */
int on_process_exec(struct bpf_raw_tracepoint_args *ctx) {
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  struct exec *exec = process_scratch.lookup(&zero);
  struct task_struct *task = bpf_get_current_task_btf();
  if (!cfg || !exec) return 0;
  struct slot_ref *ref = find_slot(cfg, task);
  if (!ref) return 0;
  struct process_slot *slot = slot_that_wants(ref->slot, ref->generation);
  if (!slot) return 0;
  struct thread *thread = process_threads.task_storage_get(task, 0, 0);
  if (thread) describe(thread, (u64)task);
  u64 at = (u64)task, memory = read_u64(at, PROCESS_MM_OFFSET), leader = read_u64(at, CALL_LEADER_OFFSET);
  u64 parent = read_u64(read_u64(at, PROCESS_PARENT_OFFSET), CALL_LEADER_OFFSET);
  exec->told = TOLD_EXEC;
  exec->generation = ref->generation;
  exec->time_ns = bpf_ktime_get_ns();
  exec->start_ns = read_u64(leader, PROCESS_START_OFFSET);
  exec->pid = read_u32(at, PID_OFFSET);
  exec->inner_pid = inner_number(read_u64(leader, CALL_PID_OFFSET));
  exec->parent = read_u32(parent, PID_OFFSET);
  exec->inner_parent = parent_number(parent, leader);
  exec->argument[0] = exec->path[0] = 0;
  read_string(exec->argument, sizeof(exec->argument), (void *)read_u64(memory, PROCESS_ARGUMENTS_OFFSET));
  u64 path = read_u64(ctx->args[2], PROCESS_FILENAME_OFFSET);
  bpf_probe_read_kernel_str(exec->path, sizeof(exec->path), (void *)path);
  if (!put(slot, exec, sizeof(*exec))) __sync_fetch_and_add(&slot->lost_execs, 1);
  return 0;
}

/* How a process ends its threads know: all of them when it was asked to end as a whole, else the last one. */
int on_process_end(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (entry && entry->endless_row) count_call(task, entry, entry->endless_row | NEVER_RETURNS, 0);
  struct thread *thread = process_threads.task_storage_get(task, 0, 0);
  u64 at = (u64)task, signal = read_u64(at, SIGNAL_OFFSET);
  bool last = read_u32(signal, LIVE_OFFSET) == 0;
  if (!thread || !thread->generation) {
    u32 zero = 0;
    struct config *cfg = config.lookup(&zero);
    if (!last || !cfg) return 0;
    struct slot_ref *ref = find_slot(cfg, task);
    if (!ref) return 0;
    thread = begin(task, ref->slot, ref->generation);
    if (!thread) return 0;
  }
  u32 flags = THREAD_ENDED | (last ? PROCESS_ENDED : 0);
  if (read_u32(signal, PROCESS_FLAGS_OFFSET) & SIGNAL_GROUP_EXIT) {
    flags |= STATUS_KNOWN;
    thread->status = read_u32(signal, PROCESS_GROUP_CODE_OFFSET);
  } else if (last) {
    flags |= STATUS_KNOWN;
    thread->status = read_u32(read_u64(at, CALL_LEADER_OFFSET), PROCESS_CODE_OFFSET);
  }
  tell_table(thread, at, flags);
  thread->generation = 0;
  return 0;
}

/* An iterator over tasks: the tables of those that live, where something was added since the last time. What is added
 * meanwhile is in the table before `changed` says so, and comes next time. */
int tell_processes(struct bpf_iter__task *ctx) {
  struct task_struct *task;
  struct bpf_iter_meta *meta;
  void *seq;
  LOAD(u64, task, ctx, 8);
  if (!task) return 0;
  struct thread *thread = process_threads.task_storage_get(task, 0, 0);
  if (!thread || !*(volatile u32 *)&thread->generation) return 0;
  LOAD(u64, meta, ctx, 0);
  LOAD(u64, seq, meta, 0);
  if (!*(volatile u32 *)&thread->changed) {
    struct alive alive = {.told = TOLD_ALIVE, .begin_tid = thread->begin_tid, .begin_ns = thread->begin_ns};
    bpf_seq_write(seq, &alive, sizeof(alive));
    return 0;
  }
  *(volatile u32 *)&thread->changed = 0;
  bpf_probe_read_kernel(thread->name, sizeof(thread->name), (void *)((u64)task + CALL_COMM_OFFSET));
  /* What does not fit is asked for again. */
  if (bpf_seq_write(seq, thread, table_size(thread))) *(volatile u32 *)&thread->changed = 1;
  return 0;
}
