"""Compile the counting and the views, in a process of its own: see loader.probe, which says what it is given."""

from kubestrace_agent.kernel.loader import probe
from kubestrace_agent.views import registry

if __name__ == "__main__":
    probe.main(registry.all_sources())
