"""The status of a TraceSession as a document, for the API server or for local mode's output. Pure.

Its size is measured before it is written: an object of more than 64 KiB burdens etcd and everyone who lists it. Totals
are never cut; lists are sections (status.sections), cut to their shares of the room.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from kubestrace_operator.api import conditions, timestamps
from kubestrace_operator.api.conditions import Completeness
from kubestrace_operator.comparison import comparing
from kubestrace_operator.comparison.baseline import Compared, Unusable
from kubestrace_operator.findings import rules
from kubestrace_operator.findings.finding import Facts
from kubestrace_operator.results.merge import Merged
from kubestrace_operator.results.rows import SyscallRow
from kubestrace_operator.status import page, sections, table
from kubestrace_operator.status import rows as documents
from kubestrace_operator.status.progress import Progress, completeness
from kubestrace_operator.status.sections import Section, combined, listed, size
from kubestrace_operator.views import registry
from kubestrace_operator.views.view import Shown, View

MAX_STATUS_BYTES = 64 * 1024
# The page for people: at most, and what is kept free for it.
PAGE_BYTES = 16 * 1024
_RESERVED_PAGE_BYTES = 8 * 1024
# Of its table.
_PAGE_ROWS = 30
# A cut table keeps this share of its rows for calls that wait.
_WAIT_SHARE = 4
# Unreturned calls may take a quarter of the room.
_UNRETURNED_SHARE = 4
# What changed since the baseline may take an eighth.
_COMPARISON_SHARE = 8
# Containers may take half of it: of a Job or of crash loops there are hundreds, and the table is not to go for them.
_CONTAINERS_SHARE = 2


def status(
    merged: Merged,
    progress: Progress,
    *,
    now: datetime,
    previous_conditions: Sequence[Mapping[str, Any]] = (),
    limit_bytes: int | None = MAX_STATUS_BYTES,
) -> dict[str, Any]:
    """Return the status. With a limit, rows are left out until its JSON fits, and `truncated` says so.

    `limit_bytes=None` (local mode) shows everything.
    """
    build = _Builder(merged, progress, now, previous_conditions)
    build.judge()
    if limit_bytes is None:
        return build.with_page(build.everything(), None)
    # Rows would take the page's room: whoever reads one page reads this one.
    room = limit_bytes - build.page_bytes()
    for step in sections.STEPS:
        kept = [section.most(step, room) for section in build.sections]
        if size(build.cut(kept, 0)) <= room:
            rows = sections.most_that_fit(partial(build.cut, kept), len(build.rows), room)
            return build.with_containers(build.with_page(build.cut(kept, rows), limit_bytes), limit_bytes)
    return minimal(progress, now=now, previous_conditions=previous_conditions)


def minimal(
    progress: Progress, *, now: datetime, previous_conditions: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return a status that only says where the session stands: for when the whole cannot be written."""
    complete = Completeness(False, "NotWritten", "The full result could not be written.")
    return _head(progress, complete, now, previous_conditions)


def ordered(rows: Iterable[SyscallRow]) -> list[SyscallRow]:
    """Return rows as they are shown: calls that work by time, then those that wait by time."""
    return sorted(rows, key=lambda row: (row.wait, -row.total_ns, -row.calls, row.name, row.abi))


