"""What reports are summed into: rows of system calls, of containers, and of calls that have not returned. Pure."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from kubestrace_operator.results import histograms
from kubestrace_protos.v1 import agent_pb2

# Calls that have not returned, of all containers; each agent reports fewer of each container.
MAX_UNRETURNED = 50


class SyscallKey(NamedTuple):
    """A system call under one ABI; `abi` is empty for the machine's own. Calls that waited have a row of their own."""

    name: str
    abi: str = ""
    wait: bool = False


def first(one_ns: int, other_ns: int) -> int:
    """Return the earlier of two times, of which 0 is none."""
    return min(one_ns, other_ns) if one_ns and other_ns else one_ns or other_ns


def shown_name(name: str, abi: str = "", *, wait: bool = False) -> str:
    """Return how text names a call's row: `read`, `read (waited)`, `read (i386)`, `read (i386, waited)`."""
    return f"{name} {shown_mark(abi, wait=wait)}".rstrip()


def shown_mark(abi: str, *, wait: bool) -> str:
    """Return what text says behind a call with its arguments: nothing, `(waited)`, `(i386)` or `(i386, waited)`."""
    words = ", ".join(filter(None, (abi, "waited" if wait else "")))
    return f"({words})" if words else ""


class ContainerKey(NamedTuple):
    """One life of one container: a restarted one has a new ID."""

    node: str
    pod_uid: str
    container: str
    container_id: str


def container_key(node: str, container: agent_pb2.Container) -> ContainerKey:
    """Return the key of a container on a node."""
    return ContainerKey(node, container.pod_uid, container.container_name, bare_id(container.container_id))


def bare_id(container_id: str) -> str:
    """Return a container's ID without the name of its runtime, which an agent may not know."""
    return container_id.rpartition("://")[2]


@dataclass
class SyscallRow:
    """One system call, summed. Times are in nanoseconds."""

    name: str
    abi: str = ""
    wait: bool = False
    calls: int = 0
    errors: int = 0
    interrupted: int = 0
    timed: int = 0
    total_ns: int = 0
    max_ns: int = 0
    # Moved, where the call's result says so, and how many calls returned 0.
    bytes: int = 0
    zero_results: int = 0
    # Unix time, as of a reading of the counters; 0: not known.
    first_seen_ns: int = 0
    errnos: dict[str, int] = field(default_factory=dict)
    latency: dict[int, int] = field(default_factory=dict)

    @property
    def key(self) -> SyscallKey:
        """The row's key."""
        return SyscallKey(self.name, self.abi, self.wait)

    @property
    def average_ns(self) -> int:
        """The mean length of the calls that have one."""
        return self.total_ns // self.timed if self.timed else 0

    def percentile(self, percent: int) -> int:
        """Return the length that `percent` of 100 calls do not exceed, in nanoseconds."""
        return histograms.percentile(self.latency, percent, self.max_ns)

    def percentiles(self, *percents: int) -> list[int]:
        """Return the same for each of some percents."""
        return histograms.percentiles(self.latency, percents, self.max_ns)


@dataclass
class ContainerRow:
    """One life of one container, summed over system calls."""

    state: agent_pb2.ContainerState
    node: str
    calls: int = 0
    errors: int = 0
    total_ns: int = 0
    wait_ns: int = 0
    # As of the last report: all, and the oldest one by one.
    unreturned_calls: int = 0
    unreturned: tuple[agent_pb2.UnreturnedCall, ...] = ()
    # The names of all.
    unreturned_names: frozenset[str] = frozenset()

    @property
    def key(self) -> ContainerKey:
        """The row's key."""
        return container_key(self.node, self.state.container)

    @property
    def has_failed(self) -> bool:
        """Whether it has ended, and not with exit code 0."""
        return self.state.HasField("exit_code") and self.state.exit_code != 0


@dataclass(frozen=True)
class UnreturnedRow:
    """One call that has not returned, and where it was made."""

    call: agent_pb2.UnreturnedCall
    container: agent_pb2.Container
    node: str


def oldest(rows: Iterable[UnreturnedRow]) -> list[UnreturnedRow]:
    """Return the oldest calls that work by age, then those that wait; at most MAX_UNRETURNED."""
    return heapq.nsmallest(MAX_UNRETURNED, rows, key=_unreturned_order)


def _unreturned_order(row: UnreturnedRow) -> tuple[bool, int, str, str, int]:
    call = row.call
    return call.wait, -call.age_nanoseconds, row.node, row.container.container_id, call.host_tid
