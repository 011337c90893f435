/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Stacks of slow calls. Where a call waited is seen only while it waits: the stack is taken as a task goes to sleep, and
 * that of the longest sleep is kept until the call ends. Who made the call is read as it ends. */
#pragma once
#include "kernel/bpf/stacks.bpf.c"
#include "views/slow_calls/slow_calls.bpf.c"
#include "views/slow_calls/slow_stacks.h"

BPF_TASK_STORAGE(waits, struct wait);
BPF_PERCPU_ARRAY(stack_scratch, struct slow_stack, AT_EXIT_AGAIN + 1);

/* The slot of a task's call, if it asks for stacks. */
static __always_inline struct slow_slot *asked_slot(struct entry *entry) {
  u32 id = entry->row & ROW_MASK;
  struct head *head = heads.lookup(&id);
  if (!head || head->generation != entry->generation) return NULL;
  u32 number = head->slot;
  struct slow_slot *slot = slow_slots.lookup(&number);
  return slot && slot->stacks ? slot : NULL;
}

/* A task's first call since a slot has asked. No memory can be had as it goes to sleep, with the run queue locked. */
int on_stack_enter(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  if (asked_slot(entry)) waits.task_storage_get(task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  go_on(ctx, entry);
  return 0;
}

/* Ends the last sleep: if it was the longest, its stack is kept. What the task ran since is no sleep. */
static __always_inline void settle(struct wait *wait, u64 now, u64 ran) {
  if (!wait->out_ns) return;
  u64 passed = now - wait->out_ns, running = ran - wait->out_ran_ns;
  u64 slept = passed > running ? passed - running : 0;
  if (slept <= wait->longest_ns) return;
  wait->longest_ns = slept;
  wait->longest ^= 1;
}

static __always_inline u64 ran_by(struct task_struct *task) {
  u64 ran;
  LOAD(u64, ran, task, RAN_OFFSET);
  return ran;
}

int on_stack_switch(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry || !entry->start_ns || ctx->args[0] || !asked_slot(entry)) return 0; /* the argument: preempted */
  struct wait *wait = waits.task_storage_get(task, 0, 0);
  if (!wait) return 0;
  u64 now = bpf_ktime_get_ns(), ran = ran_by(task);
  if (wait->call_ns == entry->start_ns) {
    settle(wait, now, ran);
  } else {
    wait->call_ns = entry->start_ns;
    wait->longest_ns = 0;
    wait->bytes[0] = wait->bytes[1] = 0;
  }
  wait->out_ns = now;
  wait->out_ran_ns = ran;
  u64 last = wait->longest ^ 1;
  BOUND(last, 1);
  wait->bytes[last] = bpf_get_stack(ctx, wait->stacks[last], sizeof(wait->stacks[0]), 0);
  return 0;
}

static __always_inline void read_wait(struct slow_stack *stack, struct task_struct *task, u64 call_ns) {
  struct wait *wait = waits.task_storage_get(task, 0, 0);
  stack->waited_ns = 0;
  stack->kernel_bytes = wait ? 0 : -1;
  if (!wait || wait->call_ns != call_ns) return;
  settle(wait, bpf_ktime_get_ns(), ran_by(task));
  wait->out_ns = 0;
  u64 longest = wait->longest;
  BOUND(longest, 1);
  stack->waited_ns = wait->longest_ns;
  stack->kernel_bytes = wait->bytes[longest];
  __builtin_memcpy(stack->kernel, wait->stacks[longest], sizeof(stack->kernel));
}

static __always_inline void tell_stack(struct bpf_raw_tracepoint_args *ctx, struct task_struct *task, struct entry *entry) {
  u32 program = entry->program;
  struct slow_call *slow = slow_scratch.lookup(&program);
  struct slow_stack *stack = stack_scratch.lookup(&program);
  if (!slow || !stack) return;
  u32 number = slow->call.slot & ((1U << SLOT_WAITS_BIT) - 1);
  struct slow_slot *slot = slow_slots.lookup(&number);
  if (!slot) return;
  stack->end_ns = slow->call.end_ns | IS_STACK;
  stack->tid = slow->call.tid;
  stack->generation = slow->call.generation;
  read_wait(stack, task, slow->start_ns);
  read_user_stack(&stack->user, ctx, slow->call.abi);
  u64 size = __builtin_offsetof(struct slow_stack, user) + user_stack_bytes(&stack->user);
  if (!put_slow(stack, size) || stack->kernel_bytes < 0) __sync_fetch_and_add(&slot->stacks_lost, 1);
  send(slow, slot, size + 8);
}

/* Goes on for on_slow_exit, which has filled slow_scratch. */
int on_slow_stack(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  tell_stack(ctx, task, entry);
  go_on(ctx, entry);
  return 0;
}
