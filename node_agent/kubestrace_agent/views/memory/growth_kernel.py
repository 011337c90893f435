"""Speaks to memory_growth.bpf.c: which slots ask, how many stacks may be taken, and those that were."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.rings import RingMaps, SlotRing
from kubestrace_agent.kernel.maps.slot_words import SlotWords
from kubestrace_agent.views import user_stacks_kernel
from kubestrace_agent.views.memory.values import KINDS, GrowthSample, RawGrowth

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubestrace_agent.kernel.loader.programs import Programs
    from kubestrace_agent.views.user_stacks_kernel import Code

_HEADER = header("views/memory/memory_growth.h")
_SLOT = _HEADER.struct("growth_slot")
_SAMPLE = _HEADER.struct("growth_sample")
# A record up to its stack.
_RECORD = _SAMPLE.fields("generation", "flow", "bytes", "pid", "inner_pid", size=_SAMPLE.offset("user"))
_RING = RingMaps(
    name="ks_growth",
    array="growth_rings",
    ring_bytes=1 << 20,
    record_bytes=_SAMPLE.size,
    slots="growth_slots",
    layout=_SLOT,
)
_PROGRAM = ("on_memory_growth",)
# Stacks of a container: at once, and a second.
STACKS_AT_ONCE, STACKS_PER_SECOND = 100, 50
# What processes have mapped must be read before they end.
_READ_SECONDS = 0.1


class Growth:
    """The Part: True is what a slot may want, what is read are RawGrowth."""

    def __init__(self, programs: Programs, code: Code, clock: Callable[[], float] = time.monotonic) -> None:
        self._programs = programs
        self._code = code
        self._clock = clock
        self._shared = SlotRing(programs.maps, _RING)
        # When stacks were granted last, by slot.
        self._granted_at: dict[int, float] = {}
        self._read_at = 0.0
        self._slots = SlotWords(programs.maps, "growth_slots", _SLOT)

    def enable(self, slot: int, generation: int, wanted: bool) -> None:
        """Take stacks of a slot's calls. Raises UnsupportedKernelError where that cannot be."""
        if not wanted or slot in self._shared:
            return
        self._programs.need(_PROGRAM[0])
        self._code.prepare()
        self._shared.add(slot, generation)
        self._slots.open()
        self._granted_at[slot] = self._clock()
        self._slots.write(slot, "granted", self._slots.read(slot, "taken") + STACKS_AT_ONCE)
        self._slots.write(slot, "generation", generation)
        self._programs.attach(_PROGRAM)

    def disable(self, slot: int) -> None:
        """Take no stacks of a slot any more; the last one's end detaches the program. Idempotent."""
        if self._shared.remove(slot) is None:
            return
        del self._granted_at[slot]
        self._slots.write(slot, "generation", 0)
        if not self._shared:
            self._programs.detach(_PROGRAM)
            self._shared.give_back()

    def lost(self, slot: int) -> int:  # noqa: ARG002 - as Part has it
        """Nothing: calls without a stack are counted all the same."""
        return 0

    def read(self) -> dict[int, RawGrowth]:
        """Return what was counted, and the stacks that were taken since the last time, by slot."""
        samples: dict[int, list[GrowthSample]] = {slot: [] for slot in self._shared.slots}
        if not samples:
            return {}
        # Before the stacks: a call whose stack is read is among those that were counted.
        counts = {slot: (self._shared.grown(slot, "calls"), self._shared.grown(slot, "bytes")) for slot in samples}
        for record in self._shared.records():
            generation, flow, bytes_, pid, inner_pid = _RECORD.unpack_from(record)
            slot = self._shared.slot_of.get(generation)
            if slot is not None and flow < len(KINDS):
                stack = user_stacks_kernel.parsed(record[_RECORD.size :])
                samples[slot].append(GrowthSample(KINDS[flow], bytes_, pid, inner_pid, stack, self._code.mappings))
        self._shared.deal_out()
        self._read_at = self._clock()
        for slot in samples:
            self._grant(slot)
        return {slot: RawGrowth(*counts[slot], found) for slot, found in samples.items()}

    def _grant(self, slot: int) -> None:
        """Grant what the time that has passed is worth."""
        now = self._clock()
        more = int((now - self._granted_at[slot]) * STACKS_PER_SECOND)
        if more:
            self._granted_at[slot] = now
            taken = self._slots.read(slot, "taken")
            left = max(0, self._slots.read(slot, "granted") - taken)
            self._slots.write(slot, "granted", taken + min(STACKS_AT_ONCE, left + more))

    @property
    def needs_drain(self) -> bool:
        """Whether processes may end soon whose stacks have waited for a while."""
        ring = self._shared.ring
        return ring is not None and ring.filled > 0 and self._clock() >= self._read_at + _READ_SECONDS

    def close(self) -> None:
        """Give the memory back."""
        self._shared.close()
        self._code.close()
        self._slots.close()
