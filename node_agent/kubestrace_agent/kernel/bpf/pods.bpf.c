/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Containers of watched pods, from the creation of their cgroups on: before any task can be in one, it has a slot.
 *
 * A cgroup right below a watched pod's is a container. Until its program is executed, its tasks are the runtime's (runc
 * and what runc runs as hooks), and their calls are counted in the slot `runtime`. Tasks that the runtime brings into
 * a container later (`kubectl exec`, probes) are the runtime's until they execute a program, too: they stand in
 * `slots_by_pid` until then. Nothing of this is on the path of a call. */
#pragma once
#include "kernel/bpf/cgroup_filter.bpf.c"
#include "kernel/bpf/pods.h"

BPF_F_TABLE("array", u32, struct pod, pods, MAX_PODS, BPF_F_MMAPABLE);
BPF_HASH(awaited_pods, struct pod_uid, u32, MAX_PODS);
BPF_HASH(watched_pods, u64, u32, MAX_PODS);
BPF_HASH(pod_containers, u64, struct pod_container, MAX_SLOTS);
/* Processes that the runtime brought into a container, and their children, until they execute a program: of which pod. */
BPF_HASH(joiners, u32, u32, MAX_JOINERS);
BPF_RINGBUF_OUTPUT(pod_events, POD_EVENTS_PAGES);

struct pod_scratch {
  struct pod_container container;
  struct pod_uid uid;
  u32 start; /* of the UID in the name */
  u32 digits;
  u32 end; /* the first character behind the UID */
  u32 unused;
  char name[2 * 256]; /* the verifier knows that an index below 256 and 64 more are in it */
};
BPF_PERCPU_ARRAY(pod_scratch, struct pod_scratch, 1);

static __always_inline u64 cgroup_id(u64 cgroup) { return read_u64(read_u64(cgroup, KN_OFFSET), ID_OFFSET); }

static __always_inline u64 parent_of_cgroup(u64 cgroup) {
  u64 state = read_u64(cgroup, POD_PARENT_OFFSET);
  return state ? read_u64(state, POD_CSS_CGROUP_OFFSET) : 0;
}

static __always_inline u64 cgroup_of_task(u64 task) {
  return read_u64(read_u64(task, CGROUPS_OFFSET), DFL_CGRP_OFFSET);
}

/* The tracepoints fire for the hierarchies of cgroup v1 too, whose IDs may be the same. */
static __always_inline bool is_v2(u64 cgroup) {
  return read_u32(read_u64(cgroup, POD_ROOT_OFFSET), POD_HIERARCHY_OFFSET) == 0;
}

/* The container that a cgroup is, or is nested in; NULL: none. `id` becomes its cgroup's. */
static __always_inline struct pod_container *container_above(u64 cgroup, u64 *id) {
  for (u32 i = 0; i < POD_LEVELS && cgroup; i++) {
    *id = cgroup_id(cgroup);
    struct pod_container *found = pod_containers.lookup(id);
    if (found) return found;
    cgroup = parent_of_cgroup(cgroup);
  }
  return NULL;
}

static __always_inline bool is_below(u64 cgroup, u64 container) {
  for (u32 i = 0; i < POD_LEVELS && cgroup; i++) {
    if (cgroup_id(cgroup) == container) return true;
    cgroup = parent_of_cgroup(cgroup);
  }
  return false;
}

static __always_inline void wake_agent(u32 kind, u64 cgroup, u32 pod) {
  struct pod_event event = {.cgroup = cgroup, .kind = kind, .pod = pod};
  pod_events.ringbuf_output(&event, sizeof(event), 0);
}

/* Only one cgroup is created at a time: the kernel holds a lock around this tracepoint. */
static __always_inline void take_slot(struct pod *pod, struct pod_container *container) {
  u32 taken = pod->taken;
  __builtin_memset(&container->slots, 0, sizeof(container->slots));
  if ((s32)(*(volatile u32 *)&pod->given - taken) <= 0) {
    pod->missed += 1;
    return;
  }
  u64 at = taken;
  BOUND(at, RESERVED_SLOTS - 1);
  container->slots = pod->reserved[at];
  pod->taken = taken + 1;
}

