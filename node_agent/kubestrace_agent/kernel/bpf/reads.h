/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Fields of the kernel's structs that are read in passing: 0 where there is nothing to read. */
#pragma once
#include <linux/types.h>

/* Helpers 112 and 114, which read the memory of the current task. By their numbers: where bcc finds its own names of them
 * it searches all symbols of the kernel (0.3 s), to see whether it has them as it does since 5.5. */
static long (*const read_memory)(void *into, u32 size, const void *address) = (void *)112;
static long (*const read_string)(void *into, u32 size, const void *address) = (void *)114;

#ifdef CAST_HELPER
/* Gives an address the type of a struct with two numbers, of which the verifier then allows loads, whatever is there: where
 * nothing is mapped they are 0. Costs no instruction (casts.py). */
static void *(*const as_words)(u64 address, u32 type) = (void *)CAST_HELPER;

static __always_inline u64 read_u64(u64 base, u64 offset) {
  u64 value;
  void *words = as_words(base + offset, CAST_WORDS);
  asm volatile("%0 = *(u64 *)(%1 + 0)" : "=r"(value) : "r"(words));
  return value;
}

static __always_inline u32 read_u32(u64 base, u64 offset) {
  u64 value;
  void *words = as_words(base + offset, CAST_WORDS);
  asm volatile("%0 = *(u32 *)(%1 + 0)" : "=r"(value) : "r"(words));
  return value;
}
#else
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
#endif

/* A struct of the kernel of which several fields are needed. Where each read costs a call, whatever its size, all are read at
 * once into room that the caller has for them. */
struct fields {
  u64 at;
  const void *room;
};

/* False: there is nothing to read. */
static __always_inline bool read_fields(struct fields *fields, u64 at, void *room, u32 bytes) {
  fields->at = at;
  fields->room = room;
#ifdef CAST_HELPER
  return at != 0;
#else
  return at && !bpf_probe_read_kernel(room, bytes, (void *)at);
#endif
}

/* Of 2, 4 or 8 bytes. */
#ifdef CAST_HELPER
#define FIELD(type, fields, offset) \
  ((type)(sizeof(type) == 8 ? read_u64((fields)->at, offset) : read_u32((fields)->at, offset)))
#else
#define FIELD(type, fields, offset) (*(const type *)((fields)->room + (offset)))
#endif
