"""Speaks to processes.bpf.c: what each thread called since the last time, and what was executed.

Each thread counts in a table of its own, which the kernel tells through a ring when the thread ends or
the table is full; those of living threads are read by an iterator. What a thread called since it was read last is the
difference; whose record found no room is counted as lost, less what was read of it before.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.rings import RingMaps, SlotRing
from kubestrace_agent.views.processes.values import (
    Origin,
    RawExec,
    RawProcesses,
    RawThread,
    RawWords,
    Used,
    Wants,
    Words,
)

_HEADER = header("views/processes/processes.h")
_STRUCT = _HEADER.struct("thread")
# A thread up to its uses, of which as many follow as there are.
_THREAD = _STRUCT.fields(
    *("generation", "begin_ns", "start_ns", "told_ns", "begin_tid", "table", "flags", "status", "tid", "pid"),
    *("parent", "inner_tid", "inner_pid", "inner_parent", "used", "image", "origin", "file_state"),
    *("denied_abi", "denied_nr", "title_ns"),
    *("name", "process", "first_name", "first_process", "file", "argument", "title"),
    size=_STRUCT.offset("uses"),
)
_THREAD_BYTES = _STRUCT.offset("hints")
_USE = _HEADER.struct("use").fields("total_ns", "calls", "errors", "row", "abi", "nr", "denied")
_EXEC_STRUCT = _HEADER.struct("exec")
# An exec up to its words, of which as many bytes follow as there are.
_EXEC = _EXEC_STRUCT.fields(
    *("told", "generation", "time_ns", "start_ns", "pid", "inner_pid", "inner_parent", "image", "file_state"),
    *("words_bytes", "words_all", "argument", "file", "path"),
    size=_EXEC_STRUCT.offset("words"),
)
_ALIVE = _HEADER.struct("alive").fields("told", "begin_tid", "begin_ns")
_TOLD_EXEC, _TOLD_ALIVE, _TOLD_WORDS = (_HEADER.number(f"TOLD_{what}") for what in ("EXEC", "ALIVE", "WORDS"))
_THREAD_ENDED, _PROCESS_ENDED = _HEADER.number("THREAD_ENDED"), _HEADER.number("PROCESS_ENDED")
_STATUS_KNOWN, _IMAGE_ENDED = _HEADER.number("STATUS_KNOWN"), _HEADER.number("IMAGE_ENDED")
_BY_SECCOMP, _FOR_MEMORY = _HEADER.number("ENDED_BY_SECCOMP"), _HEADER.number("ENDED_FOR_MEMORY")
_ORIGINS = header("kernel/bpf/origins.h")
_DELETED, _DETACHED = _ORIGINS.number("FILE_DELETED"), _ORIGINS.number("FILE_DETACHED")
_RING = RingMaps(
    name="ks_processes",
    array="process_rings",
    # Room for what some thousand processes a second leave behind.
    ring_bytes=1 << 22,
    record_bytes=_THREAD_BYTES,
    slots="process_slots",
    layout=_HEADER.struct("process_slot"),
)
_HOOKS = ("on_process_exec", "on_process_end", "on_process_call", "on_process_enter")
# Where `used` stands among these fields.
_USED_AT = 14
_ITERATOR = "tell_processes"
_32_BITS = 0xFFFFFFFF

# A thread's begin_ns and begin_tid.
_Id = tuple[int, int]
# Row -> calls, errors, nanoseconds and denied calls of one table.
_Table = dict[int, tuple[int, int, int, int]]


@dataclass(slots=True)
class _Read:
    """What was read of a thread: it as it was last, and of its table of this number the calls by row."""

    generation: int
    table: int
    thread: RawThread | None = None
    uses: _Table = field(default_factory=dict)

    @property
    def calls(self) -> int:
        return sum(calls for calls, *_ in self.uses.values())


class Processes:
    """The Part: what is wanted are Wants, what is read are RawProcesses."""

    def __init__(self, programs: Programs, abis: Sequence[str]) -> None:
        self._programs = programs
        self._abis = abis
        self._shared = SlotRing(programs.maps, _RING)
        # Slot -> calls among the lost ones that had been read before their thread ended.
        self._not_lost: dict[int, int] = {}
        self._read: dict[_Id, _Read] = {}

    def enable(self, slot: int, generation: int, wanted: Wants) -> None:
        """Tell a slot's processes. Raises UnsupportedKernelError where that cannot be."""
        if slot not in self._shared:
            self._begin(slot, generation)
        # Another number has the words of those told again that are there already.
        self._shared.write(slot, "words", wanted.words & _32_BITS)

    def _begin(self, slot: int, generation: int) -> None:
        for hook in _HOOKS:
            self._programs.need(hook)
        self._programs.maps.check_size("process_threads", _STRUCT.size)
        self._programs.maps.check_size("process_scratch", _EXEC_STRUCT.size)
        self._shared.add(slot, generation)
        self._not_lost[slot] = 0
        self._shared.write(slot, "begin_ns", time.monotonic_ns())
        self._shared.write(slot, "generation", generation)
        self._programs.attach(_HOOKS)
        self._follow()

    def _follow(self) -> None:
        """Have each traced task's next entry seen: who it is before its first call, which may be an exec."""
        with self._programs.maps.view("config", "I") as config:
            at = layout.CONFIG.at("followed")
            config[at] = (config[at] + 1) & _32_BITS

    def disable(self, slot: int) -> None:
        """Tell nothing of a slot any more; the last one's end detaches the programs and gives the ring back."""
        if self._shared.remove(slot) is None:
            return
        self._shared.write(slot, "generation", 0)
        self._read = {each: read for each, read in self._read.items() if read.generation in self._shared.slot_of}
        if not self._shared:
            self._programs.detach(_HOOKS)
            self._shared.give_back()

    def lost(self, slot: int) -> int:
        """How many calls, counted in the slot since it asked, are no process's."""
        return self._shared.grown(slot, "lost_calls") - self._not_lost[slot] if slot in self._shared else 0

    def read(self) -> dict[int, RawProcesses]:
        """What was called and executed since the last time, by slot."""
        found = {slot: RawProcesses() for slot in self._shared.slots}
        if not found:
            return found
        told = self._read_ring(found)
        before = set(self._read)
        living = self._programs.walk(_ITERATOR)
        # Once more, before what was seen of the living, who may have told tables meanwhile. And who is not among them
        # has reported its end by now, or has found no room for that.
        told |= self._read_ring(found)
        ended = {begun for begun, has_ended in told.items() if has_ended}
        seen = set(self._read_living(living or b"", ended, found))
        if living is not None:
            self._end_gone(before - seen - told.keys(), found)
        self._shared.deal_out()
        for slot, reported in found.items():
            reported.lost_execs = self._shared.grown(slot, "lost_execs")
        return found

    @property
    def needs_drain(self) -> bool:
        """Whether the ring fills faster than it is read."""
        return self._shared.needs_drain

    def close(self) -> None:
        """Give the memory back."""
        self._shared.close()

    def _read_ring(self, found: dict[int, RawProcesses]) -> dict[_Id, bool]:
        """Takes all records; gives the threads that told something, and whether that was their end."""
        told: dict[_Id, bool] = {}
        for record in self._shared.records():
            if int.from_bytes(record[:4], "little") in {_TOLD_EXEC, _TOLD_WORDS}:
                self._take_exec(record, found)
                continue
            thread = self._take_thread(record, 0, found, full=True)
            if thread is not None:
                told[thread.id] = thread.ended
        return told

    def _read_living(self, records: bytes, ended: set[_Id], found: dict[int, RawProcesses]) -> Iterator[_Id]:
        at = 0
        while at < len(records):
            reported, begin_tid, begin_ns = _ALIVE.unpack_from(records, at)
            if reported == _TOLD_ALIVE:
                at += _ALIVE.size
                yield begin_ns, begin_tid
                continue
            fields = _THREAD.unpack_from(records, at)
            begun, used = (fields[1], fields[4]), fields[_USED_AT]
            # One whose end was reported a moment ago may still be there.
            if begun not in ended:
                self._take_thread(records, at, found, full=False)
                yield begun
            at += _THREAD.size + _USE.size * used

    def _take_exec(self, record: bytes, found: dict[int, RawProcesses]) -> None:
        told, generation, time_ns, start_ns, pid, *rest = _EXEC.unpack_from(record)
        slot = self._shared.slot_of.get(generation)
        if slot is None:
            return
        inner_pid, inner_parent, image, state, words_bytes, words_all, argument, file, path = rest
        text = record[_EXEC.size : _EXEC.size + words_bytes]
        words = Words(text, words_all) if text else None
        if told == _TOLD_EXEC:
            executed = RawExec(
                time_ns=time_ns,
                pid=pid,
                start_ns=start_ns,
                inner_pid=inner_pid,
                inner_parent=inner_parent,
                argument=_string(argument),
                path=_string(path),
                image=image,
                file=_string(file),
                deleted=bool(state & _DELETED),
                detached=bool(state & _DETACHED),
                words=words,
            )
            found[slot].execs.append(executed)
        elif words is not None:
            found[slot].words.append(RawWords(pid, start_ns, image, words))

    def _take_thread(self, records: bytes, at: int, found: dict[int, RawProcesses], *, full: bool) -> RawThread | None:
        """Adds and gives what is new of a thread, if it is. `full`: the table begins anew after this."""
        fields = _THREAD.unpack_from(records, at)
        generation, begin, _, _, begin_tid, table, flags, *_ = fields
        slot = self._shared.slot_of.get(generation)
        if slot is None:
            return None
        begun = begin, begin_tid
        read = self._read.setdefault(begun, _Read(generation, table))
        if table < read.table:
            return None  # this one has been reported as a whole
        if table > read.table:
            self._not_lost[slot] += read.calls  # and that one was lost
            read.table, read.uses = table, {}
        used = list(self._grown(read, records, at + _THREAD.size, fields[_USED_AT]))
        ended = bool(flags & _THREAD_ENDED)
        if full:
            read.table, read.uses = table + 1, {}
        if ended:
            del self._read[begun]
        thread = read.thread = self._thread(fields, used, full=full)
        found[slot].threads.append(thread)
        return thread

    def _thread(self, fields: Sequence[Any], used: Sequence[Used], *, full: bool) -> RawThread:
        _, begin_ns, start_ns, told_ns, begin_tid, _, flags, status, tid, pid, *rest = fields
        parent, inner_tid, inner_pid, inner_parent, _, image, origin, state, abi, number, title_ns, *texts = rest
        name, process, first_name, first_process, file, argument, title = map(_string, texts)
        return RawThread(
            id=(begin_ns, begin_tid),
            pid=pid,
            start_ns=start_ns,
            tid=tid,
            inner_tid=inner_tid,
            inner_pid=inner_pid,
            inner_parent=inner_parent,
            name=name,
            process=process,
            file=file,
            argument=argument,
            used=used,
            told_ns=told_ns if full else 0,
            ended=bool(flags & _THREAD_ENDED),
            process_ended=bool(flags & _PROCESS_ENDED),
            status=status if flags & _STATUS_KNOWN else None,
            image=image,
            image_ended=bool(flags & _IMAGE_ENDED),
            begun_ns=begin_ns,
            parent=parent,
            origin=Origin(origin),
            first_name=first_name,
            first_process=first_process,
            title=title,
            title_ns=title_ns,
            deleted=bool(state & _DELETED),
            detached=bool(state & _DETACHED),
            killed_for=layout.syscall_key(self._abis, abi, number) if flags & _BY_SECCOMP else None,
            out_of_memory=bool(flags & _FOR_MEMORY),
        )

    def _grown(self, read: _Read, records: bytes, at: int, count: int) -> Iterator[Used]:
        """What the table has more than when it was read last; it may be in the midst of a change, and 32 bits wrap."""
        for position in range(count):
            total_ns, calls, errors, row, abi, number, denied = _USE.unpack_from(records, at + position * _USE.size)
            before = read.uses.get(row, (0, 0, 0, 0))
            if (total_ns, calls) != (before[2], before[0] & _32_BITS):
                more = (calls - before[0]) & _32_BITS, (errors - before[1]) & _32_BITS
                denied_more = (denied - before[3]) & _32_BITS
                read.uses[row] = before[0] + more[0], before[1] + more[1], total_ns, before[3] + denied_more
                key = layout.syscall_key(self._abis, abi, number)
                yield Used(key, *more, total_ns - before[2], denied_more)

    def _end_gone(self, gone: set[_Id], found: dict[int, RawProcesses]) -> None:
        """Threads that have ended without a word: all their calls were counted as lost, those too that were read."""
        executed = {each.pid for reported in found.values() for each in reported.execs}
        for begun in gone:
            read = self._read[begun]
            if read.thread is not None and read.thread.pid in executed:
                continue  # it may have taken another's number during the walk, and been passed by
            del self._read[begun]
            slot = self._shared.slot_of.get(read.generation)
            if slot is not None and read.thread is not None:
                self._not_lost[slot] += read.calls
                found[slot].threads.append(replace(read.thread, used=(), ended=True))


def _string(text: bytes) -> bytes:
    return text.partition(b"\0")[0]
