/* Counts system calls by container: sys_enter notes the start in the task, sys_exit counts into the row.
 * Given by the command line: MAX_SLOTS, MAX_ROWS, SLOT_ROWS, and offsets of the running kernel (probe.py). */
#include "reads.h"
#include "syscalls.h"

struct task_struct;

BPF_F_TABLE("array", u32, struct config, config, 1, BPF_F_MMAPABLE);
BPF_HASH(containers, u64, struct target, MAX_SLOTS);
BPF_F_TABLE("hash", u32, struct target, processes, 65536, BPF_F_NO_PREALLOC);
BPF_PERCPU_ARRAY(notes, struct note, NOTES);
BPF_F_TABLE("array", u32, struct index, indexes, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_F_TABLE("array", u32, u64, lost, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_F_TABLE("array", u32, struct head, heads, MAX_ROWS, BPF_F_MMAPABLE);
BPF_HASH(rows_by_key, struct row_key, u32, MAX_ROWS);
BPF_QUEUE(free_rows, u32, MAX_ROWS);
/* A pattern only, and without type information: the agent's chunks have none, and kernels before 6.3 want them alike. */
#pragma push_macro("BPF_ANNOTATE_KV_PAIR")
#undef BPF_ANNOTATE_KV_PAIR
#define BPF_ANNOTATE_KV_PAIR(name, key, value)
BPF_PERCPU_ARRAY(first_chunk, struct row, CHUNK_ROWS);
#pragma pop_macro("BPF_ANNOTATE_KV_PAIR")
BPF_ARRAY_OF_MAPS(chunks, "first_chunk", MAX_ROWS / CHUNK_ROWS);
BPF_QUEUE(early_calls, struct early, MAX_EARLY);
BPF_TABLE("percpu_hash", struct odd_errno, u64, odd_errnos, 1024);
BPF_TASK_STORAGE(tasks, struct entry);
/* The first programs of views: the counting goes on with them (tail calls) after each call, after one that failed, after
 * one of at least LEAST_SLOW_NS, in this order, and each goes on with the next. Empty while none asks. So a view of slow
 * calls costs nothing at those that are not, nor any in tasks that are not traced. */
BPF_PROG_ARRAY(after_call, 1);
BPF_PROG_ARRAY(after_error, 1);
BPF_PROG_ARRAY(after_slow, 1);
/* What looks at each call of tasks that are traced, or were; only while a slot asks for that (config.each_call). What is
 * called before these goes on with them. */
BPF_PROG_ARRAY(after_each_enter, 1);
BPF_PROG_ARRAY(after_each_exit, 1);
/* The program of a view that makes something for each traced task, at its first entry since config.followed changed. */
BPF_PROG_ARRAY(after_enter, 1);

/* The compiler must not fold a bound away that the verifier has to see. */
#define BOUND(value, mask) asm volatile("%0 &= %1" : "+r"(value) : "i"(mask))
/* A field of a kernel struct whose offset comes from BTF: one instruction, which the verifier checks by BTF again. A
 * helper that returns the same costs a call and a return, and returns are dear where the kernel guards them. */
#define LOAD(size, into, from, offset) \
  asm volatile("%0 = *(" #size " *)(%1 + %2)" : "=r"(into) : "r"(from), "i"(offset))

static __always_inline u64 cgroup_of(struct task_struct *task) {
  u64 set, cgroup, node, id;
  LOAD(u64, set, task, CGROUPS_OFFSET);
  LOAD(u64, cgroup, set, DFL_CGRP_OFFSET);
  LOAD(u64, node, cgroup, KN_OFFSET);
  LOAD(u64, id, node, ID_OFFSET);
  return id;
}

/* Most of a node's tasks have no storage at all: seen without a call. */
static __always_inline bool has_storage(struct task_struct *task) {
  u64 storage;
  LOAD(u64, storage, task, STORAGE_OFFSET);
  return storage != 0;
}

static __always_inline struct entry *entry_of(struct task_struct *task) {
  return has_storage(task) ? tasks.task_storage_get(task, 0, 0) : NULL;
}

/* Where the kernel may preempt a program (Linux 7), it does not run that one for other tasks of this CPU until the
 * preempted task goes on. So there is a second pair of programs, which does what the first did not; both may then be in
 * the middle of one row. */
#ifdef PREEMPTIBLE
#define ADD(where, number) __sync_fetch_and_add(&(where), number)
#define USE(row, group) (row)->used = (1ULL << (ERRNOS + BUCKETS) / GROUP) - 1
#else
#define ADD(where, number) (where) += (number)
#define USE(row, group) (row)->used |= 1ULL << (group)
#endif

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

static __always_inline void lose(u32 slot) {
  u64 *count = lost.lookup(&slot);
  if (count) __sync_fetch_and_add(count, 1);
}

/* The generation is read before the look-ups: a change in between makes the note void, not wrong. */
static __always_inline void take_note(struct config *cfg, struct note *note, u64 cgroup) {
  u32 generation = *(volatile u32 *)&cfg->generation;
  struct target *target = containers.lookup(&cgroup);
  for (u32 i = 0; i < MAX_LEVELS; i++) {
    if (target || i >= cfg->level_count) break;
    u64 ancestor = bpf_get_current_ancestor_cgroup_id(cfg->levels[i]);
    target = containers.lookup(&ancestor);
  }
  note->cgroup = cgroup;
  note->target.slot = target ? target->slot : 0;
  note->target.generation = target ? target->generation : 0;
  note->generation = generation;
}

/* Whose calls are these? NULL: nobody's who is traced. `note_of` is the program's. */
static __always_inline struct target *target_by(struct config *cfg, struct task_struct *task, u32 note_of) {
  if (cfg->processes) {
    u64 process;
    LOAD(u32, process, task, PID_OFFSET);
    u32 pid = process;
    struct target *target = processes.lookup(&pid);
    if (target) return target;
  }
  struct note *note = notes.lookup(&note_of);
  if (!note) return NULL;
  u64 cgroup = cgroup_of(task);
  if (note->cgroup != cgroup || note->generation != cfg->generation) take_note(cfg, note, cgroup);
  return note->target.slot ? &note->target : NULL;
}

static __always_inline struct target *find_target(struct config *cfg, struct task_struct *task) {
  return target_by(cfg, task, IN_VIEW);
}

static __always_inline u32 abi_of(struct task_struct *task, s32 *nr) {
  u64 status;
  LOAD(u32, status, task, COMPAT_OFFSET);
  if (status & COMPAT_BIT) return ABI_COMPAT;
#ifdef X32_BIT
  if (*nr >= 0 && (*nr & X32_BIT)) {
    *nr &= ~X32_BIT;
    return ABI_X32;
  }
#endif
  return ABI_NATIVE;
}

static __always_inline bool never_returns(u32 abi, s32 nr) {
  if (abi == ABI_COMPAT) return nr == 1 || nr == COMPAT_EXIT_GROUP || nr == 119 || nr == 173;
  if (abi == ABI_X32) return nr == NATIVE_EXIT || nr == NATIVE_EXIT_GROUP || nr == 513;
  return nr == NATIVE_EXIT || nr == NATIVE_EXIT_GROUP || nr == NATIVE_SIGRETURN;
}

static __always_inline bool makes_tasks(u32 abi, s32 nr) {
  if (nr == 435) return true;
  if (abi == ABI_COMPAT) return nr == 2 || nr == 120 || nr == 190;
  return nr == NATIVE_CLONE || nr == NATIVE_FORK || nr == NATIVE_VFORK;
}

/* The first call of this kind: takes a free row. Two CPUs may try at once: the key's insertion decides. */
static __always_inline u32 take_row(struct index *index, struct target *target, struct row_key *key) {
  u32 row = 0;
  if (index->used >= SLOT_ROWS || free_rows.pop(&row)) return 0;
  struct head *head = heads.lookup(&row);
  if (!head) return 0;
  head->slot = target->slot;
  head->abi = key->abi;
  head->nr = key->nr;
  head->touched = 0;
  head->generation = key->generation;
  if (rows_by_key.insert(key, &row) == 0) {
    __sync_fetch_and_add(&index->used, 1);
    return row;
  }
  head->generation = 0;
  free_rows.push(&row, 0);
  u32 *winner = rows_by_key.lookup(key);
  return winner ? *winner : 0;
}

/* The row of a call with its flag, NOT_WANTED, or 0 and counted as lost. */
static __always_inline u32 find_row(struct target *target, u32 generation, u32 abi, s32 nr) {
  u32 slot = target->slot;
  struct index *index = indexes.lookup(&slot);
  if (!index) return NOT_WANTED;
  bool indexed = (u32)nr < (abi == ABI_X32 ? 2 * ABI_NUMBERS : ABI_NUMBERS);
  u64 at = abi * ABI_NUMBERS + (u32)nr;
  BOUND(at, INDEX_ENTRIES - 1);
  if (indexed) {
    u32 row = index->rows[at];
    if (row != NO_ROW) return row;
  } else if (!index->others_wanted) {
    return NOT_WANTED;
  }
  struct row_key key = {.generation = generation, .abi = abi, .nr = nr};
  u32 *known = rows_by_key.lookup(&key);
  u32 row = known ? *known : take_row(index, target, &key);
  if (!row) {
    lose(slot);
    return 0;
  }
  if (never_returns(abi, nr)) row |= NEVER_RETURNS;
  if (indexed) index->rows[at] = row;
  return row;
}

static __always_inline struct row *row_at(u32 id) {
  u32 chunk = id / CHUNK_ROWS, at = id % CHUNK_ROWS;
  void *map = chunks.lookup(&chunk);
  return map ? bpf_map_lookup_elem(map, &at) : NULL;
}

/* The first call of an epoch on this CPU tells user space that the row is worth reading. */
static __always_inline void touch(struct config *cfg, struct head *head, struct row *row, u64 ns) {
  u32 epoch = cfg->epoch;
  u64 *max = epoch & 1 ? &row->max_ns[1] : &row->max_ns[0];
  u32 *of = epoch & 1 ? &row->epochs[1] : &row->epochs[0];
  if (*of != epoch) {
    *of = epoch;
    *max = ns;
    head->touched = epoch;
  } else if (ns > *max) {
    *max = ns;
  }
}

/* log2 of the value's highest set bit, by halves: BPF has no instruction for it. */
static __always_inline u64 bucket_of(u64 ns) {
  if (ns < 16) return ns;
  if (ns >> 42) return BUCKETS - 1;
  u64 rest = ns, bit = 0;
  if (rest >> 32) { rest >>= 32; bit = 32; }
  if (rest >> 16) { rest >>= 16; bit += 16; }
  if (rest >> 8) { rest >>= 8; bit += 8; }
  if (rest >> 4) { rest >>= 4; bit += 4; }
  if (rest >> 2) { rest >>= 2; bit += 2; }
  bit += rest >> 1;
  return 16 + (bit - 4) * 8 + ((ns >> (bit - 3)) & 7);
}

static __always_inline void count_errno(struct row *row, u32 id, u32 generation, u64 number) {
  u64 at = number;
  if (at >= LOW_ERRNOS) {
    at = number - RESTART_ERRNO + LOW_ERRNOS;
    if (number < RESTART_ERRNO || at >= ERRNOS) {
      struct odd_errno key = {.generation = generation, .row = id, .number = number};
      u64 zero = 0, *count = odd_errnos.lookup_or_try_init(&key, &zero);
      if (count) {
        ADD(*count, 1);
        return;
      }
      at = 0;
    }
  }
  BOUND(at, 255);
  if (at >= ERRNOS) return;
  ADD(row->errnos[at], 1);
  USE(row, at / GROUP);
}

static __always_inline void count_result(struct row *row, u32 id, u32 generation, s64 result) {
  if (result < 0 && result >= -4095) count_errno(row, id, generation, -result);
}

/* Whether the views have not seen this task yet. */
static __always_inline bool count_enter(struct config *cfg, struct task_struct *task, struct target *target, s32 nr) {
  if (nr == -1) return false; /* a tracer took the call away */
  u32 generation = target->generation;
  u32 abi = abi_of(task, &nr);
  u32 found = find_row(target, generation, abi, nr);
  if (found == NOT_WANTED) return false;
  u32 id = found & ROW_MASK;
  if (found & NEVER_RETURNS) {
    struct head *head = heads.lookup(&id);
    struct row *row = row_at(id);
    if (!head || !row || head->generation != generation) return false;
    ADD(row->untimed, 1);
    touch(cfg, head, row, 0);
    struct entry *entry = tasks.task_storage_get(task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (!entry) return false;
    handle(entry, AT_ENTRY);
    entry->generation = generation;
    entry->last_ns = 0;
    entry->last_row = found;
    return false;
  }
  struct entry *entry = tasks.task_storage_get(task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!entry) return false; /* no memory: the exit counts it, without a length */
  handle(entry, AT_ENTRY);
#ifdef PREEMPTIBLE
  if (entry->start_ns && entry->generation == generation) lose(target->slot); /* nobody saw its exit */
#endif
  entry->generation = generation;
  entry->row = id;
  entry->start_ns = bpf_ktime_get_ns();
  if (entry->followed == cfg->followed) return false;
  entry->followed = cfg->followed;
  return true;
}

static __always_inline int entered(struct bpf_raw_tracepoint_args *ctx, u32 program) {
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  if (!cfg) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  if (program == AT_ENTRY_AGAIN && was_handled(entry_of(task), AT_ENTRY)) return 0;
  struct target *target = target_by(cfg, task, program);
  if (!target) return 0;
  if (count_enter(cfg, task, target, ctx->args[1])) after_enter.call(ctx, 0);
  if (cfg->each_call) after_each_enter.call(ctx, 0);
  return 0;
}

int on_sys_enter(struct bpf_raw_tracepoint_args *ctx) { return entered(ctx, AT_ENTRY); }

/* The restart codes are no errors: the program sees EINTR, or nothing. */
static __always_inline bool has_failed(s64 result) {
  return result < 0 && result >= -4095 && (result > -512 || result < -516 || result == -515);
}

/* An exit without an entry: a call denied by seccomp, one that began before counting did, or a new task's first. Its entry,
 * with last_row, where there is something for the views. */
static __always_inline struct entry *count_unpaired(struct config *cfg, struct task_struct *task, struct entry *entry,
                                                    void *regs, s64 result, u32 program) {
  struct target *target = target_by(cfg, task, program);
  if (!target) return NULL;
  s32 nr = -1;
  bpf_probe_read_kernel(&nr, sizeof(nr), regs + NR_OFFSET);
  if (nr == -1) return entry; /* returned from a signal handler, or a tracer took the call away */
  u32 generation = target->generation;
  u32 abi = abi_of(task, &nr);
  if (!entry) entry = tasks.task_storage_get(task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  handle(entry, AT_EXIT);
  bool seen = entry && entry->generation == generation;
  if (entry) entry->generation = generation;
  if (!seen && result == 0 && makes_tasks(abi, nr)) return NULL;
  u32 found = find_row(target, generation, abi, nr);
  if (found == NOT_WANTED || !found) return NULL;
  u32 id = found & ROW_MASK;
  struct head *head = heads.lookup(&id);
  struct row *row = row_at(id);
  if (!head || !row || head->generation != generation) return NULL;
  ADD(row->untimed, 1);
  if (!seen) ADD(row->unmatched, 1);
  touch(cfg, head, row, 0);
  count_result(row, id, generation, result);
  if (entry) entry->last_row = id;
  return entry;
}

/* Told before it is counted: who reads the counters and then finds nothing told has none of it in them. */
static __always_inline bool tell_early(struct head *head, u32 id, u64 start, u64 ns) {
  struct early call = {.start_ns = start, .length_ns = ns, .generation = head->generation, .row = id};
  if (early_calls.push(&call, 0) == 0) return true;
  lose(head->slot);
  return false;
}

/* In waits.bpf.c. */
static __always_inline u32 row_of_wait(struct task_struct *task, u64 regs, u32 id, u32 generation, u64 ns, s64 result);

/* The entry with last_row, where a call was counted or there is something else for the views. */
static __always_inline struct entry *count_exit(struct bpf_raw_tracepoint_args *ctx, struct config *cfg,
                                                struct task_struct *task, struct entry *entry, u32 program) {
  u64 start = entry ? entry->start_ns : 0;
  if (start) {
    handle(entry, AT_EXIT);
    u64 now = bpf_ktime_get_ns(), ns = now > start ? now - start : 0; /* CPUs may differ by a little */
    u32 id = entry->row & ROW_MASK, generation = entry->generation;
    entry->start_ns = 0;
    entry->last_ns = ns;
    entry->last_row = NO_ROW;
    if (id == NO_ROW) return NULL; /* counted as lost by the entry */
    if (__builtin_expect(ns >= LEAST_WAIT_NS, 0))
      id = entry->row = row_of_wait(task, ctx->args[0], id, generation, ns, ctx->args[1]);
    struct head *head = heads.lookup(&id);
    struct row *row = row_at(id);
    /* A slot may have ended in the meantime; its row may even be another's by now. */
    if (head && row && head->generation == generation) {
      u64 bucket = bucket_of(ns), longest = ns;
      if (__builtin_expect(start < cfg->joined_ns, 0) && tell_early(head, id, start, ns)) longest = 0;
      BOUND(bucket, 511);
      if (bucket < BUCKETS) {
        ADD(row->buckets[bucket], 1);
        USE(row, (ERRNOS + bucket) / GROUP);
      }
      ADD(row->total_ns, ns);
      touch(cfg, head, row, longest);
      count_result(row, id, generation, ctx->args[1]);
      entry->last_row = id;
      if (ns >= LEAST_SLOW_NS) entry->slow_start_ns = start;
      return entry;
    }
  }
  if (entry) {
    entry->last_ns = 0;
    if (!(entry->last_row & NEVER_RETURNS)) entry->last_row = NO_ROW; /* a return from a signal handler is still untold */
  }
  return count_unpaired(cfg, task, entry, (void *)ctx->args[0], ctx->args[1], program);
}

/* With which views it goes on after one that wants each call that was counted. */
static __always_inline void after_counted_call(struct bpf_raw_tracepoint_args *ctx, struct entry *entry) {
  bool returned = entry->last_row && !(entry->last_row & NEVER_RETURNS);
  if (returned && has_failed(ctx->args[1])) after_error.call(ctx, 0);
  if (entry->last_ns >= LEAST_SLOW_NS) after_slow.call(ctx, 0);
}

static __always_inline int exited(struct bpf_raw_tracepoint_args *ctx, u32 program) {
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  if (!cfg) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (program == AT_EXIT_AGAIN && was_handled(entry, AT_EXIT)) return 0;
  struct entry *counted = count_exit(ctx, cfg, task, entry, program);
  if (counted && counted->last_row) {
    counted->program = program;
    after_call.call(ctx, 0);
    after_counted_call(ctx, counted);
  }
  if (cfg->each_call && has_storage(task)) after_each_exit.call(ctx, 0);
  return 0;
}

int on_sys_exit(struct bpf_raw_tracepoint_args *ctx) { return exited(ctx, AT_EXIT); }
