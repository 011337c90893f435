/* The view of slow calls: the counting at sys_exit goes on here after a call that was slow, and leaves the call's length
 * in the task's entry. Everything that is read of the program is read here: other calls cost nothing. */
#include "slow_calls.h"

BPF_F_TABLE("array", u32, struct slow_slot, slow_slots, MAX_SLOTS, BPF_F_MMAPABLE);
BPF_PERCPU_ARRAY(slow_scratch, struct call, 1);
BPF_RINGBUF_OUTPUT(slow_events, SLOW_PAGES);

static __always_inline void tell(struct bpf_raw_tracepoint_args *ctx, struct head *head, u64 *lost, s64 *room, u32 shape,
                                 u64 task, u64 ns) {
  u32 zero = 0;
  struct call *call = slow_scratch.lookup(&zero);
  if (!call) return;
  u64 size = read_call(call, ctx, head, shape, task, ns);
  __sync_fetch_and_add(room, -(s64)size - 16); /* with the ring's own words */
  if (slow_events.ringbuf_output(call, size, BPF_RB_NO_WAKEUP)) __sync_fetch_and_add(lost, 1);
}

int on_slow_exit(struct bpf_raw_tracepoint_args *ctx) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct entry *entry = entry_of(task);
  if (!entry) return 0;
  u64 ns = entry->last_ns;
  u32 id = entry->row & ROW_MASK;
  struct head *head = heads.lookup(&id);
  if (!head || head->generation != entry->generation) return 0;
  u32 number = head->slot;
  struct slow_slot *slot = slow_slots.lookup(&number);
  if (!slot) return 0;
  u32 shape = shape_of(head->abi, head->nr);
  u64 waits = shape >> SHAPE_WAITS_BIT;
  BOUND(waits, 1);
  if (ns < slot->floor_ns[waits]) return 0;
  s64 *room = &slot->room[waits];
  u64 *lost = &slot->lost[waits];
  if (*(volatile s64 *)room <= 0) {
    __sync_fetch_and_add(lost, 1);
    return 0;
  }
  tell(ctx, head, lost, room, shape, (u64)task, ns);
  return 0;
}
