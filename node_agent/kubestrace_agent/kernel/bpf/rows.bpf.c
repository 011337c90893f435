/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Where a call is counted: a row for each system call of each slot, on each CPU.
 *
 * The counters of a row are 97% of its memory. Where a machine may have many CPUs (COPIES is defined, row_sizes.py), a row
 * has only a few copies of its counters, each shared by some CPUs. What every call writes beside its one counter
 * stays on the CPU. */
#pragma once
#include "kernel/bpf/cgroup_filter.bpf.c"
#include "kernel/bpf/waits.h"

BPF_F_TABLE("array", u32, struct index, indexes, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_F_TABLE("array", u32, struct head, heads, MAX_ROWS, BPF_F_MMAPABLE);
BPF_HASH(rows_by_key, struct row_key, u32, MAX_ROWS);
BPF_QUEUE(free_rows, u32, MAX_ROWS);
/* What is known of system calls by their numbers: waits.h. */
BPF_F_TABLE("array", u32, u64, call_rules, INDEX_ENTRIES, BPF_F_MMAPABLE);
/* The pattern of all chunks and the first of them. Without type information: the agent's chunks have none, and kernels
 * before 6.3 require them to be alike. */
#pragma push_macro("BPF_ANNOTATE_KV_PAIR")
#undef BPF_ANNOTATE_KV_PAIR
#define BPF_ANNOTATE_KV_PAIR(name, key, value)
BPF_PERCPU_ARRAY(first_chunk, struct row, CHUNK_ROWS);
#ifdef COPIES
BPF_F_TABLE("array", u32, struct counters, first_counters, CHUNK_ROWS * COPIES, BPF_F_MMAPABLE);
#endif
#pragma pop_macro("BPF_ANNOTATE_KV_PAIR")
BPF_ARRAY_OF_MAPS(chunks, "first_chunk", MAX_ROWS / CHUNK_ROWS);
BPF_F_TABLE("hash", struct odd_errno, u64, odd_errnos, 1024, BPF_F_NO_PREALLOC);

/* The counters that this CPU adds to. */
#ifdef COPIES
BPF_ARRAY_OF_MAPS(counter_chunks, "first_counters", MAX_ROWS / CHUNK_ROWS);
static __always_inline struct counters *counters_of(struct row *row, u32 id) {
  u32 chunk = id / CHUNK_ROWS;
  u32 at = id % CHUNK_ROWS * COPIES + (bpf_get_smp_processor_id() >> COPY_SHIFT & (COPIES - 1));
  void *map = counter_chunks.lookup(&chunk);
  return map ? bpf_map_lookup_elem(map, &at) : NULL;
}
#define COUNT(where, number) __sync_fetch_and_add(&(where), number)
#else
static __always_inline struct counters *counters_of(struct row *row, u32 id) { return &row->counters; }
#define COUNT(where, number) ADD(where, number)
#endif

/* Where the kernel may preempt a program (Linux 7), it does not run that one for other tasks of this CPU until the
 * preempted task goes on. So there is a second pair of programs, which does what the first did not; both may then be in
 * the middle of one row. */
#ifdef PREEMPTIBLE
#define ADD(where, number) __sync_fetch_and_add(&(where), number)
#define USE(row, group) (row)->used = (2ULL << MOVED_GROUP) - 1
#else
#define ADD(where, number) (where) += (number)
#define USE(row, group) (row)->used |= 1ULL << (group)
#endif

static __always_inline u64 rule_of(u32 abi, s32 nr) {
  u32 at = place_of_call(abi, nr);
  u64 *rule = call_rules.lookup(&at);
  return rule ? *rule : 0;
}

/* The first call of this kind: takes a free row. Two CPUs may try at once: the key's insertion decides. */
static __always_inline u32 take_row(struct index *index, struct slot_ref *ref, struct row_key *key) {
  u32 row = 0;
  if (index->stopped || index->used >= SLOT_ROWS || free_rows.pop(&row)) return 0;
  struct head *head = heads.lookup(&row);
  if (!head) return 0;
  head->slot = ref->slot;
  head->abi = key->abi;
  head->nr = key->nr;
  head->touched = head->stopped = head->wait_row = 0;
  head->moves = rule_of(key->abi & ABI_MASK, key->nr) & MOVES_BYTES;
  head->generation = key->generation;
  if (rows_by_key.insert(key, &row) == 0) {
    __sync_fetch_and_add(&index->used, 1);
    return row;
  }
  head->generation = 0;
  free_rows.push(&row, 0);
  u32 *winner = rows_by_key.lookup(key);
  return winner ? *winner : 0;
}

/* The row of a call with its flag, NOT_WANTED, or 0 and counted as lost. */
static __always_inline u32 find_row(struct slot_ref *ref, u32 generation, u32 abi, s32 nr) {
  u32 slot = ref->slot;
  struct index *index = indexes.lookup(&slot);
  if (!index) return NOT_WANTED;
  bool indexed = (u32)nr < (abi == ABI_X32 ? 2 * ABI_NUMBERS : ABI_NUMBERS);
  u64 at = abi * ABI_NUMBERS + (u32)nr;
  BOUND(at, INDEX_ENTRIES - 1);
  if (indexed) {
    u32 row = index->rows[at];
    if (row != NO_ROW) return row;
  } else if (!index->others_wanted) {
    return NOT_WANTED;
  }
  struct row_key key = {.generation = generation, .abi = abi, .nr = nr};
  u32 *known = rows_by_key.lookup(&key);
  u32 row = known ? *known : take_row(index, ref, &key);
  if (!row) {
    count_lost(slot);
    return 0;
  }
  if (never_returns(abi, nr) || rule_of(abi, nr) & (POLLS_ARRAY | POLLS_SETS)) row |= ODD_AT_ENTRY;
  if (indexed) index->rows[at] = row;
  return row;
}

static __always_inline struct row *row_at(u32 id) {
  u32 chunk = id / CHUNK_ROWS, at = id % CHUNK_ROWS;
  void *map = chunks.lookup(&chunk);
  return map ? bpf_map_lookup_elem(map, &at) : NULL;
}

/* The first call of an epoch on this CPU tells user space that the row is worth reading. */
static __always_inline void touch(struct config *cfg, struct head *head, struct row *row, u64 ns) {
  u32 epoch = cfg->epoch;
  u64 *max = epoch & 1 ? &row->max_ns[1] : &row->max_ns[0];
  u32 *of = epoch & 1 ? &row->epochs[1] : &row->epochs[0];
  if (*of != epoch) {
    *of = epoch;
    *max = ns;
    head->touched = epoch;
  } else if (ns > *max) {
    *max = ns;
  }
}

/* log2 of the value's highest set bit, by halves: BPF has no instruction for it. */
static __always_inline u64 bucket_of(u64 ns) {
  if (ns < 16) return ns;
  if (ns >> 42) return BUCKETS - 1;
  u64 rest = ns, bit = 0;
  if (rest >> 32) { rest >>= 32; bit = 32; }
  if (rest >> 16) { rest >>= 16; bit += 16; }
  if (rest >> 8) { rest >>= 8; bit += 8; }
  if (rest >> 4) { rest >>= 4; bit += 4; }
  if (rest >> 2) { rest >>= 2; bit += 2; }
  bit += rest >> 1;
  return 16 + (bit - 4) * 8 + ((ns >> (bit - 3)) & 7);
}

static __always_inline void count_errno(struct row *row, u32 id, u32 generation, u64 number) {
  u64 at = number;
  if (at >= LOW_ERRNOS) {
    at = number - RESTART_ERRNO + LOW_ERRNOS;
    if (number < RESTART_ERRNO || at >= ERRNOS) {
      struct odd_errno key = {.generation = generation, .row = id, .number = number};
      u64 zero = 0, *count = odd_errnos.lookup_or_try_init(&key, &zero);
      if (count) {
        __sync_fetch_and_add(count, 1);
        return;
      }
      at = 0;
    }
  }
  struct counters *counters = counters_of(row, id);
  BOUND(at, 255);
  if (!counters || at >= ERRNOS) return;
  COUNT(counters->errnos[at], 1);
  USE(row, at / GROUP);
}

static __always_inline void count_result(struct head *head, struct row *row, u32 id, u32 generation, s64 result) {
  if (result < 0 && result >= -4095) {
    count_errno(row, id, generation, -result);
  } else if (head->moves) {
    struct counters *counters = counters_of(row, id);
    if (!counters) return;
    COUNT(counters->bytes, result);
    if (!result) COUNT(counters->nothings, 1);
    USE(row, MOVED_GROUP);
  }
}
