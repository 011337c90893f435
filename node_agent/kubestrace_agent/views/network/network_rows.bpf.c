/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What is known of sockets and their peers: whose a socket is, its row, and what it has moved. No program of its own. */
#pragma once
#include "kernel/bpf/rows.bpf.c"
#include "kernel/bpf/calls.bpf.c"
#include "views/network/network.h"

BPF_F_TABLE("array", u32, struct net_slot, net_slots, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_F_TABLE("hash", u64, struct net_socket, net_sockets, MAX_NET_SOCKETS, BPF_F_NO_PREALLOC);
BPF_F_TABLE("hash", struct net_key, struct net_row, net_rows, MAX_NET_ROWS, BPF_F_NO_PREALLOC);
/* Sockets whose attempt failed lately, and the task that is still in the call that began it: the program may ask for the
 * error once more. Nobody tells when such a socket is gone, without a program that runs for each socket of the node. */
BPF_TABLE("lru_hash", u64, u32, net_failed, MAX_NET_FAILED);
BPF_F_TABLE("hash", struct net_error, u64, net_errors, MAX_NET_ERRORS, BPF_F_NO_PREALLOC);
BPF_F_TABLE("hash", struct net_port, struct net_owner, net_ports, MAX_NET_PORTS, BPF_F_NO_PREALLOC);
/* Never written: a row begins as a copy of it. */
BPF_ARRAY(net_nothing, struct net_row, 1);
/* One of each for the changes of states, and one for the iterator, which these interrupt. */
BPF_PERCPU_ARRAY(net_caches, struct net_cache, 2 * NET_CACHES);
BPF_PERCPU_ARRAY(net_scratch, struct net_scratch, 2);

/* enum of Linux include/net/tcp_states.h */
enum net_tcp_state {
  STATE_ESTABLISHED = 1,
  STATE_SYN_SENT,
  STATE_SYN_RECV,
  STATE_FIN_WAIT1,
  STATE_FIN_WAIT2,
  STATE_TIME_WAIT,
  STATE_CLOSE,
  STATE_CLOSE_WAIT,
  STATE_LAST_ACK,
  STATE_LISTEN
};

/* The beginning of a struct sock. False: it is none of TCP. */
static __always_inline bool read_net_head(struct fields *head, u64 sk, struct net_head *room) {
  if (!read_fields(head, sk, room->piece, NET_HEAD_BYTES)) return false;
  u16 family = FIELD(u16, head, CALL_FAMILY_OFFSET), protocol = read_u32(sk, NET_PROTOCOL_OFFSET);
  return (family == FAMILY_IPV4 || family == FAMILY_IPV6) && protocol == NET_TCP;
}

/* How a socket is counted: TCP by its states, those behind it by their calls, others not at all. */
enum net_kind { NET_IS_OTHER, NET_IS_TCP, NET_IS_UDP, NET_IS_UNIX };

static __always_inline u32 net_kind_of(u64 sk) {
  u16 family = sk ? read_u32(sk, CALL_FAMILY_OFFSET) : 0;
  if (family == NET_UNIX) return NET_IS_UNIX;
  if (family != FAMILY_IPV4 && family != FAMILY_IPV6) return NET_IS_OTHER;
  u16 protocol = read_u32(sk, NET_PROTOCOL_OFFSET);
  return protocol == NET_TCP ? NET_IS_TCP : protocol == NET_UDP ? NET_IS_UDP : NET_IS_OTHER;
}

static __always_inline u32 net_state_of(u64 sk) { return read_u32(sk, NET_STATE_OFFSET) & 0xff; }
static __always_inline u16 net_own_port(u64 sk) { return read_u32(sk, NET_OWN_PORT_OFFSET); }

/* A slot that wants the view; NULL: it does not. */
static __always_inline struct net_slot *net_wanting(u32 number, u32 generation) {
  struct net_slot *slot = net_slots.lookup(&number);
  return slot && generation && slot->generation == generation ? slot : NULL;
}

/* The slot of the cgroup that a socket was made in, or of one above it. Containers of a node take turns on a CPU: each has a
 * place in the cache by its address, of structs of some kilobytes. */
static __always_inline struct slot_ref *slot_of_socket(struct config *cfg, u64 sk, u32 cache_of) {
  u64 cgroup = read_u64(sk, NET_CGROUP_OFFSET);
  u32 place = cache_of * NET_CACHES + ((cgroup >> 12 ^ cgroup >> 17) & (NET_CACHES - 1));
  struct net_cache *cache = net_caches.lookup(&place);
  if (!cgroup || cgroup & 1 || !cache) return NULL; /* odd: of version 1 */
  u64 serial = read_u64(cgroup, NET_SERIAL_OFFSET);
  u32 generation = *(volatile u32 *)&cfg->generation;
  if (cache->cgroup == cgroup && cache->serial == serial && cache->generation == generation)
    return cache->ref.slot ? &cache->ref : NULL;
  cache->cgroup = cgroup;
  cache->serial = serial;
  cache->generation = generation;
  cache->ref.slot = cache->ref.generation = 0;
#pragma unroll
  for (u32 i = 0; i < NET_LEVELS; i++) {
    u64 id = read_u64(read_u64(cgroup, KN_OFFSET), ID_OFFSET);
    struct slot_ref *ref = containers.lookup(&id);
    if (ref) {
      cache->ref = *ref;
      return &cache->ref;
    }
    u64 above = read_u64(cgroup, NET_PARENT_OFFSET);
    cgroup = above ? read_u64(above, NET_STATE_CGROUP_OFFSET) : 0;
    if (!cgroup) break;
  }
  return NULL;
}

static __always_inline struct net_owner *owner_of_port(u64 sk) {
  struct net_port port = {.space = read_u64(sk, NET_SPACE_OFFSET), .port = net_own_port(sk)};
  return net_ports.lookup(&port);
}

static __always_inline void copy_net_address(u32 *into, struct fields *head, u32 ipv4_at, u32 ipv6_at) {
  if (FIELD(u16, head, CALL_FAMILY_OFFSET) == FAMILY_IPV4) {
    into[2] = 0xffff0000;
    into[3] = FIELD(u32, head, ipv4_at);
    return;
  }
  into[0] = FIELD(u32, head, ipv6_at);
  into[1] = FIELD(u32, head, ipv6_at + 4);
  into[2] = FIELD(u32, head, ipv6_at + 8);
  into[3] = FIELD(u32, head, ipv6_at + 12);
}

static __always_inline void net_peer_of(struct net_key *key, struct fields *head, u64 sk, u32 generation, u32 role) {
  key->generation = generation;
  key->role = role;
  key->port = role == ROLE_CLIENT ? FIELD(u16, head, CALL_PORT_OFFSET) : net_own_port(sk);
  if (role == ROLE_LISTENER) {
    copy_net_address((u32 *)key->address, head, NET_OWN_IPV4_OFFSET, NET_OWN_IPV6_OFFSET);
  } else {
    copy_net_address((u32 *)key->address, head, CALL_IPV4_OFFSET, CALL_IPV6_OFFSET);
  }
}

/* The row of a key, or that of all others, which the key is then. */
static __always_inline struct net_row *net_row_of(struct net_slot *slot, struct net_key *key) {
  u32 zero = 0;
  struct net_row *row = net_rows.lookup(key);
  if (row) return row;
  struct net_row *nothing = net_nothing.lookup(&zero);
  if (nothing && slot->rows < MAX_NET_SLOT_ROWS) {
    if (net_rows.insert(key, nothing) == 0) __sync_fetch_and_add(&slot->rows, 1);
    row = net_rows.lookup(key);
    if (row) return row;
  }
  key->role |= NET_OTHER;
  key->port = 0;
  __builtin_memset(key->address, 0, sizeof(key->address));
  return net_rows.lookup(key);
}

/* Two CPUs may find a new maximum at once: who wrote the smaller one last would be seen by the other. */
static __always_inline void net_raise(u64 *max, u64 value) {
#pragma unroll
  for (u32 i = 0; i < 4; i++) {
    if (value <= *(volatile u64 *)max) break;
    *(volatile u64 *)max = value;
  }
}

static __always_inline void count_net_length(u32 *buckets, u64 *total, u64 *max, u64 ns) {
  u64 bucket = bucket_of(ns) >> 1;
  bucket = bucket > NET_FIRST_BUCKET ? bucket - NET_FIRST_BUCKET : 0;
  BOUND(bucket, NET_BUCKETS - 1);
  __sync_fetch_and_add(&buckets[bucket], 1);
  __sync_fetch_and_add(total, ns);
  net_raise(max, ns);
}

static __always_inline void count_net_failure(u64 *failed, struct net_key *key, u32 number) {
  struct net_error error = {.key = *key, .number = number};
  u64 zero = 0, *count = net_errors.lookup_or_try_init(&error, &zero);
  __sync_fetch_and_add(failed, 1);
  if (count) __sync_fetch_and_add(count, 1);
}

#define OF_TCP(type, offset) FIELD(type, &tcp, (offset) - NET_TCP_FROM)

/* What a connection has moved: all that went out but what went out again, and what came in but the FIN, which has a
 * number of its own. */
static __always_inline void read_net_moved(struct net_socket *socket, u64 sk, u32 scratch_of) {
  struct net_scratch *scratch = net_scratch.lookup(&scratch_of);
  if (!scratch) return;
  struct fields tcp;
  if (!read_fields(&tcp, sk + NET_TCP_FROM, scratch->tcp.piece, NET_TCP_BYTES)) return;
  u64 received = OF_TCP(u64, NET_RECEIVED_OFFSET), flags = read_u64(sk, NET_FLAGS_OFFSET);
  if (flags >> NET_DONE & 1) {
    received -= 1;
    socket->state |= NET_HALF;
  }
  socket->sent = OF_TCP(u64, NET_SENT_OFFSET) - OF_TCP(u64, NET_SENT_AGAIN_OFFSET) - socket->sent_before;
  socket->received = received - socket->received_before;
  socket->retransmits = OF_TCP(u32, NET_RETRANSMITS_OFFSET) - socket->retransmits_before;
  socket->rtt_us = OF_TCP(u32, NET_RTT_OFFSET) >> 3;
}

static __always_inline void count_net_moved(struct net_row *row, struct net_socket *socket) {
  if (socket->sent) __sync_fetch_and_add(&row->sent, socket->sent);
  if (socket->received) __sync_fetch_and_add(&row->received, socket->received);
  if (socket->retransmits) __sync_fetch_and_add(&row->retransmits, socket->retransmits);
}

static __always_inline void net_listen_on(struct net_slot *slot, struct slot_ref *ref, struct fields *head, u64 sk,
                                          bool is_new) {
  struct net_key key = {};
  struct net_port port = {.space = read_u64(sk, NET_SPACE_OFFSET), .port = net_own_port(sk)};
  if (!port.port) return; /* not chosen yet: found at the next look */
  struct net_owner owner = {.ref = *ref}, *known = net_ports.lookup(&port);
  if (!known) {
    net_ports.update(&port, &owner);
    known = net_ports.lookup(&port);
  } else if (known->ref.slot != ref->slot || known->ref.generation != ref->generation) {
    known->ref = *ref;
  }
  if (known && is_new) __sync_fetch_and_add(&known->sockets, 1);
  net_peer_of(&key, head, sk, ref->generation, ROLE_LISTENER);
  struct net_row *row = net_row_of(slot, &key);
  if (!row) return;
  row->backlog_max = read_u32(sk, NET_BACKLOG_MAX_OFFSET);
  net_raise(&row->backlog_peak, read_u32(sk, NET_BACKLOG_OFFSET));
}
