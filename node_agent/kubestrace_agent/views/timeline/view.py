"""The view timeline: calls, errors and time over the session's duration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.views.grid import asked_for
from kubestrace_agent.views.timeline.collector import NAME, Buckets
from kubestrace_agent.views.view import View, ViewRequest, unpacked
from kubestrace_protos.v1.views import timeline_pb2

if TYPE_CHECKING:
    from google.protobuf import any_pb2


def _ask(request: any_pb2.Any, now_ns: int) -> ViewRequest:
    asked = unpacked(NAME, request, timeline_pb2.TimelineRequest())
    grid = asked_for(NAME, "InvalidTimeline", asked, now_ns)
    return ViewRequest(own_collectors=lambda wanted: [Buckets(grid, wanted=wanted)], next_snapshot=grid.next_snapshot)


VIEW = View(NAME, _ask)
