"""What the loader compiles for the view memory."""

from kubestrace_agent.kernel.loader.sources import Source
from kubestrace_agent.views.memory import offsets

PART = "memory"
SOURCES = (
    Source(
        file="views/memory/memory.bpf.c",
        hooks={
            "on_memory_exec": "sched_process_exec",
            "on_memory_fork": "sched_process_fork",
            "on_memory_end": "sched_process_exit",
        },
        chain={"on_memory_call": "COUNTED"},
        maps=("memory_slots", "memory_breaks", "memory_calls"),
        definitions=offsets.definitions,
        uses="kernel/bpf/calls.bpf.c",
        part=PART,
        what="Memory",
    ),
    # Processes that live.
    Source(
        file="views/memory/memory_walk.bpf.c",
        iterators=("walk_memory",),
        uses="views/memory/memory.bpf.c",
        part=PART,
        what="Memory",
    ),
)
