/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of files: the counting goes on here after each call, and leaves its row in the task's entry. Counts calls that
 * name a path by the path, and those that use a descriptor by the file behind it. Nothing is sampled and nothing is evicted:
 * what finds no row is counted in one for all others. */
#pragma once
#include "kernel/bpf/calls.bpf.c"
#include "kernel/bpf/chain.bpf.c"
#include "kernel/bpf/lengths.bpf.c"
#include "views/files/files.h"

BPF_F_TABLE("array", u32, u64, file_shapes, INDEX_ENTRIES, BPF_F_MMAPABLE);
BPF_F_TABLE("array", u32, struct file_slot, file_slots, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_F_TABLE("hash", struct file_key, struct file_row, file_rows, MAX_FILE_ROWS, BPF_F_NO_PREALLOC);
BPF_F_TABLE("hash", struct file_failure, u64, file_failures, MAX_FILE_FAILURES, BPF_F_NO_PREALLOC);
/* Never written: a row begins as a copy of it. */
BPF_ARRAY(file_nothing, struct file_row, 1);
/* Of the first pair of programs and of the second. */
BPF_PERCPU_ARRAY(file_scratch, struct file_scratch, 2);
/* The agent's own takes its place while the view is on. */
BPF_RINGBUF_OUTPUT(first_file_ring, 1);
BPF_ARRAY_OF_MAPS(file_rings, "first_file_ring", 1);
/* Called behind on_file_call, as a verifier follows each only so far. */
BPF_PROG_ARRAY(file_namers, 1);
BPF_PROG_ARRAY(file_sides, 1);

/* A call that is being counted. */
struct file_call {
  struct bpf_raw_tracepoint_args *ctx;
  struct task_struct *task;
  struct file_slot *slot;
  struct head *head;
  u64 ns;
  s64 result;
  u32 shape;
  u64 file_waits; /* what is written waits for the disk, by the flags of the file, */
  u64 call_waits; /* or by those of the call */
};

/* Text goes on here: below FILE_TEXT_BYTES, and a name has room behind it. */
static __always_inline u8 *file_text(struct file_name *name) {
  u64 at = *(volatile u32 *)&name->used;
  BOUND(at, FILE_TEXT_BYTES - 1);
  return &name->text[at];
}

static __always_inline void add_file_name(struct file_name *name, u64 dentry) {
  long size = bpf_probe_read_kernel_str(file_text(name), FILE_NAME_BYTES, (void *)read_u64(dentry, CALL_NAME_OFFSET));
  if (size > 0) name->used += size;
}

/* As read_names of calls.bpf.c, for longer paths. */
static __always_inline u32 add_file_names(struct file_name *name, u64 path) {
  u64 mount = read_u64(path, CALL_PATH_MNT_OFFSET) - CALL_MOUNT_OFFSET, dentry = read_u64(path, CALL_PATH_DENTRY_OFFSET);
  u64 parent = read_u64(dentry, CALL_PARENT_OFFSET), root = read_u64(mount, CALL_MOUNT_OFFSET + CALL_ROOT_OFFSET);
  if (dentry == parent && dentry != root) {
    add_file_name(name, dentry);
    return NAMES_DETACHED;
  }
  u32 deleted = dentry == parent || read_u64(dentry, CALL_HASHED_OFFSET) ? 0 : NAMES_DELETED;
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < FILE_WALK_STEPS; i++) {
    parent = read_u64(dentry, CALL_PARENT_OFFSET);
    if (dentry == parent || dentry == read_u64(mount, CALL_MOUNT_OFFSET + CALL_ROOT_OFFSET)) {
      u64 above = read_u64(mount, CALL_ABOVE_OFFSET);
      if (!above || above == mount) return deleted;
      dentry = read_u64(mount, CALL_MOUNTPOINT_OFFSET);
      mount = above;
    } else {
      if (*(volatile u32 *)&name->used >= FILE_TEXT_BYTES) break;
      add_file_name(name, dentry);
      dentry = parent;
    }
  }
  return NAMES_CUT | deleted;
}

/* Reports a row's name; false: there is no room now. */
static __always_inline bool emit_file_name(struct file_slot *slot, struct file_name *name) {
  u32 zero = 0;
  void *ring = file_rings.lookup(&zero);
  if (!ring || *(volatile s64 *)&slot->room <= 0) return false;
  u64 size = *(volatile u32 *)&name->used;
  BOUND(size, 2 * FILE_TEXT_BYTES - 1);
  if (size > sizeof(name->text)) size = sizeof(name->text);
  size += __builtin_offsetof(struct file_name, text);
  __sync_fetch_and_add(&slot->room, -(s64)size - 16); /* with the ring's own words */
  return bpf_ringbuf_output(ring, name, size, BPF_RB_NO_WAKEUP) == 0;
}

