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
BPF_TABLE("lru_hash", struct error_search, u32, error_searches, SEARCHES);
/* Of each program that may lead here. */
BPF_PERCPU_ARRAY(error_scratch, struct call, AT_EXIT_AGAIN + 1);
BPF_PERCPU_ARRAY(error_paths, struct error_path, AT_EXIT_AGAIN + 1);
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
                                       struct entry *entry, u32 shape, struct task_struct *task) {
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

/* The hash of a whole path or address; 0: it cannot be read. Both stand in a call's first capture. */
static __always_inline u64 hash_of_name(struct error_path *path, struct head *head, u64 regs, u32 shape) {
  u64 address = argument_of(head, regs, shape >> 4 & 7), hash = 0;
  long size;
  if ((shape & 15) == CAPTURE_ADDRESS) {
    size = copy_address((u8 *)path->words, address, (u32)argument_of(head, regs, (shape >> 4 & 7) + 1), UNIX_BYTES);
  } else {
    size = read_string(path->words, sizeof(u64) * PATH_WORDS, (void *)address);
  }
  if (size <= 0) return 0;
  u64 end = size;
  BOUND(end, 4095);
  /* Of the last word what lies behind the end is another path's. */
  *(u64 *)((u8 *)path->words + end) = 0;
  for (u32 i = 0; i < PATH_WORDS; i++) {
    if (8 * (u64)i >= end) break;
    hash = (hash ^ path->words[i]) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 29;
  }
  return hash ? hash : 1;
}

static __always_inline bool set_name_bit(struct error_times *times, u64 hash) {
  u64 at = hash >> 6 & (NAME_WORDS - 1), bit = 1ULL << (hash & 63);
  BOUND(at, NAME_WORDS - 1);
  bool known = times->names[at] & bit;
  times->names[at] |= bit;
  return known;
}

/* Whether the path or the address is another than those that were reported: which of many files are missing, which of some
 * peers refuse. */
static __always_inline bool has_new_name(struct error_times *times, struct head *head, u64 regs, u32 shape, u32 program) {
  u32 kind = shape & 15;
  struct error_path *path = error_paths.lookup(&program);
  if ((kind != CAPTURE_PATH && kind != CAPTURE_ADDRESS) || times->names_told >= NAMES_TOLD || !path) return false;
  u64 hash = hash_of_name(path, head, regs, shape);
  if (!hash) return false;
  bool known = set_name_bit(times, hash);
  known &= set_name_bit(times, hash >> 11);
  known &= set_name_bit(times, hash >> 22);
  if (known) return false;
  times->names_told += 1;
  times->names_known += 1;
  return true;
}

static __always_inline void forget_names(struct error_times *times) {
  __builtin_memset(times->names, 0, sizeof(times->names));
  times->names_known = 0;
}

static __always_inline bool is_told(struct error_times *times, struct head *head, u64 regs, u32 shape, u32 program) {
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  if (cfg && times->epoch != cfg->epoch) {
    times->epoch = cfg->epoch;
    times->calls = times->names_told = 0;
    if (times->names_known > NAMES_KNOWN) forget_names(times);
  }
  u64 calls = times->calls += 1;
  if ((calls <= ALL_HASHED || !(calls & NOT_HASHED_MASK)) && has_new_name(times, head, regs, shape, program))
    return true;
  return (calls & (calls - 1)) == 0 && calls & TOLD_BITS;
}

static __always_inline u64 hash_of_last_name(struct error_path *path, u64 end, u64 most) {
  volatile u64 *length = &path->name_bytes;
  u64 hash = 0, at = end > LONGEST_NAME_BYTES ? end - LONGEST_NAME_BYTES : 0;
  *length = 0;
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < LONGEST_NAME_BYTES; i++, at++) {
    if (at >= end) break;
    BOUND(at, 4095);
    u8 byte = ((u8 *)path->words)[at];
    if (byte == '/') {
      hash = *length = 0;
    } else if ((*length)++ < most) {
      hash = (hash ^ byte) * 0x9e3779b97f4a7c15ULL;
      hash ^= hash >> 29;
    }
  }
  return hash;
}

