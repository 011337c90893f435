"""What ends a trace: its duration, its target, a signal. Real files and signals, no tracer."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubestrace_cli.local import endings
from kubestrace_cli.local.signals import Received, Signals


@pytest.fixture
def signals() -> Iterator[Signals]:
    """Take SIGUSR1 as an event, when it is sent to this thread: one of gRPC's, of other tests, would die of it."""
    with Signals([signal.SIGUSR1]) as taken:
        yield taken


def nothing() -> None:
    """Do nothing at a tick."""


def cgroup(path: Path, populated: int) -> Path:
    """Make a cgroup's folder."""
    path.mkdir(exist_ok=True)
    (path / "cgroup.events").write_text(f"populated {populated}\nfrozen 0\n")
    return path


def test_the_duration_ends_it(signals: Signals) -> None:
    """Nobody is to blame, and the counters were read on the way."""
    ticks: list[int] = []

    ending = endings.wait(
        signals, endings.Watched("x"), duration_seconds=0.7, on_signal=None, on_tick=lambda: ticks.append(1)
    )

    assert ending == endings.Ending("the duration of 0.7 s is over")
    assert ticks == [1]


def test_a_signal_ends_it_when_nobody_else_takes_signals(signals: Signals) -> None:
    """Ctrl-C is a person's wish and the message names the signal."""
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    ending = endings.wait(signals, endings.Watched("x"), duration_seconds=30, on_signal=None, on_tick=nothing)

    assert ending.by_person
    assert ending.message.startswith("ended by SIGUSR1 after ")


def test_signals_are_handed_on_and_the_trace_goes_on(signals: Signals) -> None:
    """With a taker, the signal is its own and the duration still decides."""
    taken: list[Received] = []
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    def take(received: Received) -> bool:
        taken.append(received)
        return True

    ending = endings.wait(signals, endings.Watched("x"), duration_seconds=0.2, on_signal=take, on_tick=nothing)

    assert taken == [Received(signal.SIGUSR1, from_kernel=False)]
    assert ending.message == "the duration of 0.2 s is over"


def test_a_processs_end_ends_it(signals: Signals) -> None:
    """The watched process is named."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    pidfd = os.pidfd_open(pid)

    ending = endings.wait(
        signals, endings.Watched("process 41", pidfd=pidfd), duration_seconds=30, on_signal=None, on_tick=nothing
    )
    os.close(pidfd)
    os.waitpid(pid, 0)

    assert ending.message.startswith("process 41 ended after")
    assert not ending.by_person


def test_a_cgroups_last_process_ends_it(signals: Signals, tmp_path: Path) -> None:
    """A cgroup that was in use and is empty has ended."""
    watched = cgroup(tmp_path / "group", populated=1)

    ending = endings.wait(
        signals,
        endings.Watched("the last process of /group", cgroup=watched),
        duration_seconds=30,
        on_signal=None,
        on_tick=lambda: cgroup(watched, populated=0) and None,
    )

    assert ending.message.startswith("the last process of /group ended after")


def test_a_cgroup_that_waits_for_its_first_process_has_not_ended(signals: Signals, tmp_path: Path) -> None:
    """Empty from the beginning is no end."""
    watched = cgroup(tmp_path / "group", populated=0)

    ending = endings.wait(
        signals, endings.Watched("x", cgroup=watched), duration_seconds=0.7, on_signal=None, on_tick=nothing
    )

    assert ending.message == "the duration of 0.7 s is over"


def test_a_signal_that_is_not_taken_ends_it(signals: Signals) -> None:
    """As when COMMAND, whose signals they were, has ended."""
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    ending = endings.wait(
        signals, endings.Watched("x"), duration_seconds=30, on_signal=lambda _: False, on_tick=nothing
    )

    assert ending.by_person
