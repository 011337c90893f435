"""What the loader compiles for the view errors."""

from kubestrace_agent.kernel.loader.sources import Source

PART = "errors"
SOURCES = (
    Source(
        file="views/errors/errors.bpf.c",
        chain={"on_error": "FAILED", "on_found": "SEARCHED"},
        maps=(
            "error_slots",
            "error_times",
            "error_searches",
            "error_scratch",
            "error_paths",
            "error_rings",
            "first_error_ring",
        ),
        uses="kernel/bpf/calls.bpf.c",
        part=PART,
        what="Errors",
    ),
)
