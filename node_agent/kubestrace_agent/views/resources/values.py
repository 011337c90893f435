"""One reading of a cgroup's numbers. Made by files, used by the collector."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubestrace_agent.containers.network_counters import PodCounters


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read at one time, by the names of resources_names."""

    # CLOCK_MONOTONIC.
    time_ns: int = 0
    grown: Mapping[str, int] = field(default_factory=dict)
    levels: Mapping[str, int] = field(default_factory=dict)
    # Why something is not there, by the name of a number or of a group.
    unavailable: Mapping[str, str] = field(default_factory=dict)
    # Of its network namespace; None: no process of it could be asked, ever.
    network: PodCounters | None = None
    # The last process of the cgroup had ended before.
    after_end: bool = False
