/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The view of the network: TCP connections by peer, from the changes of their states.
 *
 * Most changes come in softirq, where the running task is a stranger. So whose a socket is says the socket: it keeps the
 * cgroup of its creator, and an accepted one that of its listener. Bytes and round trips are the kernel's own of each
 * connection, read as it closes and whenever the agent looks: nothing runs for a packet or a call that sends. */
#pragma once
#include "views/network/network_rows.bpf.c"

/* Whose a new socket is, where `ref` is whose its cgroup is. Of a followed process no cgroup tells: there it is the running
 * task's, or where that is a stranger, that of the port that a connection has come to. */
static __always_inline struct slot_ref *slot_of_new(struct config *cfg, u64 sk, struct slot_ref *ref, bool has_come) {
  if (!cfg->processes) return ref;
  if (!has_come) {
    struct slot_ref *followed = slot_of_process(cfg, bpf_get_current_task_btf());
    return followed ? followed : ref;
  }
  struct net_owner *owner = ref ? NULL : owner_of_port(sk);
  return owner ? &owner->ref : ref;
}

/* connect(2) begins: the peer's address stands in the socket already. */
static __always_inline void on_net_attempt(struct net_slot *slot, struct slot_ref *ref, struct fields *head, u64 sk) {
  struct net_socket socket = {
      .begun_ns = bpf_ktime_get_ns(),
      .slot = ref->slot,
      .tid = bpf_get_current_pid_tgid(),
      .state = NET_BEGUN,
      .segments_before = read_u32(sk, NET_SEGMENTS_OFFSET),
  };
  net_peer_of(&socket.key, head, sk, ref->generation, ROLE_CLIENT);
  struct net_row *row = net_row_of(slot, &socket.key);
  if (row) __sync_fetch_and_add(&row->attempts, 1);
  if (!row || net_sockets.update(&sk, &socket)) __sync_fetch_and_add(&slot->lost, 1);
}

/* The last packet of a handshake came to a listener: the socket is new. */
static __always_inline void on_net_arrival(struct net_slot *slot, struct slot_ref *ref, struct fields *head, u64 sk) {
  u64 now = bpf_ktime_get_ns();
  struct net_socket socket = {.begun_ns = now, .established_ns = now, .slot = ref->slot};
  net_peer_of(&socket.key, head, sk, ref->generation, ROLE_SERVER);
  struct net_row *row = net_row_of(slot, &socket.key);
  if (row) __sync_fetch_and_add(&row->established, 1);
  if (!row || net_sockets.update(&sk, &socket)) __sync_fetch_and_add(&slot->lost, 1);
}

static __always_inline void on_net_established(struct net_socket *socket) {
  struct net_row *row = net_rows.lookup(&socket->key);
  u64 now = bpf_ktime_get_ns();
  socket->established_ns = now;
  if (!row) return;
  __sync_fetch_and_add(&row->established, 1);
  count_net_length(row->opening, &row->opening_total_ns, &row->opening_max_ns, now - socket->begun_ns);
}

/* Without an error the program gave up, unless nothing was sent: then the kernel found no port of its own to use. */
static __always_inline void on_net_no_connection(struct net_row *row, struct net_socket *socket, u64 sk, u32 error) {
  u64 age = bpf_ktime_get_ns() - socket->begun_ns;
  if (!error && read_u32(sk, NET_SEGMENTS_OFFSET) == socket->segments_before) error = NET_NO_PORT;
  if (error) {
    u32 tid = socket->state & NET_BEGUN ? socket->tid : 0;
    count_net_failure(&row->failed, &socket->key, error);
    net_failed.update(&sk, &tid);
    return;
  }
  __sync_fetch_and_add(&row->abandoned, 1);
  net_raise(&row->abandoned_max_ns, age);
}

