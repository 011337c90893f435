"""The view memory: what was asked of the kernel for memory, and how much there was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.views.memory.collector import NAME, MemoryOfContainer
from kubestrace_agent.views.memory.kernel import Memory
from kubestrace_agent.views.memory.sources import PART
from kubestrace_agent.views.view import View, ViewRequest, unpacked
from kubestrace_protos.v1.views import memory_pb2

if TYPE_CHECKING:
    from google.protobuf import any_pb2


def _ask(request: any_pb2.Any, _now_ns: int) -> ViewRequest:
    unpacked(NAME, request, memory_pb2.MemoryRequest())
    return ViewRequest(lambda _wanted, _names, owner: [MemoryOfContainer(held=owner.held)], parts=(PART,))


VIEW = View(NAME, _ask, lambda programs, abis: {PART: Memory(programs, abis)}, needs=(PART,))
