"""Speaks to callers.bpf.c: which slots ask, how many stacks may be taken, and those that were.

Stacks are granted to the whole node: those of half a second are saved up, and then half of what is asked for is added
each second, so that no second has more than was asked for. What a row may have is dealt out anew in each window.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.rings import RingMaps, SlotRing
from kubestrace_agent.kernel.maps.slot_words import SlotWords
from kubestrace_agent.views import user_stacks_kernel
from kubestrace_agent.views.callers.values import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kubestrace_agent.kernel.loader.programs import Programs
    from kubestrace_agent.syscalls import SyscallKey
    from kubestrace_agent.views.user_stacks_kernel import Code

_HEADER = header("views/callers/callers.h")
_SLOT = _HEADER.struct("caller_slot")
_KEY = _HEADER.struct("caller_key").fields("generation", "row")
_SAMPLE = _HEADER.struct("caller_sample")
# A record up to its stack.
_RECORD = _SAMPLE.fields(
    *("generation", "abi", "nr", "result", "shift", "pid", "inner_pid"), size=_SAMPLE.offset("user")
)
_RING = RingMaps(
    name="ks_callers",
    array="caller_rings",
    ring_bytes=4 << 20,
    record_bytes=_SAMPLE.size,
    slots="caller_slots",
    layout=_SLOT,
)
_PROGRAM = ("on_caller",)
# Rows that are expected before any is known, and the fewest stacks of a row in a window.
_ROWS_AT_FIRST = 8
_LEAST_ALLOWANCE = 8
_LEAST_WINDOW_SECONDS, _MOST_WINDOW_SECONDS = 0.1, 10.0
_ALL = 0
_ABI_MASK = header("kernel/bpf/syscalls.h").number("ABI_MASK")
_32_BITS = 0xFFFFFFFF


class Callers:
    """The Part: what is wanted are stacks a second, what is read are Samples."""

    def __init__(
        self, programs: Programs, abis: Sequence[str], code: Code, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._programs = programs
        self._abis = abis
        self._code = code
        self._clock = clock
        self._shared = SlotRing(programs.maps, _RING)
        self._per_second: dict[int, int] = {}
        # Rows with a stack in this window, and when it began.
        self._rows: set[tuple[int, SyscallKey, bool]] = set()
        self._window_at = self._granted_at = self._read_at = 0.0
        self._slots = SlotWords(programs.maps, "caller_slots", _SLOT)

    def enable(self, slot: int, generation: int, per_second: int) -> None:
        """Choose among a slot's calls. Raises UnsupportedKernelError where that cannot be."""
        is_first = not self._per_second
        if slot not in self._shared:
            self._programs.need(_PROGRAM[0])
            self._code.prepare()
            self._shared.add(slot, generation)
            self._slots.open()
        self._per_second[slot] = per_second
        if is_first:
            self._begin()
        self._slots.write(slot, "generation", generation)
        self._programs.attach(_PROGRAM)

    def _begin(self) -> None:
        """Grant what may be taken at once, and begin the first window."""
        self._granted_at = self._clock()
        self._slots.write(_ALL, "granted", self._slots.read(_ALL, "taken") + self._most // 2)
        self._begin_window(_ROWS_AT_FIRST, window_seconds(_ROWS_AT_FIRST, self._most))

    @property
    def _most(self) -> int:
        """Stacks a second: as many as any slot asks for, of all together."""
        return max(self._per_second.values())

    def disable(self, slot: int) -> None:
        """Choose none of a slot's calls any more; the last one's end detaches the program. Idempotent."""
        generation = self._shared.remove(slot)
        if generation is None:
            return
        self._per_second.pop(slot, None)
        self._slots.write(slot, "generation", 0)
        if not self._shared:
            self._programs.detach(_PROGRAM)
            self._shared.give_back()
        shares = self._programs.maps.fd("caller_shares")
        for key in list(bpf_syscall.keys(shares, _KEY.size)):
            if _KEY.unpack(key)[0] == generation:
                bpf_syscall.delete(shares, key)

    def lost(self, slot: int) -> int:
        """How many calls were chosen and found no room since the slot asked."""
        return self._shared.grown(slot, "lost")

    def read(self) -> dict[int, list[Sample]]:
        """What was taken since the last time, by slot."""
        found: dict[int, list[Sample]] = {slot: [] for slot in self._shared.slots}
        if not found:
            return found
        for record in self._shared.records():
            generation, sample = self._parsed(record)
            self._rows.add((generation, sample.key, sample.errno > 0))
            if (slot := self._shared.slot_of.get(generation)) is not None:
                found[slot].append(sample)
        self._shared.deal_out()
        self._read_at = self._clock()
        self._grant()
        return found

    def _parsed(self, record: bytes) -> tuple[int, Sample]:
        generation, abi, nr, result, shift, pid, inner_pid = _RECORD.unpack_from(record)
        key = layout.syscall_key(self._abis, abi & _ABI_MASK, nr)
        stack = user_stacks_kernel.parsed(record[_RECORD.size :])
        return generation, Sample(key, -result, 1 << shift, pid, inner_pid, stack, self._code.mappings)

    def _grant(self) -> None:
        """Grant what the time that has passed is worth."""
        now = self._clock()
        saved = self._slots.read(_ALL, "granted") - self._slots.read(_ALL, "taken")
        more = int((now - self._granted_at) * self._most / 2)
        if more:
            self._granted_at = now
            granted = self._slots.read(_ALL, "taken") + max(0, min(self._most // 2, saved + more))
            self._slots.write(_ALL, "granted", granted)
        passed = now - self._window_at
        rows = max(len(self._rows), 1)
        # The more rows there are, the longer it takes until each has some stacks.
        lasts = window_seconds(rows, self._most)
        if passed >= lasts:
            self._begin_window(rows, min(passed, 2 * lasts))

    def _begin_window(self, rows: int, seconds: float) -> None:
        """Begin a window that is likely to have so many rows and to last so long."""
        self._window_at = self._clock()
        self._slots.write(_ALL, "saved", self._most // 4)
        self._slots.write(_ALL, "allowance", allowance(rows, self._most, seconds))
        self._slots.write(_ALL, "window", (self._slots.read(_ALL, "window") + 1) & _32_BITS)
        self._rows.clear()

    @property
    def needs_drain(self) -> bool:
        """Whether processes may end soon whose stacks have waited for a while."""
        ring = self._shared.ring
        return ring is not None and ring.filled > 0 and self._clock() >= self._read_at + _LEAST_WINDOW_SECONDS

    def close(self) -> None:
        """Give the memory back."""
        self._shared.close()
        self._code.close()
        self._slots.close()


def window_seconds(rows: int, per_second: int) -> float:
    """How long a window lasts in which each of so many rows has its fewest stacks, of half of all that may be taken."""
    return min(_MOST_WINDOW_SECONDS, max(_LEAST_WINDOW_SECONDS, 2 * rows * _LEAST_ALLOWANCE / per_second))


def allowance(rows: int, per_second: int, seconds: float) -> int:
    """How many stacks each of so many rows may have in a window that lasts so long."""
    return max(_LEAST_ALLOWANCE, int(seconds * per_second / 2 / rows))
