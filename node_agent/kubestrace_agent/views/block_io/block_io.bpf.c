/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of block I/O: what devices did for a container, whoever handed it to them.
 *
 * The task that issues a request is often a stranger: the flusher, a worker of the kernel, another container whose sync(2)
 * wrote our pages. So whose a request is says the request itself: the cgroup that it is charged to, else the cgroup that its
 * first page is charged to. With cgroup v1 these are cgroups of other hierarchies than the one that slots are known by:
 * which of them belong to a slot is learnt from its tasks. */
#pragma once
#include "kernel/bpf/chain.bpf.c"
#include "kernel/bpf/lengths.bpf.c"
#include "kernel/bpf/rows.bpf.c"
#include "views/block_io/block_io.h"

BPF_F_TABLE("array", u32, struct block_slot, block_slots, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_F_TABLE("hash", u64, struct block_request, block_requests, MAX_BLOCK_REQUESTS, BPF_F_NO_PREALLOC);
BPF_F_TABLE("hash", struct block_key, struct block_row, block_rows, MAX_BLOCK_ROWS, BPF_F_NO_PREALLOC);
BPF_F_TABLE("hash", struct block_cgroup, struct slot_ref, block_cgroups, MAX_BLOCK_CGROUPS, BPF_F_NO_PREALLOC);
/* Never written: a row begins as a copy of it. */
BPF_ARRAY(block_nothing, struct block_row, 1);
BPF_PERCPU_ARRAY(block_scratch, struct block_scratch, 1);

static __always_inline u64 node_of(u64 cgroup) { return read_u64(cgroup, KN_OFFSET); }

static __always_inline bool is_of_v2(u64 cgroup) {
  return read_u32(read_u64(cgroup, BLOCK_ROOT_OFFSET), BLOCK_HIERARCHY_OFFSET) == 0;
}

static __always_inline bool is_root(u64 cgroup) { return read_u32(cgroup, BLOCK_LEVEL_OFFSET) == 0; }

static __always_inline void count_lost_block(u32 number) {
  struct block_slot *slot = block_slots.lookup(&number);
  if (slot) __sync_fetch_and_add(&slot->lost, 1);
}

/* A cgroup of version 1 that has the name of the one by which the slot is known: runtimes create a container's under one
 * name in all hierarchies. One of another name is shared with others. */
static __always_inline void learn(u64 cgroup, u32 name, struct slot_ref *ref) {
  if (!cgroup || is_of_v2(cgroup) || is_root(cgroup)) return;
  u64 node = node_of(cgroup);
  if (read_u32(node, BLOCK_NAME_HASH_OFFSET) != name) return;
  struct block_cgroup key = {.cgroup = cgroup, .id = read_u64(node, ID_OFFSET)};
  struct slot_ref *known = block_cgroups.lookup(&key);
  if (known && known->slot == ref->slot && known->generation == ref->generation) return;
  u32 zero = 0;
  struct block_slot *shared = block_slots.lookup(&zero);
  if (block_cgroups.update(&key, ref)) count_lost_block(ref->slot);
  if (shared) __sync_fetch_and_add(&shared->generation, 1);
  u32 number = ref->slot;
  struct block_slot *slot = block_slots.lookup(&number);
  if (slot) slot->charged = 1;
}

/* The slot of a cgroup or of one above it. */
static __always_inline struct slot_ref *slot_of_cgroup(u64 cgroup) {
  bool v2 = is_of_v2(cgroup);
  for (u32 i = 0; i < BLOCK_LEVELS && cgroup; i++) {
    struct block_cgroup key = {.cgroup = cgroup, .id = read_u64(node_of(cgroup), ID_OFFSET)};
    struct slot_ref *ref = v2 ? containers.lookup(&key.id) : block_cgroups.lookup(&key);
    if (ref) return ref;
    u64 above = read_u64(cgroup, BLOCK_PARENT_OFFSET);
    cgroup = above ? read_u64(above, BLOCK_CSS_CGROUP_OFFSET) : 0;
  }
  return NULL;
}

static __always_inline void learn_of(u64 task) {
  u64 set = read_u64(task, CGROUPS_OFFSET), cgroup = read_u64(set, DFL_CGRP_OFFSET);
  struct slot_ref *ref = slot_of_cgroup(cgroup);
  if (!ref) return;
  struct slot_ref own = *ref;
  u32 name = read_u32(node_of(cgroup), BLOCK_NAME_HASH_OFFSET);
  learn(read_u64(read_u64(set, BLOCK_IO_STATE_OFFSET), BLOCK_CSS_CGROUP_OFFSET), name, &own);
  learn(read_u64(read_u64(set, BLOCK_MEMORY_STATE_OFFSET), BLOCK_CSS_CGROUP_OFFSET), name, &own);
}

/* Called once for each task that was there before. */
int on_block_task(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  learn_of((u64)task);
  go_on(ctx, entry);
  return 0;
}

/* A runtime brings a task into one hierarchy after the other, between which it may make calls. */
int on_block_attach(struct bpf_raw_tracepoint_args *ctx) {
  learn_of(ctx->args[2]);
  return 0;
}

/* A slot that wants the view; NULL: it does not. */
static __always_inline struct block_slot *wanting(struct slot_ref *ref) {
  u32 number = ref->slot;
  struct block_slot *slot = block_slots.lookup(&number);
  return slot && ref->generation && slot->generation == ref->generation ? slot : NULL;
}

/* Whose cgroup a cgroup_subsys_state is of. NULL: none can be read. */
static __always_inline struct block_cache *owner_of_state(struct config *cfg, struct block_scratch *scratch,
                                                          struct block_cache *cache, u64 state) {
  u32 zero = 0;
  struct block_slot *shared = block_slots.lookup(&zero);
  struct fields of;
  if (!shared || !read_fields(&of, state, scratch->piece, BLOCK_STATE_BYTES)) return NULL;
  u64 cgroup = FIELD(u64, &of, BLOCK_CSS_CGROUP_OFFSET), serial = FIELD(u64, &of, BLOCK_SERIAL_OFFSET);
  u32 generation = *(volatile u32 *)&cfg->generation, learnt = *(volatile u64 *)&shared->generation;
  if (cache->state == state && cache->serial == serial && cache->generation == generation && cache->learnt == learnt)
    return cache;
  if (!cgroup || read_u64(cgroup, BLOCK_SELF_CGROUP_OFFSET) != cgroup) return NULL;
  struct slot_ref *ref = slot_of_cgroup(cgroup);
  cache->is_root = is_root(cgroup);
  cache->ref.slot = ref ? ref->slot : 0;
  cache->ref.generation = ref ? ref->generation : 0;
  cache->state = state;
  cache->serial = serial;
  cache->generation = generation;
  cache->learnt = learnt;
  return cache;
}

/* The first page of a compound one, from what another of its pages says of it. Bit 0 is set there. The rest is the first
 * page's address or, since Linux 7.1 where CONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP is set, a mask that makes that address of
 * the page's own: _compound_head() in Linux include/linux/page-flags.h. No first page lies behind another of its pages, and
 * a mask, whose upper bits are all set, is above every address of a struct page. */
static __always_inline u64 first_page(u64 page, u64 told) { return told > page ? page & told : told - 1; }

/* The owner of the page that a request begins with, which holds a mem_cgroup, or an obj_cgroup that leads to one (Linux 7). */
static __always_inline struct block_cache *owner_of_page(struct config *cfg, struct block_scratch *scratch, u64 vector) {
  u64 page = read_u64(vector, BLOCK_PAGE_OFFSET);
  struct fields of;
  if (!read_fields(&of, page, scratch->piece, BLOCK_FOLIO_BYTES)) return NULL;
  u64 told = FIELD(u64, &of, BLOCK_HEAD_OFFSET);
  if ((told & 1) && !read_fields(&of, first_page(page, told), scratch->piece, BLOCK_FOLIO_BYTES)) return NULL;
  u64 charged = FIELD(u64, &of, BLOCK_CHARGED_OFFSET) & ~7ULL;
  if (!charged) return NULL;
  struct block_cache *found = owner_of_state(cfg, scratch, &scratch->charged, charged + BLOCK_MEMORY_STATE_AT);
  if (found) return found;
  u64 memory = read_u64(charged, BLOCK_OBJECT_MEMORY_OFFSET);
  return memory ? owner_of_state(cfg, scratch, &scratch->charged, memory + BLOCK_MEMORY_STATE_AT) : NULL;
}

/* A slot may have no cgroups of its own to charge: a process that is followed, or a cgroup of version 2 beside hierarchies
 * of version 1. What its tasks hand to a device is its own then. */
static __always_inline bool is_of_running(struct config *cfg, struct block_scratch *scratch, struct slot_ref *own) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct slot_ref *ref = slot_of_process(cfg, task);
  if (!ref) {
    u64 cgroup = read_u64(read_u64((u64)task, CGROUPS_OFFSET), DFL_CGRP_OFFSET);
    struct block_cache *found = owner_of_state(cfg, scratch, &scratch->running, cgroup + BLOCK_SELF_AT);
    ref = found ? &found->ref : NULL;
  }
  struct block_slot *slot = ref && ref->slot ? wanting(ref) : NULL;
  if (!slot || slot->charged) return false;
  *own = *ref;
  return true;
}

