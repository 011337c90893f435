"""Files of a container, opened without trusting it: no path leaves its root, and nothing but a regular file is read.

Used by symbols' reader. What cannot be opened is an OSError.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# openat2(2), in Linux since 5.6, by the same number everywhere. struct open_how: flags, mode, resolve.
_OPENAT2 = 437
_HOW = struct.Struct("=QQQ")
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10
# A pipe would wait for its writer.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

_libc = ctypes.CDLL(None, use_errno=True)


class File:
    """An open regular file; reads past its end give less."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        status = os.fstat(fd)
        self.size = status.st_size
        # Tells whether it is the same, unchanged: a program may set mtime, and nobody sets ctime.
        self.identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def read(self, at: int, length: int) -> bytes:
        """Read so many bytes at a place."""
        if not 0 <= at < self.size or length <= 0:
            return b""
        return os.pread(self._fd, min(length, self.size - at), at)


@contextlib.contextmanager
def opened(root: str, path: bytes) -> Iterator[File]:
    """Open a file by the path that it has in the container. Raises OSError, also for what is no regular file."""
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = _open_in_root(folder, path)
    finally:
        os.close(folder)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(0, "no regular file", path)
        yield File(fd)
    finally:
        os.close(fd)


def _open_in_root(folder: int, path: bytes) -> int:
    how = _HOW.pack(_FLAGS, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    fd: int = _libc.syscall(_OPENAT2, folder, path, how, len(how))
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return fd
