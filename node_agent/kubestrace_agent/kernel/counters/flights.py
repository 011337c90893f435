"""The calls that tasks are inside of now, from the walk over all tasks. Owned by tracer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubestrace_agent.kernel.counters import calls as single_calls
from kubestrace_agent.kernel.counters.counts import InFlight
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps import layout

if TYPE_CHECKING:
    from kubestrace_agent.syscalls import SyscallKey


class Flights:
    """Reads the walk, and remembers since when a call is known whose beginning nobody saw."""

    def __init__(self, programs: Programs, abis: Sequence[str]) -> None:
        self._programs = programs
        self._abis = abis
        self._ready = False
        # Slot generation, thread, call -> since when it is under way at least: of those without a beginning.
        self._known: dict[tuple[int, int, SyscallKey], int] = {}

    def read(self, now_ns: int) -> dict[int, list[InFlight]]:
        """By slot generation; `now_ns` is CLOCK_MONOTONIC."""
        self._prepare()
        records, at = self._programs.tasks_in_calls(), 0
        before, self._known = self._known, {}
        calls: dict[int, list[InFlight]] = {}
        while at < len(records):
            start, since, generation, abi, number, tid, pid, seen, size = layout.IN_FLIGHT.unpack_from(records, at)
            at += layout.IN_FLIGHT.size + size
            key = layout.syscall_key(self._abis, abi, number)
            if not start:
                start = min(before.get((generation, tid, key), since), since)
                self._known[generation, tid, key] = start
            call = InFlight(key, tid, pid, max(0, now_ns - start), not seen, records[at - size : at])
            calls.setdefault(generation, []).append(call)
        return calls

    def _prepare(self) -> None:
        """At the first use: a node that is never asked has no shapes in its programs."""
        if not self._ready and self._programs.maps.has("call_shapes"):
            single_calls.write_shapes(self._programs.maps, self._abis)
        self._ready = True
