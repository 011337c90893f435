/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Whose a task is: its container's slot, by its cgroup or one above it, or that of a process that is followed.
 * The loader (probe.py) compiles this in one piece with all other programs. It defines MAX_SLOTS, MAX_ROWS, SLOT_ROWS, and
 * the offsets of the running kernel. */
#pragma once
#include "kernel/bpf/reads.h"
#include "kernel/bpf/syscalls.h"

/* The licence, in the kernel's own words: some helpers are for programs under the GPL only. */
#define BPF_LICENSE GPL v2

struct task_struct;

BPF_F_TABLE("array", u32, struct config, config, 1, BPF_F_MMAPABLE);
BPF_HASH(containers, u64, struct slot_ref, MAX_SLOTS);
BPF_F_TABLE("hash", u32, struct slot_ref, slots_by_pid, 65536, BPF_F_NO_PREALLOC);
BPF_PERCPU_ARRAY(cgroup_caches, struct cgroup_cache, CGROUP_CACHES);
BPF_F_TABLE("array", u32, u64, lost, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_TASK_STORAGE(tasks, struct entry);

/* The compiler must not fold a bound away that the verifier has to see. */
#define BOUND(value, mask) asm volatile("%0 &= %1" : "+r"(value) : "i"(mask))
/* A field of a kernel struct whose offset comes from BTF: one instruction, which the verifier checks by BTF again. A
 * helper that returns the same costs a call and a return, and returns are dear where the kernel guards them. */
#define LOAD(size, into, from, offset) \
  asm volatile("%0 = *(" #size " *)(%1 + %2)" : "=r"(into) : "r"(from), "i"(offset))

static __always_inline u64 cgroup_of(struct task_struct *task) {
  u64 set, cgroup, node, id;
  LOAD(u64, set, task, CGROUPS_OFFSET);
  LOAD(u64, cgroup, set, DFL_CGRP_OFFSET);
  LOAD(u64, node, cgroup, KN_OFFSET);
  LOAD(u64, id, node, ID_OFFSET);
  return id;
}

/* Most of a node's tasks have no storage at all: seen without a call. */
static __always_inline bool has_storage(struct task_struct *task) {
  u64 storage;
  LOAD(u64, storage, task, STORAGE_OFFSET);
  return storage != 0;
}

static __always_inline struct entry *entry_of(struct task_struct *task) {
  return has_storage(task) ? tasks.task_storage_get(task, 0, 0) : NULL;
}

static __always_inline void count_lost(u32 slot) {
  u64 *count = lost.lookup(&slot);
  if (count) __sync_fetch_and_add(count, 1);
}

/* The generation is read before the look-ups: a change in between makes the cache void, not wrong. */
static __always_inline void fill_cache(struct config *cfg, struct cgroup_cache *cache, u64 cgroup) {
  u32 generation = *(volatile u32 *)&cfg->generation;
  struct slot_ref *ref = containers.lookup(&cgroup);
  for (u32 i = 0; i < MAX_LEVELS; i++) {
    if (ref || i >= cfg->level_count) break;
    u64 ancestor = bpf_get_current_ancestor_cgroup_id(cfg->levels[i]);
    ref = containers.lookup(&ancestor);
  }
  cache->cgroup = cgroup;
  cache->ref.slot = ref ? ref->slot : 0;
  cache->ref.generation = ref ? ref->generation : 0;
  cache->generation = generation;
}

/* The slot that follows a task's process by its PID. */
static __always_inline struct slot_ref *slot_of_process(struct config *cfg, struct task_struct *task) {
  if (!cfg->processes) return NULL;
  u64 process;
  LOAD(u32, process, task, PID_OFFSET);
  u32 pid = process;
  return slots_by_pid.lookup(&pid);
}

/* Whose calls are these? NULL: nobody's who is traced. `cache_of` is the program's. */
static __always_inline struct slot_ref *slot_of_current(struct config *cfg, struct task_struct *task, u32 cache_of) {
  struct slot_ref *followed = slot_of_process(cfg, task);
  if (followed) return followed;
  struct cgroup_cache *cache = cgroup_caches.lookup(&cache_of);
  if (!cache) return NULL;
  u64 cgroup = cgroup_of(task);
  if (cache->cgroup != cgroup || cache->generation != cfg->generation) fill_cache(cfg, cache, cgroup);
  return cache->ref.slot ? &cache->ref : NULL;
}

static __always_inline struct slot_ref *find_slot(struct config *cfg, struct task_struct *task) {
  return slot_of_current(cfg, task, IN_VIEW);
}

static __always_inline u32 abi_of(struct task_struct *task, s32 *nr) {
  u64 status;
  LOAD(u32, status, task, COMPAT_OFFSET);
  if (status & COMPAT_BIT) return ABI_COMPAT;
#ifdef X32_BIT
  if (*nr >= 0 && (*nr & X32_BIT)) {
    *nr &= ~X32_BIT;
    return ABI_X32;
  }
#endif
  return ABI_NATIVE;
}

/* A call's place in the tables of all calls; behind their end where it has none. */
static __always_inline u32 place_of_call(u32 abi, s32 nr) {
  u32 numbers = abi == ABI_X32 ? 2 * ABI_NUMBERS : ABI_NUMBERS;
  return (u32)nr < numbers ? abi * ABI_NUMBERS + (u32)nr : INDEX_ENTRIES;
}

static __always_inline bool never_returns(u32 abi, s32 nr) {
  if (abi == ABI_COMPAT) return nr == 1 || nr == COMPAT_EXIT_GROUP || nr == 119 || nr == 173;
  if (abi == ABI_X32) return nr == NATIVE_EXIT || nr == NATIVE_EXIT_GROUP || nr == 513;
  return nr == NATIVE_EXIT || nr == NATIVE_EXIT_GROUP || nr == NATIVE_SIGRETURN;
}

static __always_inline bool makes_tasks(u32 abi, s32 nr) {
  if (nr == 435) return true;
  if (abi == ABI_COMPAT) return nr == 2 || nr == 120 || nr == 190;
  return nr == NATIVE_CLONE || nr == NATIVE_FORK || nr == NATIVE_VFORK;
}
