/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Calls by a descriptor (read, write, recvfrom, ...) that took long are waits where somebody is at the other end: they
 * have a second row, of the same name. Which calls these are is written by the agent. */
#pragma once
#include "kernel/bpf/rows.bpf.c"

BPF_F_TABLE("array", u32, u64, descriptor_calls, INDEX_ENTRIES, BPF_F_MMAPABLE);

#ifdef WAIT_FILES_OFFSET
/* A socket, a pipe, a terminal, or what has no place in any file system: eventfd, timerfd, signalfd, inotify, ... */
static __always_inline bool has_other_end(struct task_struct *task, u32 number) {
  u64 table = read_u64(read_u64((u64)task, WAIT_FILES_OFFSET), WAIT_FDT_OFFSET);
  if (number >= read_u32(table, WAIT_MAX_FDS_OFFSET)) return false;
  u64 file = read_u64(read_u64(table, WAIT_FD_OFFSET) + 8 * (u64)number, 0);
  u64 inode = file ? read_u64(file, WAIT_INODE_OFFSET) : 0;
  if (!inode) return false;
  u32 type = read_u32(inode, WAIT_MODE_OFFSET) & 0170000;
  if (type == 0140000 || type == 0010000) return true;
  if (type == 0020000) {
    u32 major = read_u32(inode, WAIT_RDEV_OFFSET) >> 20;
    return major == 4 || major == 5 || (major >= 136 && major <= 143);
  }
  return read_u64(read_u64(inode, WAIT_SB_OFFSET), WAIT_MAGIC_OFFSET) == ANON_INODE_FS_MAGIC;
}

/* Whether a call that took so long was a wait. What it moved may take a nanosecond a byte. */
static __always_inline bool has_waited(struct task_struct *task, u64 regs, u32 abi, s32 nr, u64 ns, s64 result) {
  u32 at = abi * ABI_NUMBERS + (u32)nr;
  if ((u32)nr >= (abi == ABI_X32 ? 2 * ABI_NUMBERS : ABI_NUMBERS)) return false;
  u64 *known = descriptor_calls.lookup(&at);
  if (!known || !*known || (result > 0 && ns < LEAST_WAIT_NS + (u64)result)) return false;
  return has_other_end(task, abi == ABI_COMPAT ? read_u64(regs, WAIT_COMPAT_FD) : read_u64(regs, WAIT_NATIVE_FD));
}
#else
static __always_inline bool has_waited(struct task_struct *task, u64 regs, u32 abi, s32 nr, u64 ns, s64 result) {
  return false;
}
#endif

/* The second row, where the call was a wait and there is one; the first otherwise. */
static __always_inline u32 row_of_wait(struct task_struct *task, u64 regs, u32 id, u32 generation, u64 ns, s64 result) {
  struct head *head = heads.lookup(&id);
  if (!head || head->generation != generation) return id;
  if (!has_waited(task, regs, head->abi, head->nr, ns, result)) return id;
  struct row_key key = {.generation = generation, .abi = head->abi | WAITED, .nr = head->nr};
  u32 *known = rows_by_key.lookup(&key);
  if (known) return *known;
  u32 slot = head->slot;
  struct slot_ref ref = {.slot = slot, .generation = generation};
  struct index *index = indexes.lookup(&slot);
  u32 row = index ? take_row(index, &ref, &key) : 0;
  return row ? row : id;
}
