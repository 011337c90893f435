"""The view of slow calls: which slots ask for it, and what the kernel told, read from the ring in one go.

Owned by tracer. What a slot wants is two floors, one for calls that work and one for calls whose purpose is to wait;
user space raises them once it holds enough slower ones. The room in the ring is dealt out among the slots, so that one
that fills its own takes nothing from another.
"""

import heapq
import operator
import struct
from collections.abc import Sequence

from kubestrace_agent.kernel.counters import calls
from kubestrace_agent.kernel.counters.counts import Floors, RawCall
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps.rings import Ring
from kubestrace_agent.views.slow_calls import stacks_kernel
from kubestrace_agent.views.slow_calls.stacks_kernel import SlowStacks

# struct slow_slot: floor_ns, lost, room, for calls that work and calls that wait; stacks and stacks_lost.
_SLOT = struct.Struct("=QQQQqqQQ")
# struct slow_call: the call, rounded up, and three words.
_SCRATCH_BYTES = -(-calls.RECORD_BYTES // 8) * 8 + 24
# Of a record in the ring: end_ns (with a flag in a stack's), length_ns, generation, slot.
_HEAD = struct.Struct("=QQ72xI8xI")
_WAITS_BIT = 31
# A power of two: while any slot asks.
_RING_BYTES = 8 << 20
# Read at once when this part of it is full.
_PRESSING = 16
_PROGRAM = "on_slow_exit"
# Length, a number, the record, its stack or nothing.
_Told = tuple[int, int, bytes, bytes]
_NEVER = (1 << 64) - 1


class SlowCalls:
    """The View: what is wanted are Floors, what is read are RawCalls."""

    def __init__(self, programs: Programs, abis: Sequence[str], stacks: SlowStacks) -> None:
        self._programs = programs
        self._abis = abis
        self._stacks = stacks
        # slot -> what was lost there before it was asked for.
        self._lost_before: dict[int, int] = {}
        self._generations: dict[int, int] = {}
        self._floors: dict[int, Floors] = {}
        self._ring: Ring | None = None
        # Mapped at the first use, as the ring is.
        self._slots = memoryview(b"")

    def enable(self, slot: int, generation: int, floors: Floors) -> None:
        """Tell a slot's calls over the floors. Raises UnsupportedKernelError where that cannot be."""
        if slot not in self._lost_before:
            self._programs.need(_PROGRAM)
            self._open()
            self._lost_before[slot] = self._lost(slot)
            self._generations[generation] = slot
            self._deal_out()
        self._floors[slot] = floors
        self._write_floors(slot, floors)
        self._programs.attach((_PROGRAM,))

    def disable(self, slot: int) -> None:
        """Tell nothing of a slot any more; the last one's end detaches the program. Twice is fine."""
        if self._lost_before.pop(slot, None) is None:
            return
        self._generations = {generation: known for generation, known in self._generations.items() if known != slot}
        self._write_floors(slot, Floors(_NEVER, _NEVER))
        if not self._lost_before:
            self._programs.detach((_PROGRAM,))
            self._close_ring()

    def lost(self, slot: int) -> int:
        """How many calls over the floors had no room since the slot asked."""
        return self._lost(slot) - self._lost_before[slot] if slot in self._lost_before else 0

    def read(self) -> dict[int, list[RawCall]]:
        """What was told since the last time, by slot: all of it, or what is among the slowest where that was asked."""
        found: dict[int, list[RawCall]] = {}
        if self._ring is None:
            return found
        for slot, told in self._slowest(self._ring).items():
            # One stack for one call: the thread and the end are the same.
            taken = dict(self._stacks.parsed(stack) for _, _, _, stack in told if stack)
            found[slot] = [calls.parsed(record, self._abis, taken)[1] for _, _, record, _ in told]
        self._deal_out()
        return found

    def _slowest(self, ring: Ring) -> dict[int, list[_Told]]:
        """Takes of the ring what is to be decoded: of all others, as in a storm, only the head is read."""
        kept: dict[int, list[_Told]] = {}
        stacks_at: dict[int, tuple[int, int]] = {}
        memory, head_at, generations, floors = ring.memory, _HEAD.unpack_from, self._generations, self._floors
        for number, (at, length) in enumerate(ring.places()):
            end, length_ns, generation, place = head_at(memory, at)
            if end & stacks_kernel.IS_STACK:
                stacks_at[end ^ stacks_kernel.IS_STACK] = at, length
                continue
            slot = generations.get(generation)
            if slot is None:
                continue
            waits, most = place >> _WAITS_BIT, floors[slot].most
            heap = kept.setdefault(2 * slot + waits, [])
            if most and len(heap) >= most and length_ns <= heap[0][0]:
                continue
            stack_at, stack_bytes = stacks_at.get(end, (0, 0))
            told = length_ns, number, memory[at : at + length], memory[stack_at : stack_at + stack_bytes]
            if most and len(heap) >= most:
                heapq.heapreplace(heap, told)
            else:
                heapq.heappush(heap, told)
        both = {slot: kept.get(2 * slot, []) + kept.get(2 * slot + 1, []) for slot in {key // 2 for key in kept}}
        return {slot: sorted(told, key=operator.itemgetter(1)) for slot, told in both.items()}

    @property
    def needs_drain(self) -> bool:
        """Whether so much waits to be read, or stacks of processes that may end soon."""
        filled = self._ring.filled if self._ring is not None else 0
        return self._ring is not None and filled > (0 if self._stacks.asked else self._ring.bytes // _PRESSING)

    def close(self) -> None:
        """Give the memory back."""
        self._close_ring()
        self._slots.release()

    def _close_ring(self) -> None:
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def _open(self) -> None:
        """At the first use: a node that is never asked has no mapping, and its programs no shapes."""
        if self._ring is not None:
            return
        maps = self._programs.maps
        if not self._slots:
            maps.check_size("slow_slots", _SLOT.size)
            maps.check_size("slow_scratch", _SCRATCH_BYTES)
            calls.write_shapes(maps, self._abis)
            self._slots = maps.view("slow_slots", "Q")
        self._ring = Ring.make("ks_slow", _RING_BYTES, maps.fd("slow_rings"))

    def _write_floors(self, slot: int, floors: Floors) -> None:
        for at, floor in enumerate((floors.working_ns, floors.waiting_ns)):
            self._slots[slot * _SLOT.size // 8 + at] = floor

    def _lost(self, slot: int) -> int:
        at = slot * _SLOT.size // 8
        return self._slots[at + 2] + self._slots[at + 3]

    def _deal_out(self) -> None:
        """Each slot gets two parts, one for calls that work."""
        if not self._lost_before or self._ring is None:
            return
        record_bytes = calls.RECORD_BYTES + stacks_kernel.RECORD_BYTES
        part = self._ring.part(2 * len(self._lost_before), self._programs.maps.cpus, record_bytes)
        for slot in self._lost_before:
            at = slot * _SLOT.size // 8 + 4
            self._slots[at] = self._slots[at + 1] = part