/* The row of a key; the one of all others where there is no room for it. */
static __always_inline struct file_row *row_of_file(struct file_slot *slot, struct file_key *key) {
  struct file_row *row = file_rows.lookup(key);
  if (row) return row;
  u32 zero = 0;
  struct file_row *nothing = file_nothing.lookup(&zero);
  if (nothing && key->kind < FIRST_SHARED_FILE_KIND && *(volatile u64 *)&slot->rows < SLOT_FILE_ROWS) {
    if (file_rows.insert(key, nothing) == 0) __sync_fetch_and_add(&slot->rows, 1);
    row = file_rows.lookup(key); /* another CPU may have been first */
    if (row) return row;
  }
  key->kind = FILE_OTHERS;
  key->inode = key->number = key->version = 0;
  return file_rows.lookup(key);
}

static __always_inline void count_failure(struct file_slot *slot, struct file_key *key, u32 number) {
  struct file_failure failure = {.key = *key, .number = number};
  u64 one = 1, *count = file_failures.lookup(&failure);
  if (!count) {
    if (*(volatile u64 *)&slot->failures >= SLOT_FILE_FAILURES) return;
    if (file_failures.insert(&failure, &one) == 0) {
      __sync_fetch_and_add(&slot->failures, 1);
      return;
    }
    count = file_failures.lookup(&failure);
  }
  if (count) __sync_fetch_and_add(count, 1);
}

static __always_inline void count_file_call(struct file_call *call, struct file_row *row, struct file_key *key, u32 class) {
  BOUND(class, 7);
  if (class >= FILE_CLASSES) return;
  __sync_fetch_and_add(&row->calls[class], 1);
  __sync_fetch_and_add(&row->total_ns, call->ns);
  if (row->since_ns != call->slot->since_ns) {
    if (row->since_ns) row->max_ns = 0;
    row->since_ns = call->slot->since_ns;
  }
  raise_max(&row->max_ns, call->ns);
  if (call->result > 0) {
    if (class == FILE_READ) __sync_fetch_and_add(&row->read_bytes, call->result);
    if (class == FILE_WRITE) __sync_fetch_and_add(&row->written_bytes, call->result);
  }
  if (class == FILE_WRITE && (call->file_waits || call->call_waits)) __sync_fetch_and_add(&row->synced_writes, 1);
  if (has_failed(call->result)) {
    __sync_fetch_and_add(&row->failed, 1);
    count_failure(call->slot, key, -call->result);
  }
}

static __always_inline void set_file_key(struct file_key *key, u32 kind, u64 inode, u64 number, u64 version) {
  key->kind = kind;
  key->inode = inode;
  key->number = number;
  key->version = version;
}

/* What tells a file from another that has taken its inode's number and place. On an overlay the layer above has it. */
static __always_inline u32 file_version_of(u64 inode, u32 generation) {
#ifdef FILE_UPPER_OFFSET
  if (generation || read_u32(read_u64(inode, FILE_SUPER_OFFSET), FILE_MAGIC_OFFSET) != FILE_OVERLAY_MAGIC)
    return generation;
  u64 upper = read_u64(inode + FILE_UPPER_OFFSET, 0);
  return upper ? read_u32(read_u64(upper, FILE_DENTRY_INODE_OFFSET), FILE_VERSION_OFFSET) : 0;
#else
  return generation;
#endif
}

/* The address of a descriptor's struct file; 0: none is behind it. */
static __always_inline u64 open_file_of(struct task_struct *task, u32 number) {
  u64 files, table, most, slots;
  LOAD(u64, files, task, CALL_FILES_OFFSET);
  LOAD(u64, table, files, CALL_FDT_OFFSET);
  LOAD(u32, most, table, CALL_MAX_FDS_OFFSET);
  if (number >= most) return 0;
  LOAD(u64, slots, table, CALL_FD_OFFSET);
  return read_u64(slots + 8 * (u64)number, 0);
}

/* The key of what is behind a descriptor. Gives the address of its struct path, 0 where it has no name of its own. */
static __always_inline u64 key_of_file(struct file_call *call, struct file_scratch *scratch, struct file_key *key,
                                       u64 file) {
  struct fields piece;
  if (!read_fields(&piece, file, scratch->piece, FILE_FILE_BYTES)) {
    set_file_key(key, FILE_NONE, 0, 0, 0);
    return 0;
  }
  u64 inode = FIELD(u64, &piece, CALL_INODE_OFFSET);
  call->file_waits = FIELD(u32, &piece, FILE_FLAGS_OFFSET) & FILE_WAITS_FLAG;
  if (!read_fields(&piece, inode, scratch->piece, FILE_INODE_BYTES)) {
    set_file_key(key, FILE_NONE, 0, 0, 0);
    return 0;
  }
  u32 type = FIELD(u16, &piece, CALL_MODE_OFFSET) & 0170000;
  if (type == TYPE_SOCKET || type == TYPE_PIPE) {
    set_file_key(key, type == TYPE_SOCKET ? FILE_SOCKET : FILE_PIPE, 0, 0, 0);
    return 0;
  }
  u32 version = file_version_of(inode, FIELD(u32, &piece, FILE_VERSION_OFFSET));
  set_file_key(key, FILE_FILE, inode, FIELD(u64, &piece, FILE_NUMBER_OFFSET), version);
  return file + CALL_PATH_OFFSET;
}

