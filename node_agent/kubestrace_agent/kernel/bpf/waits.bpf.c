/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Work or wait: a call waited that slept until a neighbour did something: a peer, a child, another holder of a lock, a timer.
 * Such calls have a second row, of the same name. Whether a call slept says the scheduler's count of its task; what it slept
 * for is looked at then alone. Sleep for a disk is work. By which rule a call is judged is written by the agent. */
#pragma once
#include "kernel/bpf/rows.bpf.c"

BPF_F_TABLE("array", u32, u64, wait_rules, INDEX_ENTRIES, BPF_F_MMAPABLE);

/* How often a task has gone to sleep by itself. */
static __always_inline u64 sleeps_of(struct task_struct *task) {
  u64 sleeps;
  LOAD(u64, sleeps, task, SLEEPS_OFFSET);
  return sleeps;
}

#ifdef WAIT_FILES_OFFSET
static __always_inline bool is_terminal(u32 device) {
  u32 major = device >> 20;
  return major == 4 || major == 5 || (major >= 136 && major <= 143);
}

/* A socket, a pipe, a terminal, or what has no place in any file system: eventfd, timerfd, signalfd, inotify, ... Where
 * the program wants no wait, there is none. */
static __always_inline bool has_other_end(u64 task, u32 number, bool terminal_only) {
  u64 table = read_u64(read_u64(task, WAIT_FILES_OFFSET), WAIT_FDT_OFFSET);
  if (number >= read_u32(table, WAIT_MAX_FDS_OFFSET)) return false;
  u64 file = read_u64(read_u64(table, WAIT_FD_OFFSET) + 8 * (u64)number, 0);
  u64 inode = file ? read_u64(file, WAIT_INODE_OFFSET) : 0;
  if (!inode || read_u32(file, WAIT_FLAGS_OFFSET) & OPENED_NONBLOCKING) return false;
  u32 type = read_u32(inode, WAIT_MODE_OFFSET) & 0170000, device = read_u32(inode, WAIT_RDEV_OFFSET);
  if (type == 0020000) return is_terminal(device) || (device == FUSE_DEVICE && !terminal_only);
  if (terminal_only) return false;
  if (type == 0140000 || type == 0010000) return true;
  return read_u64(read_u64(inode, WAIT_SB_OFFSET), WAIT_MAGIC_OFFSET) == ANON_INODE_FS_MAGIC;
}

static __always_inline u64 wait_argument(u64 regs, u32 abi, u32 at) {
  if (abi == ABI_COMPAT)
    return (u32)read_u64(regs, at == 0   ? WAIT_COMPAT_0
                              : at == 1 ? WAIT_COMPAT_1
                              : at == 2 ? WAIT_COMPAT_2
                              : at == 3 ? WAIT_COMPAT_3
                              : at == 4 ? WAIT_COMPAT_4
                                        : WAIT_COMPAT_5);
  return read_u64(regs, at == 0   ? WAIT_NATIVE_0
                       : at == 1 ? WAIT_NATIVE_1
                       : at == 2 ? WAIT_NATIVE_2
                       : at == 3 ? WAIT_NATIVE_3
                       : at == 4 ? WAIT_NATIVE_4
                                 : WAIT_NATIVE_5);
}

/* F_SETLKW, F_OFD_SETLKW, and F_SETLKW64 of 32-bit programs. */
static __always_inline bool locks(u32 command, u32 abi) {
  return command == 7 || command == 38 || (abi == ABI_COMPAT && command == 14);
}

/* FUTEX_WAIT, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2. */
static __always_inline bool waits_for_futex(u32 operation) {
  return 1U << (operation & 31) & (1U << 0 | 1U << 6 | 1U << 9 | 1U << 11 | 1U << 13) && (operation & 127) < 32;
}

/* connect, accept, send, recv, sendto, recvfrom, sendmsg, recvmsg, accept4, recvmmsg, sendmmsg. */
static __always_inline bool waits_on_socket(u32 call) {
  return call < 32 && 1U << call & (1U << 3 | 1U << 5 | 15U << 9 | 31U << 16);
}

/* semop, semtimedop, msgsnd, msgrcv. */
static __always_inline bool waits_for_ipc(u32 call) {
  call &= 0xffff;
  return call < 32 && 1U << call & (1U << 1 | 1U << 4 | 1U << 11 | 1U << 12);
}

