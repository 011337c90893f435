"""The tracer with all views: the kernel's side knows none of them. Used by main and by local mode."""

from collections.abc import Iterable
from pathlib import Path

from kubestrace_agent.kernel.counters.tracer import Tracer, Views
from kubestrace_agent.kernel.maps.row_sizes import RowSizes
from kubestrace_agent.views import registry

# Python's arguments; a benchmark has others.
PROBE: tuple[str, ...] = ("-m", "kubestrace_agent.views.compiling")


def load(
    *,
    max_containers: int = 512,
    parts: Iterable[str] | None = None,
    sizes: RowSizes | None = None,
    folder: Path | None = None,
) -> Tracer:
    """Load a tracer as Tracer.load says. Raises UnsupportedKernelError."""
    views = Views(registry.all_sources(), PROBE, registry.parts)
    return Tracer.load(views, max_containers=max_containers, parts=parts, sizes=sizes, folder=folder)
