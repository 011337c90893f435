/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of slow calls: the counting at sys_exit goes on here after a call that was slow, and leaves the call's length
 * in the task's entry. Everything that is read of the program is read here: other calls cost nothing. */
#pragma once
#include "kernel/bpf/calls.bpf.c"
#include "kernel/bpf/chain.bpf.c"
#include "kernel/bpf/rows.bpf.c"
#include "views/slow_calls/slow_calls.h"

BPF_F_TABLE("array", u32, struct slow_slot, slow_slots, MAX_SLOTS, BPF_F_MMAPABLE);
/* Of each program that may lead here. */
BPF_PERCPU_ARRAY(slow_scratch, struct slow_call, AT_EXIT_AGAIN + 1);
/* A pattern only: the ring is made by whoever asks first. */
BPF_RINGBUF_OUTPUT(first_slow_ring, 1);
BPF_ARRAY_OF_MAPS(slow_rings, "first_slow_ring", 1);

/* Names that a call has changed: those that it was made under are its own. */
BPF_TASK_STORAGE(names_before, struct names_before);

/* What takes the stacks of a call and then tells it; empty while no slot asks for stacks. */
BPF_PROG_ARRAY(after_slow_call, 1);

static __always_inline bool put_slow(void *record, u64 size) {
  u32 zero = 0;
  void *ring = slow_rings.lookup(&zero);
  return ring && bpf_ringbuf_output(ring, record, size, BPF_RB_NO_WAKEUP) == 0;
}

/* Tells a call that was read, and counts what it takes of the ring, with `more` bytes that went before it. */
static __always_inline void send(struct slow_call *slow, struct slow_slot *slot, u64 more) {
  u64 waits = slow->waits, bytes = slow->bytes;
  BOUND(waits, 1);
  BOUND(bytes, 2047);
  if (bytes > sizeof(slow->call)) bytes = sizeof(slow->call);
  __sync_fetch_and_add(&slot->room[waits], -(s64)(bytes + more) - 16); /* with the ring's own words */
  if (!put_slow(&slow->call, bytes)) __sync_fetch_and_add(&slot->lost[waits], 1);
}

/* A task is about to have another name: it executes a program, or asks for that. */
int on_slow_rename(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry || !entry->start_ns || ctx->args[0] != (u64)task) return 0;
  struct names_before *before = names_before.task_storage_get(task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!before || before->start_ns == entry->start_ns) return 0;
  u64 leader = read_u64((u64)task, CALL_LEADER_OFFSET);
  before->start_ns = entry->start_ns;
  bpf_probe_read_kernel(before->thread, sizeof(before->thread), (void *)((u64)task + CALL_COMM_OFFSET));
  bpf_probe_read_kernel(before->process, sizeof(before->process), (void *)(leader + CALL_COMM_OFFSET));
  return 0;
}

static __always_inline void name_as_before(struct call *call, struct task_struct *task, u64 start_ns) {
  struct names_before *before = names_before.task_storage_get(task, 0, 0);
  if (!before || !start_ns || before->start_ns != start_ns) return;
  __builtin_memcpy(call->thread, before->thread, sizeof(call->thread));
  __builtin_memcpy(call->process, before->process, sizeof(call->process));
}

static __always_inline void tell_slow(struct bpf_raw_tracepoint_args *ctx, struct task_struct *task, struct entry *entry) {
  u64 ns = entry->last_ns;
  u32 id = entry->row & ROW_MASK;
  struct head *head = heads.lookup(&id);
  if (!head || head->generation != entry->generation) return;
  u32 number = head->slot;
  struct slow_slot *slot = slow_slots.lookup(&number);
  if (!slot) return;
  u32 shape = shape_of(head->abi & ABI_MASK, head->nr);
  u64 waits = head->abi / WAITED;
  BOUND(waits, 1);
  if (ns < slot->floor_ns[waits]) return;
  if (*(volatile s64 *)&slot->room[waits] <= 0) {
    __sync_fetch_and_add(&slot->lost[waits], 1);
    return;
  }
  u32 program = entry->program;
  struct slow_call *slow = slow_scratch.lookup(&program);
  if (!slow) return;
  slow->start_ns = entry->slow_start_ns;
  slow->waits = waits;
  slow->bytes = read_call(&slow->call, ctx, head, shape, task, ns);
  name_as_before(&slow->call, task, slow->start_ns);
  slow->call.slot = number | waits << SLOT_WAITS_BIT;
  read_used(&slow->call, entry, slow->start_ns);
  if (slot->stacks) after_slow_call.call(ctx, 0);
  send(slow, slot, 0);
}

int on_slow_exit(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  tell_slow(ctx, task, entry);
  go_on(ctx, entry);
  return 0;
}
