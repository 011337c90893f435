"""The view processes: calls by process and thread, and what was executed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.views.processes.collector import NAME, ProcessCalls, Settings
from kubestrace_agent.views.processes.kernel import Processes
from kubestrace_agent.views.processes.sources import PART
from kubestrace_agent.views.view import RequestError, View, ViewRequest, unpacked
from kubestrace_protos.v1.views import processes_pb2
from kubestrace_protos.v1.views.processes_limits import MAX_THREADS, MAX_TOP

if TYPE_CHECKING:
    from google.protobuf import any_pb2


def _ask(request: any_pb2.Any, _now_ns: int) -> ViewRequest:
    asked = unpacked(NAME, request, processes_pb2.ProcessesRequest())
    if not 1 <= asked.top <= MAX_TOP:
        raise RequestError("InvalidProcesses", f"top is {asked.top}, and must be from 1 to {MAX_TOP}")
    if asked.threads > MAX_THREADS:
        raise RequestError("InvalidProcesses", f"threads is {asked.threads}, and must be from 0 to {MAX_THREADS}")
    settings = Settings(asked.top, asked.threads or Settings.threads, asked.arguments, asked.by_program)
    return ViewRequest(lambda wanted, _, owner: [ProcessCalls(settings, wanted, owner.held)], parts=(PART,))


VIEW = View(NAME, _ask, lambda programs, abis: {PART: Processes(programs, abis)}, needs=(PART,))
