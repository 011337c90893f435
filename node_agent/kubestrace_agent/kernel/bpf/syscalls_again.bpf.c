/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The second pair of counting programs, where the first may be preempted: see PREEMPTIBLE in rows.bpf.c. */
#pragma once
#include "kernel/bpf/syscalls.bpf.c"

int on_sys_exit_again(struct bpf_raw_tracepoint_args *ctx) { return exited(ctx, AT_EXIT_AGAIN); }

int on_sys_enter_again(struct bpf_raw_tracepoint_args *ctx) { return entered(ctx, AT_ENTRY_AGAIN); }
