"""The view memory: what was asked of the kernel for memory, and how much there was."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

from kubestrace_agent.views.memory.collector import NAME, MemoryOfContainer
from kubestrace_agent.views.memory.growth import GrowthStacks
from kubestrace_agent.views.memory.growth_kernel import Growth
from kubestrace_agent.views.memory.kernel import Memory
from kubestrace_agent.views.memory.sources import GROWTH, PART, READING
from kubestrace_agent.views.user_stacks_kernel import code_of
from kubestrace_agent.views.view import View, ViewRequest, unpacked
from kubestrace_protos.v1.views import memory_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf import any_pb2

    from kubestrace_agent.kernel.loader.programs import Programs
    from kubestrace_agent.symbols.names import Names
    from kubestrace_agent.symbols.roots import Owner
    from kubestrace_agent.syscalls import Wanted
    from kubestrace_agent.views.view import Collector, Part

# What a process has mapped must be read before it ends.
_STACKS_SECONDS = 0.1


def _ask(request: any_pb2.Any, _now_ns: int) -> ViewRequest:
    asked = unpacked(NAME, request, memory_pb2.MemoryRequest())

    def collectors(_wanted: Wanted, names: Names, owner: Owner) -> list[Collector]:
        calls = MemoryOfContainer(held=owner.held)
        return [calls, GrowthStacks(names, owner)] if asked.stacks else [calls]

    if asked.stacks:
        return ViewRequest(collectors, parts=(PART, GROWTH, READING), drain_seconds=_STACKS_SECONDS)
    return ViewRequest(collectors, parts=(PART,))


def _parts(programs: Programs, abis: Sequence[str]) -> dict[str, Part]:
    return {PART: Memory(programs, abis), GROWTH: Growth(programs, code_of(programs, mmap.PAGESIZE))}


VIEW = View(NAME, _ask, _parts, needs=(PART,), gains_by=(GROWTH, READING))
