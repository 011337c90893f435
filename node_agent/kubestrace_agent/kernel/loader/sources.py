"""What probe compiles: the counting, and the views beside it, each by programs and maps of its own. Pure.

A new view is a NAME.bpf.c and a View that speaks to its maps, both in views/, and a Source here.
"""

import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kubestrace_agent.kernel.loader import call_offsets, wait_offsets, walk_offsets
from kubestrace_agent.kernel.loader.btf import Btf
from kubestrace_agent.views.cpu_time import offsets as cpu_offsets
from kubestrace_agent.views.processes import offsets as process_offsets
from kubestrace_agent.views.slow_calls import stack_offsets


@dataclass(frozen=True)
class Source:
    """One .bpf.c file, compiled in one piece with the counting's, whose functions and maps it may use."""

    file: str
    # Function -> the raw tracepoint that it is attached to, behind the counting, as probes run in the order in which
    # they were attached.
    hooks: Mapping[str, str]
    maps: tuple[str, ...]
    # Constant -> the maps that there are only where it is defined.
    maps_with: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # Function -> the program array at whose head the counting goes on with it (a tail call), instead of a tracepoint.
    # Each must hold a tail call itself, wherever: after_cpu_time says why.
    tails: Mapping[str, str] = field(default_factory=dict)
    # Its constants for a machine (platform.machine()). Raises BtfError: then the view is not there.
    definitions: Callable[[str, Btf], dict[str, int]] = lambda _machine, _btf: {}
    # Iterators over tasks: functions of the context that BPF_ITER(task) has.
    iterators: tuple[str, ...] = ()
    # The source whose functions it uses, too: without that, it is not there either.
    uses: str = ""
    # Whether this kernel has a use for it at all.
    useful: Callable[[Btf], bool] = lambda _btf: True
    # The view without which nobody has a use for it; "": it is always compiled. Compiling all takes twice as long.
    view: str = ""
    # In words, for "... cannot be told: ".
    what: str = ""
    # Functions without which nothing works.
    needed: frozenset[str] = field(default_factory=frozenset)

    @property
    def programs(self) -> tuple[str, ...]:
        """All functions."""
        return (*self.hooks, *self.tails, *self.iterators)


# No programs of their own: what all have in common.
TARGETS = Source(
    file="kernel/bpf/cgroup_filter.bpf.c",
    hooks={},
    maps=("config", "containers", "processes", "lost", "tasks"),
)
ROWS = Source(
    file="kernel/bpf/rows.bpf.c",
    hooks={},
    maps=("indexes", "heads", "rows_by_key", "free_rows", "first_chunk", "chunks", "odd_errnos"),
    maps_with={"COPIES": ("first_counters", "counter_chunks")},
)
COUNTING = Source(
    file="kernel/bpf/syscalls.bpf.c",
    hooks={"on_sys_exit": "sys_exit", "on_sys_enter": "sys_enter"},
    maps=(
        "attach_calls", "after_call", "after_error", "after_slow", "after_enter", "after_each_enter", "after_each_exit",
    ),
    needed=frozenset({"on_sys_enter", "on_sys_exit"}),
)  # fmt: skip
# No program of its own: the second rows of calls that waited.
WAITS = Source(
    file="kernel/bpf/waits.bpf.c",
    hooks={},
    maps=("descriptor_calls",),
    definitions=wait_offsets.definitions,
)
# Linux 7 runs programs at the tracepoints of system calls with preemption. This function came with it.
AGAIN = Source(
    file="kernel/bpf/syscalls_again.bpf.c",
    hooks={"on_sys_exit_again": "sys_exit", "on_sys_enter_again": "sys_enter"},
    maps=(),
    definitions=lambda _machine, _btf: {"PREEMPTIBLE": 1},
    useful=lambda btf: btf.names("trace_call_bpf_faultable"),
    needed=frozenset({"on_sys_exit_again", "on_sys_enter_again"}),
)
TASKS = Source(
    file="kernel/bpf/tasks.bpf.c",
    hooks={
        "on_sched_process_fork": "sched_process_fork",
        "on_sched_process_exit": "sched_process_exit",
    },
    maps=(),
    definitions=walk_offsets.definitions,
    iterators=("bpf_iter__task",),
)
# No program of its own: what those have in common that tell single calls.
CALLS = Source(
    file="kernel/bpf/calls.bpf.c",
    hooks={},
    maps=("call_shapes",),
    definitions=lambda machine, btf: (
        call_offsets.definitions(machine, btf) | {"DETAILS": 1, "PAGE_SIZE": mmap.PAGESIZE}
    ),
)
VIEWS = {
    "cpu_time": Source(
        file="views/cpu_time/cpu_time.bpf.c",
        hooks={"on_cpu_switch": "sched_switch", "on_cpu_end": "sched_process_exit"},
        tails={"on_cpu_exit": "after_each_exit", "on_cpu_enter": "after_each_enter"},
        maps=("cpu_slots", "cpu_accounts", "cpu_walk"),
        definitions=cpu_offsets.definitions,
        view="cpu_time",
        what="CPU time",
    ),
    "slow_calls": Source(
        file="views/slow_calls/slow_calls.bpf.c",
        hooks={},
        tails={"on_slow_exit": "after_slow"},
        maps=("slow_slots", "slow_rings", "first_slow_ring", "slow_scratch", "after_slow_call"),
        uses="kernel/bpf/calls.bpf.c",
        view="slow_calls",
        what="Slow calls",
    ),
    "slow_stacks": Source(
        file="views/slow_calls/slow_stacks.bpf.c",
        hooks={"on_stack_switch": "sched_switch"},
        tails={"on_stack_enter": "after_enter", "on_slow_stack": "after_slow_call"},
        maps=("stack_questions", "stack_scratch"),
        iterators=("bpf_iter__bpf_map", "bpf_iter__task_vma"),
        definitions=stack_offsets.definitions,
        uses="views/slow_calls/slow_calls.bpf.c",
        view="slow_stacks",
        what="Stacks of slow calls",
    ),
    "processes": Source(
        file="views/processes/processes.bpf.c",
        hooks={
            "on_process_exec": "sched_process_exec",
            "on_process_end": "sched_process_exit",
        },
        tails={"on_process_call": "after_call"},
        maps=("process_slots", "process_threads", "process_scratch", "process_rings", "first_ring"),
        definitions=process_offsets.definitions,
        uses="kernel/bpf/calls.bpf.c",
        iterators=("tell_processes",),
        view="processes",
        what="Processes",
    ),
    "errors": Source(
        file="views/errors/errors.bpf.c",
        hooks={},
        tails={"on_error": "after_error"},
        maps=("error_slots", "error_times", "error_scratch", "error_rings", "first_error_ring"),
        uses="kernel/bpf/calls.bpf.c",
        view="errors",
        what="Errors",
    ),
}
# Of the view of CPU time, what threads do between their events.
CPU_WALK = Source(
    file="views/cpu_time/cpu_walk.bpf.c",
    hooks={},
    maps=(),
    iterators=("walk_clocks",),
    uses="views/cpu_time/cpu_time.bpf.c",
    view="cpu_time",
    what="CPU time",
)
SOURCES = (TARGETS, ROWS, COUNTING, WAITS, AGAIN, CALLS, TASKS, *VIEWS.values(), CPU_WALK)
TRACEPOINTS = {function: tracepoint for source in SOURCES for function, tracepoint in source.hooks.items()}
TAILS = {function: array for source in SOURCES for function, array in source.tails.items()}
