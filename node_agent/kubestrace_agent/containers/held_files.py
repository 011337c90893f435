"""Files of the kernel that are read again and again, held open: one system call for a reading instead of four.

What is held is at most a part of what this process may have open, and is given up where any more cannot be opened: then
files are opened for each reading, as all others are. Used by views.
"""

from __future__ import annotations

import errno
import os
import resource
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kubestrace_agent.containers import procfs

if TYPE_CHECKING:
    from collections.abc import Callable

_BYTES = 65536
# Of the files that this process may have open.
_PART = 4
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE})
# After files had to be given up.
_PAUSE_SECONDS = 60.0

_Value = TypeVar("_Value")


class Room:
    """How many files are held, of all that may be; any thread."""

    def __init__(self) -> None:
        # A file may be given back by the garbage collector, in the midst of this.
        self._lock = threading.RLock()
        self._held: weakref.WeakSet[HeldFile[Any]] = weakref.WeakSet()
        self._count = 0
        self._not_before = 0.0

    def take(self, file: HeldFile[Any]) -> bool:
        """Tell whether one more may be held, and count it."""
        with self._lock:
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            has_room = limit == resource.RLIM_INFINITY or self._count < limit // _PART
            if not has_room or time.monotonic() < self._not_before:
                return False
            self._count += 1
            self._held.add(file)
            return True

    def give(self) -> None:
        """Count one less."""
        with self._lock:
            self._count -= 1

    def give_up(self) -> None:
        """Close all, and hold none for a while: somebody cannot open what is needed."""
        with self._lock:
            held = list(self._held)
            self._held.clear()
            self._not_before = time.monotonic() + _PAUSE_SECONDS
        for file in held:
            file.close()


ROOM = Room()


class HeldFile(Generic[_Value]):
    """One file, and what its text says; the same text is not parsed again."""

    def __init__(self, path: str, parse: Callable[[str], _Value], *, again: bool = True) -> None:
        """`again`: a file that has gone may come back under its path; otherwise it has gone for ever."""
        self._path = path
        self._parse = parse
        self._again = again
        self._lock = threading.Lock()
        self._fd = -1
        self._gone = False
        self._last: tuple[bytes, _Value] | None = None

    def value(self) -> _Value | None:
        """Read it; None where there is none. Raises OSError, and ValueError of `parse`."""
        try:
            text = self._text()
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            ROOM.give_up()
            text = self._text()
        if text is None:
            return None
        last = self._last
        if last is None or last[0] != text:
            self._last = last = text, self._parse(text.decode(errors="replace"))
        return last[1]

    def _text(self) -> bytes | None:
        with self._lock:
            if self._fd >= 0:
                try:
                    return _read(self._fd)
                except OSError as error:
                    if error.errno not in procfs.GONE:
                        raise
                self._close()
                self._gone = not self._again
            return None if self._gone else self._opened()

    def _opened(self) -> bytes | None:
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in procfs.GONE:
                return None
            raise
        try:
            text = _read(fd)
        except OSError as error:
            os.close(fd)
            if error.errno in procfs.GONE:  # removed while it was open
                return None
            raise
        if ROOM.take(self):
            self._fd = fd
        else:
            os.close(fd)
        return text

    def close(self) -> None:
        """Hold it no longer; it may be read again."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
            ROOM.give()

    def __del__(self) -> None:
        """Nobody reads it any more."""
        self._close()


def _read(fd: int) -> bytes:
    """Read from the beginning: the kernel makes the text anew, and gives it whole where there is room for it."""
    text = os.pread(fd, _BYTES, 0)
    while len(text) % _BYTES == 0 and (more := os.pread(fd, _BYTES, len(text))):
        text += more
    return text
