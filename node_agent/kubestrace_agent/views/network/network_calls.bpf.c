/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Beside the states of sockets: what the counted calls of connect, accept and accept4 came to. */
#pragma once
#include "kernel/bpf/chain.bpf.c"
#include "kernel/bpf/rows.bpf.c"
#include "views/network/network_talks.bpf.c"

BPF_F_TABLE("array", u32, u64, net_calls, INDEX_ENTRIES, BPF_F_MMAPABLE);

/* The errors that connect(2) gives for what it found, not for what it tried. */
static __always_inline bool is_no_net_attempt(s64 result) {
  return result >= 0 || result < -511 || result == -NET_IN_PROGRESS || result == -NET_ALREADY || result == -NET_CONNECTED ||
         result == -NET_INTERRUPTED || result == -NET_FAULT || result == -NET_INVALID;
}

/* It failed before there was an attempt: no route, no permission. The socket does not know the address. */
static __always_inline void count_net_refused(struct net_slot *slot, u32 generation, u64 address, s64 result) {
  struct net_key key = {.generation = generation, .role = ROLE_CLIENT};
  if (!read_net_address(&key, address)) return;
  struct net_row *row = net_row_of(slot, &key);
  if (!row) return;
  __sync_fetch_and_add(&row->attempts, 1);
  count_net_failure(&row->failed, &key, -result);
}

static __always_inline void count_net_connect(struct net_slot *slot, u32 generation, u64 sk, u32 of, u64 address,
                                              s64 result) {
  if (of != NET_IS_TCP) {
    __sync_fetch_and_add(&slot->connect_other, 1);
    return;
  }
  u32 tid = bpf_get_current_pid_tgid();
  struct net_socket *socket = net_sockets.lookup(&sk);
  u32 *failed = socket ? NULL : net_failed.lookup(&sk);
  if ((socket && socket->state & NET_BEGUN && socket->tid == tid) || (failed && *failed == tid)) {
    if (socket) socket->state &= ~NET_BEGUN;
    if (failed) net_failed.delete(&sk);
    __sync_fetch_and_add(&slot->connect_attempts, 1);
    return;
  }
  if (failed) {
    net_failed.delete(&sk);
    __sync_fetch_and_add(&slot->connect_again, 1);
    return;
  }
  if (is_no_net_attempt(result)) {
    __sync_fetch_and_add(&slot->connect_again, 1);
    return;
  }
  __sync_fetch_and_add(&slot->connect_attempts, 1);
  count_net_refused(slot, generation, address, result);
}

static __always_inline void count_net_accept(struct net_slot *slot, u32 generation, u64 listener, u64 sk) {
  struct net_key key = {};
  struct net_head room;
  struct fields head;
  if (!sk || !read_net_head(&head, listener, &room)) {
    __sync_fetch_and_add(&slot->accept_other, 1);
    return;
  }
  __sync_fetch_and_add(&slot->accepted, 1);
  net_peer_of(&key, &head, listener, generation, ROLE_LISTENER);
  struct net_row *row = net_row_of(slot, &key);
  if (!row) return;
  __sync_fetch_and_add(&row->established, 1);
  row->backlog_max = read_u32(listener, NET_BACKLOG_MAX_OFFSET);
  net_raise(&row->backlog_peak, read_u32(listener, NET_BACKLOG_OFFSET) + 1); /* with the one that left it now */
  struct net_socket *socket = net_sockets.lookup(&sk);
  if (!socket || !socket->established_ns) return;
  u64 ns = bpf_ktime_get_ns() - socket->established_ns;
  count_net_length(row->opening, &row->opening_total_ns, &row->opening_max_ns, ns);
}

static __always_inline u32 kind_of_net_call(u32 abi, s32 nr) {
  u32 at = place_of_call(abi, nr);
  u64 *kind = net_calls.lookup(&at);
  return kind ? *kind : 0;
}

static __always_inline void count_net_call(struct bpf_raw_tracepoint_args *ctx, struct task_struct *task, u32 id) {
  struct head *head = heads.lookup(&id);
  if (!head) return;
  u32 abi = head->abi & ABI_MASK, generation = head->generation, kind = kind_of_net_call(abi, head->nr);
  struct net_slot *slot = kind ? net_wanting(head->slot, generation) : NULL;
  if (!slot) return;
  u64 regs = ctx->args[0];
  s64 result = ctx->args[1];
  if (kind == NET_ACCEPT && result < 0) {
    __sync_fetch_and_add(&slot->accept_failed, 1);
    return;
  }
  bool is_compat = abi == ABI_COMPAT;
  u64 sk = net_socket_of(task, (u32)read_u64(regs, is_compat ? CALL_COMPAT_0 : CALL_NATIVE_0));
  u32 of = net_kind_of(sk);
  if (kind == NET_ACCEPT && sk && of != NET_IS_UNIX) {
    count_net_accept(slot, generation, sk, net_socket_of(task, result));
    return;
  }
  if (kind == NET_CONNECT && of < NET_IS_UDP) {
    u64 address = is_compat ? (u32)read_u64(regs, CALL_COMPAT_1) : read_u64(regs, CALL_NATIVE_1);
    count_net_connect(slot, generation, sk, of, address, result);
    return;
  }
  struct net_message message = {
      .regs = regs, .sk = sk, .result = result, .generation = generation, .kind = kind, .of = of,
      .is_compat = is_compat, .is_narrow = is_compat || abi == ABI_X32,
  };
  count_net_talk(slot, &message);
}

int on_net_call(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  count_net_call(ctx, task, entry->last_row & ROW_MASK);
  go_on(ctx, entry);
  return 0;
}
