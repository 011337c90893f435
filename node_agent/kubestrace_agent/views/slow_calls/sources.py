"""What the loader compiles for the view slowCalls: the calls, and their stacks."""

from kubestrace_agent.kernel.loader.sources import STACKS as USER_STACKS
from kubestrace_agent.kernel.loader.sources import Source
from kubestrace_protos.v1.views.slow_calls_limits import MIN_THRESHOLD_MILLISECONDS

PART, STACKS = "slow_calls", "slow_stacks"
# What is read of a program for its stack; without it there are no stacks.
READING = USER_STACKS.part
SOURCES = (
    Source(
        file="views/slow_calls/slow_calls.bpf.c",
        hooks={"on_slow_rename": "task_rename"},
        chain={"on_slow_exit": "SLOW"},
        maps=("slow_slots", "slow_rings", "first_slow_ring", "slow_scratch", "names_before", "after_slow_call"),
        definitions=lambda _machine, _btf: {"LEAST_SLOW_NS": 1_000_000 * MIN_THRESHOLD_MILLISECONDS},
        uses="kernel/bpf/calls.bpf.c",
        part=PART,
        what="Slow calls",
    ),
    Source(
        file="views/slow_calls/slow_stacks.bpf.c",
        hooks={"on_stack_switch": "sched_switch"},
        chain={"on_stack_enter": "FIRST_ENTER"},
        tails={"on_slow_stack": "after_slow_call"},
        maps=("stack_scratch",),
        definitions=lambda _machine, btf: {"RAN_OFFSET": btf.offset("task_struct.se.sum_exec_runtime")},
        uses="kernel/bpf/stacks.bpf.c",
        part=STACKS,
        what="Stacks of slow calls",
    ),
)
