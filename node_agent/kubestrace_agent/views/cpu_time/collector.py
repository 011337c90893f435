"""The time budget of one container for one session, as the wire carries it. Pure."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from kubestrace_agent.syscalls import name
from kubestrace_agent.traces.delta import is_wanted
from kubestrace_agent.views.cpu_time.sources import PART
from kubestrace_agent.views.cpu_time.values import NO_TIME, CpuParts, CpuTimes
from kubestrace_agent.views.loss import Loss
from kubestrace_agent.views.view import Collector, put, put_lost
from kubestrace_protos.v1.views import cpu_time_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kubestrace_agent.syscalls import SyscallKey
    from kubestrace_protos.v1 import agent_pb2

NAME = "cpuTime"


@dataclass(eq=False)
class TimeBudget(Collector):
    """Where the time of a container's threads goes: two readings of the kernel's view, the first of them the start."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = PART
    may_wait: ClassVar[bool] = True

    # As Selection.keys(): None is everything.
    syscalls: frozenset[SyscallKey] | None
    architecture: str = field(default_factory=platform.machine)
    start: CpuTimes | None = None
    now: CpuTimes | None = None
    loss: Loss = field(default_factory=Loss)

    def begin(self, monotonic_ns: int, lost: int) -> None:  # noqa: ARG002 - the first reading says when it began
        """Begin with what is reported next."""
        self.loss.begin(lost)

    def began(self, monotonic_ns: int) -> None:
        """Its time runs from there, not from when it was waited for."""
        if self.start is not None:
            self.start = replace(self.start, time_ns=monotonic_ns)

    def take(self, reported: CpuTimes | None, lost: int, unix_minus_monotonic_ns: int) -> None:  # noqa: ARG002
        """Take the newest reading."""
        self.loss.now = lost
        if reported is not None:
            self.start = self.start or reported
            self.now = reported

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Tell the budget, and what the calls of each row of a report used."""
        if self.start is None or self.now is None:
            return
        result = cpu_time_pb2.CpuTimeResult(budget=self.message())
        grown = _grown(self.start.ended, self.now.ended)
        ended = {(*self._named(key), key.waited): parts for key, parts in grown.items()}
        for counts in report.syscalls:
            parts = ended.get((counts.name, counts.abi, counts.wait), NO_TIME)
            result.calls.add(
                name=counts.name,
                abi=counts.abi,
                wait=counts.wait,
                cpu_nanoseconds=parts.on_ns,
                runnable_nanoseconds=parts.runnable_ns,
                asleep_nanoseconds=parts.asleep_ns,
            )
        put(report, NAME, result)
        put_lost(report, "cpuTime", self.loss.own)

    def message(self) -> cpu_time_pb2.TimeBudget:
        """Everything since the start."""
        start, now = self.start or CpuTimes(), self.now or CpuTimes()
        user = now.user.minus(start.user)
        calls = _grown(_all_calls(start), _all_calls(now))
        working = _grown(_working_calls(start), _working_calls(now))
        counted = {key: parts for key, parts in calls.items() if is_wanted(key, self.syscalls)}
        uncounted = _sum([now.other.minus(start.other), *(calls[key] for key in calls.keys() - counted.keys())])
        all_parts = _sum([user, uncounted, *counted.values()])
        thread_ns = now.thread_ns - start.thread_ns
        return cpu_time_pb2.TimeBudget(
            thread_nanoseconds=thread_ns,
            wall_nanoseconds=now.time_ns - start.time_ns,
            user_nanoseconds=user.on_ns,
            runnable_nanoseconds=all_parts.runnable_ns,
            blocked_nanoseconds=user.asleep_ns,
            uncounted_kernel_nanoseconds=uncounted.on_ns,
            uncounted_waiting_nanoseconds=uncounted.asleep_ns,
            other_nanoseconds=thread_ns - all_parts.all_ns,
            calls=[
                self._call(key, parts, working.get(key, NO_TIME))
                for key, parts in counted.items()
                if parts.on_ns or parts.asleep_ns
            ],
        )

    def _named(self, key: SyscallKey) -> tuple[str, str]:
        return name(key), "" if key.abi == self.architecture else key.abi

    def _call(self, key: SyscallKey, parts: CpuParts, working: CpuParts) -> cpu_time_pb2.CallTime:
        called, abi = self._named(key)
        # A call that was under way at the start, and worked until then, may have ended as a wait.
        blocked_ns = min(working.asleep_ns, parts.asleep_ns)
        return cpu_time_pb2.CallTime(
            name=called,
            abi=abi,
            kernel_nanoseconds=parts.on_ns,
            waiting_nanoseconds=parts.asleep_ns - blocked_ns,
            blocked_nanoseconds=blocked_ns,
        )


def _sum(parts: Iterable[CpuParts]) -> CpuParts:
    total = NO_TIME
    for each in parts:
        total = total.plus(each)
    return total


def _all_calls(times: CpuTimes) -> dict[SyscallKey, CpuParts]:
    """Those that have ended and those under way, whether they waited or worked."""
    total: dict[SyscallKey, CpuParts] = {}
    for waited, parts in (*times.ended.items(), *times.under_way.items()):
        key = waited._replace(waited=False)
        total[key] = total.get(key, NO_TIME).plus(parts)
    return total


def _working_calls(times: CpuTimes) -> dict[SyscallKey, CpuParts]:
    """Those of them that worked."""
    total = {key: parts for key, parts in times.ended.items() if not key.waited}
    for key, parts in times.under_way.items():
        if not key.waited:
            total[key] = total.get(key, NO_TIME).plus(parts)
    return total


def _grown(then: Mapping[SyscallKey, CpuParts], now: Mapping[SyscallKey, CpuParts]) -> dict[SyscallKey, CpuParts]:
    return {key: parts.minus(then.get(key, NO_TIME)) for key, parts in now.items()}
