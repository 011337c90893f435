"""The view resources: what cgroups and PSI count by themselves. Every session asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.views.grid import asked_for
from kubestrace_agent.views.resources.by_bucket import ByBucket
from kubestrace_agent.views.resources.collector import NAME, Numbers
from kubestrace_agent.views.view import View, ViewRequest, unpacked
from kubestrace_protos.v1.views import resources_pb2

if TYPE_CHECKING:
    from google.protobuf import any_pb2


def _ask(request: any_pb2.Any, now_ns: int) -> ViewRequest:
    asked = unpacked(NAME, request, resources_pb2.ResourcesRequest())
    if not asked.buckets:
        return ViewRequest(own_collectors=lambda _wanted: [Numbers()])
    grid = asked_for(NAME, "InvalidResources", asked, now_ns)
    return ViewRequest(own_collectors=lambda _wanted: [Numbers(ByBucket(grid))], next_snapshot=grid.next_snapshot)


VIEW = View(NAME, _ask)
