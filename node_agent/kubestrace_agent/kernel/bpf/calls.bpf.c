/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* For the views that tell single calls: a call's task, its arguments and what they point at, read as it ends. */
#pragma once
#include "kernel/bpf/calls.h"
#include "kernel/bpf/polls.bpf.c"

BPF_F_TABLE("array", u32, u64, call_shapes, INDEX_ENTRIES, BPF_F_MMAPABLE);

/* The number in the innermost namespace of a struct pid; struct upid is 16 bytes and begins with the number. */
static __always_inline u32 inner_number(u64 pid) {
  u32 level = read_u32(pid, CALL_LEVEL_OFFSET);
  return read_u32(pid, CALL_NUMBERS_OFFSET + 16 * (u64)(level & 31));
}

static __always_inline void read_task(struct call *call, u64 task) {
  u64 leader = read_u64(task, CALL_LEADER_OFFSET);
  call->tid = read_u32(task, TID_OFFSET);
  call->pid = read_u32(task, PID_OFFSET);
  call->inner_tid = inner_number(read_u64(task, CALL_PID_OFFSET));
  call->inner_pid = inner_number(read_u64(leader, CALL_PID_OFFSET));
  bpf_probe_read_kernel(call->thread, sizeof(call->thread), (void *)(task + CALL_COMM_OFFSET));
  bpf_probe_read_kernel(call->process, sizeof(call->process), (void *)(leader + CALL_COMM_OFFSET));
}

static __always_inline void read_arguments(struct call *call, u64 regs) {
  if ((call->abi & ABI_MASK) == ABI_COMPAT) {
    call->arguments[0] = (u32)read_u64(regs, CALL_COMPAT_0);
    call->arguments[1] = (u32)read_u64(regs, CALL_COMPAT_1);
    call->arguments[2] = (u32)read_u64(regs, CALL_COMPAT_2);
    call->arguments[3] = (u32)read_u64(regs, CALL_COMPAT_3);
    call->arguments[4] = (u32)read_u64(regs, CALL_COMPAT_4);
    call->arguments[5] = (u32)read_u64(regs, CALL_COMPAT_5);
    return;
  }
  call->arguments[0] = read_u64(regs, CALL_NATIVE_0);
  call->arguments[1] = read_u64(regs, CALL_NATIVE_1);
  call->arguments[2] = read_u64(regs, CALL_NATIVE_2);
  call->arguments[3] = read_u64(regs, CALL_NATIVE_3);
  call->arguments[4] = read_u64(regs, CALL_NATIVE_4);
  call->arguments[5] = read_u64(regs, CALL_NATIVE_5);
}

/* One argument, of a call whose arguments were not read. */
static __always_inline u64 argument_of(struct head *head, u64 regs, u32 at) {
  if ((head->abi & ABI_MASK) == ABI_COMPAT)
    return (u32)read_u64(regs, at == 0   ? CALL_COMPAT_0
                              : at == 1 ? CALL_COMPAT_1
                              : at == 2 ? CALL_COMPAT_2
                              : at == 3 ? CALL_COMPAT_3
                              : at == 4 ? CALL_COMPAT_4
                                        : CALL_COMPAT_5);
  return read_u64(regs, at == 0   ? CALL_NATIVE_0
                       : at == 1 ? CALL_NATIVE_1
                       : at == 2 ? CALL_NATIVE_2
                       : at == 3 ? CALL_NATIVE_3
                       : at == 4 ? CALL_NATIVE_4
                                 : CALL_NATIVE_5);
}

/* Where a path is read to learn its length: what is in it is of no use, whoever writes there, too. */
struct path_room {
  u8 bytes[LONGEST_PATH_BYTES];
};
BPF_PERCPU_ARRAY(path_room, struct path_room, 1);

/* How long a path is, with its NUL; 0: it cannot be read. */
static __always_inline long length_of_path(u64 address) {
  u32 zero = 0;
  struct path_room *room = path_room.lookup(&zero);
  long size = room ? read_string(room->bytes, sizeof(room->bytes), (void *)address) : 0;
  return size > 0 ? size : 0;
}

static __always_inline void read_path(struct call *call, u64 address) {
  long size = read_string(text_of(call), STRING_BYTES, (void *)address);
  if (size <= 0) return;
  call->relative = text_of(call)[0] != '/';
  if (size < STRING_BYTES) {
    call->used += size;
    return;
  }
  long length = length_of_path(address);
  if (length <= STRING_BYTES) {
    call->used += STRING_BYTES;
    return;
  }
  if (read_string(text_of(call), HEAD_BYTES, (void *)address) <= 0) return;
  call->used += HEAD_BYTES;
  size = read_string(text_of(call), TAIL_BYTES, (void *)(address + length - TAIL_BYTES));
  if (size > 0) call->used += size;
}

/* An address of so many bytes, as far as its family is reported. Returns how many bytes that is. */
static __always_inline u64 copy_address(u8 *into, u64 address, u64 bytes, u64 most_of_unix) {
  u16 family = 0;
  if (bytes < sizeof(family) || bytes > MAX_ADDRESS_BYTES) return 0;
  if (read_memory(&family, sizeof(family), (void *)address)) return 0;
  if (family == FAMILY_UNIX) {
    if (bytes > most_of_unix) bytes = sizeof(family);
  } else if (bytes > ADDRESS_BYTES) {
    bytes = ADDRESS_BYTES;
  }
  BOUND(bytes, MAX_ADDRESS_BYTES - 1);
  return read_memory(into, bytes, (void *)address) ? 0 : bytes;
}

