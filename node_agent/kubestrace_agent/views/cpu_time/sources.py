"""What the loader compiles for the view cpuTime."""

from kubestrace_agent.kernel.loader.sources import Source
from kubestrace_agent.views.cpu_time import offsets

PART = "cpu_time"
SOURCES = (
    Source(
        file="views/cpu_time/cpu_time.bpf.c",
        hooks={"on_cpu_switch": "sched_switch", "on_cpu_end": "sched_process_exit"},
        chain={"on_cpu_exit": "EACH_EXIT", "on_cpu_enter": "EACH_ENTER"},
        maps=("cpu_slots", "cpu_accounts", "cpu_walk"),
        definitions=offsets.definitions,
        part=PART,
        what="CPU time",
    ),
    # What threads do between their events.
    Source(
        file="views/cpu_time/cpu_walk.bpf.c",
        iterators=("walk_clocks",),
        uses="views/cpu_time/cpu_time.bpf.c",
        part=PART,
        what="CPU time",
    ),
)
