/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What files.bpf.c writes and kernel.py reads, by this file. */
#pragma once
#include "kernel/bpf/calls.h"
#include "kernel/bpf/syscalls.h"

/* Rows of all slots, and of one. Each takes some 250 bytes, once it is used. Beyond them calls are counted in the slot's
 * row FILE_OTHERS. The kinds below that are not of one file have their rows from the start. */
#define MAX_FILE_ROWS 32768
#define SLOT_FILE_ROWS 4096
/* Failures by errno, of all slots and of one. Beyond them the row says how many failed, not how. */
#define MAX_FILE_FAILURES 32768
#define SLOT_FILE_FAILURES 8192

/* What a call does with a file. */
enum file_class { FILE_OPEN, FILE_STAT, FILE_OTHER, FILE_READ, FILE_WRITE, FILE_SYNC };
#define FILE_CLASSES 6

/* How a call names a file: a side of its shape, 16 bits. Calls with two files have two sides. */
enum file_side {
  SIDE_NOTHING,
  SIDE_PATH,    /* relative to the working folder */
  SIDE_PATH_AT, /* relative to the folder of the descriptor in the argument before it */
  SIDE_FILE
};
#define SIDE_KIND 0xf
#define SIDE_CLASS_SHIFT 4
#define SIDE_ARGUMENT_SHIFT 8
/* The argument with flags of preadv2 and pwritev2; 0: none. */
#define SIDE_FLAGS_SHIFT 12
/* After it the memory is no more in which the path stood. */
#define SIDE_EXEC 0x8000
#define SIDE_BITS 16

/* What a row is of. */
enum file_kind {
  FILE_PATH,       /* a path as the program names it, and the folder that it begins in */
  FILE_FILE,       /* a file, by its inode */
  FILE_SOCKET,     /* all sockets, and so on */
  FILE_PIPE,
  FILE_NONE,       /* descriptors behind which is nothing */
  FILE_UNREADABLE, /* paths that cannot be read, as they are at no valid address */
  FILE_OTHERS      /* what found no row of its own */
};
#define FIRST_SHARED_FILE_KIND FILE_SOCKET
#define FILE_KINDS 7

/* A file: its inode. The address alone says nothing once the inode is gone, and its number neither; together with the
 * generation they do. A path: its hash in the place of the number, and the inode of the folder; zeros for absolute ones. */
struct file_key {
  u32 generation; /* of the slot */
  u32 kind;
  u64 inode; /* its address */
  u64 number;
  u64 version; /* of a folder with its number */
};

/* Everything only grows but the maximum, which begins anew, and what is behind it. */
struct file_row {
  u64 calls[FILE_CLASSES];
  u64 failed;
  u64 read_bytes;
  u64 written_bytes;
  u64 synced_writes; /* of the writes, those that waited for the disk: O_SYNC, O_DSYNC, RWF_SYNC, RWF_DSYNC */
  u64 total_ns;
  u64 max_ns;
  u64 since_ns; /* of file_slot, as the maximum began */
  u64 file_inode; /* of a path: the file that it has led to, as in file_key; 0: it was not opened */
  u64 file_number;
  u64 file_version;
  u64 is_named; /* its name has been reported */
};

struct file_failure {
  struct file_key key; /* of the row */
  u32 number;
  u32 unused;
};

/* Of a slot, written by both sides. */
struct file_slot {
  u64 generation; /* of the slot that wants the view; 0: none does */
  u64 since_ns;   /* when maxima began: CLOCK_MONOTONIC */
  s64 room;       /* bytes of the ring that may be filled until the agent reads */
  u64 rows;
  u64 failures;
};

/* Names from the last to the first, or a path and then those of its folder. PATH_WORDS are the longest path's. */
#define FILE_PATH_WORDS 512
#define FILE_WALK_STEPS 100
#define FILE_TEXT_BYTES 8192
#define FILE_NAME_BYTES 256
/* Of structs of the kernel that are read in one piece. */
#define FILE_PIECE_BYTES 768

/* What is reported once for each row of a path or a file. */
struct file_name {
  struct file_key key;
  u32 mode;       /* of what the walk is of, with bits of enum named */
  u32 path_bytes; /* of text: the path as the program names it, with its NUL; the rest are names */
  u32 used;       /* of text: kept here, where the verifier does not follow its every value */
  u32 unused;
  u8 text[FILE_TEXT_BYTES + FILE_NAME_BYTES];
};

/* Of each program that may lead here. */
struct file_scratch {
  struct file_name name; /* of the row that is counted: its key first, and the path */
  u64 path;              /* the address of a struct path whose names are to be read; 0: none are */
  u32 second;            /* the other side of the call, not counted yet */
  u32 naming;            /* the row's name is to be reported, */
  u32 linking;           /* and which file it has led to */
  u32 unused;
  u8 piece[FILE_PIECE_BYTES];
};
