"""What the loader compiles for the view security: calls, and the programs that are executed."""

from kubestrace_agent.kernel.loader.sources import Source
from kubestrace_agent.views.security import offsets

PART = "security"
SOURCES = (
    Source(
        file="views/security/security.bpf.c",
        chain={"on_security_call": "COUNTED"},
        tails={"on_security_side": "security_sides"},
        maps=(
            "security_shapes",
            "security_slots",
            "security_rows",
            "security_scratch",
            "security_rings",
            "first_security_ring",
            "security_sides",
        ),
        definitions=offsets.definitions,
        uses="kernel/bpf/origins.bpf.c",
        part=PART,
        what="Calls of interest for security",
    ),
    Source(
        file="views/security/security_execs.bpf.c",
        hooks={"on_security_exec": "sched_process_exec"},
        maps=("exec_scratch",),
        uses="views/security/security.bpf.c",
        part=PART,
        what="Programs of interest for security",
    ),
)
