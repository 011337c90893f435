"""The gate at which COMMAND's process waits until it is counted, and which it passes without a system call.

Both sides share a page of memory: a byte for each message, and a mutex that shows whether the opening side is alive.
"""

import ctypes
import errno
import mmap
import os
import time

# Bytes of the page. The mutex behind them (40 or 48 bytes) is aligned for any type.
_READY, _OPEN, _ERRNO, _EXPIRED = 0, 1, 2, 3
_MUTEX_AT, _MUTEX_BYTES = 64, 64
# pthread.h; the attributes are 4 bytes.
_PROCESS_SHARED, _ROBUST = 1, 1
_ATTRIBUTES_BYTES = 64
# libc keeps a list of locked mutexes: their pages must stay.
_locked: set[mmap.mmap] = set()

# How long a process spins before it gives up: tracing begins within a second or so unless the opening side is stuck.
_PATIENCE_SECONDS = 60.0
# linux/time.h: CLOCK_MONOTONIC_COARSE. The vDSO answers it on every clock source, so reading it is never a system call.
_COARSE_CLOCK = 6
# A longer step of that clock means that this process did not run (Ctrl-Z, a suspended machine): it did not spin then.
_LONGEST_STEP_SECONDS = 0.1


class Gate:
    """Made before the fork, by the thread that will open it. `ready`, `wait` and `refuse` are the waiting side's."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)
        # PyDLL: the interpreter's lock is kept, so no futex call can come while waiting.
        self._libc = ctypes.PyDLL(None)
        self._mutex = (ctypes.c_char * _MUTEX_BYTES).from_buffer(self._page, _MUTEX_AT)
        attributes = ctypes.create_string_buffer(_ATTRIBUTES_BYTES)
        for problem in (
            self._libc.pthread_mutexattr_init(attributes),
            self._libc.pthread_mutexattr_setpshared(attributes, _PROCESS_SHARED),
            self._libc.pthread_mutexattr_setrobust(attributes, _ROBUST),
            self._libc.pthread_mutex_init(self._mutex, attributes),
            # The kernel marks it at the end of its owner, however that comes about.
            self._libc.pthread_mutex_lock(self._mutex),
        ):
            if problem:
                raise OSError(problem, os.strerror(problem))
        _locked.add(self._page)

    def ready(self) -> None:
        """Report that the process waits."""
        self._page[_READY] = 1

    @property
    def is_ready(self) -> bool:
        """Whether it waits."""
        return bool(self._page[_READY])

    def wait(self) -> bool:
        """Return True when the gate is open, False when nobody will open it; makes no system call."""
        left_seconds = _PATIENCE_SECONDS
        last = time.clock_gettime(_COARSE_CLOCK)
        while not self._page[_OPEN]:
            if self._libc.pthread_mutex_trylock(self._mutex) == errno.EOWNERDEAD:
                return False
            now = time.clock_gettime(_COARSE_CLOCK)
            left_seconds -= min(now - last, _LONGEST_STEP_SECONDS)
            last = now
            if left_seconds <= 0:
                self._page[_EXPIRED] = 1
                return False
        return True

    @property
    def expired(self) -> bool:
        """Whether the waiting process gave up."""
        return bool(self._page[_EXPIRED])

    def open(self) -> None:
        """Let the process through."""
        self._page[_OPEN] = 1

    def refuse(self, number: int) -> None:
        """Record the errno of the call that failed behind the gate."""
        self._page[_ERRNO] = number

    @property
    def refused(self) -> int:
        """That errno, or 0."""
        return self._page[_ERRNO]

    def done(self) -> None:
        """Unlock the mutex, so that the kernel no longer checks it when our thread ends; for when nobody waits."""
        self._libc.pthread_mutex_unlock(self._mutex)
        _locked.discard(self._page)
