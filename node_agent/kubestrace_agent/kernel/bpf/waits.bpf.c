/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Work or wait. A call waits if its task slept in it (the kernel counts voluntary switches) and if it slept for a
 * neighbour: a peer, a lock, a timer, a child, an event. A disk is none. Calls that waited have a second row, of the same
 * name. What a neighbour is for which call is written by the agent, as rules; they are looked at only for calls that
 * slept. */
#pragma once
#include "kernel/bpf/rows.bpf.c"

#ifdef WAIT_SWITCHES_OFFSET
#define TYPE_OF_MODE 0170000
#define MSG_DONTWAIT_BIT 0x40
#define O_NONBLOCK_BIT 04000
#define CLONE_VFORK_BIT 0x4000
#define ERR_INTERRUPTED 4
#define SLEEPS_INTERRUPTIBLY 0x1
#define SLEEPS_KILLABLY 0x100
/* Beside the state of a task: its call is under way, and has no result. */
#define UNDER_WAY 0x80000000

/* How often a task has gone to sleep: it only grows. */
static __always_inline u64 sleeps_of(struct task_struct *task) {
  u64 switches;
  LOAD(u64, switches, task, WAIT_SWITCHES_OFFSET);
  return switches;
}

#ifdef WAIT_READ_OFFSET
static __always_inline u64 read_bytes_of(struct task_struct *task) {
  u64 bytes;
  LOAD(u64, bytes, task, WAIT_READ_OFFSET);
  return bytes;
}
#else
static __always_inline u64 read_bytes_of(struct task_struct *task) { return 0; }
#endif

static __always_inline u64 file_behind(struct task_struct *task, u32 number) {
  u64 files, table, most, first;
  LOAD(u64, files, task, WAIT_FILES_OFFSET);
  LOAD(u64, table, files, WAIT_FDT_OFFSET);
  LOAD(u32, most, table, WAIT_MAX_FDS_OFFSET);
  if (number >= most) return 0;
  LOAD(u64, first, table, WAIT_FD_OFFSET);
  return read_u64(first + 8 * (u64)number, 0);
}

static __always_inline u32 type_of_file(u64 inode) { return read_u32(inode, WAIT_MODE_OFFSET) & TYPE_OF_MODE; }

/* A socket, a pipe, a device that has events (a terminal: what can be polled), or what has no place in any file system:
 * eventfd, timerfd, signalfd, inotify, ... */
static __always_inline bool has_other_end(u64 file) {
  u64 inode = file ? read_u64(file, WAIT_INODE_OFFSET) : 0;
  if (!inode) return false;
  u32 type = type_of_file(inode);
  if (type == 0140000 || type == 0010000) return true;
  if (type == 0020000) return read_u64(read_u64(file, WAIT_OPERATIONS_OFFSET), WAIT_POLL_OFFSET) != 0;
  return read_u64(read_u64(inode, WAIT_SB_OFFSET), WAIT_MAGIC_OFFSET) == ANON_INODE_FS_MAGIC;
}

/* Half of what a pipe or a socket takes, or more, waits to be taken. */
static __always_inline bool is_backed_up(u64 file) {
  u64 inner = read_u64(file, WAIT_PRIVATE_OFFSET);
  if (type_of_file(read_u64(file, WAIT_INODE_OFFSET)) == 0010000) {
    u32 taken = read_u32(inner, WAIT_HEAD_OFFSET) - read_u32(inner, WAIT_TAIL_OFFSET);
    return taken * 2 >= read_u32(inner, WAIT_USAGE_OFFSET);
  }
  u64 sock = read_u64(inner, WAIT_SK_OFFSET);
  u32 most = read_u32(sock, WAIT_SNDBUF_OFFSET) / 2;
  return read_u32(sock, WAIT_QUEUED_OFFSET) >= most || read_u32(sock, WAIT_ALLOCATED_OFFSET) >= most;
}

static __always_inline u64 wait_argument(u64 regs, u32 abi, u32 at) {
  u64 offsets = abi == ABI_COMPAT ? WAIT_COMPAT_ARGUMENTS : WAIT_NATIVE_ARGUMENTS;
  u64 value = read_u64(regs, (offsets >> 8 * (at & WAIT_PLACE_MASK) & 0xff) * 8);
  return abi == ABI_COMPAT ? (u32)value : value;
}

static __always_inline bool has_opened_pipe(struct task_struct *task, s64 result, u32 state) {
  if (state) return state & SLEEPS_INTERRUPTIBLY; /* for a disk tasks sleep otherwise */
  if (result < 0) return result == -ERR_INTERRUPTED || result == -RESTART_ERRNO;
  return type_of_file(read_u64(file_behind(task, result), WAIT_INODE_OFFSET)) == 0010000;
}

/* A task's memory is out of reach while another one runs. */
static __always_inline bool has_cloned_and_waited(u64 address, u32 state) {
  if (state) return state & SLEEPS_KILLABLY;
  u64 flags = 0;
  read_memory(&flags, sizeof(flags), (void *)address);
  return flags & CLONE_VFORK_BIT;
}

