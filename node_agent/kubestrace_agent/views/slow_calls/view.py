"""The view slowCalls: the slowest calls one by one, with their stacks where those are asked for."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

from kubestrace_agent.views.slow_calls import stacks
from kubestrace_agent.views.slow_calls.collector import NAME, Slowest
from kubestrace_agent.views.slow_calls.kernel import SlowCalls
from kubestrace_agent.views.slow_calls.sources import PART, READING, STACKS
from kubestrace_agent.views.slow_calls.stacks_kernel import SlowStacks
from kubestrace_agent.views.user_stacks_kernel import code_of
from kubestrace_agent.views.view import RequestError, View, ViewRequest, unpacked
from kubestrace_protos.v1.views import slow_calls_pb2
from kubestrace_protos.v1.views.slow_calls_limits import (
    MAX_LIMIT,
    MAX_THRESHOLD_MILLISECONDS,
    MIN_THRESHOLD_MILLISECONDS,
)

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
    asked = unpacked(NAME, request, slow_calls_pb2.SlowCallsRequest())
    if not MIN_THRESHOLD_MILLISECONDS <= asked.threshold_nanoseconds / 1_000_000 <= MAX_THRESHOLD_MILLISECONDS:
        raise RequestError(
            "InvalidSlowCalls",
            f"threshold_nanoseconds is {asked.threshold_nanoseconds}, and must be from {MIN_THRESHOLD_MILLISECONDS} "
            f"to {MAX_THRESHOLD_MILLISECONDS} ms",
        )
    if not 1 <= asked.limit <= MAX_LIMIT:
        raise RequestError("InvalidSlowCalls", f"limit is {asked.limit}, and must be from 1 to {MAX_LIMIT}")

    def collectors(wanted: Wanted, names: Names, owner: Owner) -> list[Collector]:
        slowest = Slowest(asked.threshold_nanoseconds, asked.limit, wanted, names if asked.stacks else None, owner)
        return [slowest, stacks.Lost()] if asked.stacks else [slowest]

    if asked.stacks:
        return ViewRequest(collectors, parts=(PART, STACKS, READING), shows_paths=True, drain_seconds=_STACKS_SECONDS)
    return ViewRequest(collectors, parts=(PART,), shows_paths=True)


def _parts(programs: Programs, abis: Sequence[str]) -> dict[str, Part]:
    slow_stacks = SlowStacks(programs, code_of(programs, mmap.PAGESIZE))
    return {PART: SlowCalls(programs, abis, slow_stacks), STACKS: slow_stacks}


VIEW = View(NAME, _ask, _parts, needs=(PART,), gains_by=(STACKS, READING))
