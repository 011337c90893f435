/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of locks: how long threads slept in futex calls, by address, and who woke them.
 *
 * A lock is told from a queue of work by who wakes: whoever has waited for a lock has it then, and wakes the next one when it
 * gives it up. Whoever waits for work is woken by those that bring some, and wakes nobody at that address. A lock that is
 * free costs no call: what is seen are threads that had to wait, and how long they had the lock afterwards. */
#pragma once
#include "kernel/bpf/calls.bpf.c"
#include "kernel/bpf/chain.bpf.c"
#include "kernel/bpf/lengths.bpf.c"
#include "kernel/bpf/rows.bpf.c"
#include "views/locks/locks.h"

BPF_F_TABLE("array", u32, struct lock_slot, lock_slots, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_F_TABLE("array", u32, u64, lock_calls, INDEX_ENTRIES, BPF_F_MMAPABLE);
BPF_F_TABLE("hash", struct lock_key, struct lock_row, lock_rows, MAX_LOCK_ROWS, BPF_F_NO_PREALLOC);
/* When a thread that has waited for a lock began to have it (CLOCK_MONOTONIC); 0: it has waked the next one since. */
BPF_F_TABLE("hash", struct lock_user_key, u64, lock_users, MAX_LOCK_USERS, BPF_F_NO_PREALLOC);
/* Of each program that may lead here: a row as it begins. */
BPF_PERCPU_ARRAY(lock_scratch, struct lock_row, AT_EXIT_AGAIN + 1);

/* Linux include/uapi/linux/futex.h; above the command: FUTEX_PRIVATE_FLAG, FUTEX_CLOCK_REALTIME. */
#define FUTEX_COMMANDS 0x7f
#define FUTEX_UNLOCK_PI_COMMAND 7
/* FUTEX_WAIT, FUTEX_LOCK_PI, FUTEX_WAIT_BITSET, FUTEX_WAIT_REQUEUE_PI, FUTEX_LOCK_PI2, as bits. */
#define FUTEX_WAITING 0x2a41
/* FUTEX_WAKE, FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP, FUTEX_UNLOCK_PI, FUTEX_WAKE_BITSET, as bits. */
#define FUTEX_WAKING 0x4ba
/* A condition variable of glibc wakes at one of two neighbours. */
#define LOCK_ADDRESS_MASK (~7ULL)

static __always_inline struct lock_row *lock_row_of(struct lock_key *key, struct task_struct *task, u32 program) {
  struct lock_row *row = lock_rows.lookup(key);
  if (row) return row;
  struct lock_row *first = lock_scratch.lookup(&program);
  if (!first) return NULL;
  u64 leader = read_u64((u64)task, CALL_LEADER_OFFSET);
  first->inner_pid = inner_number(read_u64(leader, CALL_PID_OFFSET));
  bpf_probe_read_kernel(first->process, sizeof(first->process), (void *)(leader + CALL_COMM_OFFSET));
  lock_rows.insert(key, first);
  return lock_rows.lookup(key); /* another CPU may have been first */
}

/* The task has waited, and goes on as the one that has the lock. */
static __always_inline void note_holder(struct lock_slot *slot, struct lock_row *row, struct lock_user_key *user) {
  u64 now = bpf_ktime_get_ns(), *since = lock_users.lookup(user);
  row->holder = user->tid;
  if (since) {
    *since = now;
  } else if (lock_users.insert(user, &now)) {
    __sync_fetch_and_add(&slot->lost, 1);
  } else {
    __sync_fetch_and_add(&row->threads, 1);
  }
}

static __always_inline void count_lock_wait(struct lock_slot *slot, struct lock_user_key *user, struct task_struct *task,
                                            struct entry *entry, s64 result, bool slept) {
  struct lock_row *row = lock_row_of(&user->lock, task, entry->program);
  if (row && result >= 0) note_holder(slot, row, user);
  if (!slept) return; /* woken before it did */
  if (!row) {
    __sync_fetch_and_add(&slot->other_waits, 1);
    __sync_fetch_and_add(&slot->other_ns, entry->last_ns);
    return;
  }
  count_length(row->buckets, &row->total_ns, &row->max_ns, entry->last_ns);
  if (result < 0) __sync_fetch_and_add(&row->failed, 1);
  __sync_fetch_and_add(&row->waits, 1);
}

static __always_inline void count_lock_wake(struct lock_user_key *user, struct task_struct *task, u32 program, bool woke) {
  /* Whoever is woken first has not come back yet. */
  struct lock_row *row = woke ? lock_row_of(&user->lock, task, program) : lock_rows.lookup(&user->lock);
  if (!row) return;
  u64 *since = lock_users.lookup(user);
  if (since && *since) {
    u64 now = bpf_ktime_get_ns(), held = now > *since ? now - *since : 0;
    *since = 0;
    if (row->holder == user->tid) {
      __sync_fetch_and_add(&row->holds, 1);
      __sync_fetch_and_add(&row->held_ns, held);
      raise_max(&row->longest_held_ns, held);
    }
  }
  if (!woke) return;
  if (since) __sync_fetch_and_add(&row->handed_on, 1);
  __sync_fetch_and_add(&row->wakes, 1);
}

static __always_inline void note_lock_call(struct bpf_raw_tracepoint_args *ctx, struct task_struct *task, struct entry *entry) {
  u32 row = entry->last_row;
  if (row == NO_ROW || row & NEVER_RETURNS) return;
  struct head *head = heads.lookup(&row);
  if (!head || head->generation != entry->generation) return;
  u32 at = place_of_call(head->abi & ABI_MASK, head->nr), number = head->slot;
  u64 *kind = lock_calls.lookup(&at);
  struct lock_slot *slot = kind && *kind ? lock_slots.lookup(&number) : NULL;
  if (!slot || slot->generation != head->generation) return;
  u64 regs = ctx->args[0], command = argument_of(head, regs, 1) & FUTEX_COMMANDS, bit = command < 32 ? 1ULL << command : 0;
  s64 result = ctx->args[1];
  struct lock_user_key user = {
    .lock = {.generation = head->generation, .pid = read_u32((u64)task, PID_OFFSET)},
    .tid = read_u32((u64)task, TID_OFFSET),
  };
  user.lock.address = argument_of(head, regs, 0) & LOCK_ADDRESS_MASK;
  bool slept = head->abi & WAITED;
  if (slept || (result >= 0 && (*kind == LOCK_WAIT || (*kind == LOCK_FUTEX && FUTEX_WAITING & bit)))) {
    count_lock_wait(slot, &user, task, entry, result, slept);
  } else if (*kind == LOCK_WAKE || (*kind == LOCK_FUTEX && FUTEX_WAKING & bit)) {
    bool unlocks = *kind == LOCK_FUTEX && command == FUTEX_UNLOCK_PI_COMMAND;
    count_lock_wake(&user, task, entry->program, unlocks ? result == 0 : result > 0);
  }
}

int on_lock_call(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  note_lock_call(ctx, task, entry);
  go_on(ctx, entry);
  return 0;
}