/* Whose a request is by what it is charged to: one of enum block_owner, and the slot. */
static __always_inline u32 charged_to(struct config *cfg, struct block_scratch *scratch, u64 bio, struct slot_ref *own) {
  struct fields of;
  if (!read_fields(&of, bio, scratch->piece, BLOCK_BIO_BYTES)) return OWNER_SHARED;
  u64 group = FIELD(u64, &of, BLOCK_GROUP_OFFSET), vector = FIELD(u64, &of, BLOCK_VECTOR_OFFSET);
  u64 policy = group ? read_u64(group, BLOCK_POLICY_OFFSET) : 0;
  u32 how = OWNER_CONTAINER;
  struct block_cache *found =
      policy ? owner_of_state(cfg, scratch, &scratch->charged, policy + BLOCK_POLICY_STATE_AT) : NULL;
  if (!found || found->is_root) {
    how = OWNER_PAGE;
    found = vector ? owner_of_page(cfg, scratch, vector) : NULL;
    if (!found || found->is_root) return OWNER_SHARED;
  }
  struct block_slot *slot = found->ref.slot ? wanting(&found->ref) : NULL;
  if (!slot) return OWNER_NOBODY;
  slot->charged = 1;
  *own = found->ref;
  return how;
}

static __always_inline u32 owner_of(struct config *cfg, struct block_scratch *scratch, u64 bio, struct slot_ref *own) {
  u32 how = charged_to(cfg, scratch, bio, own);
  if (how == OWNER_CONTAINER || how == OWNER_PAGE) return how;
  return is_of_running(cfg, scratch, own) ? OWNER_PROCESS : how;
}

