"""Signals with their sender."""

import signal
import threading

from kubestrace_cli.local.signals import Received, Signals


def test_a_signal_is_read_and_does_not_act() -> None:
    """What a process sends is read as an event, and afterwards signals act as before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with Signals([signal.SIGUSR1, signal.SIGTERM]) as signals:
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        received = signals.read()
        nothing = signals.read()

    assert received == [Received(signal.SIGUSR1, from_kernel=False)]
    assert nothing == []
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    """Under nohup SIGHUP does nothing, here too."""
    old = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        with Signals([signal.SIGUSR2]) as signals:
            signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)
            received = signals.read()
    finally:
        signal.signal(signal.SIGUSR2, old)

    assert received == []
