"""Waits for a trace to end: by its duration, with its target, or by a signal."""

import math
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kubestrace_agent.containers import cgroups
from kubestrace_cli.local.signals import Received, Signals

# How often the counters are read, and a cgroup is looked at.
_TICK_SECONDS = 0.5


@dataclass(frozen=True)
class Ending:
    """Why a trace ended. `by_person`: before its time, because someone asked for it."""

    message: str
    by_person: bool = False


@dataclass
class Watched:
    """What ends a trace beside its duration; `name` begins the sentence that says so."""

    name: str
    # A process's file: readable when it has ended.
    pidfd: int | None = None
    # A cgroup; ended when it is gone, or its last process is. One that never had a process still waits for its first.
    cgroup: Path | None = None
    was_populated: bool = False

    def has_ended(self) -> bool:
        """Tell whether it is over; never waits."""
        if self.pidfd is not None:
            return bool(select.select([self.pidfd], [], [], 0)[0])
        if self.cgroup is None:
            return False
        try:
            populated = cgroups.populated(self.cgroup)
        except OSError:  # not known now, as with too many open files: asked again soon
            return False
        emptied = self.was_populated and not populated
        self.was_populated = self.was_populated or bool(populated)
        return emptied or populated is None


def wait(
    signals: Signals,
    watched: Watched,
    *,
    duration_seconds: float | None,
    on_signal: Callable[[Received], bool] | None,
    on_tick: Callable[[], None],
    tick_seconds: Callable[[], float] = lambda: _TICK_SECONDS,
) -> Ending:
    """Return at the end. `on_signal` takes the signals; one that it does not take (False) ends the trace.

    Without it any of them does.
    `tick_seconds` says how long it is to the next `on_tick`, asked after each.
    """
    begun = time.monotonic()
    ends_at = math.inf if duration_seconds is None else begun + duration_seconds
    ticks_at = begun + tick_seconds()
    poller = select.poll()
    for fd in (signals.fd, watched.pidfd):
        if fd is not None:
            poller.register(fd, select.POLLIN)
    while (now := time.monotonic()) < ends_at:
        if now >= ticks_at:
            on_tick()
            ticks_at = time.monotonic() + tick_seconds()
        poller.poll(max(0.0, min(ticks_at, ends_at) - time.monotonic()) * 1000)
        for received in signals.read():
            if on_signal is None or not on_signal(received):
                name = signal.Signals(received.number).name
                return Ending(f"ended by {name} after {_age(begun)}", by_person=True)
        if watched.has_ended():
            return Ending(f"{watched.name} ended after {_age(begun)}")
    return Ending(f"the duration of {duration_seconds:g} s is over")


def _age(begun: float) -> str:
    """Return how long it lasted. A short program is not said to have ended after 0.0 s."""
    seconds = time.monotonic() - begun
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