static __always_inline u32 kind_of(u32 flags, u32 owner) {
  u32 operation = flags & BLOCK_OPERATION;
  u32 kind = operation | owner << BLOCK_OWNER_SHIFT;
  if (operation == BLOCK_READ || flags & BLOCK_SYNC_FLAG) kind |= BLOCK_SYNC;
  if (flags & BLOCK_METADATA_FLAG) kind |= BLOCK_METADATA;
  return kind;
}

/* Major and minor number stand beside each other. */
static __always_inline u32 device_of(u64 queue) {
  u64 numbers = read_u64(read_u64(queue, BLOCK_DISK_OFFSET), BLOCK_MAJOR_OFFSET);
  return (u32)numbers << 20 | (u32)(numbers >> 32);
}

int on_block_issue(struct bpf_raw_tracepoint_args *ctx) {
  u64 rq = ctx->args[0];
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  struct block_scratch *scratch = block_scratch.lookup(&zero);
  struct fields of;
  if (!cfg || !scratch || !read_fields(&of, rq, scratch->piece, BLOCK_REQUEST_BYTES)) return 0;
  u64 now = bpf_ktime_get_ns(), created = FIELD(u64, &of, BLOCK_CREATED_OFFSET);
  u64 queue = FIELD(u64, &of, BLOCK_QUEUE_OFFSET), bio = FIELD(u64, &of, BLOCK_BIO_OFFSET);
  u32 flags = FIELD(u32, &of, BLOCK_FLAGS_OFFSET);
  struct block_request request = {
      .issued_ns = now,
      .queue_ns = created && created <= now ? now - created : ~0ULL,
      .sector = FIELD(u64, &of, BLOCK_SECTOR_OFFSET),
      .sectors = FIELD(u32, &of, BLOCK_BYTES_OFFSET) >> 9,
  };
  struct slot_ref own = {};
  u32 owner = owner_of(cfg, scratch, bio, &own);
  if (owner == OWNER_NOBODY) return 0;
  request.slot = own.slot;
  request.key.generation = own.generation;
  request.key.device = device_of(queue);
  request.key.kind = kind_of(flags, owner);
  if (block_requests.update(&rq, &request)) count_lost_block(own.slot);
  return 0;
}

