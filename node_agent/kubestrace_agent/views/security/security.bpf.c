/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of security: calls that name something or ask the kernel for much, counted by program and by what they named.
 *
 * Which names are of interest is told by patterns, which only the agent knows: each row is reported once with its names, and
 * the agent takes away those that fit none. */
#pragma once
#include "kernel/bpf/calls.bpf.c"
#include "kernel/bpf/chain.bpf.c"
#include "kernel/bpf/origins.bpf.c"
#include "kernel/bpf/rows.bpf.c"
#include "views/security/security.h"

BPF_F_TABLE("array", u32, u64, security_shapes, INDEX_ENTRIES, BPF_F_MMAPABLE);
BPF_F_TABLE("array", u32, struct security_slot, security_slots, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_F_TABLE("hash", struct security_key, struct security_row, security_rows, MAX_SECURITY_ROWS, BPF_F_NO_PREALLOC);
/* Of the programs that lead to one at the exit of a call. */
BPF_PERCPU_ARRAY(security_scratch, struct security_scratch, 2);
/* A pattern only: the ring is made by whoever asks first. */
BPF_RINGBUF_OUTPUT(first_security_ring, 1);
BPF_ARRAY_OF_MAPS(security_rings, "first_security_ring", 1);
BPF_PROG_ARRAY(security_sides, 1);

/* A call that is being looked at. */
struct security_call {
  u64 regs;
  s64 result;
  struct task_struct *task;
  struct security_slot *slot;
  struct head *head;
  u32 shape;
};

/* Reports a record; false: there is no room now. */
static __always_inline bool put_security(struct security_slot *slot, void *record, u64 size) {
  u32 zero = 0;
  void *ring = security_rings.lookup(&zero);
  if (!ring || *(volatile s64 *)&slot->room <= 0) return false;
  __sync_fetch_and_add(&slot->room, -(s64)size - 16); /* with the ring's own words */
  return bpf_ringbuf_output(ring, record, size, BPF_RB_NO_WAKEUP) == 0;
}

/* As size_of, for text that has bounds of its own here. */
static __always_inline u64 text_bytes_of(struct call *call) {
  u64 size = *(volatile u32 *)&call->used;
  BOUND(size, 1023);
  if (size > sizeof(call->text)) size = sizeof(call->text);
  return size;
}

static __always_inline u32 security_shape(u32 abi, s32 nr) {
  u32 at = place_of_call(abi, nr);
  u64 *shape = security_shapes.lookup(&at);
  return shape ? *shape : 0;
}

/* What is known of the call that the programs behind the counting see; false: it is none of the view's. */
static __always_inline bool look_at(struct security_call *seen, struct bpf_raw_tracepoint_args *ctx,
                                    struct task_struct *task, struct entry *entry) {
  u32 row = entry->last_row;
  if (row == NO_ROW || row & NEVER_RETURNS) return false;
  struct head *head = heads.lookup(&row);
  if (!head || head->generation != entry->generation) return false;
  seen->shape = security_shape(head->abi & ABI_MASK, head->nr);
  if (!seen->shape) return false;
  u32 number = head->slot;
  seen->slot = security_slots.lookup(&number);
  if (!seen->slot || seen->slot->generation != head->generation) return false;
  seen->regs = ctx->args[0];
  seen->result = ctx->args[1];
  seen->task = task;
  seen->head = head;
  return true;
}

/* The hash of the text that was read. Behind its end it is cleared, as that is another call's. */
static __always_inline u64 hash_of_text(struct call *call) {
  u64 end = *(volatile u32 *)&call->used, hash = end;
  BOUND(end, TEXT_BYTES - 1);
  __builtin_memset(call->text + end, 0, sizeof(u64));
  u64 *words = (u64 *)call->text;
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < PATH_WORDS; i++) {
    if (8 * (u64)i >= end) break;
    hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 29;
  }
  return hash;
}

static __always_inline u64 number_of(u64 dentry) { return read_u64(read_u64(dentry, SECURITY_DENTRY_INODE_OFFSET), SECURITY_NUMBER_OFFSET); }

/* The struct path of the folder in which a path begins that was read; 0: of none. */
static __always_inline u64 folder_of(struct security_call *seen, struct call *call, u32 side, u32 at) {
  u64 task = (u64)seen->task;
  if (!call->relative) return 0;
  s32 number = side & SIDE_FOLDER ? (s32)argument_of(seen->head, seen->regs, at - 1) : AT_FDCWD;
  if (number == AT_FDCWD) {
    u64 fs = read_u64(task, CALL_FS_OFFSET);
    return fs ? fs + CALL_PWD_OFFSET : 0;
  }
  u64 file = file_of(number, task);
  return file ? file + CALL_PATH_OFFSET : 0;
}