static __always_inline void on_net_closed(struct net_row *row, struct net_socket *socket, u32 error) {
  __sync_fetch_and_add(&row->closed, 1);
  if (error) __sync_fetch_and_add(&row->reset, 1);
  if (socket->rtt_us) {
    __sync_fetch_and_add(&row->rtt_total_us, socket->rtt_us);
    __sync_fetch_and_add(&row->rtt_count, 1);
  }
  if (!socket->established_ns) return;
  u64 ns = bpf_ktime_get_ns() - socket->established_ns;
  count_net_length(row->lifetime, &row->lifetime_total_ns, &row->lifetime_max_ns, ns);
}

/* The agent may look at the socket at this moment: what it adds to the copy is not what counts. */
static __always_inline void on_net_end(struct net_socket *known, u64 sk) {
  struct net_socket socket = *known;
  struct net_row *row = net_rows.lookup(&socket.key);
  u32 error = read_u32(sk, NET_ERROR_OFFSET);
  if (row) {
    read_net_moved(&socket, sk, 0);
    if (socket.established_ns || socket.state & NET_ADOPTED) {
      on_net_closed(row, &socket, error);
    } else {
      on_net_no_connection(row, &socket, sk, error);
    }
    count_net_moved(row, &socket);
  }
  net_sockets.delete(&sk);
}

/* Several sockets may listen on one port; those from before are not counted. */
static __always_inline void on_net_unlisten(u64 sk) {
  struct net_owner *owner = owner_of_port(sk);
  if (!owner) return;
  if (owner->sockets > 1) {
    __sync_fetch_and_add(&owner->sockets, -1);
    return;
  }
  struct net_port port = {.space = read_u64(sk, NET_SPACE_OFFSET), .port = net_own_port(sk)};
  net_ports.delete(&port);
}

/* A socket begins an attempt, listens, or has come to a listener. */
static __always_inline void on_net_new(struct slot_ref *ref, u64 sk, u32 state) {
  struct net_slot *slot = ref ? net_wanting(ref->slot, ref->generation) : NULL;
  u32 zero = 0;
  struct net_scratch *scratch = net_scratch.lookup(&zero);
  struct fields head;
  if (!slot || !scratch || !read_net_head(&head, sk, &scratch->head)) return;
  if (state == STATE_SYN_SENT) {
    on_net_attempt(slot, ref, &head, sk);
  } else if (state == STATE_ESTABLISHED) {
    on_net_arrival(slot, ref, &head, sk);
  } else {
    net_listen_on(slot, ref, &head, sk, true);
  }
}

/* These changes matter of sockets alone that are known. */
static __always_inline bool is_net_of_known(u32 old, u32 new) {
  return new == STATE_CLOSE ? old != STATE_LISTEN : new == STATE_ESTABLISHED && old != STATE_SYN_RECV;
}

static __always_inline void on_net_known(struct net_socket *socket, u64 sk, u32 new) {
  if (new == STATE_CLOSE) {
    on_net_end(socket, sk);
  } else {
    on_net_established(socket);
  }
}

/* A neighbour's socket ends here, as its cgroup is nobody's: where no process is followed, no such socket is known. */
int on_sock_state(struct bpf_raw_tracepoint_args *ctx) {
  u64 sk = ctx->args[0];
  u32 old = ctx->args[1], new = ctx->args[2], zero = 0;
  struct net_socket *socket = NULL;
  if (new != STATE_SYN_SENT && new != STATE_ESTABLISHED && new != STATE_CLOSE && new != STATE_LISTEN) return 0;
  struct config *cfg = config.lookup(&zero);
  if (!cfg) return 0;
  struct slot_ref *ref = slot_of_socket(cfg, sk, 0);
  if (!ref && !cfg->processes) return 0;
  if (is_net_of_known(old, new)) {
    socket = net_sockets.lookup(&sk);
    if (socket) on_net_known(socket, sk, new);
    return 0;
  }
  if (new == STATE_CLOSE) {
    on_net_unlisten(sk);
    return 0;
  }
  if (new == STATE_ESTABLISHED) socket = net_sockets.lookup(&sk);
  if (socket) {
    on_net_established(socket);
    return 0;
  }
  on_net_new(slot_of_new(cfg, sk, ref, new == STATE_ESTABLISHED), sk, new);
  return 0;
}
