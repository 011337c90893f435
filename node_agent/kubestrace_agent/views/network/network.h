/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What network.bpf.c writes and kernel.py reads, by this file. */
#pragma once
#include "kernel/bpf/syscalls.h"

/* TCP sockets of traced containers that are followed at one time. */
#define MAX_NET_SOCKETS 32768
/* Rows of all slots, and of one of them. Each takes 1.3 KiB, once it is used. */
#define MAX_NET_ROWS 8192
#define MAX_NET_SLOT_ROWS 2048
/* Sockets of attempts that failed lately. */
#define MAX_NET_FAILED 1024
/* Kinds of failures of all rows. */
#define MAX_NET_ERRORS 8192
/* Ports of this node's network namespaces that traced containers listen on. */
#define MAX_NET_PORTS 4096
/* Cgroups of which each CPU keeps whose sockets they have; a power of two. */
#define NET_CACHES 16
/* Cgroups nested in a container's that are searched for it. */
#define NET_LEVELS 12
/* Rows of UDP and unix sockets, of all slots and of one of them. */
#define MAX_NET_TALKS 8192
#define MAX_NET_SLOT_TALKS 2048
/* Of one call that sends or receives several messages, so many are asked for their bytes. */
#define NET_MESSAGES 128
/* What an address of a unix socket has room for. */
#define NET_NAME_BYTES 108
#define NET_NAME_ROOM 128
/* Two buckets of agent.proto in one, from 1 us on. */
#define NET_BUCKETS 128
#define NET_FIRST_BUCKET 32

/* Of structs of the kernel that are read in one piece: so many bytes hold what is needed of each. */
#define NET_HEAD_ROOM 112
#define NET_TCP_ROOM 1024
#define NET_FILE_ROOM 64

enum net_role { ROLE_CLIENT = 1, ROLE_SERVER, ROLE_LISTENER, ROLE_UDP_CLIENT, ROLE_UDP_SERVER, ROLE_UNIX_CLIENT, ROLE_UNIX_SERVER };
/* Beside the role: all for which there was no row. */
#define NET_OTHER 0x100

/* What is known of a socket. */
enum net_state {
  NET_BEGUN = 1,   /* connect(2) has not returned since the attempt began */
  NET_ADOPTED = 2, /* there before anybody asked */
  NET_HALF = 4     /* the peer has closed its side */
};

/* What a counted call is to this view, by its number (table net_calls). */
enum net_call {
  NET_CONNECT = 1,
  NET_ACCEPT,
  NET_WRITE, /* sends and receives from here on; these two are not of sockets alone */
  NET_READ,
  NET_SENDTO,
  NET_RECVFROM,
  NET_SENDMSG,
  NET_RECVMSG,
  NET_SENDMMSG,
  NET_RECVMMSG
};

struct net_key {
  u32 generation; /* of the slot */
  u16 role;
  u16 port;       /* in network order: of the peer for a client, of the own side for a server and a listener */
  u8 address[16]; /* of the peer, of a listener its own; IPv4 is mapped; of a unix socket a hash of its name */
};

struct net_error {
  struct net_key key;
  u32 number; /* an errno */
};

struct net_port {
  u64 space; /* address of the struct net */
  u32 port;  /* in network order */
  u32 unused;
};

struct net_owner {
  struct slot_ref ref;
  u32 sockets; /* that listen there */
  u32 unused;
};

/* Whose the sockets of a cgroup are, as found out last. */
struct net_cache {
  u64 cgroup;
  u64 serial;     /* of it: an address may be used again */
  u32 generation; /* of config */
  u32 unused;
  struct slot_ref ref;
};

/* The beginning of a struct sock. */
struct net_head {
  u8 piece[NET_HEAD_ROOM];
};

/* Of a struct tcp_sock, from the first that is needed of it. */
struct net_tcp {
  u8 piece[NET_TCP_ROOM];
};

struct net_scratch {
  struct net_head head;
  struct net_tcp tcp;
};

/* A connection, or an attempt at one. */
struct net_socket {
  u64 begun_ns;       /* CLOCK_MONOTONIC */
  u64 established_ns; /* 0: not yet, or before anybody asked */
  u64 sent_before;    /* bytes and segments that are not to be counted */
  u64 received_before;
  u64 retransmits_before;
  u64 sent; /* since then, as last looked at */
  u64 received;
  u64 retransmits;
  u64 rtt_us;
  u32 slot;
  u32 tid; /* who began it */
  u32 state;
  u32 segments_before;
  struct net_key key;
};

/* All but backlog_max only grows. Bytes and retransmissions are those of sockets that are closed. */
struct net_row {
  u64 attempts;
  u64 established;
  u64 adopted;
  u64 failed;
  u64 abandoned;
  u64 closed;
  u64 reset; /* of closed, those that ended with an error */
  u64 sent;
  u64 received;
  u64 retransmits;
  u64 rtt_total_us;
  u64 rtt_count;
  u64 abandoned_max_ns;
  u64 opening_total_ns; /* handshakes of a client; how long a listener's connections waited to be accepted */
  u64 opening_max_ns;
  u64 lifetime_total_ns;
  u64 lifetime_max_ns;
  u64 backlog_peak;
  u64 backlog_max;
  u32 opening[NET_BUCKETS];
  u32 lifetime[NET_BUCKETS];
};

/* Calls of UDP and unix sockets with one peer. All only grows. */
struct net_talk {
  u64 connects;
  u64 accepts;
  u64 sends;
  u64 receives;
  u64 failed; /* but those that only had to wait */
  u64 again;  /* EAGAIN */
  u64 sent;   /* bytes */
  u64 received;
};

/* The name of a unix socket, by the address of its key. */
struct net_name {
  u8 text[NET_NAME_ROOM]; /* an abstract one begins with NUL */
};

/* Of a slot, written by both sides. Slot 0 has what concerns no slot: in generation, that only listeners are looked for. */
struct net_slot {
  u64 generation; /* of the slot that wants the view; 0: none does */
  u64 rows;
  u64 lost;    /* connections for which there was no room */
  u64 foreign; /* descriptors of sockets that are another's, at the last look */
  /* Calls by what they came to. */
  u64 connect_attempts;
  u64 connect_again; /* asked for the outcome of an attempt, or told that there is one */
  u64 connect_other; /* of no TCP socket */
  u64 accepted;
  u64 accept_failed;
  u64 accept_other;
  u64 talks;      /* rows */
  u64 talk_calls; /* send*, recv*: of UDP and unix sockets, of TCP sockets, of others and of none */
  u64 tcp_calls;
  u64 other_calls;
  u64 write_calls; /* read, write and their like of UDP and unix sockets */
};

/* What the iterator tells of a process: whose it is. */
struct net_process {
  u32 generation;
  u32 pid;
};