static __always_inline int add_container(u32 index, u64 cgroup) {
  u32 zero = 0;
  struct pod *pod = pods.lookup(&index);
  struct pod_scratch *scratch = pod_scratch.lookup(&zero);
  if (!pod || !scratch) return 0;
  struct pod_container *made = &scratch->container;
  u64 id = cgroup_id(cgroup);
  made->created_ns = bpf_ktime_get_ns();
  made->started_ns = made->emptied_ns = made->removed_ns = 0;
  made->pod = index;
  made->level = read_u32(cgroup, POD_LEVEL_OFFSET);
  made->pid = made->inner_pid = 0;
  bpf_probe_read_kernel_str(made->name, sizeof(made->name),
                            (void *)read_u64(read_u64(cgroup, KN_OFFSET), POD_NAME_OFFSET));
  take_slot(pod, made);
  struct slot_ref runtime = made->slots.runtime;
  if (pod_containers.update(&id, made) || (runtime.slot && containers.update(&id, &runtime))) pod->missed += 1;
  wake_agent(CONTAINER_CREATED, id, index);
  return 0;
}

/* Where the UID begins in <...>pod<UID>[.slice]; what follows a colon is a container's. */
static __always_inline void find_uid(struct pod_scratch *scratch) {
  scratch->start = 0;
  for (u32 i = 0; i < CGROUP_NAME_BYTES; i++) {
    char c = scratch->name[i];
    if (!c || c == ':') break;
    if (c == 'p' && scratch->name[i + 1] == 'o' && scratch->name[i + 2] == 'd') scratch->start = i + 3;
  }
}

/* Everything that changes is in memory, where the verifier does not follow it through the loop. */
static __always_inline bool read_uid(struct pod_scratch *scratch) {
  scratch->uid.high = scratch->uid.low = 0;
  scratch->digits = scratch->end = 0;
  for (u32 i = 0; i < UID_DIGITS + 5; i++) {
    u64 at = *(volatile u32 *)&scratch->start;
    BOUND(at, 255);
    u64 c = (u8)scratch->name[at + i];
    scratch->end = at + i;
    if (c == '-' || c == '_') continue;
    u64 digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
    if (digit == 16) break;
    if (scratch->digits++ < UID_DIGITS / 2)
      scratch->uid.high = scratch->uid.high << 4 | digit;
    else
      scratch->uid.low = scratch->uid.low << 4 | digit;
  }
  return *(volatile u32 *)&scratch->start && *(volatile u32 *)&scratch->digits == UID_DIGITS;
}

/* What follows the UID: nothing, ".slice", or the rest of a container's name where kubelet and the runtime disagree
 * about the cgroup driver. That container does not stand below its pod's cgroup. */
enum uid_of { UID_OF_POD, UID_OF_CONTAINER, UID_OF_OTHER };
static __always_inline u32 what_is_named(struct pod_scratch *scratch) {
  u64 at = *(volatile u32 *)&scratch->end;
  BOUND(at, 255);
  char *rest = &scratch->name[at];
  if (!rest[0]) return UID_OF_POD;
  if (rest[0] != '.' || rest[1] != 's' || rest[2] != 'l' || rest[5] != 'e') return UID_OF_OTHER;
  return !rest[6] ? UID_OF_POD : rest[6] == ':' ? UID_OF_CONTAINER : UID_OF_OTHER;
}

static __always_inline int watch_if_awaited(u64 cgroup) {
  u32 zero = 0;
  struct pod_scratch *scratch = pod_scratch.lookup(&zero);
  if (!scratch) return 0;
  if (bpf_probe_read_kernel_str(scratch->name, 256,
                                (void *)read_u64(read_u64(cgroup, KN_OFFSET), POD_NAME_OFFSET)) < UID_DIGITS)
    return 0;
  find_uid(scratch);
  if (!read_uid(scratch)) return 0;
  struct pod_uid uid = scratch->uid;
  u32 *index = awaited_pods.lookup(&uid);
  u32 what = what_is_named(scratch);
  if (!index || what == UID_OF_OTHER) return 0;
  if (what == UID_OF_CONTAINER) return add_container(*index, cgroup);
  u32 number = *index;
  struct pod *pod = pods.lookup(&number);
  u64 id = cgroup_id(cgroup);
  if (!pod || watched_pods.update(&id, &number)) return 0;
  pod->level = read_u32(cgroup, POD_LEVEL_OFFSET);
  pod->cgroup = id;
  wake_agent(POD_FOUND, id, number);
  return 0;
}