/* i386: connect 3, accept 5, send 9, recv 10, sendto 11, recvfrom 12, sendmsg 16, recvmsg 17, accept4 18, recvmmsg 19,
 * sendmmsg 20 (Linux include/uapi/linux/net.h). Their arguments, of which connect has three. The descriptor, or -1. */
static __always_inline s64 socketcall_descriptor(u32 number, u64 address) {
  u32 arguments[4] = {};
  if (number > 20 || !(0x1f1e28 >> number & 1)) return -1;
  read_memory(arguments, sizeof(u32) * 3, (void *)address);
  if (number >= 9) read_memory(&arguments[3], sizeof(u32), (void *)(address + sizeof(u32) * 3));
  u32 flags = number == 16 || number == 17 ? arguments[2] : number == 18 ? 0 : arguments[3];
  return flags & MSG_DONTWAIT_BIT ? -1 : arguments[0];
}

/* Whether a call in which the task slept was a wait. `has_read`: it also read from a disk. `state` is 0, or UNDER_WAY with
 * the task's state. */
static __always_inline bool has_waited(struct task_struct *task, bool has_read, u64 regs, u32 abi, s32 nr, s64 result, u32 state) {
  u64 rule = rule_of(abi, nr), values = rule >> WAIT_VALUES_SHIFT;
  u32 kind = rule & WAIT_KIND_MASK, flags_at = rule >> WAIT_FLAGS_SHIFT & WAIT_PLACE_MASK;
  if (kind == WAIT_NEVER) return false;
  if (flags_at != WAIT_NO_FLAGS && wait_argument(regs, abi, flags_at) & values) return false;
  if (kind == WAIT_ALWAYS) return true;
  u32 first_at = rule >> WAIT_FIRST_SHIFT & WAIT_PLACE_MASK, second_at = rule >> WAIT_SECOND_SHIFT & WAIT_PLACE_MASK;
  if (kind == WAIT_OPENED) return has_opened_pipe(task, result, state);
  u64 first = wait_argument(regs, abi, first_at);
  if (kind == WAIT_COMMAND) {
    u64 command = first & (0xffff & ~0x180); /* FUTEX_PRIVATE_FLAG, FUTEX_CLOCK_REALTIME; above: the version of ipc */
    return command < WAIT_VALUES && values >> command & 1;
  }
  if (kind == WAIT_FLAG) return first & values;
  if (kind == WAIT_CLONE) return has_cloned_and_waited(first, state);
  u64 second = first;
  if (kind == WAIT_SOCKETCALL) {
    if (state) return state & SLEEPS_INTERRUPTIBLY;
    s64 number = socketcall_descriptor(first, wait_argument(regs, abi, 1));
    if (number < 0) return false;
    first = second = number;
  } else {
    if (second_at != first_at) second = wait_argument(regs, abi, second_at);
  }
  u32 ends = 0;
  u64 end = 0;
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < 2; i++) {
    u64 file = file_behind(task, i ? second : first);
    bool ruled_out = kind != WAIT_DEVICE && read_u32(file, WAIT_FLAGS_OFFSET) & O_NONBLOCK_BIT;
    if (!ruled_out && has_other_end(file)) {
      ends += 1;
      end = file;
    }
    if (second == first) return ends;
  }
  /* Between a file and somebody: for a disk, or for the other one? A call that is under way says it by how it sleeps. */
  if (ends == 1 && state) return state & SLEEPS_INTERRUPTIBLY;
  return ends == 2 || (ends == 1 && (!has_read || is_backed_up(end)));
}
#else
static __always_inline u64 sleeps_of(struct task_struct *task) { return 0; }
static __always_inline u64 read_bytes_of(struct task_struct *task) { return 0; }
static __always_inline bool has_waited(struct task_struct *task, bool has_read, u64 regs, u32 abi, s32 nr, s64 result, u32 state) {
  return false;
}
#endif

/* The second row of a call's first; the first where there is none to be had. Rows of one slot are given back together. */
static __always_inline u32 wait_row(struct head *head, u32 id) {
  if (head->wait_row) return head->wait_row;
  u32 generation = head->generation, slot = head->slot;
  struct row_key key = {.generation = generation, .abi = head->abi | WAITED, .nr = head->nr};
  struct slot_ref ref = {.slot = slot, .generation = generation};
  struct index *index = indexes.lookup(&slot);
  u32 *known = rows_by_key.lookup(&key), row = known ? *known : 0;
  if (!row && index) row = take_row(index, &ref, &key);
  if (!row) return id;
  head->wait_row = row;
  return row;
}

/* The row of a call that has ended, and in which its task slept; `entry` is the task's, where its beginning was counted. */
static __always_inline u32 row_of_sleep(struct task_struct *task, struct entry *entry, u64 regs, u32 id, u32 generation,
                                        s64 result) {
  struct head *head = heads.lookup(&id);
  if (!head || head->generation != generation) return id;
  bool has_read = entry && read_bytes_of(task) != entry->read_bytes;
  return has_waited(task, has_read, regs, head->abi & ABI_MASK, head->nr, result, 0) ? wait_row(head, id) : id;
}
