/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Calls of UDP and unix sockets, by peer: the kernel keeps no counts for these. No program of its own. */
#pragma once
#include "views/network/network_rows.bpf.c"

BPF_F_TABLE("hash", struct net_key, struct net_talk, net_talks, MAX_NET_TALKS, BPF_F_NO_PREALLOC);
BPF_F_TABLE("hash", struct net_key, struct net_name, net_names, MAX_NET_TALKS, BPF_F_NO_PREALLOC);

/* Of sk_userlocks: the program chose the port (SOCK_BINDPORT_LOCK). */
#define NET_PORT_CHOSEN 8

/* A call, as it ends. */
struct net_message {
  u64 regs;
  u64 sk;
  s64 result;
  u32 generation;
  u32 kind;
  u32 of; /* enum net_kind */
  bool is_compat;
  bool is_narrow; /* its structs have pointers of 4 bytes */
};

#define NET_ARGUMENT(message, n) \
  ((message)->is_compat ? (u32)read_u64((message)->regs, CALL_COMPAT_##n) : read_u64((message)->regs, CALL_NATIVE_##n))

/* The socket behind a descriptor; 0: there is none. Every read(2) of a file comes by: what can be is loaded, as a call that
 * reads kernel memory takes some 30 ns. */
static __always_inline u64 net_socket_of(struct task_struct *task, u64 number) {
  void *files, *table;
  u32 most;
  u64 descriptors;
  LOAD(u64, files, task, CALL_FILES_OFFSET);
  if (!files) return 0;
  LOAD(u64, table, files, CALL_FDT_OFFSET);
  if (!table) return 0;
  LOAD(u32, most, table, CALL_MAX_FDS_OFFSET);
  LOAD(u64, descriptors, table, CALL_FD_OFFSET);
  if ((u32)number >= most) return 0;
  u64 file = read_u64(descriptors + 8 * (u64)(u32)number, 0);
  u64 inode, private;
  if (!file) return 0;
#if NET_FILE_BYTES <= NET_FILE_ROOM
  u64 room[NET_FILE_ROOM / 8] = {};
  struct fields piece;
  if (!read_fields(&piece, file + NET_FILE_FROM, room, NET_FILE_BYTES)) return 0;
  inode = FIELD(u64, &piece, CALL_INODE_OFFSET - NET_FILE_FROM);
  private = FIELD(u64, &piece, CALL_PRIVATE_OFFSET - NET_FILE_FROM);
#else
  inode = read_u64(file, CALL_INODE_OFFSET);
  private = read_u64(file, CALL_PRIVATE_OFFSET);
#endif
  return (read_u32(inode, CALL_MODE_OFFSET) & 0170000) == TYPE_SOCKET ? read_u64(private, CALL_SK_OFFSET) : 0;
}

/* The address that a program has in its memory. False: there is none. */
static __always_inline bool read_net_address(struct net_key *key, u64 address) {
  u8 sockaddr[16] = {};
  u32 *words = (u32 *)key->address;
  if (!address || read_memory(sockaddr, 16, (void *)address)) return false;
  u16 family = *(u16 *)sockaddr;
  key->port = *(u16 *)(sockaddr + 2);
  if (family == FAMILY_IPV6) return !read_memory(key->address, 16, (void *)(address + 8));
  words[2] = 0xffff0000;
  words[3] = *(u32 *)(sockaddr + 4);
  return true;
}

/* Where the program has the peer's address; 0: it gave none, or wants to know none. */
static __always_inline u64 net_named(struct net_message *message) {
  u32 kind = message->kind;
  if (kind == NET_CONNECT) return NET_ARGUMENT(message, 1);
  if (kind == NET_SENDTO || kind == NET_RECVFROM) return NET_ARGUMENT(message, 4);
  if (kind < NET_SENDMSG) return 0;
  u64 address = 0;
  read_memory(&address, message->is_narrow ? 4 : 8, (void *)NET_ARGUMENT(message, 1));
  return address;
}

/* Its length, where it is that of a name. */
static __always_inline u32 net_named_bytes(struct net_message *message) {
  u32 kind = message->kind, bytes = 0;
  if (kind == NET_CONNECT) return NET_ARGUMENT(message, 2);
  if (kind == NET_SENDTO) return NET_ARGUMENT(message, 5);
  u64 at = kind == NET_RECVFROM ? NET_ARGUMENT(message, 5) : NET_ARGUMENT(message, 1) + (message->is_narrow ? 4 : 8);
  read_memory(&bytes, 4, (void *)at);
  return bytes;
}

static __always_inline bool is_net_receive(u32 kind) {
  return kind == NET_READ || kind == NET_RECVFROM || kind == NET_RECVMSG || kind == NET_RECVMMSG;
}

/* Who is talked to by UDP: a socket with a port that the program chose, and without a fixed peer, is a server's. */
static __always_inline void net_udp_peer(struct net_key *key, struct net_message *message) {
  u64 sk = message->sk, named = message->result < 0 && is_net_receive(message->kind) ? 0 : net_named(message);
  u32 words[4] = {};
  u16 port = read_u32(sk, CALL_PORT_OFFSET), family = read_u32(sk, CALL_FAMILY_OFFSET);
  u32 locks = read_u32(sk, NET_LOCKS_OFFSET) >> NET_LOCKS_SHIFT;
  bool is_server = !port && message->kind != NET_CONNECT && locks & NET_PORT_CHOSEN;
  key->role = is_server ? ROLE_UDP_SERVER : ROLE_UDP_CLIENT;
  if (!read_net_address(key, named) && port) {
    key->port = port;
    if (family == FAMILY_IPV6) {
      bpf_probe_read_kernel(key->address, 16, (void *)(sk + CALL_IPV6_OFFSET));
    } else {
      words[2] = 0xffff0000;
      words[3] = read_u32(sk, CALL_IPV4_OFFSET);
      __builtin_memcpy(key->address, words, sizeof(words));
    }
  }
  if (is_server) key->port = net_own_port(sk);
}

/* A name from the kernel's memory or a program's. A path ends at NUL; an abstract name begins with it. */
static __always_inline void read_net_name(struct net_name *name, u64 text, u32 bytes, bool is_kernels) {
  u8 first = 0;
  if (bytes <= 2 || bytes > NET_NAME_BYTES + 2) return;
  bytes -= 2;
  BOUND(bytes, NET_NAME_ROOM - 1);
  if (is_kernels) {
    bpf_probe_read_kernel(&first, 1, (void *)text);
    if (first) {
      bpf_probe_read_kernel_str(name->text, NET_NAME_BYTES, (void *)text);
    } else {
      bpf_probe_read_kernel(name->text, bytes, (void *)text);
    }
    return;
  }
  read_memory(&first, 1, (void *)text);
  if (first) {
    read_string(name->text, NET_NAME_BYTES, (void *)text);
  } else {
    read_memory(name->text, bytes, (void *)text);
  }
}

static __always_inline bool read_net_name_of(struct net_name *name, u64 sk) {
  u64 address = sk ? read_u64(sk, NET_UNIX_NAME_OFFSET) : 0;
  if (!address) return false;
  read_net_name(name, address + NET_NAME_TEXT_OFFSET + 2, read_u32(address, NET_NAME_LENGTH_OFFSET), true);
  return true;
}

/* FNV-1a, a word at a time, with the high bits brought down: they hold what differs at the end. */
static __always_inline u64 hash_of_net_name(struct net_name *name) {
  u32 *words = (u32 *)name->text;
  u64 hash = 14695981039346656037ULL;
#pragma unroll
  for (u32 i = 0; i < NET_NAME_BYTES / 4; i++) {
    hash = (hash ^ words[i]) * 1099511628211ULL;
    hash ^= hash >> 32;
  }
  return hash;
}

/* Who is talked to by a unix socket: the peer's name, or for a server, whose peers have none, its own. */
static __always_inline void net_unix_peer(struct net_key *key, struct net_name *name, struct net_message *message) {
  bool is_own = message->kind == NET_ACCEPT, is_failed = message->result < 0 && is_net_receive(message->kind);
  u64 named = is_own || is_failed ? 0 : net_named(message);
  u32 bytes = named ? net_named_bytes(message) : 0;
  key->role = ROLE_UNIX_CLIENT;
  if (bytes > 2) {
    read_net_name(name, named + 2, bytes, false);
  } else if (is_own || !read_net_name_of(name, read_u64(message->sk, NET_UNIX_PEER_OFFSET))) {
    if (read_net_name_of(name, message->sk)) key->role = ROLE_UNIX_SERVER;
  }
  u64 hash = hash_of_net_name(name);
  __builtin_memcpy(key->address, &hash, sizeof(hash));
}

/* The row of a key, or that of all others, which the key is then. */
static __always_inline struct net_talk *net_talk_of(struct net_slot *slot, struct net_key *key, struct net_name *name) {
  struct net_talk *row = net_talks.lookup(key), nothing = {};
  if (row) return row;
  if (slot->talks < MAX_NET_SLOT_TALKS && net_talks.insert(key, &nothing) == 0) {
    __sync_fetch_and_add(&slot->talks, 1);
    if (key->role >= ROLE_UNIX_CLIENT) net_names.update(key, name);
  }
  row = net_talks.lookup(key);
  if (row) return row;
  key->role |= NET_OTHER;
  key->port = 0;
  __builtin_memset(key->address, 0, sizeof(key->address));
  return net_talks.lookup(key);
}

/* Bytes of a call that worked. Of several messages each has its own number. */
static __always_inline u64 net_talk_bytes(struct net_message *message) {
  u32 kind = message->kind;
  u64 flags = 0, total = 0;
  if (kind == NET_RECVFROM || kind == NET_RECVMMSG) flags = NET_ARGUMENT(message, 3);
  if (kind == NET_RECVMSG) flags = NET_ARGUMENT(message, 2);
  if (flags & NET_PEEK) return 0;
  if (kind != NET_SENDMMSG && kind != NET_RECVMMSG) return message->result;
  u64 at = NET_ARGUMENT(message, 1) + (message->is_narrow ? 28 : 56);
  u32 step = message->is_narrow ? 32 : 64;
  for (u32 i = 0; i < NET_MESSAGES; i++) {
    u32 bytes = 0;
    if (i >= message->result) break;
    read_memory(&bytes, sizeof(bytes), (void *)(at + i * step));
    total += bytes;
  }
  return total;
}

static __always_inline void count_net_outcome(struct net_talk *row, struct net_key *key, struct net_message *message) {
  u32 kind = message->kind;
  bool receives = is_net_receive(kind);
  u64 *calls = kind == NET_CONNECT ? &row->connects : kind == NET_ACCEPT ? &row->accepts : receives ? &row->receives : &row->sends;
  __sync_fetch_and_add(calls, 1);
  if (message->result == -NET_AGAIN) {
    __sync_fetch_and_add(&row->again, 1);
  } else if (message->result < 0) {
    count_net_failure(&row->failed, key, -message->result);
  } else if (kind > NET_ACCEPT) {
    u64 bytes = net_talk_bytes(message);
    __sync_fetch_and_add(receives ? &row->received : &row->sent, bytes);
  }
}

static __always_inline void count_net_talk(struct net_slot *slot, struct net_message *message) {
  struct net_key key = {.generation = message->generation};
  struct net_name name = {};
  u32 kind = message->kind;
  if (kind == NET_CONNECT) __sync_fetch_and_add(&slot->connect_other, 1);
  if (kind == NET_ACCEPT) __sync_fetch_and_add(&slot->accept_other, 1);
  if (message->of < NET_IS_UDP) {
    if (kind >= NET_SENDTO) __sync_fetch_and_add(message->of == NET_IS_TCP ? &slot->tcp_calls : &slot->other_calls, 1);
    return;
  }
  if (kind > NET_ACCEPT) __sync_fetch_and_add(kind >= NET_SENDTO ? &slot->talk_calls : &slot->write_calls, 1);
  if (message->of == NET_IS_UDP) {
    net_udp_peer(&key, message);
  } else {
    net_unix_peer(&key, &name, message);
  }
  struct net_talk *row = net_talk_of(slot, &key, &name);
  if (row) count_net_outcome(row, &key, message);
}