/* The first argument of a call by a descriptor, as the caller of socketcall has it in its memory. */
static __always_inline bool has_socket(u64 task, u64 regs) {
  u32 number = 0;
  if (read_memory(&number, sizeof(number), (void *)wait_argument(regs, ABI_COMPAT, 1))) return true;
  return has_other_end(task, number, false);
}

static __always_inline bool waits_for_child(u64 regs, u32 abi) {
  u64 flags = 0;
  return read_memory(&flags, sizeof(flags), (void *)wait_argument(regs, abi, 0)) || flags & CLONE_VFORK_FLAG;
}

static __always_inline bool waits_at_file(u64 task, u64 regs, u32 abi, u32 at, bool terminal_only) {
  return at != WAIT_NO_FILE && has_other_end(task, wait_argument(regs, abi, at), terminal_only);
}

/* A call that opens something sleeps until the other end of a pipe is opened, too; what it opened is not known where a
 * signal came, which no disk lets through. */
static __always_inline bool waits_at_opened(u64 task, s64 result) {
  return result < 0 ? result == -512 || result == -4 : has_other_end(task, result, false);
}

/* Whether a call that has slept, or sleeps, waited for somebody. `ended`: it is the running task's, whose memory can be
 * read, and has this result. */
static __always_inline bool has_waited(struct task_struct *of, u64 regs, u32 abi, s32 nr, bool ended, s64 result) {
  u32 number = abi * ABI_NUMBERS + (u32)nr;
  if ((u32)nr >= (abi == ABI_X32 ? 2 * ABI_NUMBERS : ABI_NUMBERS)) return false;
  u64 *known = wait_rules.lookup(&number);
  u64 rule = known ? *known : WAIT_NEVER, task = (u64)of;
  u32 kind = rule & WAIT_KIND_MASK, mask = rule >> WAIT_MASK_SHIFT;
  if (kind == WAIT_NEVER) return false;
  if (mask) {
    bool set = wait_argument(regs, abi, rule >> WAIT_FLAGS_SHIFT & 7) & mask;
    if (set != !!(rule & WAIT_NEEDS_FLAG)) return false;
  }
  if (kind == WAIT_ALWAYS) return true;
  if (kind == WAIT_LOCK) return locks(wait_argument(regs, abi, 1), abi);
  if (kind == WAIT_FUTEX) return waits_for_futex(wait_argument(regs, abi, 1));
  if (kind == WAIT_CLONE3) return !ended || waits_for_child(regs, abi);
  if (kind == WAIT_OPENED) return ended && waits_at_opened(task, result);
  if (kind == WAIT_SOCKETCALL)
    return waits_on_socket(wait_argument(regs, abi, 0)) && (!ended || has_socket(task, regs));
  if (kind == WAIT_IPC) return waits_for_ipc(wait_argument(regs, abi, 0));
  bool terminal_only = kind == WAIT_TERMINAL;
  return waits_at_file(task, regs, abi, rule >> WAIT_FIRST_SHIFT & 7, terminal_only) ||
         waits_at_file(task, regs, abi, rule >> WAIT_SECOND_SHIFT & 7, terminal_only);
}
#else
static __always_inline bool has_waited(struct task_struct *of, u64 regs, u32 abi, s32 nr, bool ended, s64 result) {
  return false;
}
#endif

/* The second row, where a call that slept was a wait and there is one; the first otherwise. */
static __always_inline u32 row_of_wait(struct task_struct *task, u64 regs, u32 id, u32 generation, s64 result) {
  struct head *head = heads.lookup(&id);
  if (!head || head->generation != generation) return id;
  if (!has_waited(task, regs, head->abi, head->nr, true, result)) return id;
  struct row_key key = {.generation = generation, .abi = head->abi | WAITED, .nr = head->nr};
  u32 *known = rows_by_key.lookup(&key);
  if (known) return *known;
  u32 slot = head->slot;
  struct slot_ref ref = {.slot = slot, .generation = generation};
  struct index *index = indexes.lookup(&slot);
  u32 row = index ? take_row(index, &ref, &key) : 0;
  return row ? row : id;
}
