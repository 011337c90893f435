/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* For which descriptors a call waits. A poll and a select are told them by their program, and a select writes over them as it
 * ends: they are noted as the call begins. An epoll has them in the kernel. */
#pragma once
#include "kernel/bpf/chain.bpf.c"
#include "kernel/bpf/descriptors.bpf.c"
#include "kernel/bpf/rows.bpf.c"

/* What the last poll or select of a task was told. */
struct noted {
  u32 generation; /* of the slot */
  u32 is_array;   /* of struct pollfd; else sets of bits */
  u64 address;    /* where it was, or the first set was */
  u32 count;      /* of descriptors in the array, or of bits in each set */
  u32 readable;   /* it could be read */
  u64 words[SETS * SET_WORDS];
};
BPF_TASK_STORAGE(polled, struct noted);

static __always_inline u64 argument_at(u64 regs, u32 abi, u32 native, u32 compat) {
  return (abi & ABI_MASK) == ABI_COMPAT ? (u32)read_u64(regs, compat) : read_u64(regs, native);
}

static __always_inline void note_array(struct noted *noted, u64 regs, u32 abi) {
  noted->is_array = 1;
  noted->address = argument_at(regs, abi, CALL_NATIVE_0, CALL_COMPAT_0);
  u64 count = noted->count = argument_at(regs, abi, CALL_NATIVE_1, CALL_COMPAT_1);
  if (count > MAX_POLLED) count = MAX_POLLED;
  BOUND(count, 15);
  noted->readable = !count || read_memory(noted->words, count * 8, (void *)noted->address) == 0;
}

/* A set ends in the middle of a word, whose other bits are whatever is there. */
static __always_inline bool note_set(struct noted *noted, u32 at, u64 address, u64 bytes) {
  u64 *words = &noted->words[at * SET_WORDS];
  __builtin_memset(words, 0, SET_WORDS * 8);
  BOUND(bytes, 255);
  return !address || !bytes || bytes > SET_WORDS * 8 || read_memory(words, bytes, (void *)address) == 0;
}

static __always_inline void note_sets(struct noted *noted, u64 regs, u32 abi) {
  s32 count = argument_at(regs, abi, CALL_NATIVE_0, CALL_COMPAT_0);
  noted->is_array = 0;
  noted->address = argument_at(regs, abi, CALL_NATIVE_1, CALL_COMPAT_1);
  noted->count = count > 0 ? count : 0;
  u64 bytes = ((u64)noted->count + 7) / 8;
  if (bytes > SET_WORDS * 8) bytes = SET_WORDS * 8;
  bool read = note_set(noted, 0, noted->address, bytes);
  read &= note_set(noted, 1, argument_at(regs, abi, CALL_NATIVE_2, CALL_COMPAT_2), bytes);
  read &= note_set(noted, 2, argument_at(regs, abi, CALL_NATIVE_3, CALL_COMPAT_3), bytes);
  noted->readable = read;
}

