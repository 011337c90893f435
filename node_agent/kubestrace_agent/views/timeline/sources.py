"""The view timeline has no programs: its buckets are made of snapshots of the counts."""

from kubestrace_agent.kernel.loader.sources import Source

SOURCES: tuple[Source, ...] = ()
