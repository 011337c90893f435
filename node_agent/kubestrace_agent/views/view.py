"""What a view is to the rest of the agent. Each has a folder here, and its VIEW is listed in registry.

A view adds to the counts of a session. It may have programs in the kernel (parts, each with a Source and a Part), or
see snapshots of the counts alone. Nothing but its own folder knows more of it than this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeVar

from google.protobuf import message

from kubestrace_agent.views.redaction import DEFAULT, Redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from google.protobuf import any_pb2

    from kubestrace_agent.kernel.counters.counts import RawCounts
    from kubestrace_agent.kernel.loader.programs import Programs
    from kubestrace_agent.symbols.names import Names
    from kubestrace_agent.symbols.roots import Owner
    from kubestrace_agent.syscalls import Wanted
    from kubestrace_protos.v1 import agent_pb2

# The reason of a container's gap where a view cannot be had.
UNSUPPORTED = "ViewUnsupported"

_Request = TypeVar("_Request", bound=message.Message)


class RequestError(Exception):
    """A request for a view is refused; `reason` is CamelCase, the message says which number may be which."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Part(Protocol):
    """Speaks to programs and maps of a view. Nothing is attached, and no memory held for it, while no slot wants it.

    What a slot asks for and what is read are the view's own: plain values, which its collectors know.
    """

    def enable(self, slot: int, generation: int, wanted: Any) -> None:
        """Begin for a slot, or change what it asks for. Raises UnsupportedKernelError where this kernel cannot."""

    def disable(self, slot: int) -> None:
        """End for a slot. Idempotent."""

    def read(self) -> Mapping[int, Any]:
        """Return what there is of the slots that want it, by slot."""

    def lost(self, slot: int) -> int:
        """Count what found no room since the slot wants it."""

    @property
    def needs_drain(self) -> bool:
        """Whether there is so much to be read that the next time should not be waited for."""

    def close(self) -> None:
        """Give memory back; the programs are detached by their owner."""


class Collector:
    """What one session collects of one container by a view; each overrides what it has a use for."""

    # The view's.
    name: ClassVar[str]
    # The part that it reads; "": it sees snapshots of the counts only.
    part: ClassVar[str] = ""
    # The reason of the gap where that part cannot be had.
    unavailable: ClassVar[str] = UNSUPPORTED
    # Whether its part may be read as seldom as reports are made: nothing of it fills in the kernel meanwhile, and the
    # first and the newest reading alone are told.
    may_wait: ClassVar[bool] = False
    # Whether it applies `redaction` itself, where rows must be told by what is shown; else its texts are searched for
    # paths once they are written.
    redacts: ClassVar[bool] = False
    # What is not shown of paths, arguments and names. Set before it begins.
    redaction: Redaction = DEFAULT

    @property
    def wanted(self) -> Any:
        """What the part is asked for; may change with what is held."""
        return True

    @staticmethod
    def union(wanted: Sequence[Any]) -> Any:
        """Give what serves several sessions."""
        return any(wanted)

    def begin(self, monotonic_ns: int, lost: int) -> None:
        """Begin now; `lost` is what the part had no room for until now, for others."""

    def take(self, reported: Any, lost: int, unix_minus_monotonic_ns: int) -> None:
        """Take what the part read (None: nothing of this container), and what it had no room for until now.

        The first time comes at once after the beginning: what grows has its start there.
        """

    def began(self, monotonic_ns: int) -> None:
        """The container that was waited for has begun then; before that there was nothing of it."""

    def begin_cgroup(self, cgroup: Path | None, *, new: bool) -> None:
        """Begin with this cgroup (a folder of the v2 tree), before begin_counts.

        None: what is traced has none that is its alone, or it has gone. `new`: it was created after the session began.
        """

    def begin_counts(self, start: RawCounts | None, begin_ns: int) -> None:
        """Begin with these counts; None: the container is counted since `begin_ns` (CLOCK_MONOTONIC)."""

    def count(self, counts: RawCounts) -> None:
        """See a newer snapshot of the container's counts."""

    def end(self) -> None:
        """Give back what it holds, as nothing more is to be read; `write` may follow."""

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Put what is held into a report that has its counts: the view's result, and what it lost."""
        raise NotImplementedError


class Moment(NamedTuple):
    """When the counts are to be read (CLOCK_MONOTONIC), and how near to that is near enough."""

    at_ns: int
    within_ns: int

    def rounded(self) -> Moment:
        """Give the nearest of the moments that others of about as much tolerance have, too."""
        if self.within_ns <= 0:
            return self
        # Twice the tolerance by its four highest bits, so that those of nearly the same have the same.
        rest = max(0, (2 * self.within_ns).bit_length() - 4)
        step = 2 * self.within_ns >> rest << rest
        return Moment((self.at_ns + step // 2) // step * step, self.within_ns)


@dataclass(frozen=True)
class ViewRequest:
    """A view as one session asks for it."""

    # One set for each container; the session's system calls, who names the functions of stacks, and by whose files.
    # Sessions that begin together with equal requests share a set.
    collectors: Callable[[Wanted, Names, Owner], list[Collector]] = lambda _wanted, _names, _owner: []
    # As above, of those that see snapshots of the counts only, and depend on when the session began.
    own_collectors: Callable[[Wanted], list[Collector]] = lambda _wanted: []
    # The parts that the collectors read.
    parts: tuple[str, ...] = ()
    # Paths and peers may be secret: they are shown only where a view was asked for that shows them.
    shows_paths: bool = False
    # When the counts are to be read after a moment (CLOCK_MONOTONIC); None: whenever that may be.
    next_snapshot: Callable[[int], Moment | None] = lambda _now_ns: None
    # How long what it tells may wait to be read where nobody asks whether it needs a drain.
    drain_seconds: float = 0.5


@dataclass(frozen=True)
class View:
    """A view."""

    # As in TraceSession spec.views and on the wire.
    name: str
    # Reads a request that came at a moment (CLOCK_MONOTONIC). Raises RequestError.
    ask: Callable[[any_pb2.Any, int], ViewRequest]
    # The modules that speak to its programs, by the names of parts; the ABIs as abi_names gives them.
    parts: Callable[[Programs, Sequence[str]], dict[str, Part]] = lambda _programs, _abis: {}
    # Those without which it has nothing to tell.
    needs: tuple[str, ...] = ()
    # Those without which it tells less.
    gains_by: tuple[str, ...] = ()


def unpacked(name: str, request: any_pb2.Any, into: _Request) -> _Request:
    """Read a view's request. Raises RequestError where it is another message."""
    try:
        if request.Unpack(into):
            return into
    except message.DecodeError:
        pass
    raise RequestError("InvalidView", f"views[{name}] is {request.type_url!r}, and must be {into.DESCRIPTOR.full_name}")


def put(report: agent_pb2.ContainerReport, name: str, result: message.Message) -> None:
    """Put a view's result into a report."""
    report.views[name].Pack(result)


def put_lost(report: agent_pb2.ContainerReport, name: str, lost: int) -> None:
    """Tell in a report what a view had no room for; nothing where it had."""
    if lost:
        report.trust.losses[name] = lost