static __always_inline struct block_row *row_of_block(struct block_request *request, u64 rq) {
  struct block_row *row = block_rows.lookup(&request->key);
  if (row) return row;
  u32 zero = 0;
  struct block_row *nothing = block_nothing.lookup(&zero);
  if (!nothing) return NULL;
  block_rows.insert(&request->key, nothing);
  row = block_rows.lookup(&request->key);
  u64 disk = read_u64(read_u64(rq, BLOCK_QUEUE_OFFSET), BLOCK_DISK_OFFSET);
  if (row) bpf_probe_read_kernel_str(row->disk, sizeof(row->disk), (void *)(disk + BLOCK_NAME_OFFSET));
  return row;
}

static __always_inline void count_done(struct block_row *row, struct block_request *request, u64 now) {
  if (request->queue_ns != ~0ULL)
    count_length(row->queue, &row->queue_total_ns, &row->queue_max_ns, request->queue_ns);
  u64 length = now > request->issued_ns ? now - request->issued_ns : 0;
  count_length(row->device, &row->device_total_ns, &row->device_max_ns, length);
  if (request->sectors && row->end_sector == request->sector) __sync_fetch_and_add(&row->sequential, 1);
  row->end_sector = request->sector + request->sectors;
  if (request->failed) __sync_fetch_and_add(&row->errors, 1);
  __sync_fetch_and_add(&row->count, 1);
}

/* A device may complete a request in parts. */
int on_block_complete(struct bpf_raw_tracepoint_args *ctx) {
  u64 rq = ctx->args[0];
  u32 bytes = ctx->args[2];
  struct block_request *request = block_requests.lookup(&rq);
  if (!request) return 0;
  struct block_row *row = row_of_block(request, rq);
  if (!row) {
    count_lost_block(request->slot);
    block_requests.delete(&rq);
    return 0;
  }
  if ((u8)ctx->args[1]) {
    request->failed = 1;
  } else {
    __sync_fetch_and_add(&row->bytes, bytes);
  }
  if (bytes < read_u32(rq, BLOCK_BYTES_OFFSET)) return 0;
  count_done(row, request, bpf_ktime_get_ns());
  block_requests.delete(&rq);
  return 0;
}
