"""The view of errors: when each kind of failure was first and last, and some of the calls that failed.

Owned by tracer. The room in the ring is dealt out among the slots, so that one that fails in a storm takes nothing from
another.
"""

import ctypes
import struct
from collections.abc import Sequence

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters import calls
from kubestrace_agent.kernel.counters.counts import ErrorsWanted, ErrorTimes, RawErrors
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.rings import Ring

# struct error_slot: generation, since_ns, room, lost, kinds.
_SLOT = struct.Struct("=QQqQQ")
_WORDS = _SLOT.size // 8
# struct error_key: generation, row, number.
# struct error_times: first_ns, last_ns, (calls, names, names_known, names_told, -, epoch), abi, nr.
_KEY = struct.Struct("=IHH")
_TIMES = struct.Struct("=QQ136x16xIi")
_PROGRAM = "on_error"
_RING_BYTES = 1 << 20


class Errors:
    """The View: what is wanted are ErrorsWanted, what is read are RawErrors."""

    def __init__(self, programs: Programs, abis: Sequence[str]) -> None:
        self._programs = programs
        self._abis = abis
        self._slots_of: dict[int, int] = {}
        self._lost_before: dict[int, int] = {}
        self._ring: Ring | None = None
        self._slots = memoryview(b"")

    def enable(self, slot: int, generation: int, wanted: ErrorsWanted) -> None:
        """Tell a slot's failures. Raises UnsupportedKernelError where that cannot be."""
        at = slot * _WORDS
        if slot not in self._lost_before:
            self._programs.need(_PROGRAM)
            self._open()
            self._lost_before[slot] = self._slots[at + 3]
            self._slots_of[generation] = slot
            self._slots[at + 4] = 0
            self._deal_out()
        self._slots[at + 1] = wanted.since_ns
        self._slots[at] = generation
        self._programs.attach((_PROGRAM,))

    def disable(self, slot: int) -> None:
        """Tell nothing of a slot any more; the last one's end takes the program and the ring away. Twice is fine."""
        if self._lost_before.pop(slot, None) is None:
            return
        self._slots[slot * _WORDS] = 0
        generation = next(generation for generation, known in self._slots_of.items() if known == slot)
        del self._slots_of[generation]
        if not self._lost_before:
            self._programs.detach((_PROGRAM,))
            self._close_ring()
        for key in list(self._keys()):
            if _KEY.unpack(key)[0] == generation:
                bpf_syscall.delete(self._programs.maps.fd("error_times"), key)

    def lost(self, slot: int) -> int:
        """How many failures were neither told nor have a time, as there was no room, since the slot asked."""
        return self._slots[slot * _WORDS + 3] - self._lost_before[slot] if slot in self._lost_before else 0

    def read(self) -> dict[int, RawErrors]:
        """All times, and the calls that were told since the last time, by slot."""
        found = {slot: RawErrors() for slot in self._lost_before}
        if self._ring is None:
            return found
        for record in self._ring.read():
            generation, call = calls.parsed(record, self._abis)
            slot = self._slots_of.get(generation)
            if slot is not None:
                found[slot].calls.append(call)
        self._deal_out()
        value = ctypes.create_string_buffer(_TIMES.size)
        for key in self._keys():
            generation, _, number = _KEY.unpack(key)
            slot = self._slots_of.get(generation)
            if slot is not None and bpf_syscall.lookup(self._programs.maps.fd("error_times"), key, value):
                first, last, abi, nr = _TIMES.unpack(value.raw)
                called = layout.syscall_key(self._abis, abi, nr)
                found[slot].times.append(ErrorTimes(called, number, first, last))
        return found

    @property
    def needs_drain(self) -> bool:
        """Whether the ring fills faster than it is read."""
        return self._ring is not None and self._ring.filled > self._ring.bytes // 8

    def close(self) -> None:
        """Give the memory back."""
        self._close_ring()
        self._slots.release()

    def _keys(self) -> list[bytes]:
        return list(bpf_syscall.keys(self._programs.maps.fd("error_times"), _KEY.size))

    def _open(self) -> None:
        if self._ring is not None:
            return
        maps = self._programs.maps
        if not self._slots:
            maps.check_size("error_slots", _SLOT.size)
            maps.check_size("error_times", _TIMES.size)
            maps.check_size("error_scratch", -(-calls.RECORD_BYTES // 8) * 8)
            calls.write_shapes(maps, self._abis)
            self._slots = maps.view("error_slots", "q")
        self._ring = Ring.make("ks_errors", _RING_BYTES, maps.fd("error_rings"))

    def _close_ring(self) -> None:
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def _deal_out(self) -> None:
        if not self._lost_before or self._ring is None:
            return
        part = self._ring.part(len(self._lost_before), self._programs.maps.cpus, calls.RECORD_BYTES)
        for slot in self._lost_before:
            self._slots[slot * _WORDS + 2] = part
