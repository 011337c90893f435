/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What slow_stacks.bpf.c writes and stacks_kernel.py reads, by this file. */
#pragma once
#include <linux/types.h>

#define KERNEL_FRAMES 24
#define USER_FRAMES 32
/* Of the user's stack from its top: where the return addresses stand of functions without a frame pointer. */
#define WORDS 256
#define BUILD_ID_BYTES 20
#define SYMBOLS 64
#define PATH_BYTES 256
/* Set in the first word of a record that is a stack and no call. */
#define IS_STACK (1ULL << 63)
#define VM_EXEC 4

/* Of a task: where in the kernel it slept longest in the call that it is in. */
struct wait {
  u64 call_ns;    /* when that call began */
  u64 out_ns;     /* when it went to sleep last; 0: it did not */
  u64 out_ran_ns; /* its time on a processor by then */
  u64 longest_ns; /* off the processor */
  u32 longest;    /* which of the stacks is that of the longest; the other one is of the last */
  s32 bytes[2];
  u64 stacks[2][KERNEL_FRAMES];
};

/* struct bpf_stack_build_id (Linux include/uapi/linux/bpf.h) */
struct user_frame {
  s32 status;
  u8 build_id[BUILD_ID_BYTES];
  u64 offset; /* in the file; an address where status says so */
};

struct slow_stack {
  u64 end_ns; /* with IS_STACK; the call of the same thread that ended then follows */
  u64 waited_ns;
  u32 tid;
  u32 generation;
  s32 kernel_bytes; /* less than 0: the kernel could not tell */
  s32 user_bytes;
  s32 file_bytes;
  u32 words;
  u64 kernel[KERNEL_FRAMES];
  u64 user[USER_FRAMES];
  u64 stack_pointer; /* of the user */
  u64 frame_pointer;
  u64 top[WORDS];
  struct user_frame files[USER_FRAMES];
};

/* Asked by user space before it runs an iterator. */
struct stack_question {
  u32 pid;
  u32 count;
  u64 addresses[SYMBOLS];
};

/* What the iterator tells of a mapping that holds code. */
struct code_mapping {
  u64 start;
  u64 end;
  u64 offset_pages;
  char path[PATH_BYTES]; /* empty: of no file */
};
