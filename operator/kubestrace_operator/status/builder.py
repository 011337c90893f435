"""The status of a TraceSession as a document, for the API server or for local mode's output.

Its size is measured before it is written: an object of more than 64 KiB burdens etcd and everyone who lists it.
"""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubestrace_operator.api import conditions, timestamps
from kubestrace_operator.api.conditions import Completeness
from kubestrace_operator.results.merge import Merged, SyscallRow
from kubestrace_operator.status import rows as documents
from kubestrace_operator.status import table
from kubestrace_operator.status.progress import Progress, completeness
from kubestrace_operator.views import charts, processes, shares
from kubestrace_operator.views import errors as error_details

MAX_STATUS_BYTES = 64 * 1024
# Lists that are not the table: long enough for a person, short enough to leave the room to it.
MAX_LISTED = 100
# A cut table keeps this share of its rows for calls that wait.
_WAIT_SHARE = 4
# Slow calls may take this share of the room.
_SLOW_SHARE = 2
_PROCESSES_SHARE = 4
_UNRETURNED_SHARE = 4
# And samples of errors this one.
_SAMPLES_SHARE = 4


@dataclass(frozen=True)
class _Limits:
    """How many rows of each list are shown."""

    syscalls: int
    errors: int
    containers: int
    failures: int
    gaps: int
    slow_calls: int = 0
    unreturned: int = 0
    processes: int = 0
    # Rows of errors that have their samples.
    samples: int = 0


def status(
    merged: Merged,
    progress: Progress,
    *,
    now: datetime,
    previous_conditions: Sequence[Mapping[str, Any]] = (),
    limit_bytes: int | None = MAX_STATUS_BYTES,
) -> dict[str, Any]:
    """Return the status. With a limit, rows are left out until its JSON fits, and `truncated` says so.

    Totals are never cut. `limit_bytes=None` (local mode) shows everything.
    """
    rows = ordered(merged.syscalls.values())
    build = _Builder(merged, progress, rows, now, previous_conditions)
    if limit_bytes is None:
        return _with_containers(build.document(_everything(build)), build, None)
    for listed in (MAX_LISTED, 30, 10, 3, 0):
        limits = _limits(build, listed, limit_bytes)
        if size(build.document(limits(0))) <= limit_bytes:
            cut = build.document(limits(_most_that_fit(build, limits, limit_bytes)))
            return _with_containers(cut, build, limit_bytes)
    return minimal(progress, now=now, previous_conditions=previous_conditions)


