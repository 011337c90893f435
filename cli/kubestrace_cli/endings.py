"""Waits for a trace to end: by its duration, with its target, or by a signal."""

import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kubestrace_agent import cgroups
from kubestrace_cli.signals import Received, Signals

# How often the counters are read, and a cgroup is looked at.
_TICK_SECONDS = 0.5


@dataclass(frozen=True)
class Ending:
    """Why a trace ended. `by_person`: before its time, because someone asked for it."""

    message: str
    by_person: bool = False


@dataclass(frozen=True)
class Watched:
    """What ends a trace beside its duration; `name` begins the sentence that says so."""

    name: str
    # A process; readable when it has ended.
    pidfd: int | None = None
    # A cgroup; ended when it is gone, or its last process is. One that never had a process still waits for its first.
    cgroup: Path | None = None
    was_populated: bool = False


def wait(
    signals: Signals,
    watched: Watched,
    *,
    duration_seconds: float | None,
    on_signal: Callable[[Received], None] | None,
    on_tick: Callable[[], None],
) -> Ending:
    """Return at the end. `on_signal` takes the signals; without it any of them ends the trace."""
    start = time.monotonic()
    poller = select.poll()
    poller.register(signals.fd, select.POLLIN)
    if watched.pidfd is not None:
        poller.register(watched.pidfd, select.POLLIN)
    populated = watched.was_populated
    next_tick = start + _TICK_SECONDS
    while True:
        now = time.monotonic()
        if duration_seconds is not None and now >= start + duration_seconds:
            return Ending(f"the duration of {duration_seconds:g} s is over")
        until = next_tick if duration_seconds is None else min(next_tick, start + duration_seconds)
        ready = {fd for fd, _ in poller.poll(max(0.0, until - now) * 1000)}
        for received in signals.read():
            if on_signal is None:
                name = signal.Signals(received.number).name
                return Ending(f"ended by {name} after {time.monotonic() - start:.1f} s", by_person=True)
            on_signal(received)
        if watched.pidfd in ready:
            return Ending(f"{watched.name} ended after {time.monotonic() - start:.1f} s")
        if watched.cgroup is not None:
            now_populated = cgroups.populated(watched.cgroup)
            if now_populated is None or (populated and not now_populated):
                return Ending(f"{watched.name} ended after {time.monotonic() - start:.1f} s")
            populated = populated or now_populated
        if time.monotonic() >= next_tick:
            next_tick += _TICK_SECONDS
            on_tick()
