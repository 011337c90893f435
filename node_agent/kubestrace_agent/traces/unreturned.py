"""Calls that have not returned, as the wire carries them: who is inside what, and for how long. Pure.

What a container controls is made safe to print, as in call_arguments.
"""

from __future__ import annotations

import heapq
import platform
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

from kubestrace_agent.kernel.counters import calls as single_calls
from kubestrace_agent.kernel.counters.counts import RawCall
from kubestrace_agent.syscalls import abi_names, name
from kubestrace_agent.traces.delta import is_wanted
from kubestrace_agent.views import call_arguments, polled
from kubestrace_agent.views.redaction import DEFAULT
from kubestrace_protos.v1 import agent_pb2

if TYPE_CHECKING:
    from kubestrace_agent.kernel.counters.counts import InFlight, RawCounts
    from kubestrace_agent.syscalls import Wanted
    from kubestrace_agent.views.redaction import Redaction

# Of one container; trust.unreturned_calls counts all.
MOST = 20
_TELLING_MODES = frozenset({stat.S_IFSOCK, stat.S_IFIFO})


class Unreturned:
    """The calls that one container has under way, for one session."""

    def __init__(self, start: RawCounts | None, *, wanted: Wanted, paths: bool, redaction: Redaction = DEFAULT) -> None:
        """`start`: the counts that the session begins with. `paths`: tell files and peers behind descriptors too."""
        self._start = start
        self._wanted = wanted
        self._paths = paths
        self._redaction = redaction
        # Thread and details -> what was made of them: most calls that have not returned have not the last time.
        self._made: dict[tuple[int, bytes], agent_pb2.UnreturnedCall] = {}

    def calls(self, counts: RawCounts) -> list[agent_pb2.UnreturnedCall]:
        """The oldest of a snapshot: calls that work first, as waiting is what the others are for."""
        known, self._made = self._made, {}
        wanted = (call for call in counts.in_flight if is_wanted(call.key, self._wanted))
        oldest = heapq.nsmallest(MOST, wanted, key=lambda call: (call.key.waited, -call.age_ns, call.tid))
        return [self._told(call, counts.time_ns, known) for call in oldest]

    def _told(
        self, call: InFlight, now_ns: int, known: dict[tuple[int, bytes], agent_pb2.UnreturnedCall]
    ) -> agent_pb2.UnreturnedCall:
        key = call.tid, call.details
        made = self._made[key] = known.get(key) or _message(call, self._redaction, paths=self._paths)
        message = agent_pb2.UnreturnedCall(age_nanoseconds=call.age_ns)
        message.MergeFrom(made)
        began_ns = now_ns - call.age_ns
        message.began_earlier = call.began_earlier or (self._start is not None and began_ns < self._start.time_ns)
        return message


def _message(call: InFlight, redaction: Redaction, *, paths: bool) -> agent_pb2.UnreturnedCall:
    message = agent_pb2.UnreturnedCall(
        name=name(call.key),
        abi="" if call.key.abi == platform.machine() else call.key.abi,
        wait=call.key.waited,
        host_tid=call.tid,
        host_pid=call.pid,
    )
    if call.details:
        _, raw_call = single_calls.parsed(call.details, abi_names(platform.machine()), RawCall)
        message.arguments = call_arguments.described(raw_call if paths else _without_paths(raw_call), redaction)
        message.tid, message.pid = raw_call.inner_tid, raw_call.inner_pid
        message.thread, message.process = call_arguments.names(raw_call, redaction)
    return message


def _without_paths(call: RawCall) -> RawCall:
    """Of what is behind descriptors no more than that it is a socket or a pipe."""
    polls = single_calls.polled_captures(call.key)
    captures = (
        (_told_mode(mode), polled.without_names(text, _told_mode) if position in polls else b"")
        for position, (mode, text) in enumerate(call.captures)
    )
    return replace(call, captures=tuple(captures))


def _told_mode(mode: int) -> int:
    return mode if stat.S_IFMT(mode) in _TELLING_MODES else 0
