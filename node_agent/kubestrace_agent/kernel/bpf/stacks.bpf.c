/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Stacks of programs, for the views that tell who made a call: read as the call ends, and what user space asks of the kernel
 * to name them by. */
#pragma once
#include "kernel/bpf/calls.bpf.c"
#include "kernel/bpf/stacks.h"

BPF_F_TABLE("array", u32, struct stack_question, stack_questions, 1, BPF_F_MMAPABLE);

static __always_inline void read_user_stack(struct user_stack *stack, struct bpf_raw_tracepoint_args *ctx, u32 abi) {
  stack->user_bytes = bpf_get_stack(ctx, stack->user, sizeof(stack->user), BPF_F_USER_STACK);
  stack->file_bytes = bpf_get_stack(ctx, stack->files, sizeof(stack->files), BPF_F_USER_STACK | BPF_F_USER_BUILD_ID);
  stack->words = 0;
#ifdef POINTER_OFFSET
  if (abi == ABI_COMPAT) return;
  u64 pointer = read_u64(ctx->args[0], POINTER_OFFSET);
  stack->stack_pointer = pointer;
  stack->frame_pointer = read_u64(ctx->args[0], FRAME_OFFSET);
  if (!read_memory(stack->top, sizeof(stack->top), (void *)pointer)) {
    stack->words = WORDS;
    return;
  }
  /* Near the stack's end: what is left of its last page. */
  u64 rest = (4096 - (pointer & 4095)) & ~7ULL;
  BOUND(rest, 2047);
  if (!read_memory(stack->top, rest, (void *)pointer)) stack->words = rest / 8;
#endif
}

/* The bytes of it that are used. */
static __always_inline u64 user_stack_bytes(struct user_stack *stack) {
  u64 size = stack->file_bytes > 0 ? stack->file_bytes : 0;
  BOUND(size, 2047);
  if (size > sizeof(stack->files)) size = sizeof(stack->files);
  return size + __builtin_offsetof(struct user_stack, files);
}

struct bpf_iter_meta;
struct bpf_iter__bpf_map {
  struct bpf_iter_meta *meta;
  struct bpf_map *map;
};

/* Names addresses of the kernel, of which user space could read none without a further capability. The maps that it
 * walks over are nothing to it: all is said at the first. */
BPF_ITER(bpf_map) {
  struct bpf_iter_meta *meta;
  void *seq;
  u64 number;
  u32 zero = 0;
  char format[] = "%ps\n";
  LOAD(u64, meta, ctx, 0);
  LOAD(u64, number, meta, SEQ_NUMBER_OFFSET);
  LOAD(u64, seq, meta, 0);
  struct stack_question *asked = stack_questions.lookup(&zero);
  if (number || !asked) return 0;
  for (u32 i = 0; i < SYMBOLS; i++) {
    if (i >= asked->count) break;
    u64 address = asked->addresses[i];
    bpf_seq_printf(seq, format, sizeof(format), &address, sizeof(address));
  }
  return 0;
}

struct bpf_iter__task_vma {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
  struct vm_area_struct *vma;
};

/* The code that a process has mapped, which /proc tells only to those who may trace it. */
BPF_ITER(task_vma) {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
  struct vm_area_struct *vma;
  struct file *file;
  void *seq;
  u64 pid, tid, flags;
  u32 zero = 0;
  LOAD(u64, meta, ctx, 0);
  LOAD(u64, task, ctx, 8);
  LOAD(u64, vma, ctx, 16);
  struct stack_question *asked = stack_questions.lookup(&zero);
  if (!task || !vma || !asked) return 0;
  LOAD(u32, pid, task, PID_OFFSET);
  LOAD(u32, tid, task, TID_OFFSET);
  LOAD(u64, flags, vma, VMA_FLAGS_OFFSET);
  if (pid != asked->pid || tid != pid || !(flags & VM_EXEC)) return 0;
  struct code_mapping found = {};
  LOAD(u64, found.start, vma, VMA_START_OFFSET);
  LOAD(u64, found.end, vma, VMA_END_OFFSET);
  LOAD(u64, found.offset_pages, vma, VMA_OFFSET_OFFSET);
  LOAD(u64, file, vma, VMA_FILE_OFFSET);
  if (file) bpf_d_path((struct path *)((void *)file + FILE_PATH_OFFSET), found.path, sizeof(found.path));
  LOAD(u64, seq, meta, 0);
  bpf_seq_write(seq, &found, sizeof(found));
  return 0;
}
