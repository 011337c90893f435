/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of security: programs that are executed, from which file, with what in their first descriptors, and as whom. */
#pragma once
#include "views/security/security.bpf.c"

/* The tracepoint of exec may be preempted where those of calls are: one task at a time is inside of it on a CPU. */
BPF_PERCPU_ARRAY(exec_scratch, struct security_exec, 1);

/* From which file. Linux fs/overlayfs/ovl_entry.h: behind the inode stands the dentry in the layer that is written to. */
static __always_inline void describe_file(struct security_exec *exec, u64 task, u64 file) {
  u64 inode = read_u64(file, CALL_INODE_OFFSET), super = read_u64(inode, SECURITY_SUPER_OFFSET);
  u64 root = read_u64(read_u64(task, CALL_FS_OFFSET), SECURITY_ROOT_OFFSET + CALL_PATH_DENTRY_OFFSET);
  exec->file_mode = (u16)read_u32(inode, CALL_MODE_OFFSET);
  exec->filesystem = read_u64(super, SECURITY_MAGIC_OFFSET);
  exec->is_upper = exec->filesystem == OVERLAY_MAGIC && read_u64(inode, SECURITY_INODE_BYTES);
  exec->is_of_root = super == read_u64(root, SECURITY_DENTRY_SUPER_OFFSET);
  exec->file_state = file_state_of(read_u64(file + CALL_PATH_OFFSET, CALL_PATH_DENTRY_OFFSET));
  if (!exec->file_state && !read_u32(inode, SECURITY_LINKS_OFFSET)) exec->file_state = FILE_DELETED;
}

/* As whom. */
static __always_inline void describe_rights(struct security_exec *exec, u64 task) {
  u64 rights = read_u64(task, SECURITY_CRED_OFFSET);
  exec->user = read_u32(rights, SECURITY_UID_OFFSET);
  exec->effective_user = read_u32(rights, SECURITY_EUID_OFFSET);
  exec->group = read_u32(rights, SECURITY_GID_OFFSET);
  exec->effective_group = read_u32(rights, SECURITY_EGID_OFFSET);
  exec->effective = read_u64(rights, SECURITY_EFFECTIVE_OFFSET);
  exec->ambient = read_u64(rights, SECURITY_AMBIENT_OFFSET);
}

static __always_inline void describe_descriptor(struct security_exec *exec, u64 task, u32 at) {
  u32 before = exec->call.used;
  exec->modes[at] = exec->devices[at] = 0;
  u64 file = file_of(at, task);
  if (file && !is_full(&exec->call)) {
    path_of_file(&exec->call, file, &exec->modes[at]);
    exec->devices[at] = read_u32(read_u64(file, CALL_INODE_OFFSET), SECURITY_DEVICE_OFFSET);
  }
  exec->peer_bytes[at] = *(volatile u32 *)&exec->call.used - before;
}

/* 0: it is a listening socket of IPv4 or IPv6. By sums alone, as compilers make branches of comparisons. */
static __always_inline u64 differs_from_listening(u64 file) {
  u64 mode = read_u32(read_u64(file, CALL_INODE_OFFSET), CALL_MODE_OFFSET) & 0170000;
  u64 sock = read_u64(read_u64(file, CALL_PRIVATE_OFFSET), CALL_SK_OFFSET);
  u64 family = (u16)read_u32(sock, CALL_FAMILY_OFFSET), state = (u8)read_u32(sock, SECURITY_STATE_OFFSET);
  u64 differs = (mode ^ TYPE_SOCKET) | (state ^ TCP_LISTENING) | ((family ^ FAMILY_IPV4) * (family ^ FAMILY_IPV6));
  asm volatile("" : "+r"(differs));
  return differs;
}

/* Whether a process has a listening socket among its first descriptors. Without any branch for them, whose states the verifier
 * would have to follow (Linux 6.1 gives up): where there is nothing to read, zeros are read. */