/* What the call looked for, which has failed or not; false: nothing is known of that. */
static __always_inline bool is_search(struct error_search *search, struct task_struct *task, struct head *head, u32 row,
                                      u64 regs, u32 shape, bool failed, u32 program) {
  struct error_path *path = error_paths.lookup(&program);
  if ((shape & 15) != CAPTURE_PATH || !path) return false;
  bool is_exec = shape & SHAPE_EXEC;
  long size;
  if (is_exec && !failed) { /* the memory in which the path stood is no more */
    size = bpf_probe_read_kernel_str(path->words, TASK_NAME_BYTES + 1, (void *)((u64)task + CALL_COMM_OFFSET));
  } else {
    size = read_string(path->words, sizeof(u64) * PATH_WORDS, (void *)argument_of(head, regs, shape >> 4 & 7));
  }
  if (size <= 1) return false;
  search->name = hash_of_last_name(path, size - 1, is_exec ? TASK_NAME_BYTES : LONGEST_NAME_BYTES);
  search->generation = head->generation;
  search->row = row;
  search->pid = read_u32((u64)task, PID_OFFSET);
  return search->name;
}

/* Whether the call does no harm is known at once, or when a later one finds what it looked for. */
static __always_inline void note_expected(struct error_times *times, struct task_struct *task, struct head *head,
                                          struct entry *entry, u64 number, u64 regs, u32 shape) {
  if (number == ERR_NO_TERMINAL) {
    u32 request = argument_of(head, regs, 1);
    if (request == ASKS_TERMINAL || request == ASKS_TERMINAL_2 || request == ASKS_WINDOW)
      __sync_fetch_and_add(&times->expected, 1);
  }
  if (number != ERR_NOT_FOUND || times->calls >= ALL_HASHED) return;
  struct error_search search = {};
  if (!is_search(&search, task, head, entry->last_row, regs, shape, true, entry->program)) return;
  u32 zero = 0, *places = error_searches.lookup_or_try_init(&search, &zero);
  if (!places) return;
  __sync_fetch_and_add(places, 1);
  entry->searching = SEARCH_CALLS;
}

static __always_inline void note_found(struct bpf_raw_tracepoint_args *ctx, struct task_struct *task, struct entry *entry) {
  u32 row = entry->last_row;
  if (row == NO_ROW || row & NEVER_RETURNS) return;
  struct head *head = heads.lookup(&row);
  if (!head || head->generation != entry->generation) return;
  struct error_search search = {};
  u32 shape = shape_of(head->abi & ABI_MASK, head->nr);
  if (!is_search(&search, task, head, row, ctx->args[0], shape, false, entry->program)) return;
  u32 *known = error_searches.lookup(&search), places = known ? *known : 0;
  struct error_key key = {.generation = head->generation, .row = row, .number = ERR_NOT_FOUND};
  struct error_times *times = error_times.lookup(&key);
  /* Two threads may find it at once: one of them takes it out. */
  if (places && times && error_searches.delete(&search) == 0) __sync_fetch_and_add(&times->expected, places);
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
    times->calls = times->names_told = times->expected = 0;
    forget_names(times);
  }
  times->last_ns = now;
  u32 shape = shape_of(head->abi & ABI_MASK, head->nr);
  note_expected(times, task, head, entry, -(s64)ctx->args[1], ctx->args[0], shape);
  if (is_told(times, head, ctx->args[0], shape, entry->program)) tell_error(ctx, slot, head, entry, shape, task);
}

int on_error(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  note_error(ctx, task, entry);
  go_on(ctx, entry);
  return 0;
}

int on_found(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  note_found(ctx, task, entry);
  go_on(ctx, entry);
  return 0;
}
