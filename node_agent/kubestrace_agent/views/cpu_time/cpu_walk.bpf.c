/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of CPU time, what threads do between their events: an iterator over all tasks gives clocks to those that the
 * programs have not seen, and tells how all clocks stand. */
#pragma once
#include "kernel/bpf/tasks.bpf.c"
#include "views/cpu_time/cpu_time.bpf.c"

/* Whether a task is in a call, and the row of that call; 0 where it has none. */
static __always_inline bool find_call(struct task_struct *task, struct slot_ref *ref, u32 *row) {
  struct entry *entry = tasks.task_storage_get(task, 0, 0);
  if (entry && entry->start_ns && entry->generation == ref->generation) {
    *row = entry->row & ROW_MASK;
    return true;
  }
  s32 nr = -1;
  if (!is_inside(task, &nr)) return false;
  u32 abi = abi_of(task, &nr);
  u32 found = find_row(ref, ref->generation, abi, nr);
  *row = found == NOT_WANTED ? 0 : found & ROW_MASK;
  return true;
}

/* A clock for a task that had no event since the view began. */
static __always_inline struct cpu_clock *give_clock(struct task_struct *task, u64 last_walk) {
  u32 zero = 0;
  u64 ended, born, delay, state;
  LOAD(u32, ended, task, CPU_EXIT_STATE_OFFSET);
  struct config *cfg = ended ? NULL : config.lookup(&zero);
  struct slot_ref *ref = cfg ? slot_of_task(cfg, task) : NULL;
  if (!ref) return NULL;
  u32 number = ref->slot;
  struct cpu_slot *slot = cpu_slots.lookup(&number);
  if (!slot || slot->generation != ref->generation) return NULL;
  struct cpu_clock init = {.generation = slot->generation, .slot = number, .place = PLACE_USER};
  if (find_call(task, ref, &init.row)) init.place = init.row ? PLACE_CALL : PLACE_OTHER;
  LOAD(u64, born, task, CPU_START_OFFSET);
  LOAD(u64, delay, task, CPU_RUN_DELAY_OFFSET);
  if (born < slot->begin_ns) born = slot->begin_ns;
  if (born < last_walk) born = last_walk;
  init.born_ns = init.last_ns = born;
  init.run_delay_ns = delay;
  LOAD(u32, state, task, STATE_OFFSET);
  init.preempted = !state;
  struct cpu_clock *clock = cpu_clocks.task_storage_get(task, &init, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!clock) __sync_fetch_and_add(&slot->lost, 1);
  return clock && clock->generation ? clock : NULL;
}

/* How far the scheduler's clock is from ours: by this task, whose switch-in both of them know. */
static __always_inline u64 clocks_distance(void) {
  u32 zero = 0;
  u64 arrival, *switched = cpu_switched.lookup(&zero);
  struct task_struct *task = bpf_get_current_task_btf();
  LOAD(u64, arrival, task, CPU_ARRIVAL_OFFSET);
  return switched ? *switched - arrival : 0;
}

/* The time since the clock's last event: as advance does, for a task that may be in the middle of anything. */
static __always_inline void open_parts(struct cpu_clock *clock, struct task_struct *task, bool runs, u64 now) {
  struct cpu_parts *parts = place_of(clock);
  u64 last = clock->last_ns, until = now, queued_at, delay, distance = clocks_distance();
  if (now <= last) return;
  LOAD(u64, queued_at, task, CPU_QUEUED_OFFSET);
  LOAD(u64, delay, task, CPU_RUN_DELAY_OFFSET);
  if (runs) {
    LOAD(u64, until, task, CPU_ARRIVAL_OFFSET);
    until += distance;
    if (until > now) until = now;
    if (until < last) until = last;
    parts->on_ns += now - until;
  }
  u64 away = until - last, queued = delay - clock->run_delay_ns;
  if (!runs && queued_at && now > queued_at + distance) queued += now - queued_at - distance;
  if (clock->preempted || queued > away) queued = away;
  parts->runnable_ns += queued;
  parts->asleep_ns += away - queued;
  clock->last_ns = now;
}

/* The row of a call that is under way: the one that it will be counted in, if it ended now. */
static __always_inline u32 row_by_now(struct task_struct *task, struct cpu_clock *clock) {
  u32 id = clock->row;
  struct entry *entry = tasks.task_storage_get(task, 0, 0);
  struct head *head = heads.lookup(&id);
  if (!head || head->generation != clock->generation || head->abi & WAITED) return id;
  if (entry && !(entry->start_ns && entry->start_ns == clock->start_ns)) entry = NULL;
  return waits_by_now(task, entry, head->abi, head->nr) ? wait_row(head, id) : id;
}

/* Whether no program wrote to the clock meanwhile. */
static __always_inline bool read_whole(struct cpu_clock *clock, u32 number, struct cpu_clock *copy) {
  u32 sequence = *(volatile u32 *)&clock->sequence;
  clock->told = number;
  asm volatile("" ::: "memory");
  __builtin_memcpy(copy, clock, sizeof(*copy));
  asm volatile("" ::: "memory");
  return !(sequence & 1) && sequence == *(volatile u32 *)&clock->sequence;
}

/* Gives clocks to tasks that have none, and tells all clocks; or takes those of a generation away. */
int walk_clocks(struct bpf_iter__task *ctx) {
  u32 zero = 0;
  u64 flags, runs;
  struct task_struct *task;
  struct bpf_iter_meta *meta;
  void *seq;
  LOAD(u64, task, ctx, 8);
  struct cpu_walk *walk = cpu_walk.lookup(&zero);
  if (!task || !walk) return 0;
  LOAD(u32, flags, task, FLAGS_OFFSET);
  if (flags & (PF_KTHREAD | PF_IO_WORKER)) return 0;
  LOAD(u8, runs, task, ON_CPU_OFFSET); /* an int, or a byte */
  struct cpu_clock *clock = cpu_clocks.task_storage_get(task, 0, 0);
  if (walk->forget) {
    if (clock && (!clock->generation || clock->generation == walk->forget)) cpu_clocks.task_storage_delete(task);
    return 0;
  }
  if (!clock) clock = give_clock(task, walk->last_ns);
  if (!clock) return 0;
  struct cpu_clock copy;
  /* A few times, and not in a loop: kernels up to 6.1 take none of this shape. */
  if (!read_whole(clock, walk->number, &copy) && !read_whole(clock, walk->number, &copy))
    read_whole(clock, walk->number, &copy);
  if (!copy.generation) return 0;
  open_parts(&copy, task, runs, bpf_ktime_get_ns());
  struct cpu_open record = {.generation = copy.generation, .thread_ns = copy.last_ns - copy.born_ns};
  record.parts[PLACE_USER] = copy.parts[PLACE_USER];
  record.parts[PLACE_OTHER] = copy.parts[PLACE_OTHER];
  if (copy.place == PLACE_CALL) {
    record.row = row_by_now(task, &copy);
    record.parts[PLACE_CALL] = copy.parts[PLACE_CALL];
  }
  LOAD(u64, meta, ctx, 0);
  LOAD(u64, seq, meta, 0);
  if (bpf_seq_write(seq, &record, sizeof(record))) clock->told = 0; /* no room: it is reported again */
  return 0;
}
