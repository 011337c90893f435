/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What stacks.bpf.c writes and user_stacks_kernel.py reads, by this file. */
#pragma once
#include <linux/types.h>

#define USER_FRAMES 32
/* Of the user's stack from its top: where the return addresses stand of functions without a frame pointer. */
#define WORDS 256
#define BUILD_ID_BYTES 20
#define SYMBOLS 64
#define PATH_BYTES 256
#define VM_EXEC 4

/* struct bpf_stack_build_id (Linux include/uapi/linux/bpf.h) */
struct user_frame {
  s32 status;
  u8 build_id[BUILD_ID_BYTES];
  u64 offset; /* in the file; an address where status says so */
};

/* Who made a call. The last member of a record: as many files as there are. */
struct user_stack {
  s32 user_bytes; /* less than 0: the kernel could not tell */
  s32 file_bytes;
  u32 words;
  u32 unused;
  u64 user[USER_FRAMES];
  u64 stack_pointer;
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
