"""What the loader compiles for the view files."""

from kubestrace_agent.kernel.loader.sources import Source
from kubestrace_agent.views.files import offsets

PART = "files"
SOURCES = (
    Source(
        file="views/files/files.bpf.c",
        chain={"on_file_call": "COUNTED"},
        tails={"on_file_name": "file_namers", "on_file_side": "file_sides"},
        maps=(
            "file_namers",
            "file_sides",
            "file_shapes",
            "file_slots",
            "file_rows",
            "file_failures",
            "file_nothing",
            "file_scratch",
            "file_rings",
            "first_file_ring",
        ),
        definitions=offsets.definitions,
        uses="kernel/bpf/calls.bpf.c",
        part=PART,
        what="Files",
    ),
)
