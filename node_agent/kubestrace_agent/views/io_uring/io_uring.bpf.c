/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of io_uring: what was submitted to rings and what came of it, by opcode.
 *
 * Who submits is the task that hands its work over, or the thread of the kernel that takes it from the ring
 * (IORING_SETUP_SQPOLL), which is in the process that made the ring and in its cgroup. A result may be told by another: a
 * worker of the kernel, or a task that sends to the ring. So a request is looked up by its address. */
#pragma once
#include "kernel/bpf/cgroup_filter.bpf.c"
#include "kernel/bpf/lengths.bpf.c"
#include "views/io_uring/io_uring.h"

BPF_F_TABLE("array", u32, struct ring_slot, ring_slots, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_F_TABLE("hash", u64, struct ring_request, ring_requests, MAX_RING_REQUESTS, BPF_F_NO_PREALLOC);
BPF_F_TABLE("hash", struct ring_key, struct ring_row, ring_rows, MAX_RING_ROWS, BPF_F_NO_PREALLOC);
BPF_F_TABLE("hash", struct ring_errno_key, u64, ring_errnos, MAX_RING_ERRNOS, BPF_F_NO_PREALLOC);
/* Never written: a row begins as a copy of it. */
BPF_ARRAY(ring_nothing, struct ring_row, 1);

static __always_inline u32 byte_at(u64 base, u64 offset) { return read_u32(base, offset) & 0xff; }

/* The slot of the running task, where it wants the view. */
static __always_inline struct ring_slot *ring_slot_of_current(u32 *generation) {
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  if (!cfg) return NULL;
  struct slot_ref *ref = find_slot(cfg, bpf_get_current_task_btf());
  if (!ref) return NULL;
  u32 number = ref->slot;
  struct ring_slot *slot = ring_slots.lookup(&number);
  *generation = ref->generation;
  return slot && ref->generation && slot->generation == ref->generation ? slot : NULL;
}

static __always_inline struct ring_row *ring_row_of(struct ring_key *key) {
  struct ring_row *row = ring_rows.lookup(key);
  if (row) return row;
  u32 zero = 0;
  struct ring_row *nothing = ring_nothing.lookup(&zero);
  if (!nothing) return NULL;
  ring_rows.insert(key, nothing);
  return ring_rows.lookup(key); /* another CPU may have been first */
}

/* The kernel uses a request again whose result found no room in the ring (on_ring_overflow). */
static __always_inline void end_silently(u64 request) {
  struct ring_request *before = ring_requests.lookup(&request);
  if (!before) return;
  struct ring_key key = before->key;
  struct ring_row *row = ring_rows.lookup(&key);
  if (row) __sync_fetch_and_add(&row->silent, 1);
  ring_requests.delete(&request);
}

static __always_inline void submit_to_ring(u64 request, u64 names_opcode) {
  struct ring_key key = {};
  end_silently(request);
  struct ring_slot *slot = ring_slot_of_current(&key.generation);
  if (!slot) return;
  key.opcode = byte_at(names_opcode, 0);
  struct ring_row *row = ring_row_of(&key);
  if (!row) {
    __sync_fetch_and_add(&slot->lost, 1);
    return;
  }
  __sync_fetch_and_add(&row->submitted, 1);
  if (byte_at(request, RING_FLAGS_OFFSET) & RING_SKIPS_SUCCESS) {
    __sync_fetch_and_add(&row->silent, 1);
    return;
  }
  struct ring_request begun = {.start_ns = bpf_ktime_get_ns(), .key = key};
  ring_requests.update(&request, &begun);
}

/* Linux 6.4 and later. */
int on_ring_submit(struct bpf_raw_tracepoint_args *ctx) {
  submit_to_ring(ctx->args[0], ctx->args[0] + RING_OPCODE_OFFSET);
  return 0;
}

int on_ring_submit_sqe(struct bpf_raw_tracepoint_args *ctx) {
  submit_to_ring(ctx->args[0], ctx->args[0] + RING_OPCODE_OFFSET);
  return 0;
}

/* Refused before it began: the kernel reports no submission, but a result. An opcode that it does not know it has replaced. */
int on_ring_refused(struct bpf_raw_tracepoint_args *ctx) {
  submit_to_ring(ctx->args[1], ctx->args[0] + RING_SQE_OPCODE_OFFSET);
  return 0;
}

/* Where it finds no room it is in the row's errors alone. */
static __always_inline void count_ring_errno(struct ring_key *key, s32 result) {
  struct ring_errno_key which = {.generation = key->generation, .opcode = key->opcode, .number = -result};
  u64 first = 0, *count = ring_errnos.lookup(&which);
  if (!count) {
    ring_errnos.insert(&which, &first);
    count = ring_errnos.lookup(&which);
  }
  if (count) __sync_fetch_and_add(count, 1);
}

static __always_inline void count_ring_result(struct ring_row *row, struct ring_key *key, s32 result) {
  if (result < 0) {
    __sync_fetch_and_add(&row->errors, 1);
    count_ring_errno(key, result);
  } else {
    __sync_fetch_and_add(&row->bytes, result);
  }
  __sync_fetch_and_add(&row->completed, 1);
}

static __always_inline s32 result_of(struct bpf_raw_tracepoint_args *ctx) {
#ifdef RING_RESULT_OFFSET
  return read_u32(ctx->args[2], RING_RESULT_OFFSET);
#else
  return ctx->args[3];
#endif
}

/* Its beginning was not noted: whose it is says the task that tells the result. */
static __always_inline void complete_unknown(struct bpf_raw_tracepoint_args *ctx, u64 request, bool overflows) {
  struct ring_key key = {};
  struct ring_slot *slot = ring_slot_of_current(&key.generation);
  if (!slot) return;
  key.opcode = request ? byte_at(request, RING_OPCODE_OFFSET) : FURTHER_RESULTS;
  struct ring_row *row = ring_row_of(&key);
  if (!row) {
    __sync_fetch_and_add(&slot->lost, 1);
    return;
  }
  __sync_fetch_and_add(&row->untimed, 1);
  count_ring_result(row, &key, overflows ? (s32)ctx->args[2] : result_of(ctx));
}

/* The completion ring is full: the program gets the result later. Of which request it is the kernel does not say. */
int on_ring_overflow(struct bpf_raw_tracepoint_args *ctx) {
  complete_unknown(ctx, 0, true);
  return 0;
}

int on_ring_complete(struct bpf_raw_tracepoint_args *ctx) {
  u64 request = ctx->args[1];
  struct ring_request *begun = request ? ring_requests.lookup(&request) : NULL;
  if (!begun) {
    complete_unknown(ctx, request, false);
    return 0;
  }
  struct ring_key key = begun->key;
  u64 now = bpf_ktime_get_ns(), start = begun->start_ns;
  ring_requests.delete(&request);
  struct ring_row *row = ring_rows.lookup(&key);
  if (!row) return 0; /* the slot wants the view no longer */
  count_length(row->buckets, &row->total_ns, &row->max_ns, now > start ? now - start : 0);
  count_ring_result(row, &key, result_of(ctx));
  return 0;
}
