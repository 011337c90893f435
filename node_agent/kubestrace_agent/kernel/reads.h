/* Fields of the kernel's structs that are read in passing: 0 where there is nothing to read. */
#pragma once
#include <linux/types.h>

static __always_inline u64 word_at(u64 base, u64 offset) {
  u64 value = 0;
  bpf_probe_read_kernel(&value, sizeof(value), (void *)(base + offset));
  return value;
}

static __always_inline u32 half_at(u64 base, u64 offset) {
  u32 value = 0;
  bpf_probe_read_kernel(&value, sizeof(value), (void *)(base + offset));
  return value;
}
