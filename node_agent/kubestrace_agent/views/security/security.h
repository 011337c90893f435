/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What security.bpf.c writes and kernel.py reads, by this file. */
#pragma once
#include "kernel/bpf/calls.h"
#include "kernel/bpf/origins.h"
#include "kernel/bpf/syscalls.h"

/* Rows of all slots, and of one. Each takes some 130 bytes, once it is used. The agent takes away those that no pattern
 * fits; beyond them calls are counted as lost. */
#define MAX_SECURITY_ROWS 65536
#define SLOT_SECURITY_ROWS 16384

/* What is looked at of a call: one side of its shape, 16 bits. Calls with two paths have two sides. */
enum security_look {
  LOOK_NOTHING,
  LOOK_CALL,   /* the call itself, apart by an argument */
  LOOK_SPACES, /* flags that ask for namespaces; of a call without them nothing */
  LOOK_SPACES_AT, /* the same, in a struct that begins with them */
  LOOK_SOCKET, /* the first two arguments: the family and the type */
  LOOK_OTHER,  /* whether an argument is another process */
  LOOK_OPEN,   /* a path, and the file that was opened */
  LOOK_PATH,
  LOOK_ADDRESS,
  LOOK_MESSAGE /* a struct msghdr, with an address in it */
};
#define SIDE_LOOK 0xf
#define SIDE_ARGUMENT_SHIFT 4
/* The path may begin in the folder of the descriptor in the argument before it. */
#define SIDE_FOLDER 0x80
/* Of LOOK_CALL: there is no argument that tells calls apart. */
#define SIDE_ALONE 0x80
/* Of LOOK_OPEN: the argument after the path holds flags, or is the address of a struct that begins with them, or the call
 * always writes. */
#define SIDE_HOW 0x100
#define SIDE_CREATES 0x200
#define SIDE_BITS 16

/* CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET of Linux include/uapi/linux/sched.h. */
#define SPACE_FLAGS 0x7e020080
#define ACCESS_MODES 3
#define TYPE_MASK 0xf
#define PROGRAM_BYTES 64
#define PATH_WORDS 32
/* Descriptors of an executed program that are looked at, and of its parent to find a listening socket. */
#define SECURITY_FDS 2
#define PARENT_FDS 32
#define TCP_LISTENING 10

/* Calls that are counted together. */
struct security_key {
  u32 generation; /* of the slot */
  u32 abi;
  s32 nr;
  u32 side;
  u32 detail; /* as enum security_look says */
  u32 error;
  u64 program; /* the inode of its executable */
  u64 number;  /* and that one's number: addresses are used again */
  u64 object;  /* the hash of what is named, or the inode that was opened */
  u64 version; /* number of that one, or of the folder in which a path begins */
};

struct security_row {
  u64 count;
  u64 last_ns; /* CLOCK_MONOTONIC */
  u64 is_told;
};

/* Of a slot, written by both sides. */
struct security_slot {
  u64 generation; /* of the slot that wants the view; 0: none does */
  s64 room;       /* bytes of the ring that may be filled until the agent reads */
  u64 rows;
  u64 forgotten; /* of the rows: the agent took them away */
  u64 lost;      /* calls that found no row */
  u64 lost_execs;
};

enum security_record { RECORD_MATCH = 1, RECORD_EXEC = 2 };

/* What is reported once for each row. */
struct security_match {
  u64 record;
  struct security_key key;
  u32 origin; /* enum origin */
  u32 program_state;
  char program[PROGRAM_BYTES]; /* the last name of the executable's path */
  struct call call;
};

/* Of each program that may lead here: a row that is counted, and what was read of its call. */
struct security_scratch {
  struct security_match match;
  u64 file; /* that was opened */
  u64 path; /* the address of the struct path of a folder; 0: none */
};

/* A program that was executed. */
struct security_exec {
  u64 record;
  u64 time_ns;
  u64 start_ns; /* of the process */
  u64 effective; /* capabilities, and those of them that it keeps over every exec */
  u64 ambient;
  u32 generation;
  u32 origin;
  u32 parent; /* as the host numbers it */
  u32 file_state;
  u32 file_mode;
  u32 filesystem; /* its magic number */
  u32 is_upper;   /* of an overlay: in the layer that containers write to */
  u32 is_of_root; /* in the file system that is the process's root */
  u32 user;
  u32 effective_user;
  u32 group;
  u32 effective_group;
  u32 has_terminal;
  u32 parent_listens;
  u32 modes[SECURITY_FDS]; /* of its first descriptors; 0: none */
  u32 devices[SECURITY_FDS];
  u32 peer_bytes[SECURITY_FDS]; /* of text, behind the executable's names */
  u32 argument_bytes; /* all of them */
  char parent_name[16];
  char argument[PROGRAM_BYTES]; /* argv[0] and what follows, each with a NUL */
  char path[STRING_BYTES];      /* as it was named */
  struct call call;
};
