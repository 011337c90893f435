"""The view cpuTime: where the time of threads goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.views.cpu_time.collector import NAME, TimeBudget
from kubestrace_agent.views.cpu_time.kernel import CpuTime
from kubestrace_agent.views.cpu_time.sources import PART
from kubestrace_agent.views.view import View, ViewRequest, unpacked
from kubestrace_protos.v1.views import cpu_time_pb2

if TYPE_CHECKING:
    from google.protobuf import any_pb2


def _ask(request: any_pb2.Any, _now_ns: int) -> ViewRequest:
    unpacked(NAME, request, cpu_time_pb2.CpuTimeRequest())
    return ViewRequest(lambda wanted, *_: [TimeBudget(wanted)], parts=(PART,))


VIEW = View(NAME, _ask, lambda programs, abis: {PART: CpuTime(programs, abis)}, needs=(PART,))
