"""The view errors: of each system call and errno, when it was first and last, and some of the calls. Pure."""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.api.timestamps import precise, utc
from kubestrace_operator.results.places import Places, names
from kubestrace_operator.results.rows import container_key
from kubestrace_operator.status.sections import Section
from kubestrace_operator.views.profiles import Profile
from kubestrace_operator.views.view import ContainerResult, Flag, Loss, Shown, Span, View
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import errors_limits as limits
from kubestrace_protos.v1.views import errors_optional_files as optional_files
from kubestrace_protos.v1.views import errors_pb2
from kubestrace_protos.v1.views.errors_pb2 import ErrorKind, ErrorSample, ErrorsRequest, ErrorsResult

DEFAULT_SAMPLES = 3
# Samples may take a quarter of the room.
_SHARE = 4
# Of containers that ended with an error.
_MOST_LAST = 5
_WHY: Mapping[int, str] = {
    errors_pb2.HARMLESS_NOT_READY: "nothing was ready, and the call does not wait",
    errors_pb2.HARMLESS_CONNECTING: "the connection is being made, and the call does not wait for it",
    errors_pb2.HARMLESS_FOUND_LATER: "a later call of the same process succeeded with the same file name",
    errors_pb2.HARMLESS_NO_TERMINAL: "it asked whether the file is a terminal",
    errors_pb2.HARMLESS_TIME_PASSED: "the caller's time limit passed",
    errors_pb2.HARMLESS_FUTEX_CHANGED: "the futex had changed before the wait began",
}
_LOST = Loss(
    "errorSamples",
    "failed call",
    "failed calls",
    "had no room: samples of errors may miss some.",
    reason="ErrorSamplesLost",
)


@dataclass(frozen=True)
class Settings:
    """How many samples of each system call and errno."""

    samples: int = DEFAULT_SAMPLES


class Kind(NamedTuple):
    """How calls failed, whether they waited or not."""

    syscall: str
    abi: str
    errno: str


@dataclass(frozen=True)
class SampleRow:
    """One call that failed, and where it was made."""

    sample: ErrorSample
    container: agent_pb2.Container
    node: str


@dataclass
class Detail:
    """Unix times in nanoseconds; samples from which any session's are chosen, those that came most often first."""

    first_ns: int
    last_ns: int
    samples: list[SampleRow] = field(default_factory=list)
    # How many of the calls are known to do no harm, and why.
    expected: int = 0
    harmless: int = 0


Details = dict[Kind, Detail]


