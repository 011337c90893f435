"""A ring buffer that the programs write and a view reads. Used by the views."""

import mmap
import os
from collections.abc import Iterator
from typing import Self

from kubestrace_agent.kernel import bpf

# A record: length with two flags, then the page it is in; data is padded to 8 bytes.
HEAD_BYTES = 8
_BUSY, _DISCARDED = 1 << 31, 1 << 30


class Ring:
    """A ring buffer's memory (Linux Documentation/bpf/ringbuf.rst): positions, then the data, mapped twice in a row.

    Read without a system call and without a callback. The kernel finishes a record before it clears its busy flag.
    """

    def __init__(self, fd: int, size: int) -> None:
        page = mmap.PAGESIZE
        self.bytes = size
        self._consumer = mmap.mmap(fd, page)
        self._producer = mmap.mmap(fd, page + 2 * size, prot=mmap.PROT_READ, offset=page)
        self._data_at = page
        # The array of maps in which it stands, where it was made for that, and its own file descriptor.
        self._stands_in: tuple[int, int] | None = None

    @classmethod
    def make(cls, name: str, size: int, array: int) -> Self:
        """A new ring, at the head of an array of maps until it is closed. Raises OSError."""
        fd = bpf.create_ring(name, size)
        try:
            bpf.update(array, bpf.key_u32(0), bpf.key_u32(fd))
            made = cls(fd, size)
        except BaseException:
            os.close(fd)
            raise
        made._stands_in = array, fd
        return made

    def read(self) -> Iterator[bytes]:
        """The records that are complete, oldest first; those behind one that is still being written come next time."""
        position = int.from_bytes(self._consumer[:8], "little")
        end = int.from_bytes(self._producer[:8], "little")
        while position < end:
            at = self._data_at + position % self.bytes
            head = int.from_bytes(self._producer[at : at + 4], "little")
            if head & _BUSY:
                break
            length = head & ~_DISCARDED
            if not head & _DISCARDED:
                yield self._producer[at + HEAD_BYTES : at + HEAD_BYTES + length]
            position += -(-(length + HEAD_BYTES) // 8) * 8
        with memoryview(self._consumer).cast("Q") as words:
            words[0] = position

    def close(self) -> None:
        """Unmap, and give the ring back where it was made here."""
        self._consumer.close()
        self._producer.close()
        if self._stands_in is not None:
            array, fd = self._stands_in
            bpf.delete(array, bpf.key_u32(0))
            os.close(fd)
