/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Beside the queries of DNS: which sockets there are, as nobody tells when one of UDP is closed. */
#pragma once
#include "kernel/bpf/tasks.bpf.c"
#include "views/network/network_dns.bpf.c"

struct bpf_iter__task_file;
int walk_dns__task_file(struct bpf_iter__task_file *ctx) {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
  void *seq;
  u32 zero = 0;
  u64 file;
  LOAD(u64, task, ctx, 8);
  LOAD(u64, file, ctx, 24);
  struct config *cfg = config.lookup(&zero);
  if (!task || !file || !cfg) return 0;
  if ((read_u32(read_u64(file, CALL_INODE_OFFSET), CALL_MODE_OFFSET) & 0170000) != TYPE_SOCKET) return 0;
  u64 sk = read_u64(read_u64(file, CALL_PRIVATE_OFFSET), CALL_SK_OFFSET);
  u32 of = net_kind_of(sk);
  if (of != NET_IS_TCP && of != NET_IS_UDP) return 0;
  struct slot_ref *ref = slot_of_task(cfg, task);
  if (!ref || !dns_wanting(ref->slot, ref->generation)) return 0;
  LOAD(u64, meta, ctx, 0);
  LOAD(u64, seq, meta, 0);
  bpf_seq_write(seq, &sk, sizeof(sk));
  return 0;
}
