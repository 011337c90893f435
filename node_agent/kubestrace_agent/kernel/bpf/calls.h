/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What calls.bpf.c writes and calls.py reads, by this file. */
#pragma once
#include <linux/types.h>

/* What is read of a call's arguments, as bits of its shape: two captures of kind and argument. The
 * argument behind an address is its length; where the kernel writes the address it is a pointer to that. */
enum capture {
  CAPTURE_NOTHING,
  CAPTURE_PATH,
  CAPTURE_FILE, /* a descriptor, or AT_FDCWD: the working folder, where the path before it is relative */
  CAPTURE_ADDRESS,
  CAPTURE_WRITTEN_ADDRESS,
  CAPTURE_MESSAGE, /* a struct msghdr, or an array of struct mmsghdr, which begin with one: the address in it */
  CAPTURE_WRITTEN_MESSAGE,
  CAPTURE_FOLDER, /* the working folder, as above, of a call that has only a path */
  CAPTURE_LOCK, /* a struct flock, where the command before it takes one */
  CAPTURE_POLLED, /* the descriptors that a poll is told, or (from the first set on) a select */
  CAPTURE_EPOLL   /* a descriptor of an epoll, and those that are in it */
};
/* Beside them: a call after which the program that made it is no more. */
#define SHAPE_EXEC (1 << 16)
#define CAPTURES 2
/* Strings of both captures, and room for one more after the last that still may begin. */
#define TEXT_BYTES 512
#define STRING_BYTES 256
/* Of a longer path its beginning and its end, each with a NUL behind it. Paths have PATH_MAX bytes at most. */
#define HEAD_BYTES 96
#define TAIL_BYTES (STRING_BYTES - HEAD_BYTES)
#define LONGEST_PATH_BYTES 4096
#define NAME_STEPS 24
#define ADDRESS_BYTES 28
/* Family and name of a unix socket's address; what every program has room for, as struct sockaddr is so large; and more
 * than this the kernel takes of nobody (struct sockaddr_storage). */
#define UNIX_BYTES 110
#define LEAST_ROOM_BYTES 16
#define MAX_ADDRESS_BYTES 128
/* A struct flock of 64-bit programs; the commands with one, as bits: F_GETLK, F_SETLK, F_SETLKW, the same with 64 behind it
 * of 32-bit programs, and F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW. */
#define LOCK_BYTES 32
#define LOCK_COMMANDS (0xe0ULL | 0x7000ULL | 0x7000000000ULL)
enum family { FAMILY_UNIX = 1, FAMILY_IPV4 = 2, FAMILY_IPV6 = 10 };
/* Beside a file's mode: what is to be said of its names. */
enum named { NAMES_CUT = 1 << 16, NAMES_DETACHED = 1 << 17, NAMES_DELETED = 1 << 18 };
enum type { TYPE_PIPE = 0010000, TYPE_FOLDER = 0040000, TYPE_SOCKET = 0140000 };
#define AT_FDCWD -100

/* What a call polls: so many of its descriptors are told, each as a struct told_descriptor with the text of what is behind
 * it, after a u32 that says whether there are more. */
#define MAX_POLLED 8
struct told_descriptor {
  s32 fd;
  u32 events; /* as poll and epoll have them; of a select bits of enum polled_set */
  u32 mode;   /* as of a capture */
  u32 text_bytes;
};
enum polled_set { SET_READ = 1, SET_WRITE = 2, SET_EXCEPT = 4 };
/* Sets of select are looked at up to this descriptor, which is as far as fd_set goes. */
#define MAX_SET_BITS 1024
#define SET_WORDS (MAX_SET_BITS / 64)
#define SETS 3
/* Of a tree of an epoll. */
#define TREE_STEPS 40

struct polled_file {
  u64 file;
  s32 fd;
  u32 events;
};

struct call {
  u64 end_ns; /* CLOCK_MONOTONIC */
  u64 length_ns;
  u64 on_ns; /* of its length, on a CPU and in a run queue; all bits: no view knows */
  u64 runnable_ns;
  u64 arguments[6];
  s64 result;
  u32 generation;
  u32 abi;
  s32 nr;
  u32 slot;
  u32 tid; /* as the host numbers them, then as the innermost pid namespace does */
  u32 pid;
  u32 inner_tid;
  u32 inner_pid;
  u32 text_bytes[CAPTURES];
  u32 modes[CAPTURES]; /* of a captured file's inode, with bits of enum named; 0: none was found */
  u32 used; /* of text: kept here, where the verifier does not follow its every value */
  u32 relative; /* the path in it begins in some folder */
  u32 unused;
  char thread[16];
  char process[16];
  u8 text[TEXT_BYTES + STRING_BYTES];
  /* Not told: what is polled, while that is read; here, where the verifier does not follow its every value. */
  struct polled_file polled[MAX_POLLED];
  u32 polled_count;
  u32 polled_more;
  u64 polled_bits;
  u32 polled_word;
  u32 polled_state;
};
