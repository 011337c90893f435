"""The view resources has no programs: the kernel counts all of it anyway."""

from kubestrace_agent.kernel.loader.sources import Source

SOURCES: tuple[Source, ...] = ()
