/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of memory: who made the calls that added 1 MiB or more. All are counted; of a bounded number the stacks are taken.
 *
 * It runs before on_memory_call, which moves the break that is kept: until then it is that before a call of brk. */
#pragma once
#include "kernel/bpf/stacks.bpf.c"
#include "views/memory/memory.bpf.c"
#include "views/memory/memory_growth.h"

BPF_F_TABLE("array", u32, struct growth_slot, growth_slots, MAX_SLOTS, BPF_F_MMAPABLE);
/* Of each program that may lead here. */
BPF_PERCPU_ARRAY(growth_scratch, struct growth_sample, AT_EXIT_AGAIN + 1);
/* A pattern only: the ring is made by whoever asks first. */
BPF_RINGBUF_OUTPUT(first_growth_ring, 1);
BPF_ARRAY_OF_MAPS(growth_rings, "first_growth_ring", 1);

static __always_inline u64 bytes_of_break(u64 now) {
  u64 memory = memory_of((u64)bpf_get_current_task_btf());
  u64 *known = memory_breaks.lookup(&memory);
  return known && now > *known ? now - *known : 0;
}

/* How much a call added; addresses without memory (PROT_NONE) and files are not counted. */
static __always_inline u64 growth_of(struct head *head, u64 regs, s64 result, u32 kind, u32 *flow) {
  if (kind == MEMORY_BRK) {
    *flow = FLOW_BREAK_UP;
    return bytes_of_break(result);
  }
  if (has_failed(result)) return 0;
  u64 second = memory_argument(head, regs, 1), third = memory_argument(head, regs, 2);
  if (kind == MEMORY_MREMAP) {
    u64 old = in_pages(second), new = in_pages(third);
    *flow = FLOW_REMAPPED_LARGER;
    return new > old ? new - old : 0;
  }
  *flow = flow_of_mmap(third, memory_argument(head, regs, 3));
  return *flow == FLOW_ANON_PRIVATE || *flow == FLOW_ANON_SHARED || *flow == FLOW_HUGETLB ? in_pages(second) : 0;
}

static __always_inline void tell_growth(struct bpf_raw_tracepoint_args *ctx, struct task_struct *task, struct head *head,
                                        struct growth_slot *slot, u32 flow, u64 bytes, u32 program) {
  u32 zero = 0;
  struct growth_sample *sample = growth_scratch.lookup(&program);
  void *ring = growth_rings.lookup(&zero);
  if (!sample || !ring) return;
  sample->generation = head->generation;
  sample->flow = flow;
  sample->bytes = bytes;
  sample->pid = read_u32((u64)task, PID_OFFSET);
  sample->inner_pid = inner_number(read_u64(read_u64((u64)task, CALL_LEADER_OFFSET), CALL_PID_OFFSET));
  read_user_stack(&sample->user, ctx, head->abi & ABI_MASK);
  u64 size = __builtin_offsetof(struct growth_sample, user) + user_stack_bytes(&sample->user);
  __sync_fetch_and_add(&slot->room, -(s64)size - 16); /* with the ring's own words */
  bpf_ringbuf_output(ring, sample, size, BPF_RB_NO_WAKEUP);
}

static __always_inline void note_growth(struct bpf_raw_tracepoint_args *ctx, struct task_struct *task,
                                        struct entry *entry) {
  u32 row = entry->last_row;
  if (row == NO_ROW || row & NEVER_RETURNS) return;
  struct head *head = heads.lookup(&row);
  if (!head || head->generation != entry->generation) return;
  u32 kind = kind_of_memory_call(head);
  if (kind != MEMORY_MMAP && kind != MEMORY_MREMAP && kind != MEMORY_BRK) return;
  u32 number = head->slot, flow = FLOWS;
  struct growth_slot *slot = growth_slots.lookup(&number);
  if (!slot || slot->generation != head->generation) return;
  u64 bytes = growth_of(head, ctx->args[0], ctx->args[1], kind, &flow);
  if (bytes < LEAST_GROWTH_BYTES) return;
  __sync_fetch_and_add(&slot->calls, 1);
  __sync_fetch_and_add(&slot->bytes, bytes);
  if (*(volatile s64 *)&slot->room <= 0 || *(volatile u64 *)&slot->taken >= *(volatile u64 *)&slot->granted) return;
  __sync_fetch_and_add(&slot->taken, 1);
  tell_growth(ctx, task, head, slot, flow, bytes, entry->program);
}

int on_memory_growth(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  note_growth(ctx, task, entry);
  go_on(ctx, entry);
  return 0;
}
