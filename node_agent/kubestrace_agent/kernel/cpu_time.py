"""The view of CPU time: which slots ask for it, and where the time of their threads went.

Owned by tracer. Threads carry what they have used (struct cpu_clock); an iterator tells all of them as they stand, and
accounts by row hold the calls that have ended. The two are read one after the other: what ends in between is in
neither, so a reading that lacks more than a little is made again.
"""

import struct
import time
from collections.abc import Iterable, Sequence

from kubestrace_agent.kernel import bpf, layout
from kubestrace_agent.kernel.counts import CpuParts, CpuTimes
from kubestrace_agent.kernel.programs import Programs
from kubestrace_agent.syscalls import SyscallKey

# struct cpu_slot: generation, begin_ns, lost, thread_ns, and the parts of user and other.
_SLOT = struct.Struct("=I4xQQQ3Q3Q")
# struct cpu_open: generation, row, thread_ns, and the parts of user, other and the call.
_OPEN = struct.Struct("=IIQ3Q3Q3Q")
_KEY = struct.Struct("=II")
_PARTS = struct.Struct("=3Q")
_WALK = struct.Struct("=QI4x")
# The switches first: who enters a call has then been seen.
_HOOKS = ("on_cpu_switch", "on_cpu_end", "on_cpu_exit", "on_cpu_enter")
_WALKER = "walk_clocks"
_READINGS = 3
# Of all time.
_GOOD_ENOUGH = 0.001


