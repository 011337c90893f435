"""What the loader compiles for the view processes."""

from kubestrace_agent.kernel.loader.sources import Source
from kubestrace_agent.views.processes import offsets

PART = "processes"
SOURCES = (
    Source(
        file="views/processes/processes.bpf.c",
        hooks={"on_process_exec": "sched_process_exec", "on_process_end": "sched_process_exit"},
        chain={"on_process_call": "COUNTED", "on_process_enter": "FIRST_ENTER"},
        iterators=("tell_processes",),
        maps=("process_slots", "process_threads", "process_scratch", "process_copies", "process_rings", "first_ring"),
        definitions=offsets.definitions,
        uses="kernel/bpf/origins.bpf.c",
        part=PART,
        what="Processes",
    ),
)
