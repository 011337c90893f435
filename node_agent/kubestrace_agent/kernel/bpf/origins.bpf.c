/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Where a process comes from, and what file it executes: for the views that tell of processes. */
#pragma once
#include "kernel/bpf/calls.bpf.c"
#include "kernel/bpf/origins.h"

/* A parent's number as its child sees it; 0: it is outside of the child's pid namespace. */
static __always_inline u32 parent_number(u64 parent, u64 child) {
  u64 above = read_u64(parent, CALL_PID_OFFSET);
  u32 level = read_u32(read_u64(child, CALL_PID_OFFSET), CALL_LEVEL_OFFSET);
  if (read_u32(above, CALL_LEVEL_OFFSET) < level) return 0;
  return read_u32(above, CALL_NUMBERS_OFFSET + 16 * (u64)(level & 31));
}

static __always_inline u64 executable_of(u64 memory) {
  return read_u64(read_u64(memory, ORIGIN_EXE_OFFSET) + CALL_PATH_OFFSET, CALL_PATH_DENTRY_OFFSET);
}

static __always_inline u32 file_state_of(u64 dentry) {
  if (!dentry) return 0;
  if (read_u64(dentry, CALL_PARENT_OFFSET) == dentry) return FILE_DETACHED;
  return read_u64(dentry, CALL_HASHED_OFFSET) ? 0 : FILE_DELETED;
}

static __always_inline u64 cgroup_at(u64 task) {
  return read_u64(read_u64(task, CGROUPS_OFFSET), DFL_CGRP_OFFSET);
}

/* Whether another task is in the slot: by its process, or its cgroup or one above it. */
static __always_inline bool is_in_slot(u64 other, u64 cgroup, u32 slot) {
  u32 pid = read_u32(other, PID_OFFSET);
  struct slot_ref *ref = slots_by_pid.lookup(&pid);
  if (ref && ref->slot == slot) return true;
  u64 at = cgroup_at(other);
  if (at == cgroup) return ref == NULL;
#pragma unroll
  for (u32 i = 0; i < PARENT_LEVELS; i++) {
    u64 id = read_u64(read_u64(at, KN_OFFSET), ID_OFFSET);
    ref = containers.lookup(&id);
    if (ref) return ref->slot == slot;
    at = read_u64(read_u64(at, ORIGIN_CGROUP_PARENT_OFFSET), ORIGIN_CSS_CGROUP_OFFSET);
  }
  return false;
}

/* The first process of a pid namespace has its parent outside, too. Where that one is not the container's (the pod's pause
 * container, or the host's), the agent tells by their age. struct upid: the number, then the namespace. */
static __always_inline u32 origin_of(u64 leader, u64 parent, u32 slot) {
  u64 cgroup = cgroup_at(leader), pid = read_u64(leader, CALL_PID_OFFSET);
  u32 own = read_u32(leader, PID_OFFSET), level = read_u32(pid, CALL_LEVEL_OFFSET);
  struct slot_ref *ref = slots_by_pid.lookup(&own);
  if (is_in_slot(parent, ref ? 0 : cgroup, slot)) return FROM_INSIDE;
  u64 first = read_u64(read_u64(pid, CALL_NUMBERS_OFFSET + 16 * (u64)(level & 31) + 8), ORIGIN_REAPER_OFFSET);
  if (first == leader) return FROM_INSIDE;
  return is_in_slot(first, ref ? 0 : cgroup, slot) ? FROM_OUTSIDE : FROM_OUTSIDE_OR_FIRST;
}