static __always_inline u64 argument(struct call *call, u64 at) {
  BOUND(at, 7);
  return at < 6 ? call->arguments[at] : 0;
}

static __always_inline void read_address(struct call *call, u64 at) {
  call->used += copy_address(text_of(call), argument(call, at), (u32)argument(call, at + 1), UNIX_BYTES);
}

/* What the kernel wrote is as long as it says, and the program may have had less room: behind that is other memory of it.
 * A call that failed wrote nothing. */
static __always_inline void read_written_address(struct call *call, u64 at) {
  u32 bytes = 0;
  if (call->result < 0 || read_memory(&bytes, sizeof(bytes), (void *)argument(call, at + 1))) return;
  call->used += copy_address(text_of(call), argument(call, at), bytes, LEAST_ROOM_BYTES);
}

/* The address in a struct msghdr: its pointer and length come first. What the kernel wrote there as above. */
static __always_inline void read_message(struct call *call, u64 at, bool written) {
  u64 header = argument(call, at), address = 0;
  u32 bytes = 0, parts[2] = {};
  if (written && call->result < 0) return;
  if ((call->abi & ABI_MASK) == ABI_COMPAT) {
    if (read_memory(parts, sizeof(parts), (void *)header)) return;
    address = parts[0];
    bytes = parts[1];
  } else if (read_memory(&address, sizeof(address), (void *)header) ||
             read_memory(&bytes, sizeof(bytes), (void *)(header + sizeof(address)))) {
    return;
  }
  if (address) call->used += copy_address(text_of(call), address, bytes, written ? LEAST_ROOM_BYTES : UNIX_BYTES);
}

static __always_inline void read_file(struct call *call, u64 number, u64 task, u32 *mode) {
  bool is_folder = (s32)number == AT_FDCWD;
  u64 path = is_folder ? path_of_folder(call, task, mode) : path_of_file(call, file_of(number, task), mode);
  if (path) *mode |= read_names(call, path);
}

static __always_inline void read_lock(struct call *call, u64 at) {
  u32 command = argument(call, at - 1);
  if (command >= 64 || !(LOCK_COMMANDS >> command & 1)) return;
  if (!read_memory(text_of(call), LOCK_BYTES, (void *)argument(call, at))) call->used += LOCK_BYTES;
}

static __always_inline void read_capture(struct call *call, u32 which, u32 shape, struct task_struct *task) {
  u64 at = shape >> 4 & 7;
  u32 kind = shape & 15, before = call->used;
  call->modes[which] = 0;
  if (!is_full(call)) {
    if (kind == CAPTURE_PATH) {
      read_path(call, argument(call, at));
    } else if (kind == CAPTURE_ADDRESS) {
      read_address(call, at);
    } else if (kind == CAPTURE_WRITTEN_ADDRESS) {
      read_written_address(call, at);
    } else if (kind == CAPTURE_FILE || kind == CAPTURE_FOLDER) {
      read_file(call, kind == CAPTURE_FOLDER ? AT_FDCWD : argument(call, at), (u64)task, &call->modes[which]);
    } else if (kind == CAPTURE_MESSAGE || kind == CAPTURE_WRITTEN_MESSAGE) {
      read_message(call, at, kind == CAPTURE_WRITTEN_MESSAGE);
    } else if (kind == CAPTURE_LOCK) {
      read_lock(call, at);
    } else if (which == 0 && is_polled(kind)) {
      read_polled(call, kind, argument(call, at), task, &call->modes[which]);
    }
  }
  call->text_bytes[which] = *(volatile u32 *)&call->used - before;
}

static __always_inline u32 shape_of(u32 abi, s32 nr) {
  u32 at = place_of_call(abi, nr);
  u64 *shape = call_shapes.lookup(&at);
  return shape ? *shape : 0;
}

/* How many bytes of a record are used. */
static __always_inline u64 size_of(struct call *call) {
  u64 size = *(volatile u32 *)&call->used;
  BOUND(size, 1023);
  if (size > sizeof(call->text)) size = sizeof(call->text);
  return size + __builtin_offsetof(struct call, text);
}

/* What a view knows of the call that began then. */
static __always_inline void read_used(struct call *call, struct entry *entry, u64 start_ns) {
  if (!start_ns || entry->used_start_ns != start_ns) return;
  call->on_ns = entry->used_on_ns;
  call->runnable_ns = entry->used_runnable_ns;
}

/* Everything of a call that has just ended. How many bytes of the record are used. */
static __always_inline u64 read_call(struct call *call, struct bpf_raw_tracepoint_args *ctx, struct head *head, u32 shape,
                                     struct task_struct *task, u64 ns) {
  call->end_ns = bpf_ktime_get_ns();
  call->length_ns = ns;
  call->on_ns = call->runnable_ns = ~0ULL;
  call->result = ctx->args[1];
  call->generation = head->generation;
  call->slot = head->slot;
  call->abi = head->abi;
  call->nr = head->nr;
  call->used = call->relative = 0;
  read_task(call, (u64)task);
  read_arguments(call, ctx->args[0]);
  read_capture(call, 0, shape, task);
  read_capture(call, 1, shape >> 8, task);
  return size_of(call);
}