class CpuTime:
    """The View: True is what a slot may want, what is read are CpuTimes."""

    def __init__(self, programs: Programs, abis: Sequence[str]) -> None:
        self._programs = programs
        self._abis = abis
        # slot -> generation.
        self._wanting: dict[int, int] = {}
        # Mapped at the first use.
        self._slots = memoryview(b"")
        self._walk_words = memoryview(b"")
        self._heads = memoryview(b"")
        self._config = memoryview(b"")

    def want(self, slot: int, generation: int, wanted: bool) -> None:
        """Follow a slot's threads from now on. Raises UnsupportedKernelError where that cannot be."""
        if not wanted or slot in self._wanting:
            return
        for program in (*_HOOKS, _WALKER):
            self._programs.need(program)
        self._open()
        at = slot * _SLOT.size
        self._slots[at : at + _SLOT.size] = _SLOT.pack(0, time.monotonic_ns(), *[0] * 8)
        self._slots[at : at + 4] = generation.to_bytes(4, "little")
        try:
            self._attach()
            # Our CPU's next switch is one that the programs see.
            time.sleep(1e-6)
            if self._walk() is None:
                self._programs.need(_WALKER)
        except BaseException:
            self._forget(slot, generation)
            raise
        self._wanting[slot] = generation

    def forget(self, slot: int) -> None:
        """Follow a slot no more; the last one's end detaches the programs. Twice is fine."""
        generation = self._wanting.pop(slot, None)
        if generation is not None:
            self._forget(slot, generation)

    def _forget(self, slot: int, generation: int) -> None:
        self._slots[slot * _SLOT.size : slot * _SLOT.size + 4] = bytes(4)
        if not self._wanting:
            self._detach()
        self._walk(forget=generation)
        accounts = self._programs.maps.fd("cpu_accounts")
        for key in list(bpf.keys(accounts, _KEY.size)):
            if _KEY.unpack(key)[0] not in self._wanting.values():
                bpf.delete(accounts, key)

    def _attach(self) -> None:
        self._programs.attach(_HOOKS)
        self._config[layout.CONFIG_EACH_CALL] = 1

    def _detach(self) -> None:
        self._config[layout.CONFIG_EACH_CALL] = 0
        self._programs.detach(_HOOKS)

    def lost(self, slot: int) -> int:
        """How many calls and threads had no room since the slot asked: they are among the others."""
        if slot not in self._wanting:
            return 0
        lost: int = _SLOT.unpack_from(self._slots, slot * _SLOT.size)[2]
        return lost

    def read(self) -> dict[int, CpuTimes]:
        """The time of all threads until now, by slot."""
        best: dict[int, CpuTimes] = {}
        if not self._wanting:
            return best
        for _ in range(_READINGS):
            for slot, times in self._reading().items():
                if slot not in best or abs(times.missing_ns) < abs(best[slot].missing_ns):
                    best[slot] = times
            if all(abs(times.missing_ns) <= _GOOD_ENOUGH * times.thread_ns for times in best.values()):
                break
        return best

    def _reading(self) -> dict[int, CpuTimes]:
        ended = self._accounts()
        # After the accounts: a thread that dies in between is then in neither its life nor its parts.
        gone = {slot: _SLOT.unpack_from(self._slots, slot * _SLOT.size) for slot in self._wanting}
        living: dict[int, list[tuple[int, ...]]] = {}
        told = self._walk()
        if told is None:
            return {}
        for generation, *clock in _OPEN.iter_unpack(told):
            living.setdefault(generation, []).append(tuple(clock))
        return {
            slot: self._times(gone[slot], living.get(generation, []), ended.get(generation, {}), generation)
            for slot, generation in self._wanting.items()
        }

    def _times(
        self,
        gone: tuple[int, ...],
        living: Iterable[tuple[int, ...]],
        ended: dict[int, CpuParts],
        generation: int,
    ) -> CpuTimes:
        _, _, _, thread_ns, *parts = gone
        user, other = CpuParts(*parts[:3]), CpuParts(*parts[3:])
        under_way: dict[int, CpuParts] = {}
        for row, life_ns, *parts in living:
            thread_ns += life_ns
            user = user.plus(CpuParts(*parts[:3]))
            other = other.plus(CpuParts(*parts[3:6]))
            if row:
                under_way[row] = under_way.get(row, CpuParts()).plus(CpuParts(*parts[6:]))
        calls = self._by_call(ended, generation), self._by_call(under_way, generation)
        return CpuTimes(time.monotonic_ns(), thread_ns, user, other, *calls)

    def _by_call(self, rows: dict[int, CpuParts], generation: int) -> dict[SyscallKey, CpuParts]:
        found = {}
        for row, parts in rows.items():
            owner, _, _, abi, number = layout.HEAD.unpack_from(self._heads, row * layout.HEAD.size)
            if owner == generation:
                found[SyscallKey(self._abis[abi & layout.ABI_MASK], number, bool(abi & layout.WAITED))] = parts
        return found

    def _accounts(self) -> dict[int, dict[int, CpuParts]]:
        """By generation and row."""
        maps = self._programs.maps
        found: dict[int, dict[int, CpuParts]] = {}
        for key, values in bpf.lookup_all(maps.fd("cpu_accounts"), _KEY.size, _PARTS.size * maps.cpus):
            generation, row = _KEY.unpack(key)
            each = zip(*_PARTS.iter_unpack(values), strict=True)
            found.setdefault(generation, {})[row] = CpuParts(*map(sum, each))
        return found

    def _walk(self, *, forget: int = 0) -> bytes | None:
        """Run the iterator: struct cpu_open of all clocks; None where this kernel does not run it."""
        last, _ = _WALK.unpack_from(self._walk_words)
        now = time.monotonic_ns()
        _WALK.pack_into(self._walk_words, 0, last, forget)
        told = self._programs.walk(_WALKER)
        _WALK.pack_into(self._walk_words, 0, last if forget else now, 0)
        return told

    def _open(self) -> None:
        if self._slots:
            return
        maps = self._programs.maps
        maps.check_size("cpu_slots", _SLOT.size)
        maps.check_size("cpu_accounts", _PARTS.size)
        maps.check_size("cpu_walk", _WALK.size)
        self._slots = maps.view("cpu_slots", "B")
        self._walk_words = maps.view("cpu_walk", "B")
        self._heads = maps.view("heads", "B")
        self._config = maps.view("config", "I")

    @property
    def pressing(self) -> bool:
        """Never: nothing of it fills."""
        return False

    def close(self) -> None:
        """Give the memory back."""
        for shared in (self._slots, self._walk_words, self._heads, self._config):
            shared.release()
