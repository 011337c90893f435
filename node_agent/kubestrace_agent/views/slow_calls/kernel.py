"""Speaks to slow_calls.bpf.c: which slots ask for slow calls, and what the kernel reported, read in one go.

What a slot wants is two floors, one for calls that work and one for calls that waited;
user space raises them once it holds enough slower ones. The room in the ring is dealt out among the slots, so that one
that fills its own takes nothing from another.
"""

import heapq
import operator
from collections.abc import Sequence
from functools import partial

from kubestrace_agent.kernel.counters import calls
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.rings import Ring, RingMaps, SlotRing
from kubestrace_agent.views.slow_calls import stacks_kernel
from kubestrace_agent.views.slow_calls.stacks_kernel import SlowStacks
from kubestrace_agent.views.slow_calls.values import Floors, SlowCall

_HEADER = header("views/slow_calls/slow_calls.h")
# Of a record in the ring: when the call ended, with a flag in a stack's.
_HEAD = calls.CALL.fields("end_ns", "length_ns", "generation", "slot", size=calls.CALL.offset("tid"))
_WAITS_BIT = _HEADER.number("SLOT_WAITS_BIT")
_RING = RingMaps(
    name="ks_slow",
    array="slow_rings",
    ring_bytes=8 << 20,
    record_bytes=calls.RECORD_BYTES + stacks_kernel.RECORD_BYTES,
    slots="slow_slots",
    layout=_HEADER.struct("slow_slot"),
    # For calls that work, and for calls that waited.
    room=("room[0]", "room[1]"),
    drain_part=16,
)
_PROGRAMS = ("on_slow_exit", "on_slow_rename")
# Length, a number, the record, its stack or nothing.
_Record = tuple[int, int, bytes, bytes]
_NEVER = (1 << 64) - 1


class SlowCalls:
    """The Part: what is wanted are Floors, what is read are SlowCalls."""

    def __init__(self, programs: Programs, abis: Sequence[str], stacks: SlowStacks) -> None:
        self._programs = programs
        self._abis = abis
        self._stacks = stacks
        self._shared = SlotRing(programs.maps, _RING)
        self._floors: dict[int, Floors] = {}

    def enable(self, slot: int, generation: int, floors: Floors) -> None:
        """Tell a slot's calls over the floors. Raises UnsupportedKernelError where that cannot be."""
        if slot not in self._shared:
            for program in _PROGRAMS:
                self._programs.need(program)
            self._prepare()
            self._shared.add(slot, generation)
        self._floors[slot] = floors
        self._write_floors(slot, floors)
        self._programs.attach(_PROGRAMS)

    def _prepare(self) -> None:
        """At the first use: a node that is never asked has no shapes in its programs."""
        if self._shared:
            return
        maps = self._programs.maps
        maps.check_size("slow_scratch", _HEADER.struct("slow_call").size)
        calls.write_shapes(maps, self._abis)

    def disable(self, slot: int) -> None:
        """Tell nothing of a slot any more; the last one's end detaches the programs. Idempotent."""
        if self._shared.remove(slot) is None:
            return
        self._write_floors(slot, Floors(_NEVER, _NEVER))
        if not self._shared:
            self._programs.detach(_PROGRAMS)
            self._shared.give_back()

    def _write_floors(self, slot: int, floors: Floors) -> None:
        self._shared.write(slot, "floor_ns[0]", floors.working_ns)
        self._shared.write(slot, "floor_ns[1]", floors.waiting_ns)

    def lost(self, slot: int) -> int:
        """How many calls over the floors had no room since the slot asked."""
        return self._shared.grown(slot, "lost[0]", "lost[1]")

    def read(self) -> dict[int, list[SlowCall]]:
        """What was reported since the last time, by slot: all of it, or the slowest of it where that was asked."""
        found: dict[int, list[SlowCall]] = {}
        if self._shared.ring is None:
            return found
        for slot, reported in self._slowest(self._shared.ring).items():
            found[slot] = [self._parsed(record, stack) for _, _, record, stack in reported]
        self._shared.deal_out()
        return found

    def _parsed(self, record: bytes, stack: bytes) -> SlowCall:
        if stack:
            tid, raw = self._stacks.parsed(stack)
            _, call = calls.parsed(record, self._abis, partial(SlowCall, stack=raw))
            # Calls on two CPUs may end at one moment.
            if tid == call.tid:
                return call
        return calls.parsed(record, self._abis, SlowCall)[1]

    def _slowest(self, ring: Ring) -> dict[int, list[_Record]]:
        """Takes of the ring what is to be decoded: of all others, as in a storm, only the head is read."""
        kept: dict[int, list[_Record]] = {}
        # By the end of the call, which a stack and its call have in common.
        stacks_at: dict[int, tuple[int, int]] = {}
        memory, head_at, generations, floors = ring.memory, _HEAD.unpack_from, self._shared.slot_of, self._floors
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
            reported = length_ns, number, memory[at : at + length], memory[stack_at : stack_at + stack_bytes]
            if most and len(heap) >= most:
                heapq.heapreplace(heap, reported)
            else:
                heapq.heappush(heap, reported)
        both = {slot: kept.get(2 * slot, []) + kept.get(2 * slot + 1, []) for slot in {key // 2 for key in kept}}
        return {slot: sorted(reported, key=operator.itemgetter(1)) for slot, reported in both.items()}

    @property
    def needs_drain(self) -> bool:
        """Whether so much waits to be read, or stacks of processes that may end soon."""
        ring = self._shared.ring
        return self._shared.needs_drain or (ring is not None and self._stacks.asked and ring.filled > 0)

    def close(self) -> None:
        """Give the memory back."""
        self._shared.close()