def minimal(
    progress: Progress, *, now: datetime, previous_conditions: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return a status that says where the session stands and nothing else: for when the whole cannot be written."""
    build = _Builder(Merged(), progress, [], now, previous_conditions)
    return build.head(Completeness(False, "NotWritten", "The full result could not be written."))


def size(document: Mapping[str, Any] | Sequence[Any]) -> int:
    """Return the bytes that a document takes as JSON."""
    return len(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode())


def ordered(rows: Iterable[SyscallRow]) -> list[SyscallRow]:
    """Return rows as they are shown: calls that work by time, then those that wait by time."""
    return sorted(rows, key=lambda row: (row.wait, -row.total_ns, -row.calls, row.name, row.abi))


def _everything(build: "_Builder") -> _Limits:
    most = max(len(build.rows), len(build.errors), len(build.merged.containers))
    most = max(most, len(build.progress.failures), len(build.merged.trust.gaps), len(build.slow_calls))
    most = max(most, len(build.unreturned))
    return _Limits(most, most, most, most, most, most, most, processes.MAX_ROWS, most)


def _limits(build: "_Builder", listed: int, limit_bytes: int) -> "_LimitsFor":
    containers = len(build.merged.containers) if listed == MAX_LISTED else listed
    slow_calls = min(_rows_in(build.slow_calls, limit_bytes // _SLOW_SHARE), 4 * listed)
    shown = min(_rows_in(build.processes, limit_bytes // _PROCESSES_SHARE), 4 * listed)
    samples = min(_rows_in(build.samples, limit_bytes // _SAMPLES_SHARE), listed)
    unreturned = min(_rows_in(build.unreturned, limit_bytes // _UNRETURNED_SHARE), listed)
    return _LimitsFor(listed, min(containers, 4 * listed), slow_calls, shown, samples, unreturned)


def _rows_in(rows: Sequence[Mapping[str, Any] | Sequence[Any]], limit_bytes: int) -> int:
    """Return how many of the first rows take no more than so many bytes."""
    sums = itertools.accumulate(size(row) + 1 for row in rows)
    return sum(1 for _ in itertools.takewhile(lambda total: total <= limit_bytes, sums))


@dataclass(frozen=True)
class _LimitsFor:
    listed: int
    containers: int
    slow_calls: int
    processes: int
    samples: int
    unreturned: int

    def __call__(self, syscalls: int) -> _Limits:
        errors = min(self.listed, syscalls or self.listed)
        return _Limits(
            syscalls=syscalls,
            errors=errors,
            containers=self.containers,
            failures=self.listed,
            gaps=self.listed,
            slow_calls=self.slow_calls,
            unreturned=self.unreturned,
            processes=self.processes,
            samples=self.samples,
        )


def _most_that_fit(build: "_Builder", limits: _LimitsFor, limit_bytes: int) -> int:
    """Return how many rows of the table can be shown, by halving."""
    fits, beyond = 0, len(build.rows) + 1
    while beyond - fits > 1:
        middle = (fits + beyond) // 2
        if size(build.document(limits(middle))) <= limit_bytes:
            fits = middle
        else:
            beyond = middle
    return fits


def _with_containers(document: dict[str, Any], build: "_Builder", limit_bytes: int | None) -> dict[str, Any]:
    """Add what the views say of single containers, into the room that all else has left."""
    return _with_timelines(_with_budgets(document, build, limit_bytes), build, limit_bytes)


def _with_budgets(document: dict[str, Any], build: "_Builder", limit_bytes: int | None) -> dict[str, Any]:
    """Add the time budgets to the rows of containers, those with the most time first."""
    if not build.cpu_time or "containers" not in document:
        return document
    budgets = sorted(build.budgets(len(document["containers"])), key=lambda item: -item[1]["threadNanoseconds"])
    room = None if limit_bytes is None else limit_bytes - size(document)
    for index, budget in budgets:
        if room is not None:
            room -= size({"timeBudget": budget})
            if room < 0:
                document["truncated"] = True
                break
        document["containers"][index] |= {"timeBudget": budget}
    return document


def _with_timelines(document: dict[str, Any], build: "_Builder", limit_bytes: int | None) -> dict[str, Any]:
    """Add the containers' own timelines, those with the most calls first, into the room that all else has left."""
    rows = build.timelines()
    if not rows:
        return document
    document["timeline"]["containers"] = kept = []
    room = None if limit_bytes is None else limit_bytes - size(document)
    for row in rows:
        if room is not None:
            room -= size(row) + 1
            if room < 0:
                document["truncated"] = True
                break
        kept.append(row)
    return document


def _kept(rows: Sequence[SyscallRow], limit: int) -> tuple[list[SyscallRow], list[SyscallRow]]:
    """Return the rows to show and those left out; both kinds, working and waiting, keep their longest."""
    working = [row for row in rows if not row.wait]
    waiting = [row for row in rows if row.wait]
    waits = min(len(waiting), max(limit // _WAIT_SHARE, limit - len(working)))
    works = limit - waits
    return [*working[:works], *waiting[:waits]], [*working[works:], *waiting[waits:]]


class _Builder:
    """The parts of one status, ready to be cut to any limits."""

    def __init__(
        self,
        merged: Merged,
        progress: Progress,
        rows: Sequence[SyscallRow],
        now: datetime,
        previous_conditions: Sequence[Mapping[str, Any]],
    ) -> None:
        self.merged = merged
        self.progress = progress
        self.rows = rows
        counts = documents.error_counts(rows)
        details = merged.error_details if progress.views.errors else {}
        self.errors = [error_details.times(row, details) for row in counts]
        self.samples = [error_details.samples(row, details, progress.views.errors or 0) for row in counts]
        self._now = now
        self._previous = previous_conditions
        self._containers = [
            documents.container(row) for row in documents.ordered_containers(merged.containers.values())
        ]
        self._failures = [documents.failure(failure) for failure in progress.failures]
        self._gaps = [documents.gap(gap) for gap in sorted(merged.trust.gaps, key=documents.gap_order)]
        views = progress.views
        self.cpu_time = views.cpu_time
        self._syscalls = {id(row): documents.syscall(row, cpu_time=views.cpu_time) for row in rows}
        shown = merged.slow_calls[: views.slow_calls.limit if views.slow_calls else 0]
        self.slow_calls = [documents.slow_call(row) for row in shown]
        self.unreturned = [documents.unreturned(row) for row in merged.unreturned]
        self._busiest = processes.shown(merged.processes, views.processes or 0)
        self.processes = [processes.document(row) for row in self._busiest.rows]
        self._completeness = completeness(merged, progress)

    def budgets(self, listed: int) -> list[tuple[int, dict[str, Any]]]:
        """Return the time budgets of the first containers that are listed, each with its place in the list."""
        rows = documents.ordered_containers(self.merged.containers.values())[:listed]
        return [(at, shares.document(row.budget)) for at, row in enumerate(rows) if row.budget is not None]

    def timelines(self) -> list[dict[str, Any]]:
        """Return the timeline of each container, the one with the most calls first."""
        progress, whole = self.progress, self.merged.timeline
        if progress.timeline is None or progress.start is None:
            return []
        length = charts.length(whole, progress.timeline, progress.start, progress.completion or self._now)
        rows = documents.ordered_containers(self.merged.containers.values())
        rows.sort(key=lambda row: -row.calls)
        return [charts.container(row.state, row.timeline, length) for row in rows if row.timeline is not None]

    def head(self, complete: Completeness) -> dict[str, Any]:
        progress = self.progress
        document: dict[str, Any] = {"observedGeneration": progress.generation, "phase": progress.outcome.phase}
        if progress.start is not None:
            document["startTime"] = timestamps.precise(progress.start)
        if progress.completion is not None:
            document["completionTime"] = timestamps.precise(progress.completion)
        document["conditions"] = conditions.conditions(
            documents.shortened(progress.outcome),
            complete,
            generation=progress.generation,
            now=self._now,
            previous=self._previous,
        )
        return document

    def document(self, limits: _Limits) -> dict[str, Any]:
        shown, left_out = _kept(self.rows, limits.syscalls)
        document = self.head(self._completeness)
        document["targets"] = vars(self.progress.targets).copy()
        document["failures"] = self._failures[: limits.failures]
        if self.progress.start is not None:
            document["table"] = self._table(shown, left_out)
            document["summary"] = self._summary(shown, limits)
            document["containers"] = [dict(row) for row in self._containers[: limits.containers]]
            document["unreturned"] = self.unreturned[: limits.unreturned]
            if self.cpu_time:
                document["timeBudget"] = shares.document(self.merged.budget)
            if self.progress.views.slow_calls is not None:
                document["slowCalls"] = self.slow_calls[: limits.slow_calls]
            if self.progress.views.processes is not None:
                document["processes"] = self.processes[: limits.processes]
                document["otherProcesses"] = processes.others(processes.shown(self._busiest, limits.processes))
            document["trust"] = self._trust(limits)
            if self.progress.timeline is not None:
                end = self.progress.completion or self._now
                document["timeline"] = charts.document(
                    self.merged.timeline, self.progress.timeline, self.progress.start, end
                )
        document["truncated"] = self._truncated(left_out, limits)
        return document

    def _table(self, shown: Sequence[SyscallRow], left_out: Sequence[SyscallRow]) -> str:
        text = table.table(shown, left_out=left_out, filtered=self.progress.filtered, cpu_time=self.cpu_time)
        text += table.unreturned(self.merged.unreturned, self.merged.unreturned_calls)
        return f"{text}\n{shares.text(self.merged.budget)}" if self.cpu_time else text

    def _summary(self, shown: Sequence[SyscallRow], limits: _Limits) -> dict[str, Any]:
        return {
            "calls": self.merged.calls,
            "errors": self.merged.errors,
            "interrupted": self.merged.interrupted,
            "totalNanoseconds": self.merged.total_ns,
            "waitNanoseconds": self.merged.wait_ns,
            "syscalls": [self._syscalls[id(row)] for row in shown],
            "errorCounts": error_details.with_samples(self.errors[: limits.errors], self.samples, limits.samples),
        }

    def _trust(self, limits: _Limits) -> dict[str, Any]:
        trust = self.merged.trust
        document: dict[str, Any] = {
            # Not before the end: what is missing may only be known then.
            **({"complete": self._completeness.complete is True} if self.progress.outcome.finished else {}),
            "lostCalls": trust.lost_calls,
            "skippedCalls": trust.skipped_calls,
            "unmatchedCalls": trust.unmatched_calls,
            "unreturnedCalls": self.merged.unreturned_calls,
            "gaps": self._gaps[: limits.gaps],
            "ioUring": trust.io_uring,
            "agentCpuMillicores": max(trust.agent_cpu_millicores.values(), default=0),
        }
        if self.progress.views.slow_calls is not None:
            document["slowCallsLost"] = trust.slow_calls_lost
            if self.progress.views.slow_calls.stacks:
                document["stacksLost"] = trust.stacks_lost
        if self.progress.views.processes is not None:
            document["processCallsLost"] = trust.process_calls_lost
            document["execsLost"] = self.merged.processes.execs_lost
        if self.progress.views.errors is not None:
            document["errorSamplesLost"] = trust.error_samples_lost
        if self.cpu_time:
            document["cpuTimeLost"] = trust.cpu_time_lost
        modes = self.progress.cgroup_modes
        if modes:
            document["cgroupMode"] = next(iter(modes)) if len(modes) == 1 else "mixed"
        return document

    def _truncated(self, left_out: Sequence[SyscallRow], limits: _Limits) -> bool:
        cut: list[tuple[Sequence[object], int]] = [
            (self.errors, limits.errors),
            (self._containers, limits.containers),
            (self._failures, limits.failures),
            (self._gaps, limits.gaps),
            (self.slow_calls, limits.slow_calls),
            (self.unreturned, limits.unreturned),
            (self.processes, limits.processes),
            ([each for each in self.samples[limits.samples :] if each], 0),
        ]
        return bool(left_out) or any(len(rows) > limit for rows, limit in cut)
