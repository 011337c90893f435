/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* DNS by name: queries that a program sends to port 53 and the answers that it receives, read from its own buffers as the
 * calls end. The one place where what a buffer holds is read, and only where a session asks for it. All of it is hostile:
 * nothing is followed, everything is bounded, and what is no query is only counted. */
#pragma once
#include "kernel/bpf/chain.bpf.c"
#include "kernel/bpf/rows.bpf.c"
#include "views/network/network_talks.bpf.c"
#include "views/network/network_dns.h"

BPF_F_TABLE("array", u32, struct dns_slot, dns_slots, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_F_TABLE("array", u32, u64, dns_calls, INDEX_ENTRIES, BPF_F_MMAPABLE);
BPF_F_TABLE("hash", struct dns_query_key, struct dns_query, dns_queries, MAX_DNS_QUERIES, BPF_F_NO_PREALLOC);
BPF_F_TABLE("hash", struct dns_key, struct dns_row, dns_rows, MAX_DNS_ROWS, BPF_F_NO_PREALLOC);
BPF_F_TABLE("hash", struct dns_name_key, struct dns_name, dns_names, MAX_DNS_ROWS, BPF_F_NO_PREALLOC);
BPF_F_TABLE("hash", struct dns_address, u64, dns_addresses, MAX_DNS_ADDRESSES, BPF_F_NO_PREALLOC);
/* Never written: a row begins as a copy of it. */
BPF_ARRAY(dns_nothing, struct dns_row, 1);

/* One for each program that counts. */
BPF_PERCPU_ARRAY(dns_scratch, struct dns_work, AT_EXIT_AGAIN + 1);
BPF_PROG_ARRAY(dns_message_readers, 1);
BPF_PROG_ARRAY(dns_answer_readers, 1);

#define DNS_PORT 0x3500 /* 53 in network order */
#define DNS_IS_ANSWER 0x80
#define DNS_IS_TRUNCATED 2
#define DNS_OPCODE 0x78
#define DNS_SERVFAIL 2
#define DNS_NXDOMAIN 3
#define DNS_TYPE_A 1
#define DNS_TYPE_AAAA 28
#define DNS_POINTER 0xc0

static __always_inline struct dns_slot *dns_wanting(u32 number, u32 generation) {
  struct dns_slot *slot = dns_slots.lookup(&number);
  return slot && generation && slot->generation == generation ? slot : NULL;
}

static __always_inline u64 dns_pointer(struct net_message *message, u64 at) {
  u64 pointer = 0;
  read_memory(&pointer, message->is_narrow ? 4 : 8, (void *)at);
  return pointer;
}

static __always_inline u32 dns_short(u8 *at) { return (u32)at[0] << 8 | at[1]; }

/* The first of the buffers of a call, or the second where the first is a length, as programs send by TCP. */
static __always_inline void find_dns_part(struct net_message *message, struct dns_place *place, u64 parts, u64 count) {
  u32 word = message->is_narrow ? 4 : 8;
  u64 size = dns_pointer(message, parts + word);
  if (size == 2 && (u32)count > 1 && place->bytes > 2) {
    place->bytes -= 2;
    parts += 2 * word;
    size = dns_pointer(message, parts + word);
  }
  place->at = dns_pointer(message, parts);
  if (place->bytes > size) place->bytes = size;
}

/* Where a message of a call stands; `nth` of those that have several. */
static __always_inline void find_dns_message(struct net_message *message, struct dns_place *place, bool has_parts, u32 nth) {
  u32 kind = message->kind;
  u64 header = NET_ARGUMENT(message, 1);
  place->bytes = message->result;
  place->named = 0;
  place->at = header;
  if (has_parts) {
    find_dns_part(message, place, header, NET_ARGUMENT(message, 2));
    return;
  }
  if (kind < NET_SENDMSG) {
    if (kind >= NET_SENDTO) place->named = NET_ARGUMENT(message, 4);
    return;
  }
  bool is_narrow = message->is_narrow;
  if (kind >= NET_SENDMMSG) {
    header += nth * (is_narrow ? 32 : 64);
    place->bytes = 0;
    read_memory(&place->bytes, sizeof(place->bytes), (void *)(header + (is_narrow ? 28 : 56)));
  }
  place->named = dns_pointer(message, header);
  u64 parts = dns_pointer(message, header + (is_narrow ? 8 : 16));
  find_dns_part(message, place, parts, dns_pointer(message, header + (is_narrow ? 12 : 24)));
}

/* The port of a message's peer, and its address. 0: nobody told. */
static __always_inline u16 dns_server_of(struct net_key *peer, u64 sk, u64 named, bool is_tcp) {
  u16 family = read_u32(sk, CALL_FAMILY_OFFSET);
  u32 *words = (u32 *)peer->address;
  if (!is_tcp && named && read_net_address(peer, named) && peer->port) return peer->port;
  if (family == FAMILY_IPV6) {
    bpf_probe_read_kernel(peer->address, 16, (void *)(sk + CALL_IPV6_OFFSET));
  } else {
    words[0] = words[1] = 0;
    words[2] = 0xffff0000;
    words[3] = read_u32(sk, CALL_IPV4_OFFSET);
  }
  return read_u32(sk, CALL_PORT_OFFSET);
}

static __always_inline u32 measure_dns_name(u8 *name) {
  u32 at = 0;
  for (u32 i = 0; i < DNS_NAME_BYTES / 2; i++) {
    u32 inside = at;
    BOUND(inside, 127);
    u32 label = name[inside];
    if (!label) return at + 1;
    if (label > 63) return 0;
    at += label + 1;
    if (at >= DNS_NAME_BYTES) break;
  }
  return DNS_NAME_BYTES + 1;
}

/* How long a name is with the 0 at its end; 0: it is none; more than DNS_NAME_BYTES: it is longer than what was read. The
 * verifier is to know nothing of it, or it looks at what follows once for each number. */
static __always_inline u32 dns_name_bytes(struct dns_work *work) {
  *(volatile u32 *)&work->name_bytes = measure_dns_name(work->name);
  return *(volatile u32 *)&work->name_bytes;
}

/* Capital letters of a word as small ones. Lengths of labels are below them. */
static __always_inline u64 dns_small(u64 word) {
  u64 low = word & 0x7f7f7f7f7f7f7f7fULL;
  u64 from_a = low + 0x3f3f3f3f3f3f3f3fULL, beyond_z = low + 0x2525252525252525ULL;
  return word | (((from_a ^ beyond_z) & ~word & 0x8080808080808080ULL) >> 2);
}

/* Reads a name once more, without what follows it: to cut it in place would be a branch for each word. False: it is gone. */
static __always_inline bool read_dns_name(struct dns_work *work, u64 at, u32 bytes) {
  u64 *words = (u64 *)work->name;
#pragma unroll
  for (u32 i = 0; i < DNS_NAME_ROOM / 8; i++) words[i] = 0;
  BOUND(bytes, 255);
  if (bytes > DNS_NAME_BYTES) bytes = DNS_NAME_BYTES;
  return !read_memory(work->name, bytes, (void *)at);
}

/* The hash of a name, which is then in small letters. */
static __always_inline u64 hash_of_dns_name(u8 *name) {
  u64 *words = (u64 *)name;
  u64 hash = 14695981039346656037ULL;
#pragma unroll
  for (u32 i = 0; i < DNS_NAME_BYTES / 8; i++) {
    u64 word = dns_small(words[i]);
    words[i] = word;
    hash = (hash ^ word) * 1099511628211ULL;
    hash ^= hash >> 32;
  }
  return hash;
}

/* The row of the key, or that of all others, which the key is then. */
static __always_inline struct dns_row *dns_row_of(struct dns_slot *slot, struct dns_work *work) {
  struct dns_key *key = &work->key;
  u32 zero = 0;
  struct dns_row *row = key->other ? NULL : dns_rows.lookup(key);
  if (row) return row;
  struct dns_row *nothing = dns_nothing.lookup(&zero);
  if (nothing && !key->other && slot->rows < MAX_DNS_SLOT_ROWS) {
    work->named.hash = key->hash;
    work->named.generation = key->generation;
    dns_names.update(&work->named, (struct dns_name *)work->name);
    if (dns_rows.insert(key, nothing) == 0) __sync_fetch_and_add(&slot->rows, 1);
    row = dns_rows.lookup(key);
    if (row) return row;
  }
  key->other = 1;
  key->type = 0;
  key->hash = 0;
  __builtin_memset(key->server, 0, sizeof(key->server));
  return dns_rows.lookup(key);
}

static __always_inline void count_dns_query(struct dns_slot *slot, struct dns_work *work) {
  u64 now = bpf_ktime_get_ns();
  struct dns_row *row = dns_row_of(slot, work);
  if (!row) return;
  __sync_fetch_and_add(&row->queries, 1);
  struct dns_query *known = dns_queries.lookup(&work->of);
  if (known) {
    work->query = *known;
    struct dns_row *its = dns_rows.lookup(&work->query.key);
    if (its) __sync_fetch_and_add(&its->replaced, 1);
    if (its && now - work->query.begun_ns >= DNS_AGAIN_MILLISECONDS * 1000000ULL) __sync_fetch_and_add(&its->repeated, 1);
  }
  work->query.begun_ns = now;
  work->query.key = work->key;
  if (dns_queries.update(&work->of, &work->query)) {
    __sync_fetch_and_add(&row->untracked, 1);
    __sync_fetch_and_add(&slot->lost, 1);
  }
}

static __always_inline void keep_dns_address(struct dns_slot *slot, struct dns_work *work) {
  u64 *known = dns_addresses.lookup(&work->address);
  if (known) {
    *known = work->of.hash;
    return;
  }
  if (slot->addresses < MAX_DNS_SLOT_ADDRESSES && dns_addresses.insert(&work->address, &work->of.hash) == 0)
    __sync_fetch_and_add(&slot->addresses, 1);
}

/* The addresses of an answer: its records from `at` on. A step is a label of a record's name, or the rest of a record. */
static __always_inline void read_dns_addresses(struct dns_slot *slot, struct dns_work *work, u64 at) {
  u64 begin = at, end = work->place.at + work->place.bytes;
  u32 left = dns_short(work->head + 6);
  for (u32 i = 0; i < DNS_STEPS; i++) {
    u8 first = 0, record[12] = {};
    if (!left || at < begin || at + 11 > end || read_memory(&first, 1, (void *)at)) return;
    if (first && first < DNS_POINTER) {
      at += first + 1;
      continue;
    }
    at += first ? 2 : 1;
    if (read_memory(record, 10, (void *)at)) return;
    u32 type = dns_short(record), size = dns_short(record + 8);
    u32 *words = (u32 *)work->address.address;
    at += 10;
    if (type == DNS_TYPE_A && size == 4 && at + 4 <= end) {
      words[0] = words[1] = 0;
      words[2] = 0xffff0000;
      if (read_memory(&words[3], 4, (void *)at)) return;
      keep_dns_address(slot, work);
    } else if (type == DNS_TYPE_AAAA && size == 16 && at + 16 <= end) {
      if (read_memory(words, 16, (void *)at)) return;
      keep_dns_address(slot, work);
    }
    at += size;
    left--;
  }
}

/* Whether an answer came to a query that is known; then its addresses may be asked for. */
static __always_inline bool count_dns_answer(struct dns_slot *slot, struct dns_work *work, bool is_known) {
  struct dns_query *query = dns_queries.lookup(&work->of);
  if (!query) {
    if (is_known) __sync_fetch_and_add(&slot->unmatched, 1);
    return false;
  }
  work->query = *query;
  u64 ns = bpf_ktime_get_ns() - work->query.begun_ns;
  dns_queries.delete(&work->of);
  struct dns_row *row = dns_rows.lookup(&work->query.key);
  if (!row) return false;
  if (ns >= DNS_PATIENCE_SECONDS * 1000000000ULL) {
    __sync_fetch_and_add(&row->late, 1);
    return true;
  }
  u32 code = work->head[3] & 15;
  __sync_fetch_and_add(&row->answers, 1);
  if (work->head[2] & DNS_IS_TRUNCATED) __sync_fetch_and_add(&row->truncated, 1);
  if (code) {
    u64 *count = code == DNS_NXDOMAIN ? &row->nxdomain : code == DNS_SERVFAIL ? &row->servfail : &row->failed;
    __sync_fetch_and_add(count, 1);
  }
  count_net_length(row->lengths, &row->total_ns, &row->max_ns, ns);
  return true;
}

/* By TCP a message has its length before it, which may have been read by a call of its own. */
static __always_inline void skip_dns_length(struct dns_place *place) {
  u8 head[6] = {};
  if (place->bytes < 8 || read_memory(head, 6, (void *)place->at) || dns_short(head + 4) == 1) return;
  place->at += 2;
  place->bytes -= 2;
}

/* Reads the question of a message into `of`. False: it is no query, and no answer. How many bytes its name has. */
static __always_inline u32 read_dns_question(struct dns_work *work, bool receives) {
  u64 size = work->place.bytes, at = work->place.at;
  u8 type[2] = {};
  if (size > DNS_HEADER_BYTES + DNS_NAME_BYTES + 4) size = DNS_HEADER_BYTES + DNS_NAME_BYTES + 4;
  BOUND(size, 255);
  if (size <= DNS_HEADER_BYTES + 4 || size > DNS_HEADER_BYTES + DNS_NAME_BYTES + 4) return 0;
  if (read_memory(work->head, size, (void *)at)) return 0;
  bool is_answer = work->head[2] & DNS_IS_ANSWER;
  if (is_answer != receives || work->head[2] & DNS_OPCODE || dns_short(work->head + 4) != 1) return 0;
  u32 bytes = dns_name_bytes(work);
  if (!bytes || DNS_HEADER_BYTES + bytes + 4 > work->place.bytes) return 0;
  if (bytes <= DNS_NAME_BYTES && read_memory(type, 2, (void *)(at + DNS_HEADER_BYTES + bytes))) return 0;
  if (!read_dns_name(work, at + DNS_HEADER_BYTES, bytes)) return 0;
  work->of.id = dns_short(work->head);
  work->of.type = dns_short(type);
  work->of.unused = 0;
  work->of.hash = hash_of_dns_name(work->name);
  return bytes;
}

/* Whether it is an answer whose addresses may be read. */
static __always_inline bool count_dns_message(struct dns_slot *slot, struct net_message *message, struct dns_work *work) {
  bool receives = is_net_receive(message->kind), is_tcp = message->of == NET_IS_TCP;
  u16 port = dns_server_of(&work->peer, message->sk, work->place.named, is_tcp);
  if (port != DNS_PORT && (port || !receives)) return false;
  if (is_tcp) skip_dns_length(&work->place);
  u32 bytes = read_dns_question(work, receives);
  if (!bytes) {
    /* Of TCP it may be the rest of a message. */
    if (port == DNS_PORT && !is_tcp) __sync_fetch_and_add(&slot->malformed, 1);
    return false;
  }
  work->of.sk = message->sk;
  work->address.generation = work->key.generation = message->generation;
  if (receives) return count_dns_answer(slot, work, port == DNS_PORT) && !work->query.key.other;
  work->key.type = work->of.type;
  work->key.other = bytes > DNS_NAME_BYTES;
  work->key.hash = work->of.hash;
  __builtin_memcpy(work->key.server, work->peer.address, sizeof(work->key.server));
  count_dns_query(slot, work);
  return false;
}

static __always_inline u32 kind_of_dns_call(u32 abi, s32 nr) {
  u32 at = place_of_call(abi, nr);
  u64 *kind = dns_calls.lookup(&at);
  return kind ? *kind : 0;
}

/* What is only looked at comes once more. */
static __always_inline bool is_dns_peek(struct net_message *message) {
  u64 flags = 0;
  if (message->kind == NET_RECVFROM || message->kind == NET_RECVMMSG) flags = NET_ARGUMENT(message, 3);
  if (message->kind == NET_RECVMSG) flags = NET_ARGUMENT(message, 2);
  return flags & NET_PEEK;
}

/* A call of a slot that wants the view, on a socket that may be one of DNS. False: it is none. */
static __always_inline bool is_dns_call(struct net_message *message, struct dns_slot **slot, struct bpf_raw_tracepoint_args *ctx,
                                        struct task_struct *task, struct entry *entry) {
  u32 id = entry->last_row & ROW_MASK;
  struct head *head = heads.lookup(&id);
  s64 result = ctx->args[1];
  if (!head || result <= 0) return false;
  u32 abi = head->abi & ABI_MASK, generation = head->generation, kind = kind_of_dns_call(abi, head->nr);
  *slot = kind ? dns_wanting(head->slot, generation) : NULL;
  if (!*slot) return false;
  u64 regs = ctx->args[0];
  bool is_compat = abi == ABI_COMPAT;
  u64 sk = net_socket_of(task, (u32)read_u64(regs, is_compat ? CALL_COMPAT_0 : CALL_NATIVE_0));
  u32 of = net_kind_of(sk);
  if (of == NET_IS_TCP ? (u16)read_u32(sk, CALL_PORT_OFFSET) != DNS_PORT : of != NET_IS_UDP) return false;
  message->regs = regs;
  message->sk = sk;
  message->of = of;
  message->result = result;
  message->generation = generation;
  message->kind = kind;
  message->is_compat = is_compat;
  message->is_narrow = is_compat || abi == ABI_X32;
  return true;
}

static __always_inline u32 dns_messages_of(struct net_message *message) {
  return message->kind >= NET_SENDMMSG && message->kind < DNS_PARTS ? message->result : 1;
}

/* Goes on with the call's next message, or with the next program. */
static __always_inline void go_on_with_dns(struct bpf_raw_tracepoint_args *ctx, struct entry *entry, struct dns_slot *slot,
                                           struct dns_work *work, u32 messages) {
  u32 nth = *(volatile u32 *)&work->nth + 1;
  work->nth = nth;
  if (nth < messages && nth < DNS_MESSAGES) dns_message_readers.call(ctx, 0);
  if (messages > DNS_MESSAGES) __sync_fetch_and_add(&slot->unread, messages - DNS_MESSAGES);
}

static __always_inline void read_dns_message(struct bpf_raw_tracepoint_args *ctx, struct task_struct *task, struct entry *entry) {
  struct net_message message = {};
  struct dns_slot *slot = NULL;
  u32 program = entry->program;
  struct dns_work *work = dns_scratch.lookup(&program);
  if (!work || !is_dns_call(&message, &slot, ctx, task, entry)) return;
  u32 messages = dns_messages_of(&message);
  bool has_parts = message.kind & DNS_PARTS;
  message.kind &= ~DNS_PARTS;
  find_dns_message(&message, &work->place, has_parts, work->nth);
  if (count_dns_message(slot, &message, work)) dns_answer_readers.call(ctx, 0);
  go_on_with_dns(ctx, entry, slot, work, messages);
}

/* Behind on_dns_call, for each message. */
int on_dns_message(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  read_dns_message(ctx, task, entry);
  go_on(ctx, entry);
  return 0;
}

static __always_inline void read_dns_answer(struct bpf_raw_tracepoint_args *ctx, struct task_struct *task, struct entry *entry) {
  struct net_message message = {};
  struct dns_slot *slot = NULL;
  u32 program = entry->program;
  struct dns_work *work = dns_scratch.lookup(&program);
  if (!work || !is_dns_call(&message, &slot, ctx, task, entry)) return;
  read_dns_addresses(slot, work, work->place.at + DNS_HEADER_BYTES + work->name_bytes + 4);
  go_on_with_dns(ctx, entry, slot, work, dns_messages_of(&message));
}

/* Behind on_dns_message, for an answer that was waited for. */
int on_dns_answer(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  read_dns_answer(ctx, task, entry);
  go_on(ctx, entry);
  return 0;
}

/* Whether a call's peer may have port 53: a socket with a peer may send to another one, which the call says then. */
static __always_inline bool may_be_dns(struct net_message *message) {
  u16 port = read_u32(message->sk, CALL_PORT_OFFSET), parts[2] = {};
  bool receives = is_net_receive(message->kind);
  if (port == DNS_PORT || message->kind >= NET_SENDMMSG) return true;
  if (port && receives) return false;
  u64 named = net_named(message);
  if (named && !read_memory(parts, sizeof(parts), (void *)named)) port = parts[1];
  return port ? port == DNS_PORT : receives;
}

/* Most calls are of no socket, or of one of another port: these end here. */
static __always_inline void look_for_dns(struct bpf_raw_tracepoint_args *ctx, struct task_struct *task, struct entry *entry) {
  struct net_message message = {};
  struct dns_slot *slot = NULL;
  u32 program = entry->program;
  struct dns_work *work = dns_scratch.lookup(&program);
  if (!work || !is_dns_call(&message, &slot, ctx, task, entry)) return;
  message.kind &= ~DNS_PARTS;
  if (!may_be_dns(&message) || is_dns_peek(&message)) return;
  work->nth = 0;
  dns_message_readers.call(ctx, 0);
}

int on_dns_call(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  look_for_dns(ctx, task, entry);
  go_on(ctx, entry);
  return 0;
}