/* The folder of the task, and the address of its struct path. */
static __always_inline u64 key_of_working_folder(struct file_call *call, struct file_key *key) {
  u64 fs, dentry, inode, number, version;
  LOAD(u64, fs, call->task, CALL_FS_OFFSET);
  u64 path = fs + CALL_PWD_OFFSET;
  LOAD(u64, dentry, fs, CALL_PWD_OFFSET + CALL_PATH_DENTRY_OFFSET);
  LOAD(u64, inode, dentry, FILE_DENTRY_INODE_OFFSET);
  LOAD(u64, number, inode, FILE_NUMBER_OFFSET);
  LOAD(u32, version, inode, FILE_VERSION_OFFSET);
  set_file_key(key, FILE_FILE, inode, number, file_version_of(inode, version));
  return path;
}

/* The hash of a path that was read into the text. */
static __always_inline u64 hash_of_path(struct file_name *name, u64 size) {
  u64 hash = size, end = size - 1;
  u64 *words = (u64 *)name->text;
  BOUND(end, LONGEST_PATH_BYTES - 1);
  /* Of the last word what lies behind the end is another path's. */
  __builtin_memset(name->text + end, 0, sizeof(u64));
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < FILE_PATH_WORDS; i++) {
    if (8 * (u64)i > end) break;
    hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 29;
  }
  return hash;
}

/* The key of what is behind a descriptor. */
static __always_inline void find_file(struct file_call *call, struct file_scratch *scratch, u32 number) {
  scratch->path = key_of_file(call, scratch, &scratch->name.key, open_file_of(call->task, number));
}

/* The key of a path that was read into the text. */
static __always_inline void find_path(struct file_call *call, struct file_scratch *scratch, u64 size, s32 folder) {
  struct file_name *name = &scratch->name;
  u64 hash = hash_of_path(name, size);
  set_file_key(&name->key, FILE_PATH, 0, 0, 0);
  name->path_bytes = size;
  if (name->text[0] != '/') {
    if (folder == AT_FDCWD) {
      scratch->path = key_of_working_folder(call, &name->key);
    } else {
      find_file(call, scratch, folder);
      call->file_waits = 0;
    }
    name->key.kind = FILE_PATH;
    name->key.version += name->key.number * 0x9e3779b97f4a7c15ULL;
  }
  name->key.number = hash;
}

/* Where a new program's memory has the path by which it was executed: behind its environment, where the kernel wrote it
 * first (Linux fs/exec.c, do_execveat_common). */
static __always_inline u64 executed_path(struct task_struct *task) {
  u64 memory, end;
  LOAD(u64, memory, task, FILE_MEMORY_OFFSET);
  LOAD(u64, end, memory, FILE_ENVIRONMENT_END_OFFSET);
  return end;
}

/* The key of what a side of a call names, and in `path` where its names are to be read, if it has any. */
static __always_inline void find_side(struct file_call *call, struct file_scratch *scratch, u32 side) {
  u64 regs = call->ctx->args[0];
  u32 kind = side & SIDE_KIND, at = side >> SIDE_ARGUMENT_SHIFT & 7;
  scratch->path = scratch->name.path_bytes = 0;
  if (kind == SIDE_FILE) {
    u32 flags_at = side >> SIDE_FLAGS_SHIFT & 7;
    if (flags_at) call->call_waits = argument_of(call->head, regs, flags_at) & FILE_CALL_WAITS_FLAGS;
    find_file(call, scratch, argument_of(call->head, regs, at));
    return;
  }
  bool executed = side & SIDE_EXEC && call->result == 0;
  u64 address = executed ? executed_path(call->task) : argument_of(call->head, regs, at);
  s32 folder = kind == SIDE_PATH_AT && !executed ? (s32)argument_of(call->head, regs, at - 1) : AT_FDCWD;
  long size = read_string(scratch->name.text, LONGEST_PATH_BYTES, (void *)address);
  if (size == 0) { /* an empty one, before Linux 6.13 */
    scratch->name.text[0] = 0;
    size = 1;
  }
  if ((size == 1 || !address) && folder != AT_FDCWD) {
    find_file(call, scratch, folder); /* fstat is newfstatat with an empty path */
  } else if (size <= 0) {
    set_file_key(&scratch->name.key, FILE_UNREADABLE, 0, 0, 0);
  } else {
    find_path(call, scratch, size, folder);
  }
}