int on_poll_enter(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  u32 id = entry->row & ROW_MASK;
  struct head *head = heads.lookup(&id);
  struct noted *noted = polled.task_storage_get(task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (head && noted) {
    u64 rule = rule_of(head->abi & ABI_MASK, head->nr);
    noted->generation = entry->generation;
    if (rule & POLLS_ARRAY) {
      note_array(noted, ctx->args[0], head->abi);
    } else {
      note_sets(noted, ctx->args[0], head->abi);
    }
  }
  go_on(ctx, entry);
  return 0;
}

#define IN_CALL(field) (*(volatile typeof(call->field) *)&call->field)

static __always_inline void add_polled(struct call *call, u64 file, s32 fd, u32 events) {
  u64 at = IN_CALL(polled_count);
  if (at >= MAX_POLLED) {
    call->polled_more = 1;
    return;
  }
  BOUND(at, MAX_POLLED - 1);
  call->polled[at].file = file;
  call->polled[at].fd = fd;
  call->polled[at].events = events;
  call->polled_count += 1;
}

static __always_inline void find_in_array(struct call *call, struct noted *noted, u64 task) {
  u32 count = noted->count;
  for (u32 i = 0; i < MAX_POLLED; i++) {
    if (i >= count) return;
    u64 word = noted->words[i];
    s32 fd = (u32)word;
    add_polled(call, fd < 0 ? 0 : file_of(fd, task), fd, word >> 32 & 0xffff);
  }
  call->polled_more = count > MAX_POLLED;
}

/* Which bit is the lowest that is set: those below it are counted, without a branch that the verifier would follow. A
 * compiler that saw what is counted would look it up in a table, which no program here has. */
static __always_inline u32 lowest_of(u64 bits) {
  u64 below = (bits & -bits) - 1;
  asm volatile("" : "+r"(below));
  return __builtin_popcountll(below);
}

static __always_inline u64 word_of(struct noted *noted, u32 set, u64 word) {
  BOUND(word, SET_WORDS - 1);
  return noted->words[set * SET_WORDS + word];
}

/* Each step is a descriptor, or goes on to the next word. */
static __always_inline void find_in_sets(struct call *call, struct noted *noted, u64 task) {
  u32 count = noted->count;
  call->polled_more = count > MAX_SET_BITS;
  call->polled_word = 0;
  call->polled_bits = word_of(noted, 0, 0) | word_of(noted, 1, 0) | word_of(noted, 2, 0);
  for (u32 i = 0; i < SET_WORDS + MAX_POLLED + 1; i++) {
    u64 bits = IN_CALL(polled_bits), word = IN_CALL(polled_word);
    if (!bits) {
      word += 1;
      if (word >= SET_WORDS || word * 64 >= count) return;
      call->polled_word = word;
      call->polled_bits = word_of(noted, 0, word) | word_of(noted, 1, word) | word_of(noted, 2, word);
      continue;
    }
    u32 bit = lowest_of(bits), fd = word * 64 + bit;
    call->polled_bits = bits & (bits - 1);
    if (fd >= count) return;
    u32 events = (word_of(noted, 0, word) >> bit & 1) | (word_of(noted, 1, word) >> bit & 1) << 1 |
                 (word_of(noted, 2, word) >> bit & 1) << 2;
    add_polled(call, file_of(fd, task), fd, events);
    if (IN_CALL(polled_more) && count <= MAX_SET_BITS) return;
  }
}

#ifdef POLL_LEFTMOST_OFFSET
/* "[eventpo" of "[eventpoll]", which no file of a program's own can stand under in no folder. */
#define BEGINNING_OF_EPOLL 0x6f70746e6576655bULL
enum tree_state { TREE_DOWN, TREE_HERE, TREE_UP };

static __always_inline bool is_epoll(u64 file) {
  char name[8] = {};
  u64 dentry = read_u64(file, CALL_PATH_OFFSET + CALL_PATH_DENTRY_OFFSET);
  bpf_probe_read_kernel(name, sizeof(name), (void *)read_u64(dentry, CALL_NAME_OFFSET));
  return *(u64 *)name == BEGINNING_OF_EPOLL;
}

/* The first of its tree, by rising addresses of files; others may change the tree meanwhile: the steps are bounded. */
static __always_inline void find_in_epoll(struct call *call, u64 file) {
  if (!is_epoll(file)) return;
  u64 node = read_u64(read_u64(file, CALL_PRIVATE_OFFSET), POLL_LEFTMOST_OFFSET);
  call->polled_state = TREE_HERE;
  for (u32 i = 0; i < TREE_STEPS; i++) {
    if (!node) return;
    u32 state = IN_CALL(polled_state);
    if (state == TREE_UP) {
      u64 above = read_u64(node, POLL_PARENT_OFFSET) & ~3ULL;
      if (above && read_u64(above, POLL_LEFT_OFFSET) == node) call->polled_state = TREE_HERE;
      node = above;
      continue;
    }
    u64 left = state == TREE_DOWN ? read_u64(node, POLL_LEFT_OFFSET) : 0;
    if (left) {
      node = left;
      continue;
    }
    u64 item = node - POLL_NODE_OFFSET;
    add_polled(call, read_u64(item, POLL_FILE_OFFSET), read_u32(item, POLL_NUMBER_OFFSET), read_u32(item, POLL_EVENTS_OFFSET));
    if (IN_CALL(polled_more)) return;
    u64 right = read_u64(node, POLL_RIGHT_OFFSET);
    call->polled_state = right ? TREE_DOWN : TREE_UP;
    if (right) node = right;
  }
  call->polled_more = 1;
}
#else
static __always_inline void find_in_epoll(struct call *call, u64 file) {}
#endif

/* What is polled and no socket or pipe is mostly in no folder; of the others the last name is enough. */
static __always_inline u32 read_last_name(struct call *call, u64 path) {
  u64 dentry = read_u64(path, CALL_PATH_DENTRY_OFFSET), mount = read_u64(path, CALL_PATH_MNT_OFFSET);
  bool is_alone = dentry == read_u64(dentry, CALL_PARENT_OFFSET) && dentry != read_u64(mount, CALL_ROOT_OFFSET);
  read_name(call, dentry);
  return is_alone ? NAMES_DETACHED : NAMES_CUT;
}

static __always_inline void tell_polled(struct call *call, u64 at) {
  BOUND(at, MAX_POLLED - 1);
  u64 begin = IN_CALL(used), path;
  BOUND(begin, TEXT_BYTES - 1);
  struct told_descriptor told = {.fd = call->polled[at].fd, .events = call->polled[at].events};
  call->used += sizeof(told);
  if (!is_full(call)) {
    path = path_of_file(call, call->polled[at].file, &told.mode);
    if (path) told.mode |= read_last_name(call, path);
  }
  told.text_bytes = IN_CALL(used) - begin - sizeof(told);
  __builtin_memcpy(&call->text[begin], &told, sizeof(told));
}

static __always_inline bool is_polled(u32 kind) { return kind == CAPTURE_POLLED || kind == CAPTURE_EPOLL; }

/* `argument` is what the call was told at the place of the capture. */
static __always_inline void read_polled(struct call *call, u32 kind, u64 argument, struct task_struct *task, u32 *mode) {
  call->polled_count = call->polled_more = 0;
  if (kind == CAPTURE_EPOLL) {
    u64 file = file_of(argument, (u64)task);
    if (!file) return;
    *mode = (u16)read_u32(read_u64(file, CALL_INODE_OFFSET), CALL_MODE_OFFSET) | NAMES_DETACHED;
    find_in_epoll(call, file);
  } else {
    struct noted *noted = polled.task_storage_get(task, 0, 0);
    if (!noted || !noted->readable || noted->generation != call->generation || noted->address != argument) return;
    if (noted->is_array) {
      find_in_array(call, noted, (u64)task);
    } else {
      find_in_sets(call, noted, (u64)task);
    }
  }
  u64 begin = IN_CALL(used);
  BOUND(begin, TEXT_BYTES - 1);
  call->used += sizeof(u32);
  for (u64 i = 0; i < MAX_POLLED; i++) {
    if (i >= IN_CALL(polled_count)) break;
    if (is_full(call)) {
      call->polled_more = 1;
      break;
    }
    tell_polled(call, i);
  }
  u32 more = IN_CALL(polled_more);
  __builtin_memcpy(&call->text[begin], &more, sizeof(more));
}
