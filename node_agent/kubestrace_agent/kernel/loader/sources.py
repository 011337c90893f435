"""What probe compiles: the counting here, and views by the sources in their folders. Pure.

Each has programs and maps of its own.
"""

import mmap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from kubestrace_agent.kernel.loader import (
    call_offsets,
    origin_offsets,
    pod_offsets,
    poll_offsets,
    ring_offsets,
    stack_offsets,
    wait_offsets,
    walk_offsets,
)
from kubestrace_agent.kernel.loader.btf import Btf
from kubestrace_agent.kernel.maps import layout


@dataclass(frozen=True)
class Source:
    """One .bpf.c file. All are compiled in one piece; each includes those whose functions and maps it uses."""

    file: str
    # Function -> the raw tracepoint that it is attached to, behind the counting, as probes run in the order in which
    # they were attached.
    hooks: Mapping[str, str] = field(default_factory=dict)
    # Function -> the event (enum chain of syscalls.h) at which the counting calls it.
    chain: Mapping[str, str] = field(default_factory=dict)
    # Function -> the source's own program array, at whose head it stands.
    tails: Mapping[str, str] = field(default_factory=dict)
    # Iterators: over KIND where they are called NAME__KIND, else over tasks.
    iterators: tuple[str, ...] = ()
    maps: tuple[str, ...] = ()
    # Constant -> the maps that there are only where it is defined.
    maps_with: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # Its constants for a machine (platform.machine()). Raises BtfError: then its programs are not there.
    definitions: Callable[[str, Btf], dict[str, int]] = lambda _machine, _btf: {}
    # A source that it includes and that this kernel may lack: without that, it is not there either.
    uses: str = ""
    # Whether this kernel has a use for it at all.
    useful: Callable[[Btf], bool] = lambda _btf: True
    # The part of a view that it serves; "": it is always compiled. Compiling all takes twice as long.
    part: str = ""
    # In words, for "... cannot be collected: ".
    what: str = ""
    # Functions without which nothing works.
    needed: frozenset[str] = field(default_factory=frozenset)

    @property
    def programs(self) -> tuple[str, ...]:
        """All functions."""
        return (*self.hooks, *self.chain, *self.tails, *self.iterators)


# No programs of their own: what all have in common.
CGROUP_FILTER = Source(
    file="kernel/bpf/cgroup_filter.bpf.c",
    maps=("config", "containers", "slots_by_pid", "lost", "tasks"),
)
ROWS = Source(
    file="kernel/bpf/rows.bpf.c",
    maps=("indexes", "heads", "rows_by_key", "free_rows", "call_rules", "first_chunk", "chunks", "odd_errnos"),
    maps_with={"COPIES": ("first_counters", "counter_chunks")},
)
CHAIN = Source(
    file="kernel/bpf/chain.bpf.c",
    maps=("view_programs", "call_places"),
)
COUNTING = Source(
    file="kernel/bpf/syscalls.bpf.c",
    hooks={"on_sys_exit": "sys_exit", "on_sys_enter": "sys_enter"},
    maps=("attach_calls",),
    needed=frozenset({"on_sys_enter", "on_sys_exit"}),
)
# No program of its own: the second rows of calls that waited.
WAITS = Source(
    file="kernel/bpf/waits.bpf.c",
    definitions=wait_offsets.definitions,
)
# Linux 7 runs programs at the tracepoints of system calls with preemption. This function came with it.
AGAIN = Source(
    file="kernel/bpf/syscalls_again.bpf.c",
    hooks={"on_sys_exit_again": "sys_exit", "on_sys_enter_again": "sys_enter"},
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
    definitions=walk_offsets.definitions,
    iterators=("bpf_iter__task",),
)
# No program of its own: what those have in common that tell single calls.
CALLS = Source(
    file="kernel/bpf/calls.bpf.c",
    maps=("call_shapes",),
    definitions=lambda machine, btf: (
        call_offsets.definitions(machine, btf) | {"DETAILS": 1, "PAGE_SIZE": mmap.PAGESIZE}
    ),
)
# The descriptors of polls and selects, as they begin.
POLLS = Source(
    file="kernel/bpf/polls.bpf.c",
    chain={"on_poll_enter": "POLLS"},
    maps=("polled",),
    definitions=poll_offsets.definitions,
    uses="kernel/bpf/calls.bpf.c",
    what="The descriptors of polls and selects",
)
# No program of its own but what names a stack's addresses: what those have in common that tell who made a call.
STACKS = Source(
    file="kernel/bpf/stacks.bpf.c",
    iterators=("bpf_iter__bpf_map", "bpf_iter__task_vma"),
    maps=("stack_questions",),
    definitions=stack_offsets.definitions,
    uses="kernel/bpf/calls.bpf.c",
    part="user_stacks",
    what="Stacks of programs",
)
# No program of its own: what those have in common that tell where a process comes from.
ORIGINS = Source(
    file="kernel/bpf/origins.bpf.c",
    definitions=origin_offsets.definitions,
    uses="kernel/bpf/calls.bpf.c",
)
# Containers of watched pods, from the creation of their cgroups on.
PODS = Source(
    file="kernel/bpf/pods.bpf.c",
    hooks={
        "on_cgroup_populated": "cgroup_notify_populated",
        "on_cgroup_rmdir": "cgroup_rmdir",
        "on_pod_exit": "sched_process_exit",
        "on_pod_exec": "sched_process_exec",
        "on_pod_fork": "sched_process_fork",
        "on_cgroup_attach": "cgroup_attach_task",
        "on_cgroup_mkdir": "cgroup_mkdir",
    },
    maps=("pods", "awaited_pods", "watched_pods", "pod_containers", "joiners", "pod_events"),
    definitions=pod_offsets.definitions,
    part="pods",
    what="The first calls of a pod's containers",
)
# Who uses io_uring, whose work is in no system call.
RINGS = Source(
    file="kernel/bpf/rings.bpf.c",
    hooks={"on_ring_create": "io_uring_create"},
    iterators=("tell_rings", "bpf_iter__task_file"),
    maps=("ring_makers", "ring_scratch"),
    definitions=ring_offsets.definitions,
    uses="kernel/bpf/calls.bpf.c",
    what="Users of io_uring",
)
CORE = (CGROUP_FILTER, ROWS, CHAIN, COUNTING, WAITS, AGAIN, CALLS, POLLS, STACKS, ORIGINS, TASKS, RINGS, PODS)


def places(of: Iterable[Source]) -> dict[str, int]:
    """Return the place in the chain of each program that has one: by the event, then in the order of the sources."""
    chained = [(layout.chain(event), name) for source in of for name, event in source.chain.items()]
    found = {name: place for place, (_, name) in enumerate(sorted(chained, key=lambda each: each[0]))}
    if len(found) > layout.CHAIN_PLACES:
        raise ValueError(f"{len(found)} programs of views: CHAIN_PLACES of syscalls.h is {layout.CHAIN_PLACES}")
    return found
