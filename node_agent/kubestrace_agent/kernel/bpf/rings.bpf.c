/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Who has a ring of io_uring, also where no system call says so.
 *
 * A task has a context of io_uring from its first ring or its first work for one on, and there are rings in it until they are
 * gone. A ring may be polled by a thread of the kernel in the process (IORING_SETUP_SQPOLL), which is named iou-sqp-PID. And
 * who has got a ring by fork or through a socket may write into it without ever having a context: that is seen by its
 * descriptors. Those that make a ring and end between two looks are noted as they make it. */
#pragma once
#include "kernel/bpf/calls.bpf.c"
#include "kernel/bpf/rings.h"
#include "kernel/bpf/tasks.bpf.c"

struct file;
struct bpf_iter__task_file {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
  u64 fd;
  struct file *file;
};

BPF_F_TABLE("hash", struct ring_maker, struct ring_user, ring_makers, MAX_RING_MAKERS, BPF_F_NO_PREALLOC);
BPF_PERCPU_ARRAY(ring_scratch, struct ring_user, 3);
enum { SCRATCH_TASK, SCRATCH_FILE, SCRATCH_MAKER };

static __always_inline bool polls(struct task_struct *task) {
  u64 flags;
  char name[8] = {};
  LOAD(u32, flags, task, FLAGS_OFFSET);
  if (!(flags & PF_IO_WORKER)) return false;
  bpf_probe_read_kernel(name, sizeof(name), (void *)((u64)task + CALL_COMM_OFFSET));
  return name[0] == 'i' && name[3] == '-' && name[4] == 's' && name[5] == 'q' && name[6] == 'p';
}

static __always_inline struct ring_user *describe_user(u32 scratch, u64 task, struct slot_ref *ref) {
  struct ring_user *user = ring_scratch.lookup(&scratch);
  if (!user) return NULL;
  u64 leader = read_u64(task, CALL_LEADER_OFFSET);
  __builtin_memset(user, 0, sizeof(*user));
  user->generation = ref->generation;
  user->pid = read_u32(task, PID_OFFSET);
  user->inner_pid = inner_number(read_u64(leader, CALL_PID_OFFSET));
  bpf_probe_read_kernel(user->process, sizeof(user->process), (void *)(leader + CALL_COMM_OFFSET));
  return user;
}

static __always_inline u64 ring_of_file(u64 file) { return file ? read_u64(file, RING_PRIVATE_OFFSET) : 0; }

int tell_rings(struct bpf_iter__task *ctx) {
  u32 zero = 0;
  struct task_struct *task;
  struct bpf_iter_meta *meta;
  void *seq;
  u64 context, flags;
  LOAD(u64, task, ctx, 8);
  struct config *cfg = config.lookup(&zero);
  if (!task || !cfg) return 0;
  LOAD(u64, context, task, RING_CONTEXT_OFFSET);
  bool polled = polls(task);
  if (!context && !polled) return 0;
  LOAD(u32, flags, task, FLAGS_OFFSET);
  if (flags & PF_EXITING) return 0;
  /* It stays when the last ring is gone. */
  if (!polled && !read_u64(context, RING_NODES_OFFSET)) return 0;
  struct slot_ref *ref = slot_of_task(cfg, task);
  if (!ref) return 0;
  struct ring_user *user = describe_user(SCRATCH_TASK, (u64)task, ref);
  if (!user) return 0;
  user->flags = polled ? RING_POLLED : 0;
  if (context) {
    for (u32 i = 0; i < RINGS_REGISTERED; i++)
      user->rings[i] = ring_of_file(read_u64(context, RING_REGISTERED_OFFSET + 8 * i));
    user->rings[RINGS_REGISTERED] = read_u64(context, RING_LAST_OFFSET);
  }
  LOAD(u64, meta, ctx, 0);
  LOAD(u64, seq, meta, 0);
  bpf_seq_write(seq, user, sizeof(*user));
  return 0;
}

/* No file of a program's own can be in this file system. */
static __always_inline bool is_ring(struct file *file) {
  u64 inode, device, magic;
  char name[10] = {};
  LOAD(u64, inode, file, RING_INODE_OFFSET);
  device = read_u64(inode, RING_DEVICE_OFFSET);
  magic = read_u64(device, RING_MAGIC_OFFSET);
  if (magic != ANON_INODE_FS_MAGIC) return false;
  u64 dentry = read_u64((u64)file, RING_DENTRY_OFFSET);
  bpf_probe_read_kernel(name, sizeof(name), (void *)read_u64(dentry, CALL_NAME_OFFSET));
  return name[0] == '[' && name[1] == 'i' && name[2] == 'o' && name[3] == '_' && name[4] == 'u' && name[5] == 'r' &&
         name[6] == 'i' && name[7] == 'n' && name[8] == 'g' && name[9] == ']';
}

/* An iterator over the open files of all processes. */
int bpf_iter__task_file(struct bpf_iter__task_file *ctx) {
  u32 zero = 0;
  struct task_struct *task;
  struct file *file;
  struct bpf_iter_meta *meta;
  void *seq;
  LOAD(u64, task, ctx, 8);
  LOAD(u64, file, ctx, 24);
  struct config *cfg = config.lookup(&zero);
  if (!task || !file || !cfg || !is_ring(file)) return 0;
  struct slot_ref *ref = slot_of_task(cfg, task);
  if (!ref) return 0;
  struct ring_user *user = describe_user(SCRATCH_FILE, (u64)task, ref);
  if (!user) return 0;
  user->rings[0] = ring_of_file((u64)file);
  LOAD(u64, meta, ctx, 0);
  LOAD(u64, seq, meta, 0);
  bpf_seq_write(seq, user, sizeof(*user));
  return 0;
}

int on_ring_create(struct bpf_raw_tracepoint_args *ctx) {
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  struct task_struct *task = bpf_get_current_task_btf();
  if (!cfg) return 0;
  struct slot_ref *ref = find_slot(cfg, task);
  if (!ref) return 0;
  struct ring_user *user = describe_user(SCRATCH_MAKER, (u64)task, ref);
  if (!user) return 0;
  user->flags = (u32)ctx->args[4] & IORING_SETUP_SQPOLL ? RING_POLLED : 0;
  user->rings[0] = ctx->args[1];
  struct ring_maker key = {.generation = user->generation, .pid = user->pid};
  ring_makers.update(&key, user);
  return 0;
}
