"""Signals as events that tell their sender.

What a terminal sends goes to the whole process group, and COMMAND has it already; what a process sends is ours alone.
"""

import ctypes
import os
import signal
import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

# sys/signalfd.h: SFD_NONBLOCK, SFD_CLOEXEC; the record's size and its first fields (signo u32, errno i32, code i32).
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_RECORD_BYTES = 128
_HEAD = struct.Struct("=Iii")


@dataclass(frozen=True)
class Received:
    """One signal. `from_kernel`: a terminal sent it to its whole foreground process group, COMMAND included."""

    number: int
    from_kernel: bool


@dataclass(frozen=True)
class Inherited:
    """How we were started and a COMMAND is to start: which signals are blocked, and whether SIGCHLD is ignored."""

    mask: Collection[int]
    ignores_sigchld: bool


class Signals:
    """Takes signals through a file descriptor for as long as it is open."""

    def __init__(self, numbers: Iterable[int]) -> None:
        """Block the signals, but those that were ignored when we started (nohup): they stay ignored."""
        taken = {number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}
        # An ignored one has the kernel throw away how our children end.
        ignores_sigchld = signal.signal(signal.SIGCHLD, signal.SIG_DFL) is signal.SIG_IGN
        self.inherited = Inherited(signal.pthread_sigmask(signal.SIG_BLOCK, taken), ignores_sigchld)
        self.fd = _signalfd(taken)

    def read(self) -> list[Received]:
        """Return what has come; never waits."""
        received: list[Received] = []
        while True:
            try:
                record = os.read(self.fd, _RECORD_BYTES)
            except BlockingIOError:
                return received
            number, _, code = _HEAD.unpack_from(record)
            received.append(Received(number, from_kernel=code > 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Let the signals act as before; one that comes when all is over has nothing left to end."""
        self.read()
        os.close(self.fd)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.inherited.mask)
        if self.inherited.ignores_sigchld:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def _signalfd(numbers: set[int]) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    # sigset_t is 1024 bits in glibc and 1024 or fewer in musl.
    mask = ctypes.create_string_buffer(128)
    libc.sigemptyset(mask)
    for number in numbers:
        libc.sigaddset(mask, int(number))
    fd: int = libc.signalfd(-1, mask, _FLAGS)
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"signalfd: {os.strerror(number)}")
    return fd
