/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Counts system calls by container: sys_enter notes the start in the task, sys_exit counts into the row. */
#pragma once
#include "kernel/bpf/chain.bpf.c"
#include "kernel/bpf/rows.bpf.c"
#include "kernel/bpf/waits.bpf.c"

BPF_QUEUE(attach_calls, struct attach_call, MAX_ATTACH_CALLS);

/* For the second programs: was this entry or exit (AT_ENTRY, AT_EXIT) counted by the first? */
static __always_inline bool was_handled(struct entry *entry, u32 at) {
#ifdef PREEMPTIBLE
  if (!entry || entry->checked[at] == entry->handled[at]) return false;
  entry->checked[at] = entry->handled[at];
  return true;
#else
  return false;
#endif
}

static __always_inline void handle(struct entry *entry, u32 at) {
#ifdef PREEMPTIBLE
  if (!entry) return;
  entry->checked[at] = entry->handled[at]; /* the second one may not have run the last time */
  entry->handled[at] += 1;
#endif
}

/* The second programs know what they counted themselves: they would take the next one for counted, too. */
static __always_inline void know(struct entry *entry, u32 at) {
#ifdef PREEMPTIBLE
  if (entry) entry->checked[at] = entry->handled[at];
#endif
}

/* The task's entry, where the call is counted; in `todo` the views that have not seen this task yet. */
static __always_inline struct entry *count_enter(struct config *cfg, struct task_struct *task, struct slot_ref *ref, s32 nr,
                                                 u32 *todo) {
  if (nr == -1) return NULL; /* a tracer took the call away */
  u32 generation = ref->generation;
  u32 abi = abi_of(task, &nr);
  u32 found = find_row(ref, generation, abi, nr);
  if (found == NOT_WANTED) return NULL;
  u32 id = found & ROW_MASK;
  if (found & ODD_AT_ENTRY && never_returns(abi, nr)) {
    struct head *head = heads.lookup(&id);
    struct row *row = row_at(id);
    if (!head || !row || head->generation != generation) return NULL;
    ADD(row->untimed, 1);
    touch(cfg, head, row, 0);
    struct entry *entry = tasks.task_storage_get(task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (!entry) return NULL;
    handle(entry, AT_ENTRY);
    entry->generation = generation;
    entry->last_ns = 0;
    entry->endless_row = id;
    return entry;
  }
  struct entry *entry = tasks.task_storage_get(task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!entry) return NULL; /* no memory: the exit counts it, without a length */
  handle(entry, AT_ENTRY);
#ifdef PREEMPTIBLE
  if (entry->start_ns && entry->generation == generation) count_lost(ref->slot); /* nobody saw its exit */
#endif
  entry->generation = generation;
  entry->row = id;
  entry->sleeps = sleeps_of(task);
  entry->read_bytes = read_bytes_of(task);
  entry->start_ns = bpf_ktime_get_ns();
  if (entry->followed != cfg->followed) {
    entry->followed = cfg->followed;
    *todo |= cfg->chains[FIRST_ENTER];
  }
  if (found & ODD_AT_ENTRY) *todo |= cfg->chains[POLLS];
  return entry;
}

static __always_inline int entered(struct bpf_raw_tracepoint_args *ctx, u32 program) {
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  if (!cfg) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  if (program == AT_ENTRY_AGAIN && was_handled(entry_of(task), AT_ENTRY)) return 0;
  struct slot_ref *ref = slot_of_current(cfg, task, program);
  if (!ref) return 0;
  u32 todo = cfg->chains[EACH_ENTER];
  struct entry *entry = count_enter(cfg, task, ref, ctx->args[1], &todo);
  if (program == AT_ENTRY_AGAIN) know(entry, AT_ENTRY);
  if (!todo) return 0;
  if (!entry) entry = tasks.task_storage_get(task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!entry) return 0;
  entry->todo = todo;
  go_on(ctx, entry);
  return 0;
}

int on_sys_enter(struct bpf_raw_tracepoint_args *ctx) { return entered(ctx, AT_ENTRY); }

static __always_inline u32 times_widened(u32 slot) {
  struct index *index = indexes.lookup(&slot);
  return index ? index->widened : 0;
}

/* The counting's call that never returns: the first exit after it is no other call's. */
static __always_inline void end_endless(struct entry *entry) {
  if (!entry || !entry->endless_row) return;
  entry->last_row = entry->endless_row | NEVER_RETURNS;
  entry->endless_row = NO_ROW;
}

/* An exit without an entry: a call denied by seccomp, one that began before counting did, or a new task's first. The task's
 * entry, whose last_row says where it was counted. */
static __always_inline struct entry *count_unpaired(struct config *cfg, struct task_struct *task, struct entry *entry,
                                                    void *regs, s64 result, u32 program) {
  struct slot_ref *ref = slot_of_current(cfg, task, program);
  if (!ref) return entry;
  s32 nr = -1;
  bpf_probe_read_kernel(&nr, sizeof(nr), regs + NR_OFFSET);
  if (nr == -1) { /* returned from a signal handler, or a tracer took the call away */
    end_endless(entry);
    return entry;
  }
  u32 generation = ref->generation;
  u32 abi = abi_of(task, &nr);
  if (!entry) entry = tasks.task_storage_get(task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  handle(entry, AT_EXIT);
  u32 widened = times_widened(ref->slot);
  bool seen = entry && entry->generation == generation && entry->widened == widened;
  if (entry) {
    entry->generation = generation;
    entry->widened = widened;
  }
  if (!seen && result == 0 && makes_tasks(abi, nr)) return entry;
  u32 found = find_row(ref, generation, abi, nr);
  if (found == NOT_WANTED || !found) return entry;
  u32 id = found & ROW_MASK;
  /* One that was under way when its task was found has most likely slept. */
  if (!seen) id = row_of_sleep(task, NULL, (u64)regs, id, generation, result);
  struct head *head = heads.lookup(&id);
  struct row *row = row_at(id);
  if (!head || !row || head->generation != generation) return entry;
  ADD(row->untimed, 1);
  if (!seen) ADD(row->unmatched, 1);
  touch(cfg, head, row, 0);
  count_result(head, row, id, generation, result);
  if (entry) entry->last_row = id;
  return entry;
}

static __always_inline bool in_flight_at_attach(struct config *cfg, struct head *head, u64 start) {
  u32 slot = head->slot;
  struct index *index = start < cfg->joined_ns ? indexes.lookup(&slot) : NULL;
  return index && start < index->joined_ns;
}

/* Reported before it is counted: who reads the counters and then finds nothing reported has none of it in them. */
static __always_inline bool record_attach_call(struct head *head, u32 id, u64 start, u64 ns) {
  struct attach_call call = {.start_ns = start, .length_ns = ns, .generation = head->generation, .row = id};
  return attach_calls.push(&call, 0) == 0;
}

/* Where so many were under way that they cannot all be reported, no trace has the length of the others. */
static __always_inline struct entry *count_without_length(struct config *cfg, struct entry *entry, struct head *head,
                                                          struct row *row, s64 result) {
  u32 id = entry->row & ROW_MASK;
  ADD(row->untimed, 1);
  ADD(row->unmatched, 1);
  touch(cfg, head, row, 0);
  count_result(head, row, id, entry->generation, result);
  entry->last_ns = 0;
  entry->last_row = id;
  return entry;
}

/* The task's entry, if it has one: last_row says where the call was counted. */
static __always_inline struct entry *count_exit(struct bpf_raw_tracepoint_args *ctx, struct config *cfg,
                                                struct task_struct *task, struct entry *entry, u32 program) {
  u64 start = entry ? entry->start_ns : 0;
  if (start) {
    handle(entry, AT_EXIT);
    u64 now = bpf_ktime_get_ns(), ns = now > start ? now - start : 0; /* CPUs may differ by a little */
    u32 id = entry->row & ROW_MASK, generation = entry->generation;
    entry->start_ns = 0;
    entry->last_ns = ns;
    entry->last_row = entry->endless_row = NO_ROW;
    if (id == NO_ROW) return entry; /* counted as lost by the entry */
    if (__builtin_expect(sleeps_of(task) != entry->sleeps, 0))
      id = entry->row = row_of_sleep(task, entry, ctx->args[0], id, generation, ctx->args[1]);
    struct head *head = heads.lookup(&id);
    struct row *row = row_at(id);
    /* A slot may have ended in the meantime; its row may even be another's by now. */
    if (head && row && head->generation == generation && !head->stopped) {
      u64 bucket = bucket_of(ns), longest = ns;
      if (__builtin_expect(in_flight_at_attach(cfg, head, start), 0)) {
        longest = 0;
        if (!record_attach_call(head, id, start, ns)) return count_without_length(cfg, entry, head, row, ctx->args[1]);
      }
      struct counters *counters = counters_of(row, id);
      BOUND(bucket, 511);
      if (counters && bucket < BUCKETS) {
        COUNT(counters->buckets[bucket], 1);
        USE(row, (ERRNOS + bucket) / GROUP);
      }
      ADD(row->total_ns, ns);
      touch(cfg, head, row, longest);
      count_result(head, row, id, generation, ctx->args[1]);
      entry->last_row = id;
      if (ns >= LEAST_SLOW_NS) entry->slow_start_ns = start;
      return entry;
    }
  }
  if (entry) {
    entry->last_ns = 0;
    entry->last_row = NO_ROW;
  }
  return count_unpaired(cfg, task, entry, (void *)ctx->args[0], ctx->args[1], program);
}

/* The places of the views that are to see this exit. */
static __always_inline u32 todo_at_exit(struct config *cfg, struct entry *entry, s64 result) {
  u32 todo = cfg->chains[EACH_EXIT], row = entry->last_row;
  if (row == NO_ROW) return todo;
  todo |= places_for(cfg, COUNTED, row);
  if (has_failed(result) && !(row & NEVER_RETURNS)) todo |= cfg->chains[FAILED];
  if (entry->last_ns >= LEAST_SLOW_NS) todo |= cfg->chains[SLOW];
  if (__builtin_expect(entry->searching, 0)) {
    entry->searching -= 1;
    if (result >= 0) todo |= cfg->chains[SEARCHED];
  }
  return todo;
}

static __always_inline int exited(struct bpf_raw_tracepoint_args *ctx, u32 program) {
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  if (!cfg) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (program == AT_EXIT_AGAIN && was_handled(entry, AT_EXIT)) return 0;
  entry = count_exit(ctx, cfg, task, entry, program);
  if (program == AT_EXIT_AGAIN) know(entry, AT_EXIT);
  u32 todo = entry ? todo_at_exit(cfg, entry, ctx->args[1]) : 0;
  if (!entry || !todo) return 0;
  entry->program = program;
  entry->todo = todo;
  go_on(ctx, entry);
  return 0;
}

int on_sys_exit(struct bpf_raw_tracepoint_args *ctx) { return exited(ctx, AT_EXIT); }
