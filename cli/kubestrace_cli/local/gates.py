"""The gate at which COMMAND's process waits until it is counted, and which it passes without a system call.

Both sides share a page of memory: a byte for each thing that one tells the other, and a mutex that says that the side
which opens is alive.
"""

import ctypes
import errno
import mmap
import os

# Bytes of the page; the mutex behind them (40 or 48 bytes) is aligned as any type wants it.
_READY, _OPEN, _ERRNO = 0, 1, 2
_MUTEX_AT, _MUTEX_BYTES = 64, 64
# pthread.h; the attributes are 4 bytes.
_PROCESS_SHARED, _ROBUST = 1, 1
_ATTRIBUTES_BYTES = 64
# Locked mutexes are in a list of libc's: their pages must stay.
_locked: set[mmap.mmap] = set()


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
        """Say that the process waits."""
        self._page[_READY] = 1

    @property
    def is_ready(self) -> bool:
        """Whether it waits."""
        return bool(self._page[_READY])

    def wait(self) -> bool:
        """Return True when the gate is open, False when there is nobody left to open it; makes no system call."""
        while not self._page[_OPEN]:
            if self._libc.pthread_mutex_trylock(self._mutex) == errno.EOWNERDEAD:
                return False
        return True

    def open(self) -> None:
        """Let the process through."""
        self._page[_OPEN] = 1

    def refuse(self, number: int) -> None:
        """Leave the errno of what failed behind the gate."""
        self._page[_ERRNO] = number

    @property
    def refused(self) -> int:
        """That errno, or 0."""
        return self._page[_ERRNO]

    def done(self) -> None:
        """Take the mutex out of what the kernel looks at when our thread ends; for when nobody waits any more."""
        self._libc.pthread_mutex_unlock(self._mutex)
        _locked.discard(self._page)
