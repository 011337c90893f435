"""What the loader compiles for the view locks."""

from kubestrace_agent.kernel.loader.sources import Source

PART = "locks"
SOURCES = (
    Source(
        file="views/locks/locks.bpf.c",
        chain={"on_lock_call": "COUNTED"},
        maps=("lock_slots", "lock_calls", "lock_rows", "lock_users", "lock_scratch"),
        uses="kernel/bpf/calls.bpf.c",
        part=PART,
        what="Locks",
    ),
)