/* No task can join the cgroup before this has returned. */
int on_cgroup_mkdir(struct bpf_raw_tracepoint_args *ctx) {
  u64 cgroup = ctx->args[0];
  if (!is_v2(cgroup)) return 0;
  u64 parent = parent_of_cgroup(cgroup), id = parent ? cgroup_id(parent) : 0;
  u32 *pod = watched_pods.lookup(&id);
  return pod ? add_container(*pod, cgroup) : watch_if_awaited(cgroup);
}

int on_cgroup_rmdir(struct bpf_raw_tracepoint_args *ctx) {
  u64 cgroup = ctx->args[0];
  if (!is_v2(cgroup)) return 0;
  u64 id = cgroup_id(cgroup);
  struct pod_container *container = pod_containers.lookup(&id);
  u32 *index = watched_pods.lookup(&id);
  if (container) {
    container->removed_ns = bpf_ktime_get_ns();
    wake_agent(CONTAINER_REMOVED, id, container->pod);
  } else if (index) {
    u32 number = *index;
    struct pod *pod = pods.lookup(&number);
    if (pod && pod->cgroup == id) pod->cgroup = 0;
    watched_pods.delete(&id);
    wake_agent(POD_REMOVED, id, number);
  }
  return 0;
}

int on_cgroup_populated(struct bpf_raw_tracepoint_args *ctx) {
  u64 cgroup = ctx->args[0];
  if ((int)ctx->args[2] || !is_v2(cgroup)) return 0;
  u64 id = cgroup_id(cgroup);
  struct pod_container *container = pod_containers.lookup(&id);
  if (!container) return 0;
  container->emptied_ns = bpf_ktime_get_ns();
  wake_agent(CONTAINER_EMPTIED, id, container->pod);
  return 0;
}

/* The upper half of config.processes is ours, the lower half the agent's. */
#define ONE_JOINER (1 << 16)

static __always_inline void add_joiner(u32 pid, u32 pod, struct slot_ref *runtime) {
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  struct slot_ref ref = *runtime;
  if (!cfg || !ref.slot || joiners.lookup(&pid)) return;
  if (joiners.update(&pid, &pod) == 0) {
    if (slots_by_pid.update(&pid, &ref) == 0) {
      __sync_fetch_and_add(&cfg->processes, ONE_JOINER);
      return;
    }
    joiners.delete(&pid);
  }
  struct pod *of = pods.lookup(&pod);
  if (of) __sync_fetch_and_add(&of->unmarked, 1);
}

static __always_inline void remove_joiner(u32 pid) {
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  if (!cfg || joiners.delete(&pid)) return;
  slots_by_pid.delete(&pid);
  __sync_fetch_and_add(&cfg->processes, -ONE_JOINER);
}

/* The runtime writes the PID of a task that waits outside; one that moves itself is the container's where it was counted
 * there already. */
int on_cgroup_attach(struct bpf_raw_tracepoint_args *ctx) {
  u64 cgroup = ctx->args[0], moved = ctx->args[2], id = 0;
  if (!(bool)ctx->args[3] || !is_v2(cgroup)) return 0;
  struct pod_container *container = container_above(cgroup, &id);
  if (!container || !container->started_ns) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  if ((u64)task != moved) {
    if (is_below(cgroup_of_task((u64)task), id)) return 0;
  } else {
    struct entry *entry = entry_of(task);
    if (entry && entry->generation == container->slots.container.generation) return 0;
  }
  add_joiner(read_u32(moved, PID_OFFSET), container->pod, &container->slots.runtime);
  return 0;
}

