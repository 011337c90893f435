"""Speaks to cpu_time.bpf.c: which slots ask for CPU time, and where the time of their threads went.

Threads carry what they have used (struct cpu_clock); an iterator tells all of them as they stand, and
accounts by row hold the calls that have ended. These are read after it: what a thread adds to them once it has been
reported is noted apart while the reading goes on, and subtracted.
"""

import time
from collections.abc import Iterable, Iterator, Sequence

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.syscalls import SyscallKey
from kubestrace_agent.views.cpu_time.values import CpuParts, CpuTimes

_HEADER = header("views/cpu_time/cpu_time.h")
# Thread_ns, and the parts of user and other.
_GONE = _HEADER.struct("cpu_gone").whole()
_SLOT = _HEADER.struct("cpu_slot")
_BEGIN = _SLOT.fields("begin_ns")
_LOST = _SLOT.fields("lost")
# Generation, row, thread_ns, and the parts of user, other and the call.
_OPEN = _HEADER.struct("cpu_open").whole()
_KEY = _HEADER.struct("cpu_key").fields("generation", "row")
_PARTS = _HEADER.struct("cpu_parts").fields("on_ns", "runnable_ns", "asleep_ns")
_WALK = _HEADER.struct("cpu_walk").fields("last_ns", "forget", "number")
# The switches first: who enters a call has then been seen.
_HOOKS = ("on_cpu_switch", "on_cpu_end", "on_cpu_exit", "on_cpu_enter")
_WALKER = "walk_clocks"
_32_BITS = 0xFFFFFFFF
_READINGS = 3
# Of all time.
_LITTLE = 0.002
# Of a walk's number, as it stands in keys above the row.
_ROW_BITS = 16