def _head(
    progress: Progress, complete: Completeness, now: datetime, previous: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return where the session stands."""
    document: dict[str, Any] = {"observedGeneration": progress.generation, "phase": progress.outcome.phase}
    if progress.start is not None:
        document["startTime"] = timestamps.precise(progress.start)
    if progress.expected_completion is not None:
        document["expectedCompletionTime"] = timestamps.whole_seconds(progress.expected_completion)
    if progress.completion is not None:
        document["completionTime"] = timestamps.precise(progress.completion)
    document["conditions"] = conditions.conditions(
        documents.shortened(progress.outcome),
        complete,
        generation=progress.generation,
        now=now,
        previous=previous,
    )
    return document


def _kept(rows: Sequence[SyscallRow], limit: int) -> tuple[list[SyscallRow], list[SyscallRow]]:
    """Return the rows to show and those left out; both kinds, working and waiting, keep their longest."""
    working = [row for row in rows if not row.wait]
    waiting = [row for row in rows if row.wait]
    waits = min(len(waiting), max(limit // _WAIT_SHARE, limit - len(working)))
    works = limit - waits
    return [*working[:works], *waiting[:waits]], [*working[works:], *waiting[waits:]]


class _Builder:
    """The parts of one status, to be put together with any number of rows."""

    def __init__(
        self, merged: Merged, progress: Progress, now: datetime, previous: Sequence[Mapping[str, Any]]
    ) -> None:
        self.rows = ordered(merged.syscalls.values())
        self._merged = merged
        self._progress = progress
        complete = completeness(merged, progress)
        self._head = _head(progress, complete, now, previous)
        self._trust = _trust(merged, progress, complete)
        self._errors = documents.error_counts(self.rows)
        self._views = _shown(merged, progress, self._errors, now)
        self._names = documents.names(merged, progress.architectures)
        # By the row itself, as all that follows is made anew for each size that is tried.
        self._syscalls = {id(row): documents.syscall(row, self._syscall_fields(row)) for row in self.rows}
        self._totals = _totals(merged)
        # Made anew for each size that is tried, of lines that stay the same.
        self._table_of = self._make_table()
        # What rules find, once the whole is known.
        self.findings: dict[str, Any] = {}
        # What changed since the baseline, then too; that there is none is known before.
        of_baseline = progress.compared
        self.comparison: dict[str, Any] = of_baseline.document() if isinstance(of_baseline, Unusable) else {}
        # The table and summary.syscalls take what these leave.
        self.sections = self._sections()

    @property
    def whole(self) -> list[int]:
        """The rows of each section where nothing is cut."""
        return [len(section.rows) for section in self.sections]

    def cut(self, kept: Sequence[int], rows: int) -> dict[str, Any]:
        """Return the status with so many rows of each section, as far as the table's rows allow them."""
        counts = [
            min(count, rows or count) if section.no_more_than_table else count
            for section, count in zip(self.sections, kept, strict=True)
        ]
        return self.document(rows, counts)

    def document(self, rows: int, kept: Sequence[int]) -> dict[str, Any]:
        """Return the status with so many rows of the table and of each section."""
        shown, left_out = _kept(self.rows, rows)
        parts: list[Mapping[str, Any]] = [self._head, {"targets": vars(self._progress.targets).copy()}]
        if self._progress.start is not None:
            parts += [
                {"views": registry.names(self._progress.views)},
                {"table": self._table_of(shown)},
                {"summary": self._summary(shown)},
                {"trust": self._trust},
                self.findings,
            ]
        if self.comparison:
            parts.append(
                {"comparison": {name: part for name, part in self.comparison.items() if name not in comparing.LISTS}}
            )
        if self._progress.start is not None:
            parts += [view.document(each) for view, each in self._views]
        parts += [section.document(count) for section, count in zip(self.sections, kept, strict=True)]
        cut = any(section.is_cut(count) for section, count in zip(self.sections, kept, strict=True))
        return {**combined(*parts), "truncated": bool(left_out) or cut}

    def everything(self) -> dict[str, Any]:
        """Return the status with all that there is."""
        return self.with_containers(self.document(len(self.rows), self.whole), None)

    def judge(self) -> None:
        """Judge the whole status by all rules, once the session is over: half of a session may say the opposite."""
        progress = self._progress
        if progress.start is None or progress.completion is None:
            return
        facts = Facts(
            seconds=(progress.completion - progress.start).total_seconds(),
            rows=self.rows,
            containers=list(self._merged.containers.values()),
            status=self.everything(),
            views=frozenset(self._merged.views),
            filtered=progress.filtered,
            lost_calls=self._merged.trust.lost_calls,
        )
        self.findings = rules.judge(facts).document()
        if isinstance(progress.compared, Compared):
            self._compare(progress.compared)

    def _compare(self, compared: Compared) -> None:
        self.comparison = comparing.compare(self.everything(), compared)
        self.sections += [
            listed(self.comparison[part], "comparison", part, share=_COMPARISON_SHARE) for part in comparing.LISTS
        ]

    def with_page(self, document: dict[str, Any], limit_bytes: int | None) -> dict[str, Any]:
        """Add one page for people, as much of it as there is room for."""
        if not self.findings:
            return document
        room = PAGE_BYTES if limit_bytes is None else min(PAGE_BYTES, limit_bytes - size({**document, "report": ""}))
        text = sections.page(*self._page, room)
        return {**document, "report": text} if text else document

    def page_bytes(self) -> int:
        """Return how much room to keep free for the page."""
        if not self.findings:
            return 0
        body, end = self._page
        return min(_RESERVED_PAGE_BYTES, size({"report": "\n".join([*body, *end])}))

    @cached_property
    def _page(self) -> tuple[list[str], list[str]]:
        """The page of the whole status, with the first rows of the table."""
        return page.lines(self.everything(), self._table_of(_kept(self.rows, _PAGE_ROWS)[0]), page.COLUMNS)

    def with_containers(self, document: dict[str, Any], limit_bytes: int | None) -> dict[str, Any]:
        """Add what views say of single containers, into the room that all else has left."""
        containers = len(document.get("containers", ()))
        for section in (each for view, shown in self._views for each in view.container_sections(shown, containers)):
            kept = len(section.rows)
            if limit_bytes is not None:
                room = limit_bytes - size(combined(document, section.document(0)))
                kept = sections.fitting(section.rows, room // section.share)
            document = combined(document, section.document(kept))
            document["truncated"] = document["truncated"] or section.is_cut(kept)
        return document

    def _sections(self) -> list[Section]:
        progress, merged = self._progress, self._merged
        failures = listed([documents.failure(failure) for failure in progress.failures], "failures")
        if progress.start is None:
            return [failures]
        containers = documents.ordered_containers(merged.containers.values())
        gaps = sorted(merged.trust.gaps, key=documents.gap_order)
        unreturned = [documents.unreturned(row) for row in merged.unreturned]
        return [
            failures,
            listed(self._error_counts(), "summary", "errorCounts", no_more_than_table=True),
            listed([documents.container(row) for row in containers], "containers", share=_CONTAINERS_SHARE, weight=4),
            listed(unreturned, "unreturned", share=_UNRETURNED_SHARE),
            *(section for view, shown in self._views for section in view.sections(shown)),
            listed([documents.gap(gap) for gap in gaps], "trust", "gaps"),
        ]

    def _error_counts(self) -> list[dict[str, Any]]:
        return [combined(row, *(view.error_fields(shown, row) for view, shown in self._views)) for row in self._errors]

    def _syscall_fields(self, row: SyscallRow) -> dict[str, Any]:
        return combined(*(view.syscall_fields(shown, row.key) for view, shown in self._views))

    def _make_table(self) -> Callable[[Sequence[SyscallRow]], str]:
        columns = [column for view, each in self._views if (column := view.column(each)) is not None]
        unreturned = self._merged.unreturned_calls
        make = table.Table(
            self.rows, filtered=self._progress.filtered, columns=columns, unreturned_calls=unreturned
        ).text
        below = table.unreturned(self._merged.unreturned, unreturned)
        below += table.endings(documents.ordered_containers(self._merged.containers.values()))
        below += "".join(view.table_text(each) for view, each in self._views)
        return lambda shown: make(shown) + below

    def _summary(self, shown: Sequence[SyscallRow]) -> dict[str, Any]:
        return {
            **self._totals,
            **self._names,
            "syscalls": [self._syscalls[id(row)] for row in shown],
        }


def _totals(merged: Merged) -> dict[str, int]:
    return {
        "calls": merged.calls,
        "errors": merged.errors,
        "interrupted": merged.interrupted,
        "totalNanoseconds": merged.total_ns,
        "waitNanoseconds": merged.wait_ns,
    }


def _shown(
    merged: Merged, progress: Progress, error_counts: Sequence[Mapping[str, Any]], now: datetime
) -> list[tuple[View[Any, Any, Any], Shown[Any, Any]]]:
    """Return each view that is on, with what its parts are made of; nothing before the start.

    A view that no agent serves has no part: a gap says so, and zeros beside it would be no count.
    """
    if progress.start is None:
        return []
    containers = documents.ordered_containers(merged.containers.values())
    end = progress.completion or now
    duration_ns = 1_000_000_000 * (progress.duration_seconds or 0)
    calls: Counter[str] = Counter()
    for row in merged.syscalls.values():
        calls[row.name] += row.calls
    views: list[tuple[View[Any, Any, Any], Shown[Any, Any]]] = [
        (
            view,
            Shown(
                settings=settings,
                # Without any report the sum of none: totals of zero.
                part=merged.views.get(view.name, view.add([])),
                containers=containers,
                error_counts=error_counts,
                start=progress.start,
                end=end,
                duration_ns=duration_ns,
                calls=calls,
                peer_names=progress.peer_names,
            ),
        )
        for view, settings in registry.chosen(progress.views)
        if view.name in merged.views or not merged.containers
    ]
    bars = [line for view, shown in views for line in view.bars(shown)]
    return [(view, replace(shown, bars=bars)) for view, shown in views]


def _trust(merged: Merged, progress: Progress, complete: Completeness) -> dict[str, Any]:
    """Return trust without its gaps."""
    trust = merged.trust
    document: dict[str, Any] = {
        # Not before the end: what is missing may only be known then.
        **({"complete": complete.complete is True} if progress.outcome.finished else {}),
        "lostCalls": trust.lost_calls,
        "skippedCalls": trust.skipped_calls,
        "runtimeCalls": trust.runtime_calls,
        "unmatchedCalls": trust.unmatched_calls,
        "unreturnedCalls": merged.unreturned_calls,
        "ioUring": documents.io_uring(trust, counted="ioUring" in merged.views),
        "agentCpuMillicores": max(trust.agent_cpu_millicores.values(), default=0),
    }
    losses = {loss.name: trust.losses.get(loss.name, 0) for loss in registry.losses(progress.views)}
    if losses:
        document["losses"] = losses
    if progress.cgroup_modes:
        (one, *others) = progress.cgroup_modes
        document["cgroupMode"] = "mixed" if others else one
    return document
