"""The view counters: faults, switches, migrations and waits for a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.views.counters.collector import NAME, HardwareCounters, ThreadCounters
from kubestrace_agent.views.counters.hardware import HARDWARE
from kubestrace_agent.views.counters.kernel import Counters
from kubestrace_agent.views.counters.sources import PART
from kubestrace_agent.views.view import RequestError, View, ViewRequest, unpacked
from kubestrace_protos.v1.views import counters_pb2

if TYPE_CHECKING:
    from google.protobuf import any_pb2


def _ask(request: any_pb2.Any, _now_ns: int) -> ViewRequest:
    asked = unpacked(NAME, request, counters_pb2.CountersRequest())
    unknown = sorted(set(asked.events) - HARDWARE.keys())
    if unknown:
        raise RequestError(
            "InvalidCounters", f"views.counters.events has {', '.join(unknown)}; there are {', '.join(HARDWARE)}"
        )
    events = {name: HARDWARE[name] for name in asked.events}
    return ViewRequest(
        lambda *_: [ThreadCounters()],
        own_collectors=lambda _wanted: [HardwareCounters(events)] if events else [],
        parts=(PART,),
    )


VIEW = View(NAME, _ask, lambda programs, _abis: {PART: Counters(programs)}, needs=(PART,))
