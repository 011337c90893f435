"""What a session may collect of a container beside the counts: one Collector a view, made from the session's Views.

Used by traces, and by local mode. A new view is a module with a Collector, and a line here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from kubestrace_agent.views.cpu_time.collector import TimeBudget
from kubestrace_agent.views.errors.collector import Failures
from kubestrace_agent.views.processes.collector import Processes
from kubestrace_agent.views.slow_calls import stacks
from kubestrace_agent.views.slow_calls.collector import Slowest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubestrace_agent.symbols.names import Names
    from kubestrace_agent.symbols.roots import Owner
    from kubestrace_agent.syscalls import Wanted
    from kubestrace_protos.v1 import agent_pb2


class Collector(Protocol):
    """What one session collects of one container by one view of the kernel's (kernel.sources.VIEWS)."""

    view: ClassVar[str]
    # The reason of the gap where the view cannot be had, CamelCase.
    unavailable: ClassVar[str]

    @property
    def wanted(self) -> Any:
        """What the kernel is asked for, as the View takes it; may change with what is held."""

    @staticmethod
    def union(wanted: Sequence[Any]) -> Any:
        """Give what serves several sessions."""

    def begin(self, monotonic_ns: int, lost: int) -> None:
        """Begin now; `lost` is what the view had no room for until now, for others."""

    def take(self, told: Any, lost: int, unix_minus_monotonic_ns: int) -> None:
        """Take what the View read (None: nothing of this container), and what it had no room for until now.

        The first time comes at once after the beginning: what grows has its start there.
        """

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Put what is held into a report that has its counts."""


def needed(views: agent_pb2.Views) -> list[str]:
    """Give the views of the kernel's (kernel.sources.VIEWS) that serve what is asked for."""
    asked = [name for name in ("slow_calls", "processes", "cpu_time", "errors") if views.HasField(name)]
    return [*asked, "slow_stacks"] if views.slow_calls.stacks else asked


def collectors(views: agent_pb2.Views, wanted: Wanted, names: Names, owner: Owner) -> list[Collector]:
    """Give a collector for each view that is asked for; `wanted` are the session's system calls.

    `names` is who names the functions of stacks, and `owner` says whose files these lead to.
    """
    made: list[Collector] = []
    if views.HasField("slow_calls"):
        slow = views.slow_calls
        made.append(Slowest(slow.threshold_nanoseconds, slow.limit, wanted, names if slow.stacks else None, owner))
        if slow.stacks:
            made.append(stacks.Lost())
    if views.HasField("processes"):
        made.append(Processes(views.processes.top, wanted))
    if views.HasField("cpu_time"):
        made.append(TimeBudget(wanted))
    if views.HasField("errors"):
        made.append(Failures(views.errors.samples, wanted))
    return made