static __always_inline u32 listens(u64 task) {
  u64 table = read_u64(read_u64(task, CALL_FILES_OFFSET), CALL_FDT_OFFSET), files = read_u64(table, CALL_FD_OFFSET);
  u64 open = read_u64(read_u64(table, SECURITY_OPEN_FDS_OFFSET), 0), found = 0;
  u64 most = read_u32(table, CALL_MAX_FDS_OFFSET);
#pragma clang loop unroll(disable)
  for (u64 i = 0; i < PARENT_FDS; i++) {
    /* 1 where it is within the table and open: a difference below zero has the highest bit. */
    u64 is_open = (i - most) >> 63 & open >> i;
    asm volatile("" : "+r"(is_open));
    u64 file = read_u64(files + 8 * i, 0) * (is_open & 1);
    found |= (differs_from_listening(file) - 1) >> 63;
  }
  return found;
}

static __always_inline void describe_parent(struct security_exec *exec, u64 task, u32 slot) {
  u64 leader = read_u64(task, CALL_LEADER_OFFSET);
  u64 parent = read_u64(read_u64(leader, SECURITY_PARENT_OFFSET), CALL_LEADER_OFFSET);
  /* First: what comes before it multiplies what the verifier follows. */
  exec->parent_listens = listens(parent);
  exec->start_ns = read_u64(leader, SECURITY_START_OFFSET);
  exec->parent = read_u32(parent, PID_OFFSET);
  bpf_probe_read_kernel(exec->parent_name, sizeof(exec->parent_name), (void *)(parent + CALL_COMM_OFFSET));
  exec->origin = origin_of(leader, parent, slot);
  exec->has_terminal = read_u64(read_u64(task, SIGNAL_OFFSET), SECURITY_TERMINAL_OFFSET) != 0;
}

int on_security_exec(struct bpf_raw_tracepoint_args *ctx) {
  u32 zero = 0;
  struct config *cfg = config.lookup(&zero);
  struct security_exec *exec = exec_scratch.lookup(&zero);
  struct task_struct *task = bpf_get_current_task_btf();
  if (!cfg || !exec) return 0;
  struct slot_ref *ref = find_slot(cfg, task);
  if (!ref) return 0;
  u32 number = ref->slot, generation = ref->generation;
  struct security_slot *slot = security_slots.lookup(&number);
  if (!slot || slot->generation != generation) return 0;
  u64 at = (u64)task, memory = read_u64(at, SECURITY_MM_OFFSET), file = read_u64(memory, ORIGIN_EXE_OFFSET);
  struct call *call = &exec->call;
  exec->record = RECORD_EXEC;
  exec->generation = generation;
  exec->time_ns = call->end_ns = bpf_ktime_get_ns();
  call->used = call->relative = call->result = 0;
  call->generation = generation;
  call->slot = number;
  read_task(call, at);
  describe_parent(exec, at, number);
  describe_file(exec, at, file);
  describe_rights(exec, at);
  exec->argument[0] = exec->path[0] = 0;
  u64 from = read_u64(memory, SECURITY_ARGUMENTS_OFFSET);
  exec->argument_bytes = read_u64(memory, SECURITY_ARGUMENTS_END_OFFSET) - from;
  if (read_memory(exec->argument, sizeof(exec->argument), (void *)from)) {
    /* They stand at the end of the stack. */
    read_string(exec->argument, sizeof(exec->argument), (void *)from);
    exec->argument_bytes = 0;
  }
  u64 path = read_u64(ctx->args[2], SECURITY_FILENAME_OFFSET);
  bpf_probe_read_kernel_str(exec->path, sizeof(exec->path), (void *)path);
  call->modes[0] = TYPE_FOLDER | read_names(call, file + CALL_PATH_OFFSET);
  call->text_bytes[0] = *(volatile u32 *)&call->used;
  call->text_bytes[1] = call->modes[1] = 0;
  describe_descriptor(exec, at, 0);
  describe_descriptor(exec, at, 1);
  u64 size = text_bytes_of(call) + __builtin_offsetof(struct security_exec, call.text);
  if (!put_security(slot, exec, size)) __sync_fetch_and_add(&slot->lost_execs, 1);
  return 0;
}
