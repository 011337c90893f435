"""What the loader compiles for the view blockIO."""

from kubestrace_agent.kernel.loader.sources import Source
from kubestrace_agent.views.block_io import offsets

PART = "block_io"
SOURCES = (
    Source(
        file="views/block_io/block_io.bpf.c",
        # The completion first: a request that both see is then one that was issued after both were there.
        hooks={
            "on_block_attach": "cgroup_attach_task",
            "on_block_complete": "block_rq_complete",
            "on_block_issue": "block_rq_issue",
        },
        chain={"on_block_task": "FIRST_ENTER"},
        maps=("block_slots", "block_requests", "block_rows", "block_cgroups", "block_nothing", "block_scratch"),
        definitions=offsets.definitions,
        part=PART,
        what="Block I/O",
    ),
)
