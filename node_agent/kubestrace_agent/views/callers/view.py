"""The view callers: which functions make the calls, of calls that are chosen by chance."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

from kubestrace_agent.views.callers.collector import NAME, CallStacks
from kubestrace_agent.views.callers.kernel import Callers
from kubestrace_agent.views.callers.sources import PART, READING
from kubestrace_agent.views.user_stacks_kernel import code_of
from kubestrace_agent.views.view import RequestError, View, ViewRequest, unpacked
from kubestrace_protos.v1.views import callers_pb2
from kubestrace_protos.v1.views.callers_limits import MAX_PER_SECOND, MIN_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf import any_pb2

    from kubestrace_agent.kernel.loader.programs import Programs
    from kubestrace_agent.symbols.names import Names
    from kubestrace_agent.symbols.roots import Owner
    from kubestrace_agent.syscalls import Wanted
    from kubestrace_agent.views.view import Collector, Part

# What a process has mapped must be read before it ends.
_DRAIN_SECONDS = 0.1


def _ask(request: any_pb2.Any, _now_ns: int) -> ViewRequest:
    asked = unpacked(NAME, request, callers_pb2.CallersRequest())
    if not MIN_PER_SECOND <= asked.per_second <= MAX_PER_SECOND:
        raise RequestError(
            "InvalidCallers",
            f"per_second is {asked.per_second}, and must be from {MIN_PER_SECOND} to {MAX_PER_SECOND}",
        )

    def collectors(wanted: Wanted, names: Names, owner: Owner) -> list[Collector]:
        return [CallStacks(asked.per_second, asked.by_errno, wanted, names, owner)]

    return ViewRequest(collectors, parts=(PART, READING), drain_seconds=_DRAIN_SECONDS)


def _parts(programs: Programs, abis: Sequence[str]) -> dict[str, Part]:
    return {PART: Callers(programs, abis, code_of(programs, mmap.PAGESIZE))}


VIEW = View(NAME, _ask, _parts, needs=(PART, READING))
