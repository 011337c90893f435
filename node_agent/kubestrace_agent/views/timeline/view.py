"""The view timeline: calls, errors and time over the session's duration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.views.timeline.collector import NAME, Buckets, Grid
from kubestrace_agent.views.view import RequestError, View, ViewRequest, unpacked
from kubestrace_protos.v1.limits import MAX_DURATION_SECONDS
from kubestrace_protos.v1.views import timeline_pb2
from kubestrace_protos.v1.views.timeline_limits import MAX_BUCKETS, MIN_BUCKET_MILLISECONDS

if TYPE_CHECKING:
    from google.protobuf import any_pb2

_MAX_DURATION_MILLISECONDS = 1000 * MAX_DURATION_SECONDS


def _ask(request: any_pb2.Any, now_ns: int) -> ViewRequest:
    asked = unpacked(NAME, request, timeline_pb2.TimelineRequest())
    _check(asked)
    grid = Grid(
        origin_ns=now_ns - 1_000_000 * asked.elapsed_milliseconds,
        duration_ns=1_000_000 * (asked.duration_milliseconds or asked.buckets * MIN_BUCKET_MILLISECONDS),
        buckets=asked.buckets,
        grows=not asked.duration_milliseconds,
    )
    return ViewRequest(own_collectors=lambda wanted: [Buckets(grid, wanted=wanted)], next_snapshot=grid.next_snapshot)


def _check(asked: timeline_pb2.TimelineRequest) -> None:
    if not 1 <= asked.buckets <= MAX_BUCKETS:
        raise RequestError(
            "InvalidTimeline", f"views.timeline.buckets is {asked.buckets}, and must be from 1 to {MAX_BUCKETS}"
        )
    duration = asked.duration_milliseconds
    if duration and not asked.buckets * MIN_BUCKET_MILLISECONDS <= duration <= _MAX_DURATION_MILLISECONDS:
        raise RequestError(
            "InvalidTimeline",
            f"views.timeline.duration_milliseconds is {duration}: {asked.buckets} buckets of at least "
            f"{MIN_BUCKET_MILLISECONDS} ms, and at most {_MAX_DURATION_MILLISECONDS} ms in all, are possible",
        )


VIEW = View(NAME, _ask)
