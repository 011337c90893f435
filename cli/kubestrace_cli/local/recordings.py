"""One target being counted by this machine's tracer: a session of the agent's, with one container and one user."""

from __future__ import annotations

import itertools
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kubestrace_agent.symbols.names import Names
from kubestrace_agent.symbols.naming import Naming
from kubestrace_agent.symbols.roots import Owner, Roots
from kubestrace_agent.traces import reports
from kubestrace_agent.traces.session import Node, Session, stop_counting
from kubestrace_agent.traces.shared_counters import Counters
from kubestrace_agent.views import registry
from kubestrace_cli.local.targets import Target, TargetError
from kubestrace_protos.v1 import agent_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from google.protobuf import any_pb2

    from kubestrace_agent.kernel.counters.tracer import Tracer
    from kubestrace_agent.symbols.roots import Held
    from kubestrace_agent.syscalls import SyscallKey
    from kubestrace_agent.views.redaction import Redaction

_USER = "local"
# Children that fork while they are looked for are found by looking again, not for ever.
_ROUNDS = 100


@dataclass(frozen=True)
class _Place:
    """The target as the agent counts it. Whoever waits for its end notices that, not the counting."""

    tracer: Tracer
    target: Target
    key: int = 0
    is_there = True
    is_new = False

    @property
    def own_cgroup(self) -> Path | None:
        """Its cgroup; that of a process is others', too."""
        return None if self.target.by_process else self.target.cgroup

    def reserve(self, _: object, wanted: frozenset[SyscallKey] | None) -> int:
        """Make ready to count it."""
        if self.target.by_process:
            return self.tracer.reserve_process(self.target.host_pid, wanted=wanted)
        return self.tracer.reserve_container(self.target.cgroup, wanted=wanted)

    def has_ended(self) -> bool:
        """Tell that it goes on."""
        return False


class Recording:
    """Counts from the moment it is made until `finish`. The tracer stays the caller's."""

    def __init__(
        self,
        tracer: Tracer,
        target: Target,
        wanted: frozenset[SyscallKey] | None,
        views: Mapping[str, any_pb2.Any] | None = None,
        held: Held | None = None,
        redact: Sequence[str] = (),
        can_do_without: Collection[str] = (),
    ) -> None:
        """Begin. Raises TargetError when the target has gone, and what the tracer raises.

        `views` are the requests as in a StartTraceRequest, `redact` its patterns. `held` is the process that waits for
        the beginning. A view that this machine cannot serve is a gap where it is in `can_do_without`.
        """
        requests = registry.requests(views or {}, redact=redact)
        self._tracer = tracer
        self._session = Session(
            node=Node(platform.node(), f"local-{os.getpid()}"),
            sequence=itertools.count(1),
            session_uid=_USER,
            counters=Counters(tracer),
            wanted=wanted,
            views=requests,
            start_ns=time.time_ns(),
            # Who runs this may look behind the descriptors of any process.
            shows_paths=True,
            start_skipped_calls=tracer.skipped_calls,
            start_walk_failures=tracer.walk_failures.count,
        )
        names = Names(Naming(Roots(others=[Path("/")])))
        asked = self._session.asks(_Place(tracer, target), names, Owner(held=held))
        (acquired,) = self._session.counters.acquire([asked])
        if isinstance(acquired, ProcessLookupError | FileNotFoundError):
            raise TargetError(f"{target.name} has just ended") from acquired
        if isinstance(acquired, Exception):
            raise acquired
        for collector, why in acquired.share.missing:
            if collector.name not in can_do_without:
                raise why
        self._share, self._counter = acquired.share, acquired.counter
        traced = self._session.containers[_USER] = self._session.counted(
            _state(target, requests.redaction), acquired, time.time_ns()
        )
        traced.gaps += [
            reports.without_view(platform.node(), traced.state, each.unavailable, f"{each.name}: {why}")
            for each, why in acquired.share.missing
        ]
        self._session.start_ns = traced.state.start_time_unix_nanoseconds

    def follow(self, living: Callable[[], Sequence[int]]) -> None:
        """Count these processes, too, and what they start; `living` is asked until it tells of no new one."""
        known: set[int] = set()
        for _ in range(_ROUNDS):
            new = set(living()) - known
            if not new:
                return
            self._tracer.follow(self._counter.slot, new)
            known |= new

    def followed(self) -> list[int]:
        """Return the processes that are counted because of their number; none where a cgroup is."""
        return self._tracer.followed(self._counter.slot)

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the counting began."""
        return time.monotonic() - self._session.start_monotonic

    def read(self) -> int:
        """Read the counters, which must be done now and then; returns the calls so far."""
        self._session.counters.refresh(fresh=True)
        self._session.note_counts()
        return self._share.calls(self._counter)

    @property
    def tick_seconds(self) -> float:
        """The time until the counters should be read next."""
        views, now_ns = self._session.views, time.monotonic_ns()
        moment = views.next_snapshot(now_ns)
        until = views.drain_seconds if moment is None else (moment.at_ns - now_ns) / 1e9
        return min(max(until, 0.0), views.drain_seconds)

    def finish(self, end_reason: agent_pb2.EndReason) -> agent_pb2.Report:
        """Read the counters for the last time, stop counting, and return the final report."""
        stop_counting([self._session])
        report = self._session.report(end_reason, time.time_ns)
        state = report.containers[0].state
        state.phase = agent_pb2.ContainerState.PHASE_ENDED
        state.end_time_unix_nanoseconds = report.time_unix_nanoseconds
        return report


def _state(target: Target, redaction: Redaction) -> agent_pb2.ContainerState:
    name = redaction.text(target.name.encode()).decode()
    return agent_pb2.ContainerState(
        container=agent_pb2.Container(container_name=name, container_id=target.container_id),
        host_pid=target.host_pid,
        pid=target.pid,
    )