static __always_inline u32 file_shape(u32 abi, s32 nr) {
  u32 at = place_of_call(abi, nr);
  u64 *shape = file_shapes.lookup(&at);
  return shape ? *shape : 0;
}

/* What is known of the call that the programs behind the counting see; false: it is none of the view's. */
static __always_inline bool look_at_call(struct file_call *call, struct bpf_raw_tracepoint_args *ctx,
                                         struct task_struct *task, struct entry *entry) {
  u32 row = entry->last_row;
  if (row == NO_ROW || row & NEVER_RETURNS) return false;
  struct head *head = heads.lookup(&row);
  if (!head || head->generation != entry->generation) return false;
  call->shape = file_shape(head->abi & ABI_MASK, head->nr);
  if (!call->shape) return false;
  u32 number = head->slot;
  call->slot = file_slots.lookup(&number);
  if (!call->slot || call->slot->generation != head->generation) return false;
  call->ctx = ctx;
  call->task = task;
  call->head = head;
  call->ns = entry->last_ns;
  call->result = ctx->args[1];
  call->file_waits = call->call_waits = 0;
  return true;
}

static __always_inline struct file_scratch *scratch_of_files(struct entry *entry) {
  u32 program = entry->program == AT_EXIT_AGAIN;
  return file_scratch.lookup(&program);
}

/* Counts one side of the call. True: its row is still to be named, or where the path has led to. */
static __always_inline bool count_side(struct file_call *call, struct file_scratch *scratch, u32 side) {
  struct file_key *key = &scratch->name.key;
  u32 class = side >> SIDE_CLASS_SHIFT & 0xf;
  key->generation = call->head->generation;
  scratch->linking = 0;
  find_side(call, scratch, side);
  struct file_row *row = row_of_file(call->slot, key);
  if (!row) return false;
  count_file_call(call, row, key, class);
  if (key->kind >= FIRST_SHARED_FILE_KIND) return false;
  scratch->linking = class == FILE_OPEN && key->kind == FILE_PATH && call->result >= 0 && !row->file_inode;
  scratch->naming = !row->is_named;
  return scratch->naming || scratch->linking;
}

int on_file_call(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  struct file_call call;
  struct file_scratch *scratch = scratch_of_files(entry);
  if (scratch && look_at_call(&call, ctx, task, entry)) {
    scratch->second = call.shape >> SIDE_BITS;
    if (count_side(&call, scratch, call.shape & ((1 << SIDE_BITS) - 1))) file_namers.call(ctx, 0);
    if (call.shape >> SIDE_BITS) file_sides.call(ctx, 0);
  }
  go_on(ctx, entry);
  return 0;
}

/* The other file of a call with two. */
int on_file_side(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  struct file_call call;
  struct file_scratch *scratch = scratch_of_files(entry);
  if (scratch && look_at_call(&call, ctx, task, entry)) {
    scratch->second = 0;
    if (count_side(&call, scratch, call.shape >> SIDE_BITS)) file_namers.call(ctx, 0);
  }
  go_on(ctx, entry);
  return 0;
}

/* Reports the name of the row that was counted. */
static __always_inline void name_row(struct file_call *call, struct file_scratch *scratch) {
  struct file_name *name = &scratch->name;
  struct file_row *row = file_rows.lookup(&name->key);
  if (!row) return;
  name->used = name->path_bytes;
  name->mode = scratch->path ? add_file_names(name, scratch->path) : 0;
  row->is_named = 1;
  if (!emit_file_name(call->slot, name)) row->is_named = 0;
}

/* A path that was opened: which file it has led to, once. Has that file's row named next, where it has no name. */
static __always_inline bool link_row(struct file_call *call, struct file_scratch *scratch) {
  struct file_key *key = &scratch->name.key;
  struct file_row *row = file_rows.lookup(key);
  if (!row) return false;
  find_file(call, scratch, call->result);
  if (key->kind != FILE_FILE) return false;
  row->file_number = key->number;
  row->file_version = key->version;
  row->file_inode = key->inode;
  struct file_row *file = row_of_file(call->slot, key);
  scratch->name.path_bytes = 0;
  return file && key->kind == FILE_FILE && !file->is_named;
}

int on_file_name(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  struct file_call call;
  struct file_scratch *scratch = scratch_of_files(entry);
  if (scratch && look_at_call(&call, ctx, task, entry)) {
    if (scratch->naming) name_row(&call, scratch);
    bool linking = scratch->linking;
    scratch->linking = 0;
    scratch->naming = linking && link_row(&call, scratch);
    if (scratch->naming) file_namers.call(ctx, 0);
    if (scratch->second) file_sides.call(ctx, 0);
  }
  go_on(ctx, entry);
  return 0;
}
