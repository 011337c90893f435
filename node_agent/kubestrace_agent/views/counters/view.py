"""The view counters: faults, switches, migrations and waits for a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.views.counters.collector import NAME, ThreadCounters
from kubestrace_agent.views.counters.kernel import Counters
from kubestrace_agent.views.counters.sources import PART
from kubestrace_agent.views.view import View, ViewRequest, unpacked
from kubestrace_protos.v1.views import counters_pb2

if TYPE_CHECKING:
    from google.protobuf import any_pb2


def _ask(request: any_pb2.Any, _now_ns: int) -> ViewRequest:
    unpacked(NAME, request, counters_pb2.CountersRequest())
    return ViewRequest(lambda *_: [ThreadCounters()], parts=(PART,))


VIEW = View(NAME, _ask, lambda programs, _abis: {PART: Counters(programs)}, needs=(PART,))