/* Runs in the parent before the child does. A child may be created right in another cgroup (CLONE_INTO_CGROUP). */
int on_pod_fork(struct bpf_raw_tracepoint_args *ctx) {
  u32 parent = bpf_get_current_pid_tgid() >> 32, child = read_u32(ctx->args[1], PID_OFFSET);
  if (child == parent) return 0;
  u32 *pod = joiners.lookup(&parent);
  struct slot_ref *inherited = pod ? slots_by_pid.lookup(&parent) : NULL;
  if (inherited) {
    add_joiner(child, *pod, inherited);
    return 0;
  }
  u64 own = cgroup_of_task((u64)bpf_get_current_task_btf()), its = cgroup_of_task(ctx->args[1]), id = 0;
  if (own == its) return 0;
  struct pod_container *container = container_above(its, &id);
  if (container && container->started_ns && !is_below(own, id))
    add_joiner(child, container->pod, &container->slots.runtime);
  return 0;
}

static __always_inline u64 mounts_of(u64 task) { return read_u64(read_u64(task, POD_PROXY_OFFSET), POD_MOUNTS_OFFSET); }

/* A runtime may execute itself once more (runc does, as a copy that nobody can write) when it is in the cgroup already. It is
 * then among the mounts of its parent, which is outside; what it executes in the container has mounts of its own. */
static __always_inline bool is_runtime_still(u64 task) {
  return mounts_of(task) == mounts_of(read_u64(task, POD_REAL_PARENT_OFFSET));
}

static __always_inline bool is_in_pid_namespace(u64 task) {
  return read_u32(read_u64(task, POD_PID_OFFSET), POD_PID_LEVEL_OFFSET) > 0;
}

static __always_inline u32 inner_pid(u64 task) {
  u64 pid = read_u64(task, POD_PID_OFFSET), level = read_u32(pid, POD_PID_LEVEL_OFFSET);
  return read_u32(pid, POD_PID_NUMBERS_OFFSET + UPID_BYTES * level);
}

/* Whether this is the container's program, and not a hook that the runtime runs before it: the first process of its PID
 * namespace, or one that comes from outside. Hooks are children of the runtime's process in the container. */
static __always_inline bool is_program(u64 task, u64 container) {
  if (is_in_pid_namespace(task) && inner_pid(task) == 1) return true;
  return !is_below(cgroup_of_task(read_u64(task, POD_REAL_PARENT_OFFSET)), container) && !is_runtime_still(task);
}

static __always_inline void start_container(struct pod_container *container, u64 id, u64 task) {
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  struct slot_ref ref = container->slots.container;
  container->pid = read_u32(task, PID_OFFSET);
  container->inner_pid = inner_pid(task);
  container->started_ns = bpf_ktime_get_ns();
  if (ref.slot && cfg) {
    if (containers.update(&id, &ref)) count_lost(ref.slot);
    __sync_fetch_and_add(&cfg->generation, 1);
  }
  wake_agent(CONTAINER_STARTED, id, container->pod);
}

/* Attached before the views' programs at this tracepoint, which then see the container's slot. */
int on_pod_exec(struct bpf_raw_tracepoint_args *ctx) {
  u64 task = (u64)bpf_get_current_task_btf(), id = 0;
  u32 pid = bpf_get_current_pid_tgid() >> 32;
  if (joiners.lookup(&pid)) {
    u32 parent = read_u32(read_u64(task, POD_REAL_PARENT_OFFSET), PID_OFFSET);
    if (!joiners.lookup(&parent) && !is_runtime_still(task)) remove_joiner(pid);
    return 0;
  }
  struct pod_container *container = container_above(cgroup_of_task(task), &id);
  if (container && !container->started_ns && is_program(task, id)) start_container(container, id, task);
  return 0;
}

int on_pod_exit(struct bpf_raw_tracepoint_args *ctx) {
  u32 pid = bpf_get_current_pid_tgid() >> 32;
  if (!joiners.lookup(&pid)) return 0;
  u64 signal = read_u64((u64)bpf_get_current_task_btf(), SIGNAL_OFFSET);
  if (read_u32(signal, LIVE_OFFSET) == 0) remove_joiner(pid);
  return 0;
}
