/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of processes: the counting goes on here after each call, and leaves the row where it counted it in the task's
 * entry. Counts once more in a table of the task's own, without a lock, as a task runs on one CPU at a time. A
 * table is reported when it is full and when its thread ends; those of living threads the agent reads by an iterator. */
#pragma once
#include "kernel/bpf/calls.bpf.c"
#include "kernel/bpf/chain.bpf.c"
#include "kernel/bpf/origins.bpf.c"
#include "kernel/bpf/rows.bpf.c"
#include "kernel/bpf/tasks.bpf.c"
#include "views/processes/processes.h"

BPF_F_TABLE("array", u32, struct process_slot, process_slots, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_TASK_STORAGE(process_threads, struct thread);
/* Of each program that may lead here, and of the tracepoint of exec. */
BPF_PERCPU_ARRAY(process_scratch, struct exec, IN_VIEW + 1);
/* Of the iterator. */
BPF_PERCPU_ARRAY(process_copies, struct thread, 1);
/* The agent's own takes its place while the view is on. */
BPF_RINGBUF_OUTPUT(first_ring, 1);
BPF_ARRAY_OF_MAPS(process_rings, "first_ring", 1);

static __always_inline struct process_slot *slot_that_wants(u32 number, u32 generation) {
  struct process_slot *slot = process_slots.lookup(&number);
  return slot && slot->generation == generation ? slot : NULL;
}

/* What the process calls itself now. Programs write their title where argv[0] was. */
static __always_inline void read_title(struct thread *thread, u64 task) {
  u64 memory = read_u64(task, PROCESS_MM_OFFSET);
  if (!memory) return; /* it has ended and given its memory back */
  if (read_string(thread->title, sizeof(thread->title), (void *)read_u64(memory, PROCESS_ARGUMENTS_OFFSET)) < 0) return;
  thread->title_ns = bpf_ktime_get_ns();
}

/* Names that may change, of a task that may be another than the current one. */
static __always_inline void read_names_of(struct thread *thread, u64 task) {
  u64 leader = read_u64(task, CALL_LEADER_OFFSET), memory = read_u64(task, PROCESS_MM_OFFSET);
  bpf_probe_read_kernel(thread->name, sizeof(thread->name), (void *)(task + CALL_COMM_OFFSET));
  bpf_probe_read_kernel(thread->process, sizeof(thread->process), (void *)(leader + CALL_COMM_OFFSET));
  if (memory) thread->file_state = file_state_of(executable_of(memory));
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
  thread->image = read_u32(task, PROCESS_IMAGE_OFFSET);
  thread->origin = origin_of(leader, parent, thread->slot);
  thread->exec_row = 0;
  thread->title_ns = thread->file[0] = thread->argument[0] = thread->title[0] = 0;
  read_names_of(thread, task);
  __builtin_memcpy(thread->first_name, thread->name, sizeof(thread->name));
  __builtin_memcpy(thread->first_process, thread->process, sizeof(thread->process));
  if (!memory) return;
  u64 name = read_u64(executable_of(memory), CALL_NAME_OFFSET);
  bpf_probe_read_kernel_str(thread->file, sizeof(thread->file), (void *)name);
  read_title(thread, task);
  __builtin_memcpy(thread->argument, thread->title, sizeof(thread->argument));
  thread->argument[ARGUMENT_BYTES - 1] = 0;
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
  if (slot && !put(slot, thread, table_size(thread))) count_lost_table(slot, thread);
  __sync_fetch_and_add(&thread->table, 1); /* before the rest: see copy_of */
  empty(thread);
}

/* The table of a thread before it is told, with its names as they are now. */
static __always_inline void tell_names(struct thread *thread, u64 task, u32 flags) {
  read_names_of(thread, task);
  read_title(thread, task);
  tell_table(thread, task, flags);
}

/* The table of a thread that was not seen before in this slot. */
static __always_inline struct thread *begin(struct task_struct *task, u32 slot_number, u32 generation) {
  struct process_slot *slot = slot_that_wants(slot_number, generation);
  if (!slot) return NULL;
  struct thread *thread = process_threads.task_storage_get(task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!thread) return NULL;
  struct process_slot *before = slot_that_wants(thread->slot, thread->generation);
  if (before && thread->generation) count_lost_table(before, thread); /* it was moved to another container */
  *(volatile u32 *)&thread->generation = 0;
  asm volatile("" ::: "memory");
  thread->told = TOLD_THREAD;
  thread->table = thread->flags = thread->words = 0;
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
  use->calls = use->errors = use->denied = 0;
  use->total_ns = 0;
  BOUND(hinted, HINTS - 1);
  thread->hints[hinted] = at;
  *(volatile u32 *)&thread->used = used + 1;
  return use;
}

/* The command line of the current task's process into a record, which is as long as this says. */
static __always_inline u64 read_words(struct exec *exec, u64 memory, bool wanted) {
  u64 from = read_u64(memory, PROCESS_ARGUMENTS_OFFSET), to = read_u64(memory, PROCESS_ARGUMENTS_END_OFFSET);
  u64 bytes = to > from ? to - from : 0;
  exec->words_all = exec->words_bytes = 0;
  if (!memory || !wanted) return __builtin_offsetof(struct exec, words);
  exec->words_all = bytes;
  if (bytes > WORDS_BYTES - 1) bytes = WORDS_BYTES - 1;
  BOUND(bytes, WORDS_BYTES - 1);
  if (read_memory(exec->words, bytes, (void *)from)) bytes = 0;
  exec->words_bytes = bytes;
  BOUND(bytes, WORDS_BYTES - 1);
  return __builtin_offsetof(struct exec, words) + bytes;
}

static __always_inline void describe_image(struct exec *exec, u64 task) {
  u64 leader = read_u64(task, CALL_LEADER_OFFSET), memory = read_u64(task, PROCESS_MM_OFFSET);
  u64 parent = read_u64(read_u64(task, PROCESS_PARENT_OFFSET), CALL_LEADER_OFFSET), dentry = executable_of(memory);
  exec->time_ns = bpf_ktime_get_ns();
  exec->start_ns = read_u64(leader, PROCESS_START_OFFSET);
  exec->pid = read_u32(task, PID_OFFSET);
  exec->inner_pid = inner_number(read_u64(leader, CALL_PID_OFFSET));
  exec->parent = read_u32(parent, PID_OFFSET);
  exec->inner_parent = parent_number(parent, leader);
  exec->image = read_u32(task, PROCESS_IMAGE_OFFSET);
  exec->file_state = file_state_of(dentry);
  exec->argument[0] = exec->file[0] = exec->path[0] = 0;
  bpf_probe_read_kernel_str(exec->file, sizeof(exec->file), (void *)read_u64(dentry, CALL_NAME_OFFSET));
  read_string(exec->argument, sizeof(exec->argument), (void *)read_u64(memory, PROCESS_ARGUMENTS_OFFSET));
}

/* At the first call of a thread since the agent read it: names as they are now, and the words that were not told yet. */
static __always_inline void tell_news(struct thread *thread, u64 task, u32 program) {
  struct process_slot *slot = slot_that_wants(thread->slot, thread->generation);
  read_names_of(thread, task);
  read_title(thread, task);
  if (!slot || thread->words == (u32)slot->words) return;
  struct exec *exec = process_scratch.lookup(&program);
  if (!exec) return;
  exec->told = TOLD_WORDS;
  exec->generation = thread->generation;
  describe_image(exec, task);
  u64 size = read_words(exec, read_u64(task, PROCESS_MM_OFFSET), true);
  if (put(slot, exec, size)) thread->words = slot->words;
}

/* With the exec that its last call was, an image of the process is told; what follows is of the next. */
static __always_inline void change_image(struct thread *thread, u64 task) {
  tell_table(thread, task, IMAGE_ENDED);
  describe(thread, task);
  *(volatile u32 *)&thread->changed = 0;
}

/* Titles change without a call: they are read again after 1, 2, 4, ... calls, and then after each 256th. */
static __always_inline bool is_time_for_title(u32 calls) { return !(calls & (calls - 1)) || !(calls & 255); }

/* A failed call that nobody saw begin, of a thread that has a filter. One that may have begun before the counting did is
 * not counted: it is the first of a thread that is older than that. */
static __always_inline bool was_denied(struct thread *thread, struct task_struct *task, struct entry *entry, s64 result) {
#ifdef PROCESS_SECCOMP_OFFSET
  if (entry->last_ns || !has_failed(result)) return false;
  if (read_u32((u64)task, PROCESS_SECCOMP_OFFSET) != SECCOMP_FILTERS) return false;
  if (thread->calls || thread->table) return true;
  struct process_slot *slot = slot_that_wants(thread->slot, thread->generation);
  return slot && read_u64((u64)task, PROCESS_START_OFFSET) > slot->begin_ns;
#else
  return false;
#endif
}

/* A call that was counted there; with NEVER_RETURNS one that never returns. */
static __always_inline void count_call(struct task_struct *task, struct entry *entry, u32 row, s64 result, u32 program) {
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
  bool executed = *(volatile u32 *)&thread->exec_row;
  if (!use) {
    if (executed) {
      tell_table(thread, (u64)task, 0);
    } else {
      tell_names(thread, (u64)task, 0);
    }
    use = use_of(thread, row);
    if (!use) return;
  }
  bool denied = was_denied(thread, task, entry, result);
  use->calls += 1;
  thread->calls += 1;
  if (returned) {
    use->total_ns += entry->last_ns;
    if (has_failed(result)) use->errors += 1;
    if (denied) use->denied += 1;
  }
  if (executed) {
    change_image(thread, (u64)task);
    return;
  }
  if (!*(volatile u32 *)&thread->changed) {
    tell_news(thread, (u64)task, program);
  } else if (is_time_for_title(thread->calls)) {
    read_names_of(thread, (u64)task);
    read_title(thread, (u64)task);
  }
  *(volatile u32 *)&thread->changed = 1;
}

int on_process_call(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  count_call(task, entry, entry->last_row, ctx->args[1], entry->program);
  go_on(ctx, entry);
  return 0;
}

/* A task's first call may be an exec: who it was before is read as that begins. */
int on_process_enter(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  u32 row = entry->row & ROW_MASK;
  struct head *head = heads.lookup(&row);
  struct thread *thread = process_threads.task_storage_get(task, 0, 0);
  bool known = thread && thread->generation == entry->generation;
  if (!known && head && head->generation == entry->generation) begin(task, head->slot, head->generation);
  go_on(ctx, entry);
  return 0;
}

/* Its memory, name and arguments are the new program's; a thread that was not the first has taken the first one's ids. The
 * exec itself has not ended: that call is still the old program's. */
int on_process_exec(struct bpf_raw_tracepoint_args *ctx) {
  u32 zero = 0, scratch = IN_VIEW;
  struct config *cfg = config.lookup(&zero);
  struct exec *exec = process_scratch.lookup(&scratch);
  struct task_struct *task = bpf_get_current_task_btf();
  if (!cfg || !exec) return 0;
  struct slot_ref *ref = find_slot(cfg, task);
  if (!ref) return 0;
  struct process_slot *slot = slot_that_wants(ref->slot, ref->generation);
  if (!slot) return 0;
  exec->told = TOLD_EXEC;
  exec->generation = ref->generation;
  describe_image(exec, (u64)task);
  u64 path = read_u64(ctx->args[2], PROCESS_FILENAME_OFFSET);
  bpf_probe_read_kernel_str(exec->path, sizeof(exec->path), (void *)path);
  u64 size = read_words(exec, read_u64((u64)task, PROCESS_MM_OFFSET), slot->words);
  bool told = put(slot, exec, size);
  if (!told) __sync_fetch_and_add(&slot->lost_execs, 1);
  struct thread *thread = process_threads.task_storage_get(task, 0, 0);
  struct entry *entry = entry_of(task);
  if (!thread || !entry || thread->generation != ref->generation) return 0;
  bool counted = entry->start_ns && entry->row & ROW_MASK && entry->generation == ref->generation;
  thread->words = told ? slot->words : 0;
  if (counted) {
    thread->exec_row = 1;
  } else {
    change_image(thread, (u64)task);
  }
  return 0;
}

/* Why a process ends, beyond its status. */
static __always_inline u32 end_flags(struct thread *thread, struct task_struct *task, u64 signal) {
  u32 flags = read_u64(signal, PROCESS_OOM_OFFSET) ? ENDED_FOR_MEMORY : 0;
#if defined(PROCESS_SECCOMP_OFFSET) && defined(WALK)
  if (read_u32((u64)task, PROCESS_SECCOMP_OFFSET) == SECCOMP_ENDED) {
    s32 nr = -1;
    void *regs = task_regs(task);
    if (regs) bpf_probe_read_kernel(&nr, sizeof(nr), regs + NR_OFFSET);
    thread->denied_abi = abi_of(task, &nr);
    thread->denied_nr = nr;
    flags |= ENDED_BY_SECCOMP;
  }
#endif
  return flags;
}

/* How a process ends its threads know: all of them when it was asked to end as a whole, else the last one. */
int on_process_end(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (entry && entry->endless_row) count_call(task, entry, entry->endless_row | NEVER_RETURNS, 0, IN_VIEW);
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
  u32 flags = THREAD_ENDED | (last ? PROCESS_ENDED : 0) | end_flags(thread, task, signal);
  if (read_u32(signal, PROCESS_FLAGS_OFFSET) & SIGNAL_GROUP_EXIT) {
    flags |= STATUS_KNOWN;
    thread->status = read_u32(signal, PROCESS_GROUP_CODE_OFFSET);
  } else if (last) {
    flags |= STATUS_KNOWN;
    thread->status = read_u32(read_u64(at, CALL_LEADER_OFFSET), PROCESS_CODE_OFFSET);
  }
  tell_names(thread, at, flags);
  thread->generation = 0;
  return 0;
}

/* A thread with its table as it was at one moment; NULL: it was told and begun anew meanwhile, or has ended. */
static __always_inline struct thread *copy_of(struct thread *thread) {
  u32 zero = 0, generation = *(volatile u32 *)&thread->generation, table = *(volatile u32 *)&thread->table;
  struct thread *copy = process_copies.lookup(&zero);
  if (!copy || !generation || bpf_probe_read_kernel(copy, sizeof(*copy), thread)) return NULL;
  copy->flags = 0; /* of the table that is told just now, or was told last: this one has not ended */
  bool same = *(volatile u32 *)&thread->generation == generation && *(volatile u32 *)&thread->table == table;
  return same ? copy : NULL;
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
  struct thread *copy = NULL;
  if (*(volatile u32 *)&thread->changed) {
    *(volatile u32 *)&thread->changed = 0;
    if (!thread->exec_row) read_names_of(thread, (u64)task);
    copy = copy_of(thread);
    if (!copy) *(volatile u32 *)&thread->changed = 1;
  }
  if (!copy) {
    struct alive alive = {.told = TOLD_ALIVE, .begin_tid = thread->begin_tid, .begin_ns = thread->begin_ns};
    bpf_seq_write(seq, &alive, sizeof(alive));
    return 0;
  }
  /* What does not fit is asked for again. */
  if (bpf_seq_write(seq, copy, table_size(copy))) *(volatile u32 *)&thread->changed = 1;
  return 0;
}
