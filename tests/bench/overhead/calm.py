"""Tells when the machine is left alone: by what a bare system call costs now, against the least that was seen.

Another's tracer, a busy sibling of the CPU, a host with other guests: each makes calls dearer, and the figures useless.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workloads import CPU, Ordered, loop, own_cgroup, pinned

_PROBE_MS = 15
_PAUSE_SECONDS = 0.1
# Of the least that a call was seen to cost: more is a disturbed machine.
_MOST = 1.1
_FIRST_PROBES = 30


class Calm:
    """Waits for moments in which nothing else disturbs, no longer than `patience_seconds` in each repetition."""

    def __init__(self, probe: Ordered, patience_seconds: float) -> None:
        self._probe = probe
        self._patience_seconds = self._left_seconds = patience_seconds
        self._least = min(probe.work(_PROBE_MS).ns for _ in range(_FIRST_PROBES))

    @property
    def patient(self) -> bool:
        """Whether there is patience left."""
        return self._left_seconds > 0

    def refill(self) -> None:
        """A new repetition: one that was much disturbed leaves the others their share."""
        self._left_seconds = self._patience_seconds

    def now(self) -> bool:
        """Whether nothing disturbs."""
        ns = self._probe.work(_PROBE_MS).ns
        self._least = min(self._least, ns)
        return ns <= self._least * _MOST

    def wait(self) -> None:
        """Until nothing disturbs, or the patience is at its end."""
        begin = time.monotonic()
        while not self.now() and time.monotonic() - begin < self._left_seconds:
            time.sleep(_PAUSE_SECONDS)
        self.spend(time.monotonic() - begin)

    def spend(self, seconds: float) -> None:
        """Take from the patience: a run that is made anew costs of it, too."""
        self._left_seconds -= seconds


@contextmanager
def watching(folder: Path, patience_seconds: float) -> Iterator[Calm]:
    """With a loop of its own to probe with."""
    with own_cgroup() as cgroup:
        probe = Ordered([*pinned(CPU), loop(folder), "getppid"], cgroup)
        yield Calm(probe, patience_seconds)
        probe.end()
