"""The view of slow calls: which slots ask for it, and what the kernel told, read from the ring in one go.

Owned by tracer. What a slot wants is two floors, one for calls that work and one for calls whose purpose is to wait;
user space raises them once it holds enough slower ones. The room in the ring is dealt out among the slots, so that one
that fills its own takes nothing from another.
"""

import mmap
import struct
from collections.abc import Iterator, Sequence

from kubestrace_agent.kernel import layout
from kubestrace_agent.kernel.counts import Floors, RawSlowCall
from kubestrace_agent.kernel.programs import Programs
from kubestrace_agent.syscalls import WAITS, SyscallKey, arguments, names

# struct slow_slot: floor_ns, lost, room, for calls that work and calls that wait.
_SLOT = struct.Struct("=QQQQqq")
# struct slow_call without its text.
_RECORD = struct.Struct("=QQ6QqIIiIIIII2I2II16s16s")
# And with the most of it.
_RECORD_BYTES = _RECORD.size + 512 + 256
_CAPTURE = {
    arguments.Kind.PATH: 1,
    arguments.Kind.FILE: 2,
    arguments.Kind.DIRECTORY: 2,
    arguments.Kind.ADDRESS: 3,
}
_WAITS_BIT = 1 << 16
_PROGRAM = "on_slow_exit"
# A record in the ring: length with two flags, then the page it is in; data is padded to 8 bytes.
_HEAD_BYTES = 8
_BUSY, _DISCARDED = 1 << 31, 1 << 30
_NEVER = (1 << 64) - 1


class SlowCalls:
    """The View: what is wanted are Floors, what is read are RawSlowCalls."""

    def __init__(self, programs: Programs, abis: Sequence[str]) -> None:
        self._programs = programs
        self._abis = abis
        # slot -> what was lost there before it was asked for.
        self._lost_before: dict[int, int] = {}
        self._generations: dict[int, int] = {}
        self._ring: _Ring | None = None
        # Mapped at the first use, as the ring is.
        self._slots = memoryview(b"")

    def want(self, slot: int, generation: int, floors: Floors) -> None:
        """Tell a slot's calls over the floors. Raises UnsupportedKernelError where that cannot be."""
        if slot not in self._lost_before:
            self._programs.need(_PROGRAM)
            self._open()
            self._lost_before[slot] = self._lost(slot)
            self._generations[generation] = slot
            self._deal_out()
        self._write_floors(slot, floors)
        self._programs.attach((_PROGRAM,))

    def forget(self, slot: int) -> None:
        """Tell nothing of a slot any more; the last one's end detaches the program. Twice is fine."""
        if self._lost_before.pop(slot, None) is None:
            return
        self._generations = {generation: known for generation, known in self._generations.items() if known != slot}
        self._write_floors(slot, Floors(_NEVER, _NEVER))
        if not self._lost_before:
            self._programs.detach((_PROGRAM,))

    def lost(self, slot: int) -> int:
        """How many calls over the floors had no room since the slot asked."""
        return self._lost(slot) - self._lost_before[slot] if slot in self._lost_before else 0

    def read(self) -> dict[int, list[RawSlowCall]]:
        """Everything told since the last time, by slot."""
        found: dict[int, list[RawSlowCall]] = {}
        if self._ring is None:
            return found
        for record in self._ring.read():
            generation, call = self._parsed(record)
            slot = self._generations.get(generation)
            if slot is not None:
                found.setdefault(slot, []).append(call)
        self._deal_out()
        return found

    def close(self) -> None:
        """Give the memory back."""
        if self._ring is not None:
            self._ring.close()
            self._ring = None
        self._slots.release()

    def _open(self) -> None:
        """At the first use: a node that is never asked has no mapping, and its programs no shapes."""
        if self._ring is not None:
            return
        maps = self._programs.maps
        maps.check_size("slow_slots", _SLOT.size)
        maps.check_size("slow_scratch", -(-_RECORD_BYTES // 8) * 8)
        shapes = maps.view("slow_shapes", "Q")
        for position, abi in enumerate(self._abis):
            for number, called in names(abi).items():
                at = position * layout.ABI_NUMBERS + number
                if at < layout.INDEX_ENTRIES:
                    shapes[at] = shape(called, abi)
        shapes.release()
        self._slots = maps.view("slow_slots", "Q")
        self._ring = _Ring(maps.fd("slow_events"), maps.entries("slow_events"))

    def _write_floors(self, slot: int, floors: Floors) -> None:
        for at, floor in enumerate((floors.working_ns, floors.waiting_ns)):
            self._slots[slot * _SLOT.size // 8 + at] = floor

    def _lost(self, slot: int) -> int:
        at = slot * _SLOT.size // 8
        return self._slots[at + 2] + self._slots[at + 3]

    def _deal_out(self) -> None:
        """Equal parts of the ring, which is empty now, each one half for calls that work.

        Each CPU may begin its last record while others do: a part is passed by so much at most, and kept shorter by it.
        """
        if not self._lost_before or self._ring is None:
            return
        record = _RECORD_BYTES + 2 * _HEAD_BYTES
        part = max(record, self._ring.bytes // len(self._lost_before) // 2 - self._programs.maps.cpus * record)
        for slot in self._lost_before:
            at = slot * _SLOT.size // 8 + 4
            self._slots[at] = self._slots[at + 1] = part

    def _parsed(self, record: bytes) -> tuple[int, RawSlowCall]:
        end, length, *rest = _RECORD.unpack_from(record)
        values, result = tuple(rest[:6]), rest[6]
        generation, abi, number, _, tid, pid, inner_tid, inner_pid, first, second, *modes = rest[7:19]
        _, thread, process = rest[19:22]
        key = SyscallKey(self._abis[abi], number)
        text = record[_RECORD.size :]
        call = RawSlowCall(
            key=key,
            waits=names(key.abi).get(number) in WAITS,
            start_ns=end - length,
            length_ns=length,
            arguments=values,
            result=result,
            tid=tid,
            pid=pid,
            inner_tid=inner_tid,
            inner_pid=inner_pid,
            thread=thread.partition(b"\0")[0],
            process=process.partition(b"\0")[0],
            captures=((modes[0], text[:first]), (modes[1], text[first : first + second])),
        )
        return generation, call


def shape(called: str, abi: str) -> int:
    """What the program is to read of a call's arguments, as slow_calls.h has it."""
    kinds = arguments.kinds(called, abi)
    value = _WAITS_BIT if called in WAITS else 0
    for position, at in enumerate(arguments.captured(called, abi)):
        value |= (_CAPTURE[kinds[at]] | at << 4) << 8 * position
    return value


class _Ring:
    """A ring buffer's memory (Linux Documentation/bpf/ringbuf.rst): positions, then the data, mapped twice in a row.

    Read without a system call and without a callback. The kernel finishes a record before it clears its busy flag.
    """

    def __init__(self, fd: int, size: int) -> None:
        page = mmap.PAGESIZE
        self.bytes = size
        self._consumer = mmap.mmap(fd, page)
        self._producer = mmap.mmap(fd, page + 2 * size, prot=mmap.PROT_READ, offset=page)
        self._data_at = page

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
                yield self._producer[at + _HEAD_BYTES : at + _HEAD_BYTES + length]
            position += -(-(length + _HEAD_BYTES) // 8) * 8
        with memoryview(self._consumer).cast("Q") as words:
            words[0] = position

    def close(self) -> None:
        """Unmap."""
        self._consumer.close()
        self._producer.close()
