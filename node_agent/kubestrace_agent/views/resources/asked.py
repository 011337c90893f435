"""What one process of a container says for all of them: its network namespace, and its limit of open files.

Used by files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.containers import network_counters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from kubestrace_agent.containers.network_counters import NetworkNamespace, PodCounters

_LIMIT = "Max open files"
# A process that ends meanwhile is no reason not to ask the next one; there may be thousands.
_MOST_ASKED = 5
_NOBODY = "no process of the container could be asked"


class Asked:
    """Asks the first process that answers, once."""

    def __init__(self, proc: Path) -> None:
        self._proc = proc
        self._network: NetworkNamespace | None = None
        self._last: PodCounters | None = None
        self._open_files: int | None = None

    def ask(self, processes: Callable[[], Iterable[str]]) -> None:
        """Ask a process, unless that has been done."""
        if self._network is not None and self._open_files is not None:
            return
        for pid, _ in zip(processes(), range(_MOST_ASKED), strict=False):
            try:
                self._network = self._network or network_counters.namespace_of(int(pid), self._proc)
                self._open_files = open_files_limit((self._proc / pid / "limits").read_text(encoding="ascii"))
            except (OSError, ValueError):
                continue
            return

    def network(self, *, after_end: bool, fresh: bool = False) -> PodCounters | None:
        """Read the counters of the network namespace; those that were read last once the container has ended.

        What another container of the pod has just read is new enough, unless these are to be `fresh`, or are the last.
        """
        if self._network is not None:
            try:
                self._last = self._network.read(fresh=fresh or after_end)
            except (OSError, ValueError):
                return self._last
            if after_end:  # holding it would keep the pod's network namespace
                self._network = None
        return self._last

    def levels(self) -> dict[str, int]:
        """Return the limit of open files, where it is known."""
        return {} if self._open_files is None else {"limits.openFiles": self._open_files}

    def problems(self) -> dict[str, str]:
        """Return what is not known, and why."""
        missing = {"pods": self._last is None, "limits.openFiles": self._open_files is None}
        return {name: _NOBODY for name, is_missing in missing.items() if is_missing}


def open_files_limit(limits: str) -> int:
    """Read the soft limit of open files from /proc/PID/limits. Raises ValueError."""
    for line in limits.splitlines():
        if line.startswith(_LIMIT):
            soft = line[len(_LIMIT) :].split()[0]
            return (1 << 63) - 1 if soft == "unlimited" else int(soft)
    raise ValueError("no limit of open files")
