"""A ring buffer that the programs write, and how the slots of a view share one. Used by the views."""

import mmap
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.maps.headers import Layout
from kubestrace_agent.kernel.maps.maps import Maps

# A record: length with two flags, then the page it is in; data is padded to 8 bytes.
HEAD_BYTES = 8
_BUSY, _DISCARDED = 1 << 31, 1 << 30
_HEAD = struct.Struct("=I")


def fence() -> None:
    """Keep memory accesses before this call from those after it.

    Python has no barrier. A release of a lock waits for the accesses before it, and an acquire after it holds back
    those that follow: on aarch64 too, which else reorders loads (Arm ARM B2.3: store-release before load-acquire).
    """
    lock = threading.Lock()
    lock.acquire()
    lock.release()
    lock.acquire()


class Ring:
    """A ring buffer's memory (Linux Documentation/bpf/ringbuf.rst): positions, then the data, mapped twice in a row.

    Read without a system call and without a callback. The kernel finishes a record before it clears its busy flag.
    """

    def __init__(self, fd: int, size: int) -> None:
        page = mmap.PAGESIZE
        self.bytes = size
        with ExitStack() as undo:
            # Each mapping has a descriptor of its own.
            self._consumer = undo.enter_context(mmap.mmap(fd, page))
            self._producer = mmap.mmap(fd, page + 2 * size, prot=mmap.PROT_READ, offset=page)
            undo.pop_all()
        self._data_at = page
        # The array of maps in which it stands, where it was made for that, and its own file descriptor.
        self._stands_in: tuple[int, int] | None = None

    @classmethod
    def make(cls, name: str, size: int, array: int) -> Self:
        """A new ring, at the head of an array of maps until it is closed. Raises OSError."""
        with ExitStack() as undo:
            fd = bpf_syscall.create_ring(name, size)
            undo.callback(os.close, fd)
            made = cls(fd, size)
            undo.callback(made.close)
            bpf_syscall.update(array, bpf_syscall.key_u32(0), bpf_syscall.key_u32(fd))
            made._stands_in = array, fd
            undo.pop_all()
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
        """Where in memory they begin, and their lengths, for who reads few of them: they are there until the end.

        The producer's position is read before the heads, and the heads before the data; the room is given back last.
        """
        position = int.from_bytes(self._consumer[:8], "little")
        end = int.from_bytes(self._producer[:8], "little")
        fence()
        complete, position = self._complete(position, end)
        fence()
        yield from complete
        fence()
        with memoryview(self._consumer).cast("Q") as words:
            words[0] = position

    def _complete(self, position: int, end: int) -> tuple[list[tuple[int, int]], int]:
        """Places and lengths of the records from a position on, and where the first one begins that is not complete."""
        memory, size, data_at, head_at = self._producer, self.bytes, self._data_at, _HEAD.unpack_from
        found: list[tuple[int, int]] = []
        while position < end:
            at = data_at + position % size
            (head,) = head_at(memory, at)
            if head < _DISCARDED:
                found.append((at + HEAD_BYTES, head))
            elif head & _BUSY:
                break
            position += ((head & ~_DISCARDED) + HEAD_BYTES + 7) & ~7
        return found, position

    def close(self) -> None:
        """Unmap, and give the ring back where it was made here."""
        self._consumer.close()
        self._producer.close()
        if self._stands_in is not None:
            array, fd = self._stands_in
            bpf_syscall.delete(array, bpf_syscall.key_u32(0))
            os.close(fd)


@dataclass(frozen=True)
class RingMaps:
    """The maps of a view with a ring, and how large it is."""

    # The kernel's name of the ring, and the array of maps in which the programs find it.
    name: str
    array: str
    # A power of two.
    ring_bytes: int
    record_bytes: int
    # The array of a struct for each slot, which both sides write. `room` are those of its fields that hold how many
    # bytes the slot may fill until the ring is read.
    slots: str
    layout: Layout
    room: tuple[str, ...] = ("room",)
    # The ring is to be read at once when this part of it is full.
    drain_part: int = 8


class SlotRing:
    """The slots that ask for a view, and the ring that they share, each with a part of its own.

    The ring is made for the first slot and given back with the last. A slot that fills its part takes nothing from the
    others: what finds no room is counted in the slot's struct.
    """

    def __init__(self, maps: Maps, ring_maps: RingMaps) -> None:
        self._maps = maps
        self._of = ring_maps
        self._words = ring_maps.layout.size // 8
        self._slots_of: dict[int, int] = {}
        # What the fields of a slot were when it was added.
        self._before: dict[int, tuple[int, ...]] = {}
        self._ring: Ring | None = None
        # Mapped at the first use: a node that is never asked has no mapping.
        self._memory = memoryview(b"")

    def __contains__(self, slot: int) -> bool:
        return slot in self._before

    def __bool__(self) -> bool:
        return bool(self._before)

    @property
    def slots(self) -> tuple[int, ...]:
        """The slots that ask."""
        return tuple(self._before)

    @property
    def slot_of(self) -> dict[int, int]:
        """By their generations."""
        return self._slots_of

    def add(self, slot: int, generation: int) -> None:
        """Give a new slot its part. Raises OSError where no ring can be made."""
        if not self._memory:
            self._maps.check_size(self._of.slots, self._of.layout.size)
            self._memory = self._maps.view(self._of.slots, "Q")
        if self._ring is None:
            self._ring = Ring.make(self._of.name, self._of.ring_bytes, self._maps.fd(self._of.array))
        at = slot * self._words
        self._before[slot] = tuple(self._memory[at : at + self._words])
        self._slots_of[generation] = slot
        self.deal_out()

    def remove(self, slot: int) -> int | None:
        """Take a slot's part away, the last one's with the ring; its generation, None if it was not here."""
        if self._before.pop(slot, None) is None:
            return None
        generation = next(generation for generation, known in self._slots_of.items() if known == slot)
        del self._slots_of[generation]
        return generation

    def give_back(self) -> None:
        """Give the ring back, once no program writes to it."""
        if self._ring is not None and not self._before:
            self._ring.close()
            self._ring = None

    def write(self, slot: int, path: str, value: int) -> None:
        """Write a field of a slot's struct."""
        self._memory[slot * self._words + self._of.layout.at(path)] = value

    def grown(self, slot: int, *paths: str) -> int:
        """Sum up what fields of a slot's struct have grown by since it was added."""
        if slot not in self._before:
            return 0
        at, before = slot * self._words, self._before[slot]
        fields = [self._of.layout.at(path) for path in paths]
        return sum(self._memory[at + field] - before[field] for field in fields)

    @property
    def ring(self) -> Ring | None:
        """The ring, while any slot asks."""
        return self._ring

    def records(self) -> Iterator[bytes]:
        """Take what was written. Call deal_out when all of it is read."""
        if self._ring is not None:
            yield from self._ring.read()

    def deal_out(self) -> None:
        """Give all slots equal parts of a ring that has just been read."""
        if self._ring is None or not self._before:
            return
        parties = len(self._of.room) * len(self._before)
        part = self._ring.part(parties, self._maps.cpus, self._of.record_bytes)
        rooms = [self._of.layout.at(path) for path in self._of.room]
        for slot in self._before:
            for room in rooms:
                self._memory[slot * self._words + room] = part

    @property
    def needs_drain(self) -> bool:
        """Whether the ring fills faster than it is read."""
        return self._ring is not None and self._ring.filled > self._ring.bytes // self._of.drain_part

    def close(self) -> None:
        """Give the memory back."""
        if self._ring is not None:
            self._ring.close()
            self._ring = None
        self._memory.release()
