/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* How long something took, in a row that all CPUs share. */
#pragma once
#include "kernel/bpf/rows.bpf.c"

/* Two CPUs may find a new maximum at once: who wrote the smaller one last would be seen by the other. */
static __always_inline void raise_max(u64 *max, u64 ns) {
  for (u32 i = 0; i < 4; i++) {
    if (ns <= *(volatile u64 *)max) break;
    *(volatile u64 *)max = ns;
  }
}

static __always_inline void count_length(u32 *buckets, u64 *total, u64 *max, u64 ns) {
  u64 bucket = bucket_of(ns);
  BOUND(bucket, 511);
  if (bucket < BUCKETS) __sync_fetch_and_add(&buckets[bucket], 1);
  __sync_fetch_and_add(total, ns);
  raise_max(max, ns);
}
