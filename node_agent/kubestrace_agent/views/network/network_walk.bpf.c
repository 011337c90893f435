/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Beside the states of sockets: those that are open, by a walk over all open files, and the processes of traced containers. */
#pragma once
#include "kernel/bpf/tasks.bpf.c"
#include "views/network/network_rows.bpf.c"

/* A connection that was there before anybody asked. */
static __always_inline void adopt_socket(struct net_slot *slot, struct slot_ref *ref, struct fields *head, u64 sk) {
  struct net_socket socket = {.slot = ref->slot, .state = NET_ADOPTED};
  struct net_owner *owner = owner_of_port(sk);
  net_peer_of(&socket.key, head, sk, ref->generation, owner ? ROLE_SERVER : ROLE_CLIENT);
  read_net_moved(&socket, sk, 1);
  socket.sent_before = socket.sent;
  socket.received_before = socket.received;
  socket.retransmits_before = socket.retransmits;
  socket.sent = socket.received = socket.retransmits = 0;
  struct net_row *row = net_row_of(slot, &socket.key);
  if (!row || net_sockets.insert(&sk, &socket)) return;
  __sync_fetch_and_add(&row->adopted, 1);
}

static __always_inline bool is_net_connected(u32 state) {
  return state == STATE_ESTABLISHED || state == STATE_CLOSE_WAIT || state == STATE_FIN_WAIT1 || state == STATE_FIN_WAIT2;
}

/* A socket that a task holds and that is another's: it was passed. */
static __always_inline void count_net_foreign(struct config *cfg, struct task_struct *task, u32 owner) {
  struct slot_ref *ref = slot_of_task(cfg, task);
  if (!ref || ref->slot == owner) return;
  struct net_slot *slot = net_wanting(ref->slot, ref->generation);
  if (slot) __sync_fetch_and_add(&slot->foreign, 1);
}

/* A descriptor of a task, as the agent looks at all. */
static __always_inline void look_at_socket(struct config *cfg, struct task_struct *task, u64 sk) {
  u32 state = net_state_of(sk), zero = 0;
  struct net_slot *first = net_slots.lookup(&zero);
  struct net_socket *socket = net_sockets.lookup(&sk);
  u32 one = 1;
  struct net_scratch *scratch = net_scratch.lookup(&one);
  struct fields head;
  if (!first || !scratch || !read_net_head(&head, sk, &scratch->head)) return;
  bool only_listeners = first->generation;
  if (socket && is_net_connected(state)) read_net_moved(socket, sk, 1);
  struct slot_ref *found = slot_of_process(cfg, task), own = {};
  if (!found) found = slot_of_socket(cfg, sk, 1);
  if (found) own = *found;
  if (!only_listeners) count_net_foreign(cfg, task, own.slot);
  if (socket) return;
  struct net_slot *slot = net_wanting(own.slot, own.generation);
  if (!slot) return;
  if (state == STATE_LISTEN) {
    net_listen_on(slot, &own, &head, sk, false);
    return;
  }
  if (is_net_connected(state) && !only_listeners) adopt_socket(slot, &own, &head, sk);
}

struct bpf_iter__task_file;
int walk_sockets__task_file(struct bpf_iter__task_file *ctx) {
  struct task_struct *task;
  u32 zero = 0;
  u64 file;
  LOAD(u64, task, ctx, 8);
  LOAD(u64, file, ctx, 24);
  struct config *cfg = config.lookup(&zero);
  if (!task || !file || !cfg) return 0;
  if ((read_u32(read_u64(file, CALL_INODE_OFFSET), CALL_MODE_OFFSET) & 0170000) != TYPE_SOCKET) return 0;
  u64 sk = read_u64(read_u64(file, CALL_PRIVATE_OFFSET), CALL_SK_OFFSET);
  if (sk) look_at_socket(cfg, task, sk);
  return 0;
}

/* The processes of the slots that want to know: what the kernel counts for their network is read by them. */
int tell_net_processes(struct bpf_iter__task *ctx) {
  struct task_struct *task;
  struct bpf_iter_meta *meta;
  void *seq;
  u64 tid, pid;
  u32 zero = 0;
  LOAD(u64, task, ctx, 8);
  struct config *cfg = config.lookup(&zero);
  if (!task || !cfg) return 0;
  LOAD(u32, tid, task, TID_OFFSET);
  LOAD(u32, pid, task, PID_OFFSET);
  if (tid != pid) return 0;
  struct slot_ref *ref = slot_of_task(cfg, task);
  if (!ref || !net_wanting(ref->slot, ref->generation)) return 0;
  struct net_process process = {.generation = ref->generation, .pid = pid};
  LOAD(u64, meta, ctx, 0);
  LOAD(u64, seq, meta, 0);
  bpf_seq_write(seq, &process, sizeof(process));
  return 0;
}
