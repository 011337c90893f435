"""Which processes came from outside of their container: of kubectl exec, or an exec probe. Pure; used by collector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.views.processes.values import Origin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubestrace_agent.views.processes.values import RawThread

# PIDs that are remembered.
_MOST = 20_000


class Origins:
    """By a process's parent, or that one's: what a probe starts is the probe's."""

    def __init__(self) -> None:
        # PID of the host -> when that process began, and whether it came from outside.
        self._known: dict[int, tuple[int, bool]] = {}
        # The oldest one with a parent outside, of a container that shares its pid namespace: its own first process.
        self._first_ns: int | None = None

    def take(self, threads: Iterable[RawThread]) -> None:
        """Know the processes of one reading, parents before their children."""
        for thread in sorted(threads, key=lambda each: each.start_ns):
            known = self._known.get(thread.pid)
            if known is None or known[0] != thread.start_ns:
                self._known[thread.pid] = thread.start_ns, self._is_outside(thread)
        while len(self._known) > _MOST:
            del self._known[next(iter(self._known))]

    def is_outside(self, pid: int, start_ns: int) -> bool:
        """Whether a process came from outside."""
        known = self._known.get(pid)
        return known is not None and known == (start_ns, True)

    def _is_outside(self, thread: RawThread) -> bool:
        if thread.origin is Origin.OUTSIDE_OR_FIRST:
            if self._first_ns is None or thread.start_ns <= self._first_ns:
                self._first_ns = thread.start_ns
                return False
            return True
        if thread.origin is Origin.OUTSIDE:
            return True
        parent = self._known.get(thread.parent)
        return parent is not None and parent[0] <= thread.start_ns and parent[1]
