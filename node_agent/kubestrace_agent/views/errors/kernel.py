"""Speaks to errors.bpf.c: when each kind of failure was first and last, and some of the calls that failed."""

import ctypes
from collections.abc import Sequence

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters import calls
from kubestrace_agent.kernel.counters.counts import RawCall
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.rings import RingMaps, SlotRing
from kubestrace_agent.views.errors.values import ErrorsWanted, ErrorTimes, RawErrors

_HEADER = header("views/errors/errors.h")
_KEY = _HEADER.struct("error_key").fields("generation", "row", "number")
_TIMES = _HEADER.struct("error_times").fields("first_ns", "last_ns", "expected", "abi", "nr")
_RING = RingMaps(
    name="ks_errors",
    array="error_rings",
    ring_bytes=1 << 20,
    record_bytes=calls.RECORD_BYTES,
    slots="error_slots",
    layout=_HEADER.struct("error_slot"),
)
_PROGRAMS = ("on_error", "on_found")


class Errors:
    """The Part: what is wanted are ErrorsWanted, what is read are RawErrors."""

    def __init__(self, programs: Programs, abis: Sequence[str]) -> None:
        self._programs = programs
        self._abis = abis
        self._shared = SlotRing(programs.maps, _RING)

    def enable(self, slot: int, generation: int, wanted: ErrorsWanted) -> None:
        """Tell a slot's failures. Raises UnsupportedKernelError where that cannot be."""
        if slot not in self._shared:
            for program in _PROGRAMS:
                self._programs.need(program)
            self._prepare()
            self._shared.add(slot, generation)
            self._shared.write(slot, "kinds", 0)
        self._shared.write(slot, "since_ns", wanted.since_ns)
        self._shared.write(slot, "generation", generation)
        self._programs.attach(_PROGRAMS)

    def _prepare(self) -> None:
        if self._shared:
            return
        maps = self._programs.maps
        maps.check_size("error_times", _TIMES.size)
        maps.check_size("error_scratch", calls.RECORD_BYTES)
        calls.write_shapes(maps, self._abis)

    def disable(self, slot: int) -> None:
        """Tell nothing of a slot any more; the last one's end takes the program and the ring away. Idempotent."""
        generation = self._shared.remove(slot)
        if generation is None:
            return
        self._shared.write(slot, "generation", 0)
        if not self._shared:
            self._programs.detach(_PROGRAMS)
            self._shared.give_back()
        for key in self._keys():
            if _KEY.unpack(key)[0] == generation:
                bpf_syscall.delete(self._programs.maps.fd("error_times"), key)

    def lost(self, slot: int) -> int:
        """How many failures were neither reported nor have a time, as there was no room, since the slot asked."""
        return self._shared.grown(slot, "lost")

    def read(self) -> dict[int, RawErrors]:
        """All times, and the calls that were reported since the last time, by slot."""
        found = {slot: RawErrors() for slot in self._shared.slots}
        if not found:
            return found
        for record in self._shared.records():
            generation, call = calls.parsed(record, self._abis, RawCall)
            slot = self._shared.slot_of.get(generation)
            if slot is not None:
                found[slot].calls.append(call)
        self._shared.deal_out()
        value = ctypes.create_string_buffer(_TIMES.size)
        for key in self._keys():
            generation, _, number = _KEY.unpack(key)
            slot = self._shared.slot_of.get(generation)
            if slot is not None and bpf_syscall.lookup(self._programs.maps.fd("error_times"), key, value):
                first, last, expected, abi, nr = _TIMES.unpack(value.raw)
                called = layout.syscall_key(self._abis, abi, nr)
                found[slot].times.append(ErrorTimes(called, number, first, last, expected))
        return found

    @property
    def needs_drain(self) -> bool:
        """Whether the ring fills faster than it is read."""
        return self._shared.needs_drain

    def close(self) -> None:
        """Give the memory back."""
        self._shared.close()

    def _keys(self) -> list[bytes]:
        return list(bpf_syscall.keys(self._programs.maps.fd("error_times"), _KEY.size))
