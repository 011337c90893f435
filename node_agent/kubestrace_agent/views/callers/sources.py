"""What the loader compiles for the view callers."""

from kubestrace_agent.kernel.loader.sources import STACKS, Source

PART = "callers"
# What is read of a program for its stack.
READING = STACKS.part
SOURCES = (
    Source(
        file="views/callers/callers.bpf.c",
        chain={"on_caller": "COUNTED"},
        maps=("caller_slots", "caller_shares", "caller_scratch", "caller_rings", "first_caller_ring"),
        uses="kernel/bpf/stacks.bpf.c",
        part=PART,
        what="Callers",
    ),
)
