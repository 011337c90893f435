"""A ring buffer that the programs write and a view reads. Used by the views."""

import mmap
import os
import struct
from collections.abc import Iterator
from typing import Self

from kubestrace_agent.kernel import bpf_syscall

# A record: length with two flags, then the page it is in; data is padded to 8 bytes.
HEAD_BYTES = 8
_BUSY, _DISCARDED = 1 << 31, 1 << 30
_HEAD = struct.Struct("=I")


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
        fd = bpf_syscall.create_ring(name, size)
        try:
            bpf_syscall.update(array, bpf_syscall.key_u32(0), bpf_syscall.key_u32(fd))
            made = cls(fd, size)
        except BaseException:
            os.close(fd)
            raise
        made._stands_in = array, fd
        return made

    @property
    def filled(self) -> int:
        """How many bytes wait to be read."""
        return int.from_bytes(self._producer[:8], "little") - int.from_bytes(self._consumer[:8], "little")

    def part(self, parties: int, cpus: int, record_bytes: int) -> int:
        """How many bytes each of some parties may fill until the ring is read again, of a ring that is empty now.

        Each CPU may begin its last record while others do, so a part may be exceeded by a record of each CPU: it is
        that much smaller than an equal part, but at least half of it, as hundreds of CPUs hardly do so at once.
        """
        record, equal = record_bytes + 2 * HEAD_BYTES, self.bytes // parties
        return max(record, equal // 2, equal - cpus * record)

    @property
    def memory(self) -> mmap.mmap:
        """What `places` are in."""
        return self._producer

    def read(self) -> Iterator[bytes]:
        """The records that are complete, oldest first; those behind one that is still being written come next time."""
        for at, length in self.places():
            yield self._producer[at : at + length]

    def places(self) -> Iterator[tuple[int, int]]:
        """Where in memory they begin, and their lengths, for who reads few of them: they are there until the end."""
        memory, size, data_at, head_at = self._producer, self.bytes, self._data_at, _HEAD.unpack_from
        position = int.from_bytes(self._consumer[:8], "little")
        end = int.from_bytes(memory[:8], "little")
        while position < end:
            at = data_at + position % size
            (head,) = head_at(memory, at)
            if head < _DISCARDED:
                yield at + HEAD_BYTES, head
            elif head & _BUSY:
                break
            position += ((head & ~_DISCARDED) + HEAD_BYTES + 7) & ~7
        with memoryview(self._consumer).cast("Q") as words:
            words[0] = position

    def close(self) -> None:
        """Unmap, and give the ring back where it was made here."""
        self._consumer.close()
        self._producer.close()
        if self._stands_in is not None:
            array, fd = self._stands_in
            bpf_syscall.delete(array, bpf_syscall.key_u32(0))
            os.close(fd)
