"""The view of processes: what each thread called since the last time, and what was executed.

Owned by tracer. Each thread counts in a table of its own, which the kernel tells through a ring when the thread ends or
the table is full; those of living threads are read by an iterator. What a thread called since it was read last is the
difference; whose record found no room is counted as lost, less what was read of it before.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from kubestrace_agent.kernel.counters.counts import RawExec, RawProcesses, RawThread, Used
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.rings import Ring

# struct thread up to its uses: told, generation, begin_ns, start_ns, told_ns, slot, begin_tid, table, flags, status,
# tid, pid, parent, inner_tid, inner_pid, inner_parent, used, name, process, file, argument.
_THREAD = struct.Struct("=IIQQQ12I16s16s32s64s")
# struct use: total_ns, calls, errors, row, abi, nr.
_USE = struct.Struct("=QIIIHxxixxxx")
# struct exec: told, generation, time_ns, start_ns, pid, inner_pid, parent, inner_parent, argument,
# path.
_EXEC = struct.Struct("=IIQQIIII64s256s")
_THREAD_BYTES = _THREAD.size + 64 * _USE.size
# Behind it in the task's storage: hints, changed.
_UNTOLD_BYTES = 128 + 8
# struct alive: told, begin_tid, begin_ns.
_ALIVE = struct.Struct("=IIQ")
# struct process_slot: generation, room, lost_calls, lost_execs.
_SLOT = struct.Struct("=QqQQ")
_WORDS = _SLOT.size // 8
_TOLD_EXEC, _TOLD_ALIVE = 2, 3
_THREAD_ENDED, _PROCESS_ENDED, _STATUS_KNOWN = 1, 2, 4
_HOOKS = ("on_process_exec", "on_process_end", "on_process_call")
_ITERATOR = "tell_processes"
# Room for what some thousand processes a second leave behind; made when the first slot wants the view.
_RING_BYTES = 1 << 22
_32_BITS = 0xFFFFFFFF

# A thread's begin_ns and begin_tid.
_Id = tuple[int, int]
# Row -> calls, errors and nanoseconds of one table.
_Table = dict[int, tuple[int, int, int]]


@dataclass(slots=True)
class _Read:
    """What was read of a thread: it as it was last, and of its table of this number the calls by row."""

    generation: int
    table: int
    thread: RawThread | None = None
    uses: _Table = field(default_factory=dict)

    @property
    def calls(self) -> int:
        return sum(calls for calls, _, _ in self.uses.values())


class Processes:
    """The View: what is wanted is True, what is read are RawProcesses."""

    def __init__(self, programs: Programs, abis: Sequence[str]) -> None:
        self._programs = programs
        self._abis = abis
        # Generation -> slot, of the slots that want it.
        self._slots_of: dict[int, int] = {}
        self._before: dict[int, tuple[int, int]] = {}
        # Slot -> calls among the lost ones that had been read before their thread ended.
        self._not_lost: dict[int, int] = {}
        self._read: dict[_Id, _Read] = {}
        self._ring: Ring | None = None
        self._slots = memoryview(b"")

    def enable(self, slot: int, generation: int, wanted: bool) -> None:  # noqa: ARG002 - a View: all or nothing
        """Tell a slot's processes. Raises UnsupportedKernelError where that cannot be."""
        if slot in self._before:
            return
        for hook in _HOOKS:
            self._programs.need(hook)
        self._open()
        at = slot * _WORDS
        self._before[slot] = self._slots[at + 2], self._slots[at + 3]
        self._not_lost[slot] = 0
        self._slots_of[generation] = slot
        self._slots[at] = generation
        self._deal_out()
        self._programs.attach(_HOOKS)

    def disable(self, slot: int) -> None:
        """Tell nothing of a slot any more; the last one's end detaches the programs and gives the ring back."""
        if self._before.pop(slot, None) is None:
            return
        self._slots[slot * _WORDS] = 0
        self._slots_of = {generation: known for generation, known in self._slots_of.items() if known != slot}
        self._read = {each: read for each, read in self._read.items() if read.generation in self._slots_of}
        if not self._before:
            self._programs.detach(_HOOKS)
            self._close_ring()

    def lost(self, slot: int) -> int:
        """How many calls, counted in the slot since it asked, are no process's."""
        if slot not in self._before:
            return 0
        return self._slots[slot * _WORDS + 2] - self._before[slot][0] - self._not_lost[slot]

    def read(self) -> dict[int, RawProcesses]:
        """What was called and executed since the last time, by slot."""
        found = {slot: RawProcesses() for slot in self._before}
        if self._ring is None:
            return found
        ended = set(self._read_ring(self._ring, found))
        living = self._programs.walk(_ITERATOR)
        seen = set(self._read_living(living or b"", ended, found))
        # Once more: who is not among the living has told its end by now, or has found no room for that.
        ended |= set(self._read_ring(self._ring, found))
        if living is not None:
            self._end_gone(seen | ended, found)
        self._deal_out()
        for slot, told in found.items():
            told.lost_execs = self._slots[slot * _WORDS + 3] - self._before[slot][1]
        return found

    @property
    def needs_drain(self) -> bool:
        """Whether the ring fills faster than it is read."""
        return self._ring is not None and self._ring.filled > self._ring.bytes // 8

    def close(self) -> None:
        """Give the memory back."""
        self._close_ring()
        self._slots.release()

    def _open(self) -> None:
        if self._ring is not None:
            return
        maps = self._programs.maps
        if not self._slots:
            maps.check_size("process_slots", _SLOT.size)
            maps.check_size("process_threads", _THREAD_BYTES + _UNTOLD_BYTES)
            maps.check_size("process_scratch", _EXEC.size)
            self._slots = maps.view("process_slots", "q")
        self._ring = Ring.make("ks_processes", _RING_BYTES, maps.fd("process_rings"))

    def _close_ring(self) -> None:
        if self._ring is not None:
            self._ring.close()
            self._ring = None
        self._read.clear()

    def _deal_out(self) -> None:
        if not self._before or self._ring is None:
            return
        part = self._ring.part(len(self._before), self._programs.maps.cpus, _THREAD_BYTES)
        for slot in self._before:
            self._slots[slot * _WORDS + 1] = part

    def _read_ring(self, ring: Ring, found: dict[int, RawProcesses]) -> Iterator[_Id]:
        """Takes all records; gives the threads that have ended."""
        for record in ring.read():
            if int.from_bytes(record[:4], "little") == _TOLD_EXEC:
                self._take_exec(record, found)
                continue
            begun = self._take_thread(record, 0, found, full=True)
            if begun is not None:
                yield begun

    def _read_living(self, records: bytes, ended: set[_Id], found: dict[int, RawProcesses]) -> Iterator[_Id]:
        at = 0
        while at < len(records):
            told, begin_tid, begin_ns = _ALIVE.unpack_from(records, at)
            if told == _TOLD_ALIVE:
                at += _ALIVE.size
                yield begin_ns, begin_tid
                continue
            fields = _THREAD.unpack_from(records, at)
            begun = fields[2], fields[6]
            # One whose end was told a moment ago may still be there.
            if begun not in ended:
                self._take_thread(records, at, found, full=False)
                yield begun
            at += _THREAD.size + _USE.size * fields[16]

    def _take_exec(self, record: bytes, found: dict[int, RawProcesses]) -> None:
        _, generation, time, start, pid, *inner, argument, path = _EXEC.unpack_from(record)
        slot = self._slots_of.get(generation)
        if slot is not None:
            found[slot].execs.append(RawExec(time, pid, start, inner[0], inner[2], _string(argument), _string(path)))

    def _take_thread(self, records: bytes, at: int, found: dict[int, RawProcesses], *, full: bool) -> _Id | None:
        """Adds what is new of a thread; its id where that has ended. `full`: the table begins anew after this."""
        fields = _THREAD.unpack_from(records, at)
        _, generation, begin, start, told_ns, _, begin_tid, table, flags, status, tid, pid, _, *inner = fields[:16]
        slot = self._slots_of.get(generation)
        if slot is None:
            return None
        begun = begin, begin_tid
        read = self._read.setdefault(begun, _Read(generation, table))
        if table < read.table:
            return None  # this one has been told as a whole
        if table > read.table:
            self._not_lost[slot] += read.calls  # and that one was lost
            read.table, read.uses = table, {}
        used = list(self._grown(read, records, at + _THREAD.size, fields[16]))
        ended = bool(flags & _THREAD_ENDED)
        if full:
            read.table, read.uses = table + 1, {}
        if ended:
            del self._read[begun]
        name, process, file, argument = map(_string, fields[17:])
        thread = RawThread(
            id=begun,
            pid=pid,
            start_ns=start,
            tid=tid,
            inner_tid=inner[0],
            inner_pid=inner[1],
            inner_parent=inner[2],
            name=name,
            process=process,
            file=file,
            argument=argument,
            used=used,
            told_ns=told_ns if full else 0,
            ended=ended,
            process_ended=bool(flags & _PROCESS_ENDED),
            status=status if flags & _STATUS_KNOWN else None,
        )
        read.thread = thread
        found[slot].threads.append(thread)
        return begun if ended else None

    def _grown(self, read: _Read, records: bytes, at: int, count: int) -> Iterator[Used]:
        """What the table has more than when it was read last; it may be in the midst of a change, and 32 bits wrap."""
        for position in range(count):
            total_ns, calls, errors, row, abi, number = _USE.unpack_from(records, at + position * _USE.size)
            before = read.uses.get(row, (0, 0, 0))
            if (total_ns, calls) != (before[2], before[0] & _32_BITS):
                more = (calls - before[0]) & _32_BITS, (errors - before[1]) & _32_BITS
                read.uses[row] = before[0] + more[0], before[1] + more[1], total_ns
                key = layout.syscall_key(self._abis, abi, number)
                yield Used(key, *more, total_ns - before[2])

    def _end_gone(self, known: set[_Id], found: dict[int, RawProcesses]) -> None:
        """Threads that have ended without a word: all their calls were counted as lost, those too that were read."""
        executed = {each.pid for told in found.values() for each in told.execs}
        for begun in self._read.keys() - known:
            read = self._read[begun]
            if read.thread is not None and read.thread.pid in executed:
                continue  # it may have taken another's number during the walk, and been passed by
            del self._read[begun]
            slot = self._slots_of.get(read.generation)
            if slot is not None and read.thread is not None:
                self._not_lost[slot] += read.calls
                found[slot].threads.append(replace(read.thread, used=(), ended=True))


def _string(text: bytes) -> bytes:
    return text.partition(b"\0")[0]
