/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The programs of views, which the counting calls (tail calls): each has a place in one array, and config.chains says which
 * places run at which event. The first program is called with the places of all that are to run in the task's entry; each
 * ends with go_on, which calls the next. Where nothing is on, there is nothing to call.
 *
 * A program without a tail call of its own has its stack in memory of the CPU (Linux 6.13 and later, 64 bytes and more). The
 * kernel takes care that it runs there once at a time, which it cannot do for programs that are tail-called: where they are
 * preempted (Linux 7), another task's call would write into that stack. go_on is a tail call: no program may end without. */
#pragma once
#include "kernel/bpf/cgroup_filter.bpf.c"

BPF_PROG_ARRAY(view_programs, CHAIN_PLACES);

/* Numbers that are known when this is compiled: such a call is a jump, and an empty place falls through to the next. */
static __always_inline void go_on(struct bpf_raw_tracepoint_args *ctx, struct entry *entry) {
  u64 todo = entry->todo;
#pragma unroll
  for (u32 place = 0; place < CHAIN_PLACES; place++) {
    if (!(todo & 1U << place)) continue;
    todo &= ~(1ULL << place);
    entry->todo = todo;
    view_programs.call(ctx, place);
  }
}

/* The restart codes are no errors: the program sees EINTR, or nothing. */
static __always_inline bool has_failed(s64 result) {
  return result < 0 && result >= -4095 && (result > -512 || result < -516 || result == -515);
}
