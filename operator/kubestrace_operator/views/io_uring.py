"""The view ioUring: what programs had done by io_uring, which no system call shows. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.results.histograms import add_into, percentile
from kubestrace_operator.status.sections import Section
from kubestrace_operator.views import io_uring_text
from kubestrace_operator.views.profiles import Profile
from kubestrace_operator.views.view import ContainerResult, Flag, Loss, Shown, Span, View
from kubestrace_protos.v1.views.io_uring_pb2 import IOUringRequest, IOUringResult, RingRow

# Rows that are kept and shown, those with the most time first, and errnos of each.
MAX_OPERATIONS = 24
MAX_ERRNOS = 8
# They may take an eighth of the room.
_SHARE = 8
_LOST = Loss(
    "ioUring",
    "operation of io_uring",
    "operations of io_uring",
    "found no room; some may have been of other containers.",
    reason="RingOperationsLost",
)


@dataclass
class Operations:
    """What was done of one kind."""

    submitted: int = 0
    completed: int = 0
    errors: int = 0
    untimed: int = 0
    silent: int = 0
    bytes: int = 0
    total_ns: int = 0
    max_ns: int = 0
    histogram: dict[int, int] = field(default_factory=dict)
    errnos: dict[str, int] = field(default_factory=dict)

    def add(self, more: "Operations") -> None:
        """Add others."""
        for name in ("submitted", "completed", "errors", "untimed", "silent", "bytes", "total_ns"):
            setattr(self, name, getattr(self, name) + getattr(more, name))
        self.max_ns = max(self.max_ns, more.max_ns)
        add_into(self.histogram, more.histogram)
        add_into(self.errnos, more.errnos)


@dataclass
class Part:
    """By operation, and results that belong to none."""

    operations: dict[str, Operations] = field(default_factory=dict)
    further_results: int = 0
    further_errors: int = 0

    def add(self, more: "Part") -> None:
        """Add another's."""
        for name, operations in more.operations.items():
            self.operations.setdefault(name, Operations()).add(operations)
        self.further_results += more.further_results
        self.further_errors += more.further_errors


@dataclass(frozen=True)
class Settings:
    """The view has none."""


class IOUring(View[Settings, IOUringResult, Part]):
    """The slice."""

    name = "ioUring"
    profiles = frozenset({Profile.STORAGE})
    result_type = IOUringResult
    known_losses = (_LOST,)
    flags = (
        Flag(
            "--io-uring",
            "also count what COMMAND has done by io_uring, which no system call shows: operations, errors, bytes and "
            "times",
        ),
    )

    def parse(self, fields: Fields, duration_seconds: int) -> Settings:
        """Return the settings."""
        return Settings()

    def spec(self, settings: Settings) -> dict[str, Any]:
        """Return them as a spec has them."""
        return {}

    def request(self, settings: Settings, span: Span) -> IOUringRequest:
        """Return what agents are asked for."""
        return IOUringRequest()

    def merge(self, results: Iterable[ContainerResult[IOUringResult]]) -> Part:
        """Return the operations of a report."""
        return self.add(_part(each.message) for each in results)

    def add(self, parts: Iterable[Part]) -> Part:
        """Return the sum."""
        whole = Part()
        for part in parts:
            whole.add(part)
        return whole

    def document(self, shown: Shown[Settings, Part]) -> Mapping[str, Any]:
        """Return the totals."""
        total = Operations()
        for operations in shown.part.operations.values():
            total.add(operations)
        totals = {"submitted": total.submitted, "completed": total.completed, "errors": total.errors}
        further = {"furtherResults": shown.part.further_results, "furtherErrors": shown.part.further_errors}
        return {"ioUring": totals | further, "trust": {"ioUring": {"operations": total.submitted}}}

    def sections(self, shown: Shown[Settings, Part]) -> Sequence[Section]:
        """Return the rows, those with the most time first, and the sums of the others."""
        ordered = sorted(shown.part.operations.items(), key=_order)
        rows = [_row(name, operations) for name, operations in ordered[:MAX_OPERATIONS]]

        def documents(kept: int) -> Mapping[str, Any]:
            others = [operations for _, operations in ordered[min(kept, len(rows)) :]]
            found = {
                "rows": len(others),
                "submitted": sum(each.submitted for each in others),
                "completed": sum(each.completed for each in others),
                "errors": sum(each.errors for each in others),
            }
            return {"ioUring": {"operations": rows[:kept], "otherOperations": found}}

        return (Section(rows, documents, share=_SHARE),)

    def table_text(self, shown: Shown[Settings, Part]) -> str:
        """Return the rows for people."""
        rows = [_row(name, operations) for name, operations in sorted(shown.part.operations.items(), key=_order)]
        return "\n" + "".join(f"{line}\n" for line in io_uring_text.lines(rows, shown.part.further_results))

    def remarks(self, status: Mapping[str, Any]) -> Iterator[str]:
        """Yield who uses io_uring, whether its operations are counted or not."""
        yield from io_uring_text.remarks(status["trust"]["ioUring"])


def _part(result: IOUringResult) -> Part:
    operations = {row.operation: _operations(row) for row in result.rows}
    return Part(operations, result.further_results, result.further_errors)


def _operations(row: RingRow) -> Operations:
    return Operations(
        submitted=row.submitted,
        completed=row.completed,
        errors=row.errors,
        untimed=row.untimed,
        silent=row.silent,
        bytes=row.bytes,
        total_ns=row.total_nanoseconds,
        max_ns=row.max_nanoseconds,
        histogram=dict(zip(row.buckets, row.counts, strict=True)),
        errnos={each.name: each.count for each in row.errnos},
    )


def _order(item: tuple[str, Operations]) -> tuple[int, int, str]:
    name, operations = item
    return -operations.total_ns, -operations.submitted, name


def _row(name: str, operations: Operations) -> dict[str, Any]:
    errnos = sorted(operations.errnos.items(), key=lambda item: (-item[1], item[0]))
    return {
        "operation": name,
        "submitted": operations.submitted,
        "completed": operations.completed,
        "errors": operations.errors,
        "untimed": operations.untimed,
        "silent": operations.silent,
        "bytes": operations.bytes,
        "totalNanoseconds": operations.total_ns,
        "p50Nanoseconds": percentile(operations.histogram, 50, operations.max_ns),
        "p99Nanoseconds": percentile(operations.histogram, 99, operations.max_ns),
        "maxNanoseconds": operations.max_ns,
        "errorCounts": [{"errno": errno, "count": count} for errno, count in errnos[:MAX_ERRNOS]],
        "otherErrors": sum(count for _, count in errnos[MAX_ERRNOS:]),
    }
