/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of memory: what calls asked for, by kind, with their bytes.
 *
 * brk(2) says where the break is, not how far it moved. So the break of each process is kept: it is read as the view
 * begins, when a program is executed and when a process is forked, and each call moves it on. */
#pragma once
#include "kernel/bpf/calls.bpf.c"
#include "kernel/bpf/chain.bpf.c"
#include "kernel/bpf/rows.bpf.c"
#include "views/memory/memory.h"

BPF_F_TABLE("array", u32, struct memory_slot, memory_slots, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_F_TABLE("hash", u64, u64, memory_breaks, MAX_MEMORY_BREAKS, BPF_F_NO_PREALLOC);
BPF_F_TABLE("array", u32, u64, memory_calls, INDEX_ENTRIES, BPF_F_MMAPABLE);

#define MEMORY_SHARED 1
#define MEMORY_ANONYMOUS 0x20
#define MEMORY_HUGETLB 0x40000

static __always_inline u64 memory_argument(struct head *head, u64 regs, u32 at) {
  if ((head->abi & ABI_MASK) == ABI_COMPAT)
    return (u32)read_u64(regs, at == 0 ? CALL_COMPAT_0 : at == 1 ? CALL_COMPAT_1 : at == 2 ? CALL_COMPAT_2 : CALL_COMPAT_3);
  return read_u64(regs, at == 0 ? CALL_NATIVE_0 : at == 1 ? CALL_NATIVE_1 : at == 2 ? CALL_NATIVE_2 : CALL_NATIVE_3);
}

/* 0: none of the view's. */
static __always_inline u32 kind_of_memory_call(struct head *head) {
  u32 at = place_of_call(head->abi & ABI_MASK, head->nr);
  u64 *kind = memory_calls.lookup(&at);
  return kind ? *kind : 0;
}

static __always_inline u64 in_pages(u64 bytes) { return (bytes + PAGE_SIZE - 1) & ~((u64)PAGE_SIZE - 1); }

static __always_inline u64 memory_of(u64 task) { return read_u64(task, MEMORY_MM_OFFSET); }

static __always_inline u32 flow_of_mmap(u64 protection, u64 flags) {
  if (flags & MEMORY_HUGETLB) return FLOW_HUGETLB;
  bool shared = flags & MEMORY_SHARED;
  if (!(flags & MEMORY_ANONYMOUS)) return shared ? FLOW_FILE_SHARED : FLOW_FILE_PRIVATE;
  if (!protection) return FLOW_RESERVED;
  return shared ? FLOW_ANON_SHARED : FLOW_ANON_PRIVATE;
}

static __always_inline bool gives_back(u64 advice) { return advice == 4 || advice == 8 || advice == 9 || advice == 24; }

static __always_inline u32 flow_of_break(struct memory_slot *slot, u64 now, u64 *bytes) {
  u64 memory = memory_of((u64)bpf_get_current_task_btf());
  u64 *known = memory_breaks.lookup(&memory), before = known ? *known : 0;
  if (known)
    *known = now;
  else if (memory_breaks.update(&memory, &now))
    __sync_fetch_and_add(&slot->lost, 1);
  if (!known) __sync_fetch_and_add(&slot->unsized_calls, 1);
  if (!known || now == before) return FLOW_BREAK_ASKED;
  *bytes = now > before ? now - before : before - now;
  return now > before ? FLOW_BREAK_UP : FLOW_BREAK_DOWN;
}

static __always_inline void note_flow(struct bpf_raw_tracepoint_args *ctx, struct entry *entry) {
  u32 row = entry->last_row;
  if (row == NO_ROW || row & NEVER_RETURNS) return;
  struct head *head = heads.lookup(&row);
  if (!head || head->generation != entry->generation) return;
  u32 kind = kind_of_memory_call(head), number = head->slot;
  struct memory_slot *slot = kind ? memory_slots.lookup(&number) : NULL;
  if (!slot || slot->generation != head->generation) return;
  u64 regs = ctx->args[0], bytes = 0;
  s64 result = ctx->args[1];
  u32 flow = FLOW_ADVISED;
  if (kind == MEMORY_BRK) {
    flow = flow_of_break(slot, result, &bytes);
  } else if (kind == MEMORY_MREMAP) {
    u64 old = in_pages(memory_argument(head, regs, 1)), new = in_pages(memory_argument(head, regs, 2));
    flow = new < old ? FLOW_REMAPPED_SMALLER : FLOW_REMAPPED_LARGER;
    bytes = new < old ? old - new : new - old;
  } else {
    bytes = in_pages(memory_argument(head, regs, 1));
    u64 third = memory_argument(head, regs, 2);
    if (kind == MEMORY_MMAP) flow = flow_of_mmap(third, memory_argument(head, regs, 3));
    if (kind == MEMORY_MUNMAP) flow = FLOW_UNMAPPED;
    if (kind == MEMORY_MPROTECT) flow = FLOW_PROTECTED;
    if (kind == MEMORY_MLOCK) flow = FLOW_LOCKED;
    if (kind == MEMORY_MADVISE && gives_back(third)) flow = FLOW_GIVEN_BACK;
  }
  if (flow >= FLOWS) return;
  struct memory_flow_row *to = &slot->flows[flow];
  bool failed = kind != MEMORY_BRK && has_failed(result);
  __sync_fetch_and_add(&to->calls, 1);
  __sync_fetch_and_add(&to->total_ns, entry->last_ns);
  if (failed)
    __sync_fetch_and_add(&to->failed, 1);
  else
    __sync_fetch_and_add(&to->bytes, bytes);
}

int on_memory_call(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  note_flow(ctx, entry);
  go_on(ctx, entry);
  return 0;
}

static __always_inline void keep_break(u64 memory) {
  u64 at = read_u64(memory, MEMORY_BREAK_OFFSET);
  if (memory) memory_breaks.update(&memory, &at);
}

/* The address of a process's memory may have been another's before. */
int on_memory_exec(struct bpf_raw_tracepoint_args *ctx) {
  keep_break(memory_of(ctx->args[0]));
  return 0;
}

int on_memory_fork(struct bpf_raw_tracepoint_args *ctx) {
  u64 memory = memory_of(ctx->args[1]);
  if (memory != memory_of(ctx->args[0])) keep_break(memory);
  return 0;
}

/* The last thread of a process gives its memory back; one that shares it with others (vfork) does so, too. */
int on_memory_end(struct bpf_raw_tracepoint_args *ctx) {
  u64 task = (u64)bpf_get_current_task_btf(), memory = memory_of(task);
  if (memory && (s32)read_u32(memory, MEMORY_USERS_OFFSET) <= 1) memory_breaks.delete(&memory);
  return 0;
}
