/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What block_io.bpf.c writes and kernel.py reads, by this file. */
#pragma once
#include "kernel/bpf/syscalls.h"

/* Requests that are with the devices at one time. */
#define MAX_BLOCK_REQUESTS 16384
/* Rows of all slots, and of those that cannot be attributed. Each takes 2.7 KiB, once it is used. */
#define MAX_BLOCK_ROWS 2048
/* Cgroups of version 1 that tasks of the traced containers are in. */
#define MAX_BLOCK_CGROUPS 4096
#define DISK_NAME_BYTES 32
/* Cgroups nested in a container's that are searched for it. */
#define BLOCK_LEVELS 8

/* Lowest byte of a kind: REQ_OP_* of Linux include/linux/blk_types.h. */
#define BLOCK_OPERATION 0xff
#define BLOCK_SYNC 0x100
#define BLOCK_METADATA 0x200
#define BLOCK_OWNER_SHIFT 16
/* Of structs of the kernel that are read in one piece: so many bytes hold what is needed of each. */
#define BLOCK_PIECE_BYTES 256

/* How it was found out whose a request is. */
enum block_owner {
  OWNER_NOBODY,
  OWNER_SHARED,    /* the kernel charges nobody: the journal, flushes */
  OWNER_CONTAINER, /* charged to a cgroup of the container */
  OWNER_PAGE,      /* of a page that is charged to the container, written by somebody else */
  OWNER_PROCESS    /* a task of a slot without cgroups to charge handed it to the device */
};

struct block_cgroup {
  u64 cgroup; /* address of the struct cgroup */
  u64 id;     /* of its kernfs_node: an address may be used again */
};

/* Whose the requests of a cgroup are, as found out last. */
struct block_cache {
  u64 state;  /* address of its cgroup_subsys_state */
  u64 serial; /* of that: an address may be used again */
  u32 generation;  /* of config */
  u32 learnt; /* of the cgroups of version 1 */
  u32 is_root;
  struct slot_ref ref;
  u32 unused;
};

/* Of each CPU, for the program that sees a request issued. */
struct block_scratch {
  struct block_cache charged; /* of what a request is charged to, */
  struct block_cache running; /* and of the running task */
  u8 piece[BLOCK_PIECE_BYTES];
};

struct block_key {
  u32 generation; /* of the slot; 0: shared */
  u32 device;     /* major << 20 | minor */
  u32 kind;
};

struct block_request {
  u64 issued_ns; /* CLOCK_MONOTONIC */
  u64 queue_ns;  /* from its creation to its issue; all bits: not known */
  u64 sector;
  u32 sectors;
  u32 slot;
  u32 failed;
  u32 unused;
  struct block_key key;
  u32 unused_too;
};

/* Everything only grows but the names and end_sector. */
struct block_row {
  u64 count;
  u64 bytes;
  u64 errors;
  u64 sequential; /* began where the one before it in this row ended */
  u64 queue_total_ns;
  u64 queue_max_ns;
  u64 device_total_ns;
  u64 device_max_ns;
  u64 end_sector;
  char disk[DISK_NAME_BYTES];
  u32 queue[BUCKETS];
  u32 device[BUCKETS];
};

/* Of a slot, written by both sides; slot 0 is that of shared requests. */
struct block_slot {
  u64 generation; /* of the slot that wants the view; 0: none does. In slot 0: grows with each cgroup that is learnt */
  u64 lost;       /* requests for which there was no room */
  u64 charged;    /* it has cgroups to charge */
};
