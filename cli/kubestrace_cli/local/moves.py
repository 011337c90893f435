"""Processes that leave COMMAND's cgroup: whoever moves one, it is not counted in its new one."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubestrace_agent.containers import procfs
from kubestrace_agent.text import utf8
from kubestrace_cli.local import targets
from kubestrace_protos.v1 import agent_pb2

# How often all processes are looked at: one that is moved and ends in between goes by unseen.
_LOOK_SECONDS = 0.5
# Processes that a gap names.
_MOST_NAMES = 5


@dataclass(frozen=True)
class Moved:
    """A process in another cgroup, and when it was found there, Unix time."""

    name: str
    cgroup: str
    found_ns: int


class Moves:
    """Knows who was in a cgroup, and finds those that are elsewhere now."""

    def __init__(self, inside: Callable[[], Collection[int]], own: str, first: int, proc: Path = targets.PROC) -> None:
        """`inside` lists the processes of the cgroup `own` (as /proc/PID/cgroup has it) and of those below it.

        `first` is the process from which they all come, until its exit code is taken.
        """
        self._inside = inside
        self._own = own
        self._first = first
        self._first_started = procfs.start_ticks(proc, first)
        self._proc = proc
        # When each process that was inside had started: numbers are used again.
        self._known: dict[int, int] = {}
        self._moved: dict[int, Moved] = {}
        self._next_look = 0.0

    def look_now_and_then(self) -> None:
        """Look, unless that was done just now."""
        if time.monotonic() >= self._next_look:
            self.look()
            self._next_look = time.monotonic() + _LOOK_SECONDS

    def look(self) -> None:
        """Note who is inside, and who of those that were, or of the first one's family, is not."""
        inside = set(self._inside())
        has_first = procfs.start_ticks(self._proc, self._first) == self._first_started
        for pid in {*inside, *(targets.family(self._first, self._proc) if has_first else ())}:
            if (started := procfs.start_ticks(self._proc, pid)) is not None:
                self._known.setdefault(pid, started)
        for pid in self._known.keys() - inside:
            if procfs.start_ticks(self._proc, pid) != self._known[pid]:
                del self._known[pid]
            elif pid not in self._moved and (elsewhere := self._elsewhere(pid)):
                self._moved[pid] = Moved(targets.named(pid, self._proc), utf8(elsewhere), time.time_ns())

    def _elsewhere(self, pid: int) -> str:
        """Return the cgroup of a process unless it is ours; a process that has ended still says where it was."""
        path = procfs.cgroup_path(self._proc, pid) or ""
        return path if path and not Path(path).is_relative_to(self._own) else ""

    def gaps(self, node: str) -> Iterator[agent_pb2.Gap]:
        """Yield a gap for each process that was moved, one for all beyond the first few."""
        moved = sorted(self._moved.values(), key=lambda each: each.found_ns)
        for each in moved[:_MOST_NAMES]:
            yield _gap(node, [each], f"{each.name} was moved to the cgroup {each.cgroup}: not counted from then on")
        if rest := moved[_MOST_NAMES:]:
            yield _gap(node, rest, f"{len(rest)} more processes were moved to other cgroups: not counted from then on")


def _gap(node: str, moved: Sequence[Moved], message: str) -> agent_pb2.Gap:
    return agent_pb2.Gap(
        node=node, reason="ProcessMoved", message=message, start_time_unix_nanoseconds=moved[0].found_ns
    )
