/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of CPU time: where each nanosecond of a thread's life goes. Called by the counting, for tasks that are traced,
 * and attached to sched_switch.
 *
 * A task that was switched out has its next event on the CPU that it was switched in on, and that CPU has not switched
 * since: so the moment of each CPU's last switch is all that a task must know of its absence. Where it had fallen asleep,
 * how much of that was waiting for a CPU says the scheduler's own sum, sched_info.run_delay, which is up to date once the
 * task runs again. */
#pragma once
#include "kernel/bpf/chain.bpf.c"
#include "kernel/bpf/rows.bpf.c"
#include "views/cpu_time/cpu_time.h"

#define STATE_DEAD 0x80

BPF_TASK_STORAGE(cpu_clocks, struct cpu_clock);
BPF_PERCPU_ARRAY(cpu_switched, u64, 1);
BPF_F_TABLE("array", u32, struct cpu_slot, cpu_slots, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_F_TABLE("percpu_hash", struct cpu_key, struct cpu_parts, cpu_accounts, MAX_ROWS, BPF_F_NO_PREALLOC);
BPF_F_TABLE("array", u32, struct cpu_walk, cpu_walk, 1, BPF_F_MMAPABLE);

static __always_inline struct cpu_clock *clock_of(struct task_struct *task) {
  u64 storage;
  LOAD(u64, storage, task, STORAGE_OFFSET);
  struct cpu_clock *clock = storage ? cpu_clocks.task_storage_get(task, 0, 0) : NULL;
  return clock && clock->generation ? clock : NULL;
}

/* The iterator may read at any time: it sees by the sequence that it read half a change. */
static __always_inline void change(struct cpu_clock *clock) {
  *(volatile u32 *)&clock->sequence += 1;
  asm volatile("" ::: "memory");
}

static __always_inline void add(struct cpu_parts *into, struct cpu_parts *parts) {
  into->on_ns += parts->on_ns;
  into->runnable_ns += parts->runnable_ns;
  into->asleep_ns += parts->asleep_ns;
}

static __always_inline void add_shared(struct cpu_parts *into, struct cpu_parts *parts) {
  __sync_fetch_and_add(&into->on_ns, parts->on_ns);
  __sync_fetch_and_add(&into->runnable_ns, parts->runnable_ns);
  __sync_fetch_and_add(&into->asleep_ns, parts->asleep_ns);
}

static __always_inline void count_lost_time(u32 number) {
  struct cpu_slot *slot = cpu_slots.lookup(&number);
  if (slot) __sync_fetch_and_add(&slot->lost, 1);
}

static __always_inline struct cpu_parts *place_of(struct cpu_clock *clock) {
  u64 place = clock->place;
  BOUND(place, 3);
  return &clock->parts[place];
}

/* Tells apart all time of the running task until now; `switched` is its CPU's last switch. */
static __always_inline void advance_from(struct cpu_clock *clock, struct task_struct *task, u64 now, u64 switched) {
  struct cpu_parts *parts = place_of(clock);
  u64 last = clock->last_ns;
  if (switched > last) {
    u64 away = switched - last, delay;
    LOAD(u64, delay, task, CPU_RUN_DELAY_OFFSET);
    u64 queued = delay - clock->run_delay_ns;
    if (clock->preempted || queued > away) queued = away;
    clock->run_delay_ns = delay;
    clock->preempted = 0;
    parts->runnable_ns += queued;
    parts->asleep_ns += away - queued;
    last = switched;
  }
  if (now > last) {
    parts->on_ns += now - last;
    last = now;
  }
  clock->last_ns = last;
}

static __always_inline void advance(struct cpu_clock *clock, struct task_struct *task, u64 now) {
  u32 zero = 0;
  u64 *switched = cpu_switched.lookup(&zero);
  if (switched) advance_from(clock, task, now, *switched);
}

/* As advance, to where the counting saw a call begin or end. A task that was preempted between the counting and this
 * was away after that, which the next place is to have. */
static __always_inline void advance_to(struct cpu_clock *clock, struct task_struct *task, u64 moment) {
  if (clock->last_ns < moment) advance(clock, task, moment);
}

static __always_inline struct cpu_parts *account_of(struct cpu_clock *clock, u32 row, bool make) {
  struct cpu_key key = {.generation = clock->generation, .row = row};
  struct cpu_parts nothing = {};
  return make ? cpu_accounts.lookup_or_try_init(&key, &nothing) : cpu_accounts.lookup(&key);
}

/* A walk goes on that has reported this task within the call: it must not find the call in its row as well. */
static __always_inline void settle_late(struct cpu_clock *clock, bool make) {
  u32 zero = 0;
  struct cpu_walk *walk = cpu_walk.lookup(&zero);
  if (!walk || clock->told != walk->number) {
    clock->told = 0;
    return;
  }
  struct cpu_parts *account = account_of(clock, clock->told << 16 | clock->row, make);
  if (account) add(account, &clock->parts[PLACE_CALL]);
}

/* What the call took goes to its row; where that has no room, to the calls without one, so that no time is missing. */
static __always_inline void settle_call(struct cpu_clock *clock, bool make) {
  struct cpu_parts *account = account_of(clock, clock->row, make);
  if (account) {
    add(account, &clock->parts[PLACE_CALL]);
    if (clock->told) settle_late(clock, make);
  } else {
    count_lost_time(clock->slot);
    add(&clock->parts[PLACE_OTHER], &clock->parts[PLACE_CALL]);
  }
}

static __always_inline void leave(struct cpu_gone *gone, struct cpu_clock *clock) {
  __sync_fetch_and_add(&gone->thread_ns, clock->last_ns - clock->born_ns);
  add_shared(&gone->user, &clock->parts[PLACE_USER]);
  add_shared(&gone->other, &clock->parts[PLACE_OTHER]);
}

/* Gives the slot what the task has. A reader that has just got it must not count it twice. */
static __always_inline void hand_over(struct cpu_clock *clock) {
  u32 number = clock->slot, zero = 0;
  struct cpu_slot *slot = cpu_slots.lookup(&number);
  struct cpu_walk *walk = cpu_walk.lookup(&zero);
  if (slot && walk && slot->generation == clock->generation) {
    leave(&slot->gone, clock);
    if (clock->told == walk->number) leave(&slot->late, clock);
  }
}

/* The task is gone, or has gone to another container. */
static __always_inline void stop_clock(struct cpu_clock *clock) {
  hand_over(clock);
  clock->generation = 0;
}

static __always_inline void enter_row(struct cpu_clock *clock, u32 row, u64 start_ns) {
  clock->row = row;
  clock->start_ns = start_ns;
  clock->place = row ? PLACE_CALL : PLACE_OTHER;
  struct cpu_parts *parts = &clock->parts[PLACE_CALL];
  parts->on_ns = parts->runnable_ns = parts->asleep_ns = 0;
}

/* A call that the counting left alone: its row if it never returns, else none. Also whose task this is by now. */
static __always_inline u32 uncounted_row(struct task_struct *task, s32 nr, u32 *generation) {
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  struct slot_ref *ref = cfg ? find_slot(cfg, task) : NULL;
  if (!ref) return 0;
  *generation = ref->generation;
  u32 number = ref->slot, abi = abi_of(task, &nr);
  struct index *index = indexes.lookup(&number);
  if (!index || (u32)nr >= ABI_NUMBERS) return 0;
  u64 at = abi * ABI_NUMBERS + (u32)nr;
  BOUND(at, INDEX_ENTRIES - 1);
  u32 row = index->rows[at];
  return row != NOT_WANTED && row & NEVER_RETURNS ? row & ROW_MASK : 0;
}

static __always_inline void enter_call(struct bpf_raw_tracepoint_args *ctx, struct task_struct *task, struct entry *entry) {
  struct cpu_clock *clock = clock_of(task);
  if (!clock) return;
  u64 start = entry->start_ns;
  u32 generation = 0, row;
  if (start) {
    generation = entry->generation;
    row = entry->row & ROW_MASK;
  } else {
    row = uncounted_row(task, ctx->args[1], &generation);
  }
  change(clock);
  advance_to(clock, task, start ? start : bpf_ktime_get_ns());
  if (generation == clock->generation) {
    enter_row(clock, row, start);
    /* It ends in the scheduler, where no memory can be had. */
    if (!start && row) account_of(clock, row, true);
  } else {
    stop_clock(clock);
  }
  change(clock);
}

int on_cpu_enter(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  enter_call(ctx, task, entry);
  go_on(ctx, entry);
  return 0;
}

/* A return without an entry: seccomp denied the call, or the task has left the containers that are traced. */
static __always_inline void check_owner(struct cpu_clock *clock, struct task_struct *task) {
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  struct slot_ref *ref = cfg ? find_slot(cfg, task) : NULL;
  if (ref && ref->generation == clock->generation) return;
  change(clock);
  advance(clock, task, bpf_ktime_get_ns());
  stop_clock(clock);
  change(clock);
}

/* For views that tell single calls: what this one took, which was followed from its beginning. */
static __always_inline void leave_parts(struct entry *entry, u64 start_ns, struct cpu_parts *parts) {
  entry->used_start_ns = start_ns;
  entry->used_on_ns = parts->on_ns;
  entry->used_runnable_ns = parts->runnable_ns;
}

/* The call of a clock has ended. */
static __always_inline void end_call(struct cpu_clock *clock, struct task_struct *task, struct entry *entry) {
  u32 place = clock->place;
  u64 start = clock->start_ns, ns = entry->last_ns;
  change(clock);
  advance_to(clock, task, start && ns ? start + ns : bpf_ktime_get_ns());
  if (place == PLACE_CALL) {
    /* Only now it is known whether it was a wait. */
    u32 row = ns ? entry->row : entry->last_row;
    if (entry->generation == clock->generation && row != NO_ROW && !(row & NEVER_RETURNS)) clock->row = row;
    settle_call(clock, true);
    if (start && ns) leave_parts(entry, start, &clock->parts[PLACE_CALL]);
  }
  clock->place = PLACE_USER;
  change(clock);
}

/* The first return of a task that has no clock: a new one, or one that was moved here. */
static __always_inline void meet(struct bpf_raw_tracepoint_args *ctx, struct task_struct *task) {
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  struct slot_ref *ref = cfg ? find_slot(cfg, task) : NULL;
  if (!ref) return;
  u32 number = ref->slot;
  struct cpu_slot *slot = cpu_slots.lookup(&number);
  struct cpu_walk *walk = cpu_walk.lookup(&zero);
  if (!slot || !walk || slot->generation != ref->generation) return;
  s32 nr = -1;
  bpf_probe_read_kernel(&nr, sizeof(nr), (void *)ctx->args[0] + NR_OFFSET);
  u32 abi = abi_of(task, &nr);
  bool is_new = !ctx->args[1] && makes_tasks(abi, nr);
  u64 now = bpf_ktime_get_ns(), born, delay;
  LOAD(u64, born, task, CPU_START_OFFSET);
  LOAD(u64, delay, task, CPU_RUN_DELAY_OFFSET);
  if (!is_new) born = now;
  if (born < slot->begin_ns) born = slot->begin_ns;
  struct cpu_clock init = {.generation = slot->generation, .slot = number, .place = PLACE_OTHER};
  init.born_ns = init.last_ns = born;
  init.run_delay_ns = is_new ? 0 : delay;
  if (walk->number & 1) init.told = walk->number; /* it comes too late for the walk that goes on */
  struct cpu_clock *clock = cpu_clocks.task_storage_get(task, &init, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!clock) {
    __sync_fetch_and_add(&slot->lost, 1);
    return;
  }
  change(clock);
  if (!clock->generation) __builtin_memcpy((void *)clock + 4, (void *)&init + 4, sizeof(init) - 4);
  advance(clock, task, now);
  clock->place = PLACE_USER;
  change(clock);
}

int on_cpu_exit(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  struct cpu_clock *clock = clock_of(task);
  if (!clock)
    meet(ctx, task);
  else if (clock->place != PLACE_USER)
    end_call(clock, task, entry);
  else if (!entry->last_ns)
    check_owner(clock, task);
  go_on(ctx, entry);
  return 0;
}

/* Here `current` is still the task that gives up the CPU. For all others of the node this is one store. */
int on_cpu_switch(struct bpf_raw_tracepoint_args *ctx) {
  u32 zero = 0;
  u64 now = bpf_ktime_get_ns(), *switched = cpu_switched.lookup(&zero), state;
  if (!switched) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  struct cpu_clock *clock = clock_of(task);
  /* Odd: preempted within one of the programs above (Linux 7 does that). The task's next event sees that it was away. */
  if (clock && !(clock->sequence & 1)) {
    change(clock);
    advance_from(clock, task, now, *switched);
    LOAD(u32, state, task, STATE_OFFSET);
    clock->preempted = ctx->args[0] || !state;
    if (state & STATE_DEAD) {
      if (clock->place == PLACE_CALL) settle_call(clock, false);
      stop_clock(clock);
    }
    change(clock);
  }
  *switched = now;
  return 0;
}

/* Once a task has begun to die an iterator may not find it any more: what it has is handed over, and the rest follows
 * as it gives up its CPU for the last time. One that is killed dies outside of calls, but not in its program. */
int on_cpu_end(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct cpu_clock *clock = clock_of(task);
  if (!clock) return 0;
  change(clock);
  advance(clock, task, bpf_ktime_get_ns());
  if (clock->place == PLACE_CALL) settle_call(clock, true);
  hand_over(clock);
  clock->born_ns = clock->last_ns;
  __builtin_memset(clock->parts, 0, sizeof(clock->parts));
  if (clock->place == PLACE_USER) clock->place = PLACE_OTHER;
  change(clock);
  return 0;
}
