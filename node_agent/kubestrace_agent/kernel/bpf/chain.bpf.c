/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The programs of views, which the counting calls (tail calls): each has a place in one array, and config.chains says which
 * places run at which event. The first program is called with the places of all that are to run in the task's entry; each
 * ends with go_on, which calls the next. Where nothing is on, there is nothing to call.
 *
 * A program without a tail call of its own has its stack in memory of the CPU (Linux 6.13 and later, 64 bytes and more). The
 * kernel takes care that it runs there once at a time, which it cannot do for programs that are tail-called: where they are
 * preempted (Linux 7), another task's call would write into that stack. go_on is a tail call: no program may end without. */
#pragma once
#include "kernel/bpf/rows.bpf.c"

BPF_PROG_ARRAY(view_programs, CHAIN_PLACES);
/* By system call: the places of choosy programs that want it. Most views are about few calls, and what others cost for
 * nothing adds up: some 40 ns a program and call. */
BPF_F_TABLE("array", u32, u64, call_places, INDEX_ENTRIES, BPF_F_MMAPABLE);

/* The places that are to run at an event of a call of this row. */
static __always_inline u32 places_for(struct config *cfg, enum chain event, u32 row) {
  u32 places = cfg->chains[event], choosy = cfg->choosy;
  if (!(places & choosy)) return places;
  row &= ROW_MASK;
  struct head *head = heads.lookup(&row);
  u32 at = head ? place_of_call(head->abi & ABI_MASK, head->nr) : INDEX_ENTRIES;
  u64 *wanted = call_places.lookup(&at);
  return places & ((wanted ? (u32)*wanted : 0) | ~choosy);
}

/* Numbers that are known when this is compiled: such a call is a jump, and an empty place falls through to the next. Four
 * places at a time are passed over where there is nothing in them. */
static __always_inline void go_on(struct bpf_raw_tracepoint_args *ctx, struct entry *entry) {
  u64 todo = entry->todo;
#pragma unroll
  for (u32 first = 0; first < CHAIN_PLACES; first += 4) {
    if (!(todo & 15U << first)) continue;
#pragma unroll
    for (u32 place = first; place < first + 4; place++) {
      if (!(todo & 1U << place)) continue;
      todo &= ~(1ULL << place);
      entry->todo = todo;
      view_programs.call(ctx, place);
    }
  }
}
_Static_assert(CHAIN_PLACES % 4 == 0, "go_on has the places in fours");

/* The restart codes are no errors: the program sees EINTR, or nothing. */
static __always_inline bool has_failed(s64 result) {
  return result < 0 && result >= -4095 && (result > -512 || result < -516 || result == -515);
}
