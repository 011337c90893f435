/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What network_dns.bpf.c writes and dns.py reads, by this file. */
#pragma once
#include "views/network/network.h"

/* Queries of all slots that have no answer yet. */
#define MAX_DNS_QUERIES 16384
/* Rows of all slots, and of one of them. Each takes 0.6 KiB, once it is used. */
#define MAX_DNS_ROWS 8192
#define MAX_DNS_SLOT_ROWS 2048
/* Addresses of answers, of all slots and of one of them. */
#define MAX_DNS_ADDRESSES 16384
#define MAX_DNS_SLOT_ADDRESSES 2048
/* Of a name so much is read, as it stands in a message: labels with their lengths, and the 0 at its end. */
#define DNS_NAME_BYTES 128
#define DNS_NAME_ROOM 136
#define DNS_HEADER_BYTES 12
/* Of one call that sends or receives several messages, so many are read. */
#define DNS_MESSAGES 8
/* Of one answer, so many records and labels of their names. */
#define DNS_STEPS 24
/* An answer that comes later than that is none. */
#define DNS_PATIENCE_SECONDS 5
/* A query that is sent again after so long: the program has waited in vain. musl asks again after 2.5 s, glibc after 5. */
#define DNS_AGAIN_MILLISECONDS 2400

/* Beside the kind of a call (enum net_call): its buffer is an array of struct iovec. */
#define DNS_PARTS 0x100

struct dns_key {
  u32 generation; /* of the slot */
  u16 type;       /* of the question, as RFC 1035 numbers it */
  u16 other;      /* all for which there was no row, and names that are longer than DNS_NAME_BYTES */
  u64 hash;       /* of the name, in small letters */
  u8 server[16];  /* IPv4 is mapped */
};

/* All only grows. */
struct dns_row {
  u64 queries;
  u64 answers; /* in time; the three below are among them */
  u64 nxdomain;
  u64 servfail;
  u64 failed;    /* with another code */
  u64 truncated; /* answers that told to ask again by TCP */
  u64 replaced;  /* queries that were sent again by the same socket before there was an answer */
  u64 repeated; /* of these, those that had waited for DNS_AGAIN_MILLISECONDS */
  u64 late;
  u64 untracked; /* queries whose answer could not be waited for, for lack of room */
  u64 total_ns;
  u64 max_ns;
  u32 lengths[NET_BUCKETS];
};

/* A query without an answer, of a socket. */
struct dns_query_key {
  u64 sk;
  u64 hash;
  u16 id; /* as the message has it */
  u16 type;
  u32 unused;
};

struct dns_query {
  u64 begun_ns; /* CLOCK_MONOTONIC */
  struct dns_key key;
};

struct dns_name_key {
  u64 hash;
  u32 generation;
  u32 unused;
};

struct dns_name {
  u8 text[DNS_NAME_ROOM]; /* as in a message, in small letters; zeros follow */
};

struct dns_address {
  u32 generation;
  u32 unused;
  u8 address[16]; /* IPv4 is mapped */
};

/* Of a slot, written by both sides. */
struct dns_slot {
  u64 generation; /* of the slot that wants the view; 0: none does */
  u64 rows;
  u64 addresses;
  u64 lost;      /* queries whose answer could not be waited for */
  u64 malformed; /* messages to and from port 53 that are no queries and no answers */
  u64 unmatched; /* answers to no query that is known */
  u64 unread;    /* messages of calls with more than DNS_MESSAGES */
};

/* A message in a program's memory. */
struct dns_place {
  u64 at;
  u64 named; /* the address of its peer; 0: the call has none */
  u32 bytes;
  u32 unused;
};

/* What a program works on: more than its stack has room for. */
struct dns_work {
  u32 nth; /* of the messages of the call */
  u8 head[12];            /* the beginning of a message */
  u8 name[DNS_NAME_ROOM]; /* aligned, as it is read by words */
  u32 name_bytes;         /* of the question, with the 0 at its end */
  u32 unused;
  struct dns_place place;
  struct dns_key key;
  struct dns_query_key of;
  struct dns_query query;
  struct dns_name_key named;
  struct dns_address address;
  struct net_key peer;
};
