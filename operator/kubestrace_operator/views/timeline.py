"""The view timeline: calls, errors and time in equal buckets of a session's duration, with a chart. Pure.

Agents count in the session's buckets (requests say how much of it has gone), so adding goes by index: no clock of a
node takes part in it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.api.timestamps import duration, precise
from kubestrace_operator.results.rows import ContainerKey, ContainerRow
from kubestrace_operator.status.sections import Section
from kubestrace_operator.views.view import Bars, ContainerResult, Flag, Shown, Span, Spans, View
from kubestrace_protos.v1 import bucket_limits as limits
from kubestrace_protos.v1.views.timeline_pb2 import TimelineRequest, TimelineResult

DEFAULT_BUCKETS = 60
_BUCKETS_PER_SECOND = 1000 // limits.MIN_BUCKET_MILLISECONDS
_BARS = "▁▂▃▄▅▆▇█"
_SERIES = {"calls": "calls", "errors": "errors", "totalNanoseconds": "work", "waitNanoseconds": "wait"}


@dataclass(frozen=True)
class Settings:
    """How many buckets."""

    buckets: int


class Bucket(NamedTuple):
    """What one bucket holds."""

    calls: int = 0
    errors: int = 0
    total_ns: int = 0
    wait_ns: int = 0


@dataclass
class Series:
    """The buckets that hold something, by index; `late` counts snapshots that came more than half a bucket late."""

    buckets: dict[int, Bucket] = field(default_factory=dict)
    late: int = 0
    # What all buckets together cover; 0: not known.
    duration_ns: int = 0


@dataclass(frozen=True)
class Grid:
    """The session's buckets."""

    buckets: int
    duration_ns: int

    @property
    def bucket_ns(self) -> int:
        """The length of a bucket."""
        return self.duration_ns // self.buckets

    def begun(self, elapsed_ns: int) -> int:
        """Return how many buckets have begun that long after the start."""
        return min(max(-(-elapsed_ns * self.buckets // self.duration_ns), 1), self.buckets)


# By container.
Parts = dict[ContainerKey, Series]


class Timeline(View[Settings, TimelineResult, Parts]):
    """The slice."""

    name = "timeline"
    fields = ("buckets",)
    result_type = TimelineResult
    spans = Spans(
        "timeline",
        "bucketNanoseconds",
        {"calls": "calls", "errors": "errors", "time": "totalNanoseconds", "waitTime": "waitNanoseconds"},
    )
    flags = (
        Flag(
            "--timeline",
            f"also count by time, in N equal parts of the duration, 1 to {limits.MAX_BUCKETS}, none shorter than "
            f"{limits.MIN_BUCKET_MILLISECONDS} ms; without a duration, in up to N parts of 100 ms, 200 ms, 400 ms ..., "
            "as long as COMMAND needs",
            field="buckets",
            metavar="N",
            bounds=(1, limits.MAX_BUCKETS),
        ),
    )

    def parse(self, fields: Fields, duration_seconds: int) -> Settings:
        """Return the settings; the default is 60 buckets, or as many as a shorter session has room for."""
        room = duration_seconds * _BUCKETS_PER_SECOND
        buckets = fields.integer("buckets", min(DEFAULT_BUCKETS, room), 1, limits.MAX_BUCKETS)
        if buckets > room:
            fields.problem(
                "buckets",
                f"is {buckets}; a bucket is at least {limits.MIN_BUCKET_MILLISECONDS} ms long, "
                f"and {duration_seconds} s have room for {room}",
            )
        return Settings(buckets)

    def spec(self, settings: Settings) -> dict[str, Any]:
        """Return them as a spec has them."""
        return {"buckets": settings.buckets}

    def request(self, settings: Settings, span: Span) -> TimelineRequest:
        """Return what agents are asked for."""
        return TimelineRequest(
            buckets=settings.buckets,
            duration_milliseconds=span.duration_milliseconds,
            elapsed_milliseconds=span.elapsed_milliseconds,
        )

    def buckets(self, settings: Settings) -> int:
        """Return them: other views count in the same."""
        return settings.buckets

    def merge(self, results: Iterable[ContainerResult[TimelineResult]]) -> Parts:
        """Return the series of each container of a report."""
        return self.add({each.key: from_message(each.message)} for each in results)

    def add(self, parts: Iterable[Parts]) -> Parts:
        """Return the series of each container; those of agents that served it one after the other are added."""
        by_container: dict[ContainerKey, list[Series]] = {}
        for part in parts:
            for key, series in part.items():
                by_container.setdefault(key, []).append(series)
        return {key: added(series) for key, series in by_container.items()}

    def document(self, shown: Shown[Settings, Parts]) -> Mapping[str, Any]:
        """Return status.timeline without its containers: one number for each bucket that has begun."""
        grid, whole = _grid(shown), total(shown.part)
        columns = _columns(whole, _length(whole, grid, shown.start, shown.end))
        return {
            "timeline": {
                "startTime": precise(shown.start),
                "bucketNanoseconds": grid.bucket_ns,
                "lateSnapshots": whole.late,
                **columns,
                "chart": chart(columns, grid.bucket_ns, shown.bars),
            }
        }

    def container_sections(self, shown: Shown[Settings, Parts], listed: int) -> Sequence[Section]:
        """Return the series of each container, the one with the most calls first."""
        if not shown.part:
            return ()
        length = _length(total(shown.part), _grid(shown), shown.start, shown.end)
        ordered = sorted(shown.containers, key=lambda row: -row.calls)
        rows = [_container(row, shown.part[row.key], length) for row in ordered if row.key in shown.part]
        return (Section(rows, lambda shown_rows: {"timeline": {"containers": rows[:shown_rows]}}),)

    def overview(self, status: Mapping[str, Any]) -> Iterator[str]:
        """Yield the chart."""
        if "timeline" in status:
            yield from ("", *status["timeline"]["chart"].rstrip("\n").split("\n"))

    def remarks(self, status: Mapping[str, Any]) -> Iterator[str]:
        """Say which buckets are less exact."""
        if late := status.get("timeline", {}).get("lateSnapshots"):
            yield f"Timeline: {late} snapshots came more than half a bucket late; those buckets are less exact."


def from_message(message: TimelineResult) -> Series:
    """Return what the wire carries."""
    columns = (message.calls, message.errors, message.total_nanoseconds, message.wait_nanoseconds)
    rows = zip(message.buckets, *columns, strict=True)
    buckets = {index: Bucket(*numbers) for index, *numbers in rows}
    return Series(buckets, message.late_snapshots, 1_000_000 * message.duration_milliseconds)


def added(parts: Iterable[Series]) -> Series:
    """Return the sum; the parts stay as they are."""
    whole = Series()
    for part in parts:
        whole.late += part.late
        whole.duration_ns = max(whole.duration_ns, part.duration_ns)
        for index, bucket in part.buckets.items():
            known = whole.buckets.get(index, Bucket())
            whole.buckets[index] = Bucket(*map(sum, zip(known, bucket, strict=True)))
    return whole


def total(parts: Parts) -> Series:
    """Return the sum over containers."""
    whole = added(parts.values())
    # One snapshot is late for all containers of its node: the sum would count it for each.
    whole.late = max((part.late for part in parts.values()), default=0)
    return whole


def _grid(shown: Shown[Settings, Parts]) -> Grid:
    """Return the buckets: of the session's duration or, where it has none, of what they have grown to."""
    grown_ns = total(shown.part).duration_ns
    least_ns = shown.settings.buckets * limits.MIN_BUCKET_MILLISECONDS * 1_000_000
    return Grid(shown.settings.buckets, shown.duration_ns or grown_ns or least_ns)


def _length(series: Series, grid: Grid, start: datetime, end: datetime) -> int:
    """Return how many buckets have begun, or hold something already."""
    begun = grid.begun((end - start) // timedelta(microseconds=1) * 1000)
    return max(begun, max(series.buckets, default=0) + 1)


def _container(row: ContainerRow, series: Series, buckets: int) -> dict[str, Any]:
    columns = _columns(series, buckets)
    container = row.state.container
    return {
        "pod": container.pod_name,
        "container": container.container_name,
        "restarts": container.restart_count,
        "calls": columns["calls"],
        "errors": columns["errors"],
    }


def _columns(series: Series, buckets: int) -> dict[str, list[int]]:
    rows = [series.buckets.get(index, Bucket()) for index in range(buckets)]
    return dict(zip(_SERIES, map(list, zip(*rows, strict=True)), strict=True))


def chart(series: Mapping[str, list[int]], bucket_ns: int, more: Sequence[Bars] = ()) -> str:
    """Return a line of bars for each series, each to its own maximum; an empty place is a bucket of zero."""
    width = len(series["calls"])
    end = duration(width * bucket_ns)
    lines = [f"       0{end:>{max(width, len(end)) + 1}}"]
    for key, name in _SERIES.items():
        most = max(series[key], default=0)
        shown = duration(most) if key.endswith("Nanoseconds") else str(most)
        scale = f"at most {shown} in {duration(bucket_ns)}" if most else "none"
        lines.append(f"{name:>6} |{''.join(_bar(value, most) for value in series[key])}| {scale}")
    for bars in more:
        values = [bars.values.get(index, 0) for index in range(width)]
        most = max(values, default=0)
        of_time = "" if bars.level else f" in {duration(bucket_ns)}"
        scale = f"{bars.what} at most {bars.text(most)}{of_time}".lstrip() if most else "none"
        lines.append(f"{bars.name:>6} |{''.join(_bar(value, most) for value in values)}| {scale}")
    return "\n".join(lines) + "\n"


def _bar(value: int, most: int) -> str:
    return _BARS[(value * len(_BARS) - 1) // most] if value else " "
