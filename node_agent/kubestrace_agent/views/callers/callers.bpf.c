/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of callers: of the calls of each row some are chosen by chance, and who made these is told.
 *
 * One in 2^shift calls of a row is chosen, whatever it is and however long it took, and is told with the shift: it stands for
 * 2^shift calls. What the shift is depends on earlier calls only, so that the sum of what is told is right on average for each
 * caller. Choosing each Nth call would not do: a program that makes its calls in turns would show one caller alone. */
#pragma once
#include "kernel/bpf/chain.bpf.c"
#include "kernel/bpf/rows.bpf.c"
#include "kernel/bpf/stacks.bpf.c"
#include "views/callers/callers.h"

BPF_F_TABLE("array", u32, struct caller_slot, caller_slots, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_F_TABLE("hash", struct caller_key, struct caller_share, caller_shares, MAX_CALLER_ROWS, BPF_F_NO_PREALLOC);
/* Of each program that may lead here. */
BPF_PERCPU_ARRAY(caller_scratch, struct caller_sample, AT_EXIT_AGAIN + 1);
/* A pattern only: the ring is made by whoever asks first. */
BPF_RINGBUF_OUTPUT(first_caller_ring, 1);
BPF_ARRAY_OF_MAPS(caller_rings, "first_caller_ring", 1);

static __always_inline struct caller_share *share_of(struct head *head, u32 row, bool failed) {
  struct caller_key key = {.generation = head->generation, .row = row | (failed ? CALLER_FAILED : 0)};
  struct caller_share *share = caller_shares.lookup(&key);
  if (share) return share;
  struct caller_share first = {};
  caller_shares.insert(&key, &first);
  return caller_shares.lookup(&key); /* another CPU may have been first */
}

/* A window is over: with less than half of what a row may have, twice the calls are chosen in the next one. */
static __always_inline void begin_window(struct caller_share *share, u32 window, u64 allowance) {
  u32 passed = window - share->window, shift = share->shift;
  u32 less = share->doubled || 2 * (u64)share->taken >= allowance ? passed - 1 : passed;
  share->window = window;
  share->taken = share->doubled = 0;
  share->shift = shift > less ? shift - less : 0;
}

static __always_inline void count_chosen(struct caller_share *share, u64 allowance) {
  u32 taken = share->taken += 1;
  if (taken < allowance || share->shift >= MAX_CALLER_SHIFT) return;
  share->taken = 0;
  share->doubled = 1;
  share->shift += 1;
}

/* So many stacks of a row may be taken before half as many of its calls are chosen. */
static __always_inline u64 allowance_of(struct caller_slot *all) {
  u64 taken = *(volatile u64 *)&all->taken, granted = *(volatile u64 *)&all->granted;
  return granted >= taken + *(volatile u64 *)&all->saved ? *(volatile u64 *)&all->allowance : 1;
}

static __always_inline bool may_take(struct caller_slot *slot, struct caller_slot *all) {
  if (*(volatile s64 *)&slot->room <= 0 || *(volatile u64 *)&all->taken >= *(volatile u64 *)&all->granted) return false;
  __sync_fetch_and_add(&all->taken, 1);
  return true;
}

static __always_inline bool tell_caller(struct bpf_raw_tracepoint_args *ctx, struct task_struct *task, struct head *head,
                                        struct caller_slot *slot, u32 shift, u32 program) {
  u32 zero = 0;
  struct caller_sample *sample = caller_scratch.lookup(&program);
  void *ring = caller_rings.lookup(&zero);
  if (!sample || !ring) return false;
  s64 result = ctx->args[1];
  sample->generation = head->generation;
  sample->abi = head->abi;
  sample->nr = head->nr;
  sample->result = has_failed(result) ? result : 0;
  sample->shift = shift;
  sample->pid = read_u32((u64)task, PID_OFFSET);
  sample->inner_pid = inner_number(read_u64(read_u64((u64)task, CALL_LEADER_OFFSET), CALL_PID_OFFSET));
  read_user_stack(&sample->user, ctx, head->abi & ABI_MASK);
  u64 size = __builtin_offsetof(struct caller_sample, user) + user_stack_bytes(&sample->user);
  __sync_fetch_and_add(&slot->room, -(s64)size - 16); /* with the ring's own words */
  return bpf_ringbuf_output(ring, sample, size, BPF_RB_NO_WAKEUP) == 0;
}

static __always_inline void choose(struct bpf_raw_tracepoint_args *ctx, struct task_struct *task, struct entry *entry) {
  u32 row = entry->last_row, zero = 0;
  /* A call that never returns shows at the exit of a later one. */
  if (row == NO_ROW || row & NEVER_RETURNS) return;
  struct head *head = heads.lookup(&row);
  if (!head || head->generation != entry->generation) return;
  u32 number = head->slot;
  struct caller_slot *slot = caller_slots.lookup(&number), *all = caller_slots.lookup(&zero);
  if (!slot || !all || slot->generation != head->generation) return;
  struct caller_share *share = share_of(head, row, has_failed(ctx->args[1]));
  if (!share) {
    __sync_fetch_and_add(&slot->lost, 1);
    return;
  }
  u32 window = *(volatile u64 *)&all->window;
  if (share->window != window) begin_window(share, window, *(volatile u64 *)&all->allowance);
  u32 shift = *(volatile u32 *)&share->shift;
  if (shift && bpf_get_prandom_u32() & ((1U << (shift & 31)) - 1)) return;
  count_chosen(share, allowance_of(all));
  if (!may_take(slot, all) || !tell_caller(ctx, task, head, slot, shift, entry->program))
    __sync_fetch_and_add(&slot->lost, 1);
}

int on_caller(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  choose(ctx, task, entry);
  go_on(ctx, entry);
  return 0;
}