static __always_inline void find_named(struct security_call *seen, struct security_scratch *scratch, u32 side, u32 at) {
  struct call *call = &scratch->match.call;
  struct security_key *key = &scratch->match.key;
  read_path(call, argument_of(seen->head, seen->regs, at));
  call->text_bytes[0] = call->used;
  key->object = hash_of_text(call);
  scratch->path = folder_of(seen, call, side, at);
  if (scratch->path) key->version = number_of(read_u64(scratch->path, CALL_PATH_DENTRY_OFFSET));
}

/* How a file is opened: of a file that is open its own flags tell it. */
static __always_inline u32 access_of(struct security_call *seen, u32 side, u32 at, u64 file) {
  if (file) return read_u32(file, SECURITY_FLAGS_OFFSET) & ACCESS_MODES;
  if (side & SIDE_CREATES) return 1;
  u64 flags = argument_of(seen->head, seen->regs, at + 1), how = 0;
  if (side & SIDE_HOW) {
    if (!read_memory(&how, sizeof(how), (void *)flags)) flags = how;
  }
  return flags & ACCESS_MODES;
}

static __always_inline void find_opened(struct security_call *seen, struct security_scratch *scratch, u32 side, u32 at) {
  struct security_key *key = &scratch->match.key;
  u64 file = seen->result >= 0 ? file_of(seen->result, (u64)seen->task) : 0;
  key->detail = access_of(seen, side, at, file);
  scratch->file = file;
  if (!file) {
    find_named(seen, scratch, side, at);
    return;
  }
  key->object = read_u64(file, CALL_INODE_OFFSET);
  key->version = read_u64(key->object, SECURITY_NUMBER_OFFSET);
}

static __always_inline bool find_peer(struct security_call *seen, struct security_scratch *scratch, u32 look, u32 at) {
  struct call *call = &scratch->match.call;
  call->arguments[1] = argument_of(seen->head, seen->regs, 1);
  if (look == LOOK_ADDRESS) {
    call->arguments[2] = argument_of(seen->head, seen->regs, 2);
    call->arguments[4] = argument_of(seen->head, seen->regs, 4);
    call->arguments[5] = argument_of(seen->head, seen->regs, 5);
  }
  if (look == LOOK_MESSAGE) {
    read_message(call, at, false);
  } else {
    read_address(call, at);
  }
  call->text_bytes[0] = call->used;
  if (!call->used) return false;
  scratch->match.key.object = hash_of_text(call);
  return true;
}

static __always_inline bool is_other(struct security_call *seen, u32 value) {
  u64 leader = read_u64((u64)seen->task, CALL_LEADER_OFFSET);
  return value != inner_number(read_u64(leader, CALL_PID_OFFSET)) &&
         value != inner_number(read_u64((u64)seen->task, CALL_PID_OFFSET));
}

/* Flags in an argument, or in the struct that it is the address of. */
static __always_inline u32 spaces_of(u64 value, u32 look) {
  u64 flags = 0;
  if (look == LOOK_SPACES) return value & SPACE_FLAGS;
  if (read_memory(&flags, sizeof(flags), (void *)value)) return 0;
  return flags & SPACE_FLAGS;
}

/* The key of a side of a call; false: there is nothing to count. */
static __always_inline bool find_object(struct security_call *seen, struct security_scratch *scratch, u32 side) {
  struct security_key *key = &scratch->match.key;
  u32 look = side & SIDE_LOOK, at = side >> SIDE_ARGUMENT_SHIFT & 7;
  if (look == LOOK_OPEN) {
    find_opened(seen, scratch, side, at);
  } else if (look == LOOK_PATH) {
    find_named(seen, scratch, side, at);
  } else if (look == LOOK_ADDRESS || look == LOOK_MESSAGE) {
    return find_peer(seen, scratch, look, at);
  } else if (look == LOOK_CALL) {
    if (!(side & SIDE_ALONE)) key->detail = argument_of(seen->head, seen->regs, at);
  } else {
    u64 value = argument_of(seen->head, seen->regs, at);
    if (look == LOOK_SPACES || look == LOOK_SPACES_AT) {
      key->detail = spaces_of(value, look);
      return key->detail != 0;
    }
    if (look == LOOK_OTHER) {
      key->detail = is_other(seen, value);
    } else if (look == LOOK_SOCKET) {
      key->detail = (u32)value << 4 | (argument_of(seen->head, seen->regs, at + 1) & TYPE_MASK);
    }
  }
  return true;
}

