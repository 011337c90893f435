/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What is behind a task's descriptors, as text of a call: the names of a file, the peer of a socket. */
#pragma once
#include "kernel/bpf/calls.h"
#include "kernel/bpf/cgroup_filter.bpf.c"

/* Where the text goes on: below TEXT_BYTES, and a string of STRING_BYTES has room behind it. */
static __always_inline u8 *text_of(struct call *call) {
  u64 at = *(volatile u32 *)&call->used;
  BOUND(at, TEXT_BYTES - 1);
  return &call->text[at];
}

static __always_inline bool is_full(struct call *call) { return *(volatile u32 *)&call->used >= TEXT_BYTES; }

/* The peer of an internet socket, as the sockaddr of its family. */
static __always_inline void read_peer(struct call *call, u64 file) {
  u64 sock = read_u64(read_u64(file, CALL_PRIVATE_OFFSET), CALL_SK_OFFSET);
  u8 *text = text_of(call);
  u16 family = read_u32(sock, CALL_FAMILY_OFFSET), port = read_u32(sock, CALL_PORT_OFFSET);
  if (!port || (family != FAMILY_IPV4 && family != FAMILY_IPV6)) return;
  __builtin_memset(text, 0, ADDRESS_BYTES);
  bpf_probe_read_kernel(text, 2, (void *)(sock + CALL_FAMILY_OFFSET));
  bpf_probe_read_kernel(text + 2, 2, (void *)(sock + CALL_PORT_OFFSET));
  if (family == FAMILY_IPV4) {
    bpf_probe_read_kernel(text + 4, 4, (void *)(sock + CALL_IPV4_OFFSET));
  } else {
    bpf_probe_read_kernel(text + 8, 16, (void *)(sock + CALL_IPV6_OFFSET));
  }
  call->used += ADDRESS_BYTES;
}

static __always_inline void read_name(struct call *call, u64 dentry) {
  long size = bpf_probe_read_kernel_str(text_of(call), STRING_BYTES, (void *)read_u64(dentry, CALL_NAME_OFFSET));
  if (size > 0) call->used += size;
}

/* A file's path as its names from the last to the first; at a mount's root it goes on where that is mounted. What is in no
 * folder, as an eventfd, has one name. Bits of enum named. `path` is the address of a struct path. */
static __always_inline u32 read_names(struct call *call, u64 path) {
  u64 mount = read_u64(path, CALL_PATH_MNT_OFFSET) - CALL_MOUNT_OFFSET, dentry = read_u64(path, CALL_PATH_DENTRY_OFFSET);
  u64 parent = read_u64(dentry, CALL_PARENT_OFFSET), root = read_u64(mount, CALL_MOUNT_OFFSET + CALL_ROOT_OFFSET);
  if (dentry == parent && dentry != root) {
    read_name(call, dentry);
    return NAMES_DETACHED;
  }
  u32 deleted = dentry == parent || read_u64(dentry, CALL_HASHED_OFFSET) ? 0 : NAMES_DELETED;
  for (u32 i = 0; i < NAME_STEPS; i++) {
    parent = read_u64(dentry, CALL_PARENT_OFFSET);
    if (dentry == parent || dentry == read_u64(mount, CALL_MOUNT_OFFSET + CALL_ROOT_OFFSET)) {
      u64 above = read_u64(mount, CALL_ABOVE_OFFSET);
      if (!above || above == mount) return deleted;
      dentry = read_u64(mount, CALL_MOUNTPOINT_OFFSET);
      mount = above;
    } else {
      if (is_full(call)) break;
      read_name(call, dentry);
      dentry = parent;
    }
  }
  return NAMES_CUT | deleted;
}

/* The struct path of the folder that a relative path begins in; 0: there is none, or the path is not relative. */
static __always_inline u64 path_of_folder(struct call *call, u64 task, u32 *mode) {
  u64 fs = read_u64(task, CALL_FS_OFFSET);
  if (!fs || !call->relative) return 0;
  *mode = TYPE_FOLDER;
  return fs + CALL_PWD_OFFSET;
}

/* The file behind a descriptor of a task; 0: there is none. */
static __always_inline u64 file_of(u64 number, u64 task) {
  u64 table = read_u64(read_u64(task, CALL_FILES_OFFSET), CALL_FDT_OFFSET);
  if ((u32)number >= read_u32(table, CALL_MAX_FDS_OFFSET)) return 0;
  return read_u64(read_u64(table, CALL_FD_OFFSET) + 8 * (u64)(u32)number, 0);
}

/* The struct path of a file; 0: it has none. Of a socket the peer is read. */
static __always_inline u64 path_of_file(struct call *call, u64 file, u32 *mode) {
  if (!file) return 0;
  *mode = (u16)read_u32(read_u64(file, CALL_INODE_OFFSET), CALL_MODE_OFFSET);
  u32 type = *mode & 0170000;
  if (type == TYPE_SOCKET) read_peer(call, file);
  return type == TYPE_SOCKET || type == TYPE_PIPE ? 0 : file + CALL_PATH_OFFSET;
}
