"""What the loader compiles for the view ioUring."""

from kubestrace_agent.kernel.loader.sources import Source
from kubestrace_agent.views.io_uring import offsets

PART = "io_uring"
SOURCES = (
    Source(
        file="views/io_uring/io_uring.bpf.c",
        hooks={
            "on_ring_complete": "io_uring_complete",
            "on_ring_overflow": "io_uring_cqe_overflow",
            "on_ring_refused": "io_uring_req_failed",
            # One of the two.
            "on_ring_submit": "io_uring_submit_req",
            "on_ring_submit_sqe": "io_uring_submit_sqe",
        },
        maps=("ring_slots", "ring_requests", "ring_rows", "ring_errnos", "ring_nothing"),
        definitions=offsets.definitions,
        part=PART,
        what="Operations of io_uring",
    ),
)