/* Looks up what a side of a call is counted by; its row, or NULL where there is none or no room for one. */
static __always_inline struct security_row *row_of_side(struct security_call *seen, struct security_scratch *scratch,
                                                       u32 side, u32 position) {
  struct security_key *key = &scratch->match.key;
  struct call *call = &scratch->match.call;
  call->result = seen->result;
  call->abi = seen->head->abi;
  call->nr = seen->head->nr;
  call->used = call->relative = call->text_bytes[0] = call->text_bytes[1] = call->modes[0] = call->modes[1] = 0;
  scratch->file = scratch->path = 0;
  key->generation = seen->head->generation;
  key->abi = seen->head->abi & ABI_MASK;
  key->nr = seen->head->nr;
  key->side = position;
  key->detail = 0;
  key->error = has_failed(seen->result) ? -seen->result : 0;
  key->object = key->version = 0;
  u64 memory, file, inode, number;
  LOAD(u64, memory, seen->task, SECURITY_MM_OFFSET);
  LOAD(u64, file, memory, ORIGIN_EXE_OFFSET);
  LOAD(u64, inode, file, CALL_INODE_OFFSET);
  LOAD(u64, number, inode, SECURITY_NUMBER_OFFSET);
  key->program = inode;
  key->number = number;
  if (!find_object(seen, scratch, side)) return NULL;
  struct security_row *row = security_rows.lookup(key);
  if (row) return row;
  struct security_slot *slot = seen->slot;
  struct security_row nothing = {};
  if (*(volatile u64 *)&slot->rows - *(volatile u64 *)&slot->forgotten < SLOT_SECURITY_ROWS &&
      security_rows.insert(key, &nothing) == 0)
    __sync_fetch_and_add(&slot->rows, 1);
  row = security_rows.lookup(key); /* another CPU may have been first */
  if (!row) __sync_fetch_and_add(&slot->lost, 1);
  return row;
}

/* Reports who made the first call of a row, and what it named. */
static __always_inline void tell_match(struct security_call *seen, struct security_scratch *scratch,
                                       struct security_row *row, u32 side) {
  struct security_match *match = &scratch->match;
  struct call *call = &match->call;
  u64 task = (u64)seen->task, path = scratch->path;
  u64 leader = read_u64(task, CALL_LEADER_OFFSET), program = executable_of(read_u64(task, SECURITY_MM_OFFSET));
  match->record = RECORD_MATCH;
  call->end_ns = bpf_ktime_get_ns();
  call->generation = seen->head->generation;
  call->slot = seen->head->slot;
  read_task(call, task);
  read_arguments(call, seen->regs);
  match->program_state = file_state_of(program);
  match->program[0] = 0;
  bpf_probe_read_kernel_str(match->program, sizeof(match->program), (void *)read_u64(program, CALL_NAME_OFFSET));
  u64 parent = read_u64(read_u64(leader, SECURITY_PARENT_OFFSET), CALL_LEADER_OFFSET);
  match->origin = origin_of(leader, parent, seen->head->slot);
  if (scratch->file) {
    read_path(call, argument_of(seen->head, seen->regs, side >> SIDE_ARGUMENT_SHIFT & 7));
    call->text_bytes[0] = call->used;
    path = scratch->file + CALL_PATH_OFFSET;
  }
  if (path && !is_full(call)) call->modes[1] = TYPE_FOLDER | read_names(call, path);
  u64 size = text_bytes_of(call);
  call->text_bytes[1] = size - call->text_bytes[0];
  row->is_told = 1;
  if (!put_security(seen->slot, match, size + __builtin_offsetof(struct security_match, call.text))) row->is_told = 0;
}

static __always_inline void count_security(struct security_call *seen, struct security_scratch *scratch, u32 side,
                                           u32 position) {
  struct security_row *row = row_of_side(seen, scratch, side, position);
  if (!row) return;
  __sync_fetch_and_add(&row->count, 1);
  row->last_ns = bpf_ktime_get_ns();
  if (!row->is_told) tell_match(seen, scratch, row, side);
}

static __always_inline struct security_scratch *scratch_of_security(struct entry *entry) {
  u32 program = entry->program == AT_EXIT_AGAIN;
  return security_scratch.lookup(&program);
}

int on_security_call(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  struct security_call seen;
  struct security_scratch *scratch = scratch_of_security(entry);
  if (scratch && look_at(&seen, ctx, task, entry)) {
    count_security(&seen, scratch, seen.shape & ((1 << SIDE_BITS) - 1), 0);
    if (seen.shape >> SIDE_BITS) security_sides.call(ctx, 0);
  }
  go_on(ctx, entry);
  return 0;
}

/* The other path of a call with two. */
int on_security_side(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  struct security_call seen;
  struct security_scratch *scratch = scratch_of_security(entry);
  if (scratch && look_at(&seen, ctx, task, entry)) count_security(&seen, scratch, seen.shape >> SIDE_BITS, 1);
  go_on(ctx, entry);
  return 0;
}