class Errors(View[Settings, ErrorsResult, Details]):
    """The slice."""

    name = "errors"
    profiles = frozenset({Profile.FILES, Profile.NETWORK})
    fields = ("samples",)
    result_type = ErrorsResult
    known_losses = (_LOST,)
    flags = (
        Flag(
            "--errors",
            "for each error, show its first and last time and up to N of the failed calls, with different "
            f"arguments: which file is missing; 1 to {limits.MAX_SAMPLES} ({DEFAULT_SAMPLES} without N)",
            field="samples",
            metavar="N",
            bounds=(1, limits.MAX_SAMPLES),
            default=DEFAULT_SAMPLES,
        ),
    )

    def parse(self, fields: Fields, duration_seconds: int) -> Settings:
        """Return the settings."""
        return Settings(fields.integer("samples", DEFAULT_SAMPLES, 1, limits.MAX_SAMPLES))

    def spec(self, settings: Settings) -> dict[str, Any]:
        """Return them as a spec has them."""
        return {"samples": settings.samples}

    def request(self, settings: Settings, span: Span) -> ErrorsRequest:
        """Return what agents are asked for."""
        return ErrorsRequest(samples=settings.samples)

    def merge(self, results: Iterable[ContainerResult[ErrorsResult]]) -> Details:
        """Return the details of a report."""
        return _added(_detail(each, kind) for each in results for kind in each.message.kinds)

    def add(self, parts: Iterable[Details]) -> Details:
        """Return the details of all, the best samples of each kind."""
        return _added(each for part in parts for each in part.items())

    def sections(self, shown: Shown[Settings, Details]) -> Sequence[Section]:
        """Return the samples, which stand in the rows of summary.errorCounts."""
        rows = [_samples(row, shown) for row in shown.error_counts]

        def documents(kept: int) -> Mapping[str, Any]:
            return {"summary": {"errorCounts": [{"samples": each} if each else {} for each in rows[:kept]]}}

        return (Section(rows, documents, share=_SHARE),)

    def table_text(self, shown: Shown[Settings, Details]) -> str:
        """Return the last failed calls of containers that ended with an error: they say why, more often than not."""
        failed = {row.key for row in shown.containers if row.has_failed}
        expected = {_kind(row) for row in shown.error_counts if _is_expected(shown.part.get(_kind(row)), row)}
        samples = {
            (kind.syscall, kind.errno, each.sample.arguments): each
            for kind, detail in shown.part.items()
            for each in sorted(detail.samples, key=_time)
            if kind not in expected and container_key(each.node, each.container) in failed
        }
        last = sorted(samples.items(), key=lambda item: _time(item[1]), reverse=True)[:_MOST_LAST]
        places = Places.of(each.state.container for each in shown.containers)
        lines = [
            f"  {syscall}({arguments}) {errno}  {row.sample.process}[{row.sample.pid}]"
            f"{places.behind(names(row.container))}"
            for (syscall, errno, arguments), row in last
        ]
        heading = "failed last, of those that ended with an error, the latest first:"
        return "\n".join([heading, *lines]) + "\n" if lines else ""

    def error_fields(self, shown: Shown[Settings, Details], row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return first and last time of a row, where they are known."""
        detail = shown.part.get(_kind(row))
        if detail is None:
            return {}
        times = {"firstTime": precise(utc(detail.first_ns)), "lastTime": precise(utc(detail.last_ns))}
        if not detail.expected or detail.harmless not in _WHY:
            return times
        known = {"expected": detail.expected >= row["count"], "expectedCount": detail.expected}
        return {**times, **known, "expectedReason": _WHY[detail.harmless]}

    def error_head(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return the head of the times."""
        return "first and last (UTC)" if any("firstTime" in row for row in rows) else ""

    def error_text(self, row: Mapping[str, Any]) -> str:
        """Return the times of a row; one of a single call has one."""
        if "firstTime" not in row:
            return ""
        first, last = _clock(row["firstTime"]), _clock(row["lastTime"])
        return first if row["count"] == 1 else f"{first} {last}"

    def error_lines(self, row: Mapping[str, Any], places: Places) -> Iterator[str]:
        """Yield why a row does no harm, and its samples."""
        if "expectedReason" in row:
            some = "" if row["expected"] else f"{row['expectedCount']} of {row['count']} "
            yield f"{some}expected: {row['expectedReason']}"
        for sample in row.get("samples", ()):
            who = f"{sample['process']}[{sample['pid']}]"
            yield f"{row['syscall']}({sample['arguments']})  {who} {_clock(sample['time'])}{places.behind(sample)}"


def _detail(result: ContainerResult[ErrorsResult], kind: ErrorKind) -> tuple[Kind, Detail]:
    samples = [SampleRow(sample, result.container, result.key.node) for sample in kind.samples]
    times = kind.first_time_unix_nanoseconds, kind.last_time_unix_nanoseconds
    detail = Detail(*times, samples, kind.expected, kind.harmless)
    return Kind(kind.syscall, kind.abi, kind.errno), detail


def _added(each: Iterable[tuple[Kind, Detail]]) -> Details:
    total: Details = {}
    samples: dict[Kind, list[SampleRow]] = {}
    for kind, detail in each:
        known = total.setdefault(kind, Detail(detail.first_ns, detail.last_ns))
        known.first_ns = min(known.first_ns, detail.first_ns)
        known.last_ns = max(known.last_ns, detail.last_ns)
        known.expected += detail.expected
        known.harmless = known.harmless or detail.harmless
        samples.setdefault(kind, []).extend(detail.samples)
    for kind, detail in total.items():
        detail.samples = _best(samples[kind])
    return total


def _best(rows: Sequence[SampleRow]) -> list[SampleRow]:
    """Return what any session's samples are chosen from: as many of the best as it may ask for, the first and the last.

    Of the same arguments the best row is kept. What is kept of parts holds what is kept of the whole.
    """
    by_arguments: dict[str, SampleRow] = {}
    for row in rows:
        known = by_arguments.get(row.sample.arguments)
        if known is None or _order(row) < _order(known):
            by_arguments[row.sample.arguments] = row
    best = heapq.nsmallest(limits.MAX_SAMPLES, by_arguments.values(), key=_order)
    ends = [end for end in _ends(rows) if end not in best]
    return sorted([*best, *ends], key=_order)


def _ends(rows: Sequence[SampleRow]) -> tuple[SampleRow, ...]:
    """Return the last and the first."""
    return (max(rows, key=_time), min(rows, key=_time)) if rows else ()


def chosen(rows: Sequence[SampleRow], count: int) -> list[SampleRow]:
    """Return as many in the order of time: the best one, the last, the first, then the best of the others.

    Files that programs do without come after all others.
    """
    spread: dict[str, SampleRow] = {}
    telling = [row for row in rows if not optional_files.names_one(row.sample.arguments)]
    for row in (*telling[:1], *_ends(telling), *telling, *rows[:1], *_ends(rows), *rows):
        spread.setdefault(row.sample.arguments, row)
    return sorted(list(spread.values())[:count], key=_time)


def _time(row: SampleRow) -> tuple[int, tuple[int, int, str, str, int, str]]:
    return row.sample.time_unix_nanoseconds, _order(row)


def _order(row: SampleRow) -> tuple[int, int, str, str, int, str]:
    sample = row.sample
    place = row.node, row.container.container_id, sample.host_tid
    return -sample.alike, -sample.time_unix_nanoseconds, *place, sample.arguments


def _kind(row: Mapping[str, Any]) -> Kind:
    return Kind(row["syscall"], row.get("abi", ""), row["errno"])


def _samples(row: Mapping[str, Any], shown: Shown[Settings, Details]) -> list[dict[str, Any]]:
    detail = shown.part.get(_kind(row))
    return [_sample(each) for each in (chosen(detail.samples, shown.settings.samples) if detail else ())]


def _sample(row: SampleRow) -> dict[str, Any]:
    """Return a sample. The agent bounds the length of its texts."""
    sample = row.sample
    return {
        "time": precise(utc(sample.time_unix_nanoseconds)),
        "arguments": sample.arguments,
        "pid": sample.pid,
        "tid": sample.tid,
        "hostPid": sample.host_pid,
        "process": sample.process,
        "thread": sample.thread,
        **names(row.container),
        "node": row.node,
    }


def _is_expected(detail: Detail | None, row: Mapping[str, Any]) -> bool:
    return detail is not None and detail.harmless in _WHY and detail.expected >= row["count"]


def _clock(time: str) -> str:
    return time[11:26]
