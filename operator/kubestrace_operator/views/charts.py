"""status.timeline as a document, with a chart to read. Pure; used by status."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from kubestrace_operator.api import timestamps
from kubestrace_operator.status import table
from kubestrace_operator.views import timelines
from kubestrace_protos.v1 import agent_pb2

_BARS = "▁▂▃▄▅▆▇█"


def length(timeline: timelines.Timeline, grid: timelines.Grid, start: datetime, now: datetime) -> int:
    """Return how many buckets have begun, or hold something already."""
    return max(grid.begun((now - start) // timedelta(microseconds=1) * 1000), max(timeline.buckets, default=0) + 1)


def document(timeline: timelines.Timeline, grid: timelines.Grid, start: datetime, now: datetime) -> dict[str, Any]:
    """Return status.timeline without its containers: one number for each bucket that has begun."""
    series = _columns(timeline, length(timeline, grid, start, now))
    return {
        "startTime": timestamps.precise(start),
        "bucketNanoseconds": grid.bucket_ns,
        "lateSnapshots": timeline.late,
        **series,
        "chart": chart(series, grid.bucket_ns),
    }


def container(state: agent_pb2.ContainerState, timeline: timelines.Timeline, buckets: int) -> dict[str, Any]:
    """Return a row of status.timeline.containers."""
    columns = _columns(timeline, buckets)
    return {
        "pod": state.container.pod_name,
        "container": state.container.container_name,
        "restarts": state.container.restart_count,
        "calls": columns["calls"],
        "errors": columns["errors"],
    }


def chart(series: Mapping[str, list[int]], bucket_ns: int) -> str:
    """Return a line of bars for each series, each to its own maximum; an empty place is a bucket of zero."""
    names = {"calls": "calls", "errors": "errors", "totalNanoseconds": "work", "waitNanoseconds": "wait"}
    width = len(series["calls"])
    end = table.duration(width * bucket_ns)
    lines = [f"       0{end:>{max(width, len(end)) + 1}}"]
    for key, name in names.items():
        most = max(series[key], default=0)
        shown = table.duration(most) if key.endswith("Nanoseconds") else str(most)
        said = f"at most {shown} in {table.duration(bucket_ns)}" if most else "none"
        lines.append(f"{name:>6} |{''.join(_bar(value, most) for value in series[key])}| {said}")
    return "\n".join(lines) + "\n"


def _bar(value: int, most: int) -> str:
    return _BARS[(value * len(_BARS) - 1) // most] if value else " "


def _columns(timeline: timelines.Timeline, buckets: int) -> dict[str, list[int]]:
    rows = [timeline.buckets.get(index, timelines.Bucket()) for index in range(buckets)]
    return {
        "calls": [row.calls for row in rows],
        "errors": [row.errors for row in rows],
        "totalNanoseconds": [row.total_ns for row in rows],
        "waitNanoseconds": [row.wait_ns for row in rows],
    }