class CpuTime:
    """The Part: True is what a slot may want, what is read are CpuTimes."""

    def __init__(self, programs: Programs, abis: Sequence[str]) -> None:
        self._programs = programs
        self._abis = abis
        # slot -> generation.
        self._wanting: dict[int, int] = {}
        # Row -> the generation that owned it, and its call.
        self._keys: dict[int, tuple[int, SyscallKey]] = {}
        # Mapped at the first use.
        self._slots = memoryview(b"")
        self._walk_words = memoryview(b"")
        self._heads = memoryview(b"")

    def enable(self, slot: int, generation: int, wanted: bool) -> None:
        """Follow a slot's threads from now on. Raises UnsupportedKernelError where that cannot be."""
        if not wanted or slot in self._wanting:
            return
        for program in (*_HOOKS, _WALKER):
            self._programs.need(program)
        self._open()
        at = slot * _SLOT.size
        self._slots[at : at + _SLOT.size] = _BEGIN.pack(time.monotonic_ns())
        self._write_generation(slot, generation)
        try:
            self._programs.attach(_HOOKS)
            # Our CPU's next switch is one that the programs see.
            time.sleep(1e-6)
            # Begins the clocks of all tasks.
            self._programs.need_walk(_WALKER, self._walk())
        except BaseException:
            self._forget(slot, generation)
            raise
        self._wanting[slot] = generation

    def disable(self, slot: int) -> None:
        """Follow a slot no more; the last one's end detaches the programs. Idempotent."""
        generation = self._wanting.pop(slot, None)
        if generation is not None:
            self._forget(slot, generation)

    def _forget(self, slot: int, generation: int) -> None:
        self._write_generation(slot, 0)
        if not self._wanting:
            self._programs.detach(_HOOKS)
        self._walk(forget=generation)
        accounts = self._programs.maps.fd("cpu_accounts")
        for key in list(bpf_syscall.keys(accounts, _KEY.size)):
            if _KEY.unpack(key)[0] not in self._wanting.values():
                bpf_syscall.delete(accounts, key)

    def _write_generation(self, slot: int, generation: int) -> None:
        at = slot * _SLOT.size + _SLOT.offset("generation")
        self._slots[at : at + 4] = generation.to_bytes(4, "little")

    def lost(self, slot: int) -> int:
        """How many calls and threads had no room since the slot asked: they are among the others."""
        if slot not in self._wanting:
            return 0
        lost: int = _LOST.unpack_from(self._slots, slot * _SLOT.size)[0]
        return lost

    def read(self) -> dict[int, CpuTimes]:
        """The time of all threads until now, by slot; nothing where this kernel does not run the iterator.

        Between its last call and its end a thread is not to be found: where more than a little lacks, once more.
        """
        best: dict[int, CpuTimes] = {}
        for _ in range(_READINGS):
            for slot, times in self._reading().items():
                if slot not in best or abs(times.missing_ns) < abs(best[slot].missing_ns):
                    best[slot] = times
            if all(abs(times.missing_ns) <= _LITTLE * times.thread_ns for times in best.values()):
                break
        return best

    def _reading(self) -> dict[int, CpuTimes]:
        if not self._wanting:
            return {}
        reported = self._walk()
        if reported is None:
            return {}
        gone = {slot: self._gone(slot) for slot in self._wanting}
        maps = self._programs.maps
        # All of it before any is looked at: until the walk is over, each call that ends is noted apart.
        accounts = list(bpf_syscall.lookup_batches(maps.fd("cpu_accounts"), _KEY.size, _PARTS.size * maps.cpus))
        walk = self._number
        self._number += 1
        living: dict[int, list[tuple[int, ...]]] = {}
        for generation, *clock in _OPEN.iter_unpack(reported):
            living.setdefault(generation, []).append(tuple(clock))
        ended = self._accounts(accounts, walk)
        return {
            slot: self._times(gone[slot], living.get(generation, []), ended.get(generation, {}), generation)
            for slot, generation in self._wanting.items()
        }

    def _gone(self, slot: int) -> list[int]:
        """Thread_ns and the parts of user and other of threads that had gone before the walk came to them."""
        at = slot * _SLOT.size
        every, late = (_GONE.unpack_from(self._slots, at + _SLOT.offset(name)) for name in ("gone", "late"))
        return [all_of_it - reported for all_of_it, reported in zip(every, late, strict=True)]

    def _times(
        self,
        gone: list[int],
        living: Iterable[tuple[int, ...]],
        ended: dict[int, CpuParts],
        generation: int,
    ) -> CpuTimes:
        thread_ns, *parts = gone
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
            key = self._key(row, generation)
            if key is not None:
                found[key] = parts
        return found

    def _key(self, row: int, generation: int) -> SyscallKey | None:
        """The call of a slot's row; None: it is no row of this slot. It stays its row until the slot ends."""
        known = self._keys.get(row)
        if known is not None and known[0] == generation:
            return known[1]
        owner, abi, number = layout.HEAD_OWNER.unpack_from(self._heads, row * layout.HEAD_BYTES)
        if owner != generation:
            return None
        key = layout.syscall_key(self._abis, abi, number)
        self._keys[row] = generation, key
        return key

    def _accounts(self, batches: Iterable[tuple[bytes, bytes]], number: int) -> dict[int, dict[int, CpuParts]]:
        """By generation and row; what came too late for this walk is taken out, and that of earlier ones away."""
        found: dict[int, dict[int, CpuParts]] = {}
        late: list[tuple[int, int, CpuParts]] = []
        accounts = self._programs.maps.fd("cpu_accounts")
        for keys, values in batches:
            for (generation, row), parts in zip(_KEY.iter_unpack(keys), self._summed(values), strict=True):
                walk = row >> _ROW_BITS
                if not walk:
                    found.setdefault(generation, {})[row] = parts
                elif walk == number % (1 << _ROW_BITS):
                    late.append((generation, row % (1 << _ROW_BITS), parts))
                else:
                    bpf_syscall.delete(accounts, _KEY.pack(generation, row))
        for generation, row, parts in late:
            rows = found.setdefault(generation, {})
            rows[row] = rows.get(row, CpuParts()).minus(parts)
        return found

    def _summed(self, values: bytes) -> Iterator[CpuParts]:
        """The parts of accounts, each added up over all CPUs; all accounts at once."""
        words, fields, cpus = memoryview(values).cast("Q"), len(CpuParts._fields), self._programs.maps.cpus
        sums = []
        for field in range(fields):
            on_cpus = [words[field + fields * cpu :: fields * cpus].tolist() for cpu in range(cpus)]
            sums.append(map(sum, zip(*on_cpus, strict=True)))
        return map(CpuParts._make, zip(*sums, strict=True))

    @property
    def _number(self) -> int:
        """Of the walk that goes on, if it is odd."""
        number: int = _WALK.unpack_from(self._walk_words)[2]
        return number

    @_number.setter
    def _number(self, number: int) -> None:
        last, forget, _ = _WALK.unpack_from(self._walk_words)
        _WALK.pack_into(self._walk_words, 0, last, forget, number & _32_BITS)

    def _walk(self, *, forget: int = 0) -> bytes | None:
        """Run the iterator: struct cpu_open of all clocks; None where this kernel does not run it.

        Without `forget`, which takes clocks away, the walk goes on until the caller has read what is beside it.
        """
        last, now = _WALK.unpack_from(self._walk_words)[0], time.monotonic_ns()
        if not forget:
            for slot in self._wanting:
                at = slot * _SLOT.size + _SLOT.offset("late")
                self._slots[at : at + _GONE.size] = bytes(_GONE.size)
            self._number = self._number + 1 | 1
        _WALK.pack_into(self._walk_words, 0, last, forget, self._number)
        reported = self._programs.walk(_WALKER)
        _WALK.pack_into(self._walk_words, 0, last if forget else now, 0, self._number)
        return reported

    def _open(self) -> None:
        if self._slots:
            return
        maps = self._programs.maps
        maps.check_size("cpu_slots", _SLOT.size)
        maps.check_size("cpu_accounts", _PARTS.size)
        maps.check_size("cpu_walk", _WALK.size)
        self._walk_words = maps.view("cpu_walk", "B")
        self._heads = maps.view("heads", "B")
        # The last: it says that all are there.
        self._slots = maps.view("cpu_slots", "B")

    @property
    def needs_drain(self) -> bool:
        """Never: nothing of it fills."""
        return False

    def close(self) -> None:
        """Give the memory back."""
        for shared in (self._slots, self._walk_words, self._heads):
            shared.release()
