"""What the loader compiles for the view counters."""

from kubestrace_agent.kernel.loader.sources import Source
from kubestrace_agent.views.counters import offsets

PART = "counters"
SOURCES = (
    Source(
        file="views/counters/counters.bpf.c",
        hooks={"on_counters_end": "sched_process_exit"},
        maps=("counters_slots", "counters_generations"),
        definitions=offsets.definitions,
        part=PART,
        what="Counters of threads",
    ),
    # Those that live.
    Source(
        file="views/counters/counters_walk.bpf.c",
        iterators=("walk_counters",),
        uses="views/counters/counters.bpf.c",
        part=PART,
        what="Counters of threads",
    ),
)
