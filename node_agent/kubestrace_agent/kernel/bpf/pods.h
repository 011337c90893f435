/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What pods.bpf.c writes and maps/pods.py reads. */
#pragma once
#include <linux/types.h>

#include "kernel/bpf/syscalls.h"

#define MAX_PODS 256
/* Slots that are ready for containers which a pod does not have yet; a power of two. */
#define RESERVED_SLOTS 16
/* The longest name of a container's cgroup has 139 characters: <pod's slice>:cri-containerd:<container ID>. */
#define CGROUP_NAME_BYTES 160
#define UID_DIGITS 32

/* A pod's UID: 32 hex digits, without dashes. */
struct pod_uid {
  u64 high;
  u64 low;
};

/* Where a container's calls are counted, and where those that the runtime makes in its cgroup. */
struct reserved {
  struct slot_ref container;
  struct slot_ref runtime;
};

/* The agent writes `given` and what it gives; the programs write the rest. */
struct pod {
  u64 cgroup;   /* its ID; 0: it has none yet, or no longer */
  u32 level;    /* of its cgroup, below the root of the tree */
  u32 given;    /* slots that were ever given to it */
  u32 taken;    /* and those that containers have taken; at most `given` */
  u32 missed;   /* containers that found no slot */
  u32 unmarked; /* processes of the runtime whose calls are counted as the container's, as there was no room */
  u32 unused;
  struct reserved reserved[RESERVED_SLOTS];
};

/* A container's cgroup that was created below a watched pod's. Times: CLOCK_MONOTONIC; 0: not yet. */
struct pod_container {
  struct reserved slots; /* zeros: there was none left */
  u64 created_ns;
  u64 started_ns; /* its program was executed */
  u64 emptied_ns; /* the last process has ended */
  u64 removed_ns;
  u32 pod;
  u32 level;
  u32 pid; /* of its program, as the host numbers it */
  u32 inner_pid; /* and as it numbers itself */
  char name[CGROUP_NAME_BYTES];
};

/* Wakes the agent. The maps say what there is, so that a full ring loses nothing. */
enum pod_event_kind { POD_FOUND, POD_REMOVED, CONTAINER_CREATED, CONTAINER_STARTED, CONTAINER_EMPTIED, CONTAINER_REMOVED };
struct pod_event {
  u64 cgroup;
  u32 kind;
  u32 pod;
};
#define POD_EVENTS_PAGES 16
