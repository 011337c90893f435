/* Beside the counting: which tasks are inside a call, and the family of a process that is followed by its PID. */

struct bpf_iter_meta;
struct bpf_iter__task {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
};

/* Read by the agent at each snapshot; walks all tasks that it can see. */
BPF_ITER(task) {
  struct task_struct *task;
  struct bpf_iter_meta *meta;
  void *seq;
  LOAD(u64, task, ctx, 8);
  if (!task) return 0;
  struct entry *entry = tasks.task_storage_get(task, 0, 0);
  if (!entry || !entry->start_ns) return 0;
  u64 tid, pid;
  LOAD(u32, tid, task, TID_OFFSET);
  LOAD(u32, pid, task, PID_OFFSET);
  struct in_flight record = {
      .start_ns = entry->start_ns, .generation = entry->generation, .row = entry->row, .tid = tid, .pid = pid};
  LOAD(u64, meta, ctx, 0);
  LOAD(u64, seq, meta, 0);
  bpf_seq_write(seq, &record, sizeof(record));
  return 0;
}

/* Runs in the parent before the child does; a thread has its process's PID already. */
int on_sched_process_fork(struct bpf_raw_tracepoint_args *ctx) {
  u32 parent = bpf_get_current_pid_tgid() >> 32, child = 0;
  struct target *target = processes.lookup(&parent);
  if (!target) return 0;
  bpf_probe_read_kernel(&child, sizeof(child), (void *)ctx->args[1] + PID_OFFSET);
  struct target inherited = *target;
  if (child != parent && processes.update(&child, &inherited)) lose(inherited.slot);
  return 0;
}

/* The last thread of a process: its PID may come back as another's. */
int on_sched_process_exit(struct bpf_raw_tracepoint_args *ctx) {
  u32 pid = bpf_get_current_pid_tgid() >> 32;
  u64 signal = 0;
  s32 live = 1;
  if (!processes.lookup(&pid)) return 0;
  bpf_probe_read_kernel(&signal, sizeof(signal), (void *)bpf_get_current_task_btf() + SIGNAL_OFFSET);
  bpf_probe_read_kernel(&live, sizeof(live), (void *)signal + LIVE_OFFSET);
  if (live == 0) processes.delete(&pid);
  return 0;
}
