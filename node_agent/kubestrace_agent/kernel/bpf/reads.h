/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Fields of the kernel's structs that are read in passing: 0 where there is nothing to read. */
#pragma once
#include <linux/types.h>

/* Helpers 112 and 114, which read the memory of the current task. By their numbers: where bcc finds its own names of them
 * it searches all symbols of the kernel (0.3 s), to see whether it has them as it does since 5.5. */
static long (*const read_memory)(void *into, u32 size, const void *address) = (void *)112;
static long (*const read_string)(void *into, u32 size, const void *address) = (void *)114;

static __always_inline u64 read_u64(u64 base, u64 offset) {
  u64 value = 0;
  bpf_probe_read_kernel(&value, sizeof(value), (void *)(base + offset));
  return value;
}

static __always_inline u32 read_u32(u64 base, u64 offset) {
  u32 value = 0;
  bpf_probe_read_kernel(&value, sizeof(value), (void *)(base + offset));
  return value;
}
