/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of errors: the counting goes on here after a call that failed, and leaves its row in the task's entry. Notes
 * when each kind of failure was first and last, and tells some calls of each: which file is missing, which peer refuses. */
#pragma once
#include "kernel/bpf/calls.bpf.c"
#include "kernel/bpf/chain.bpf.c"
#include "kernel/bpf/rows.bpf.c"
#include "views/errors/errors.h"

BPF_F_TABLE("array", u32, struct error_slot, error_slots, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_F_TABLE("hash", struct error_key, struct error_times, error_times, 32768, BPF_F_NO_PREALLOC);
/* Of each program that may lead here. */
BPF_PERCPU_ARRAY(error_scratch, struct call, AT_EXIT_AGAIN + 1);
/* The agent's own takes its place while the view is on. */
BPF_RINGBUF_OUTPUT(first_error_ring, 1);
BPF_ARRAY_OF_MAPS(error_rings, "first_error_ring", 1);

static __always_inline void count_lost_error(struct error_slot *slot) { __sync_fetch_and_add(&slot->lost, 1); }

/* The times of this kind of failure; NULL: there is no room for one more. */
static __always_inline struct error_times *times_of(struct error_slot *slot, struct head *head, u32 row, u64 number,
                                                    u64 now) {
  struct error_key key = {.generation = head->generation, .row = row, .number = number};
  struct error_times *times = error_times.lookup(&key);
  if (times || slot->kinds >= SLOT_KINDS) return times;
  struct error_times first = {.first_ns = now, .abi = head->abi, .nr = head->nr};
  if (error_times.insert(&key, &first) == 0) __sync_fetch_and_add(&slot->kinds, 1);
  return error_times.lookup(&key); /* another CPU may have been first */
}

static __always_inline void tell_error(struct bpf_raw_tracepoint_args *ctx, struct error_slot *slot, struct head *head,
                                       struct entry *entry, u32 shape, u64 task) {
  u32 zero = 0, program = entry->program;
  struct call *call = error_scratch.lookup(&program);
  void *ring = error_rings.lookup(&zero);
  if (!call || !ring) return;
  if (*(volatile s64 *)&slot->room <= 0) {
    count_lost_error(slot);
    return;
  }
  u64 size = read_call(call, ctx, head, shape, task, entry->last_ns);
  __sync_fetch_and_add(&slot->room, -(s64)size - 16); /* with the ring's own words */
  if (bpf_ringbuf_output(ring, call, size, BPF_RB_NO_WAKEUP)) count_lost_error(slot);
}

static __always_inline u64 argument_of(struct head *head, u64 regs, u32 at) {
  if ((head->abi & ABI_MASK) == ABI_COMPAT)
    return (u32)read_u64(regs, at == 0   ? CALL_COMPAT_0
                              : at == 1 ? CALL_COMPAT_1
                              : at == 2 ? CALL_COMPAT_2
                              : at == 3 ? CALL_COMPAT_3
                              : at == 4 ? CALL_COMPAT_4
                                        : CALL_COMPAT_5);
  return read_u64(regs, at == 0   ? CALL_NATIVE_0
                       : at == 1 ? CALL_NATIVE_1
                       : at == 2 ? CALL_NATIVE_2
                       : at == 3 ? CALL_NATIVE_3
                       : at == 4 ? CALL_NATIVE_4
                                 : CALL_NATIVE_5);
}

/* Whether the path begins otherwise than those that were reported, or the address is another: which of many files are missing,
 * which of some peers refuse. Both stand in a call's first capture. */
static __always_inline bool has_new_name(struct error_times *times, struct head *head, u64 regs, u32 shape) {
  u64 words[HASHED_BYTES / 8] = {}, hash = 0;
  u32 kind = shape & 15;
  u64 at = shape >> 4 & 7;
  if ((kind != CAPTURE_PATH && kind != CAPTURE_ADDRESS) || times->names_told >= NAMES_TOLD) return false;
  u64 address = argument_of(head, regs, at);
  if (kind == CAPTURE_ADDRESS) {
    if (!copy_address((u8 *)words, address, (u32)argument_of(head, regs, at + 1), UNIX_BYTES)) return false;
  } else if (read_string(words, sizeof(words), (void *)address) <= 0) {
    return false;
  }
#pragma unroll
  for (u32 i = 0; i < HASHED_BYTES / 8; i++) hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ULL;
  u64 bit = 1ULL << (hash >> 58);
  at = hash >> 54;
  BOUND(at, NAME_WORDS - 1);
  if (times->names[at] & bit) return false;
  times->names[at] |= bit;
  times->names_told += 1;
  times->names_known += 1;
  return true;
}

static __always_inline void forget_names(struct error_times *times) {
  __builtin_memset(times->names, 0, sizeof(times->names));
  times->names_known = 0;
}

static __always_inline bool is_told(struct error_times *times, struct head *head, u64 regs, u32 shape) {
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  if (cfg && times->epoch != cfg->epoch) {
    times->epoch = cfg->epoch;
    times->calls = times->names_told = 0;
    if (times->names_known > NAMES_KNOWN) forget_names(times);
  }
  u64 calls = times->calls += 1;
  if ((calls <= ALL_HASHED || !(calls & NOT_HASHED_MASK)) && has_new_name(times, head, regs, shape)) return true;
  return (calls & (calls - 1)) == 0 && calls & TOLD_BITS;
}

static __always_inline void note_error(struct bpf_raw_tracepoint_args *ctx, struct task_struct *task,
                                       struct entry *entry) {
  u32 row = entry->last_row;
  if (row == NO_ROW || row & NEVER_RETURNS) return;
  struct head *head = heads.lookup(&row);
  if (!head || head->generation != entry->generation) return;
  u32 number = head->slot;
  struct error_slot *slot = error_slots.lookup(&number);
  if (!slot || slot->generation != head->generation) return;
  u64 now = bpf_ktime_get_ns();
  struct error_times *times = times_of(slot, head, row, -(s64)ctx->args[1], now);
  if (!times) {
    count_lost_error(slot);
    return;
  }
  if (times->first_ns < slot->since_ns) {
    times->first_ns = now;
    times->calls = times->names_told = 0;
    forget_names(times);
  }
  times->last_ns = now;
  u32 shape = shape_of(head->abi & ABI_MASK, head->nr);
  if (is_told(times, head, ctx->args[0], shape)) tell_error(ctx, slot, head, entry, shape, (u64)task);
}

int on_error(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  note_error(ctx, task, entry);
  go_on(ctx, entry);
  return 0;
}
