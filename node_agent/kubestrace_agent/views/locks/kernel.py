"""Speaks to locks.bpf.c: where the threads of slots that ask waited for each other, and who woke them."""

from collections.abc import Sequence

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters.calls import indexed
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.slot_words import SlotWords
from kubestrace_agent.views.locks.values import LockCounts, RawLocks

_HEADER = header("views/locks/locks.h")
_KEY = _HEADER.struct("lock_key").whole()
_USER_KEY = _HEADER.struct("lock_user_key")
_ROW = _HEADER.struct("lock_row")
_PID = _ROW.fields("inner_pid", size=_ROW.offset("process"))
# As LockCounts calls them, too.
_FIELDS = (
    *("threads", "waits", "failed", "wakes", "handed_on"),
    *("holds", "held_ns", "longest_held_ns", "total_ns", "max_ns"),
)
_NUMBERS = _ROW.fields(*_FIELDS, size=_ROW.offset("buckets"))
_NAME_BYTES = _HEADER.number("LOCK_NAME_BYTES")
_BUCKETS = _HEADER.number("BUCKETS")
_SLOT = _HEADER.struct("lock_slot")
_KINDS = {"futex": "LOCK_FUTEX", "futex_time64": "LOCK_FUTEX", "futex_wait": "LOCK_WAIT", "futex_wake": "LOCK_WAKE"}
_PROGRAM = ("on_lock_call",)


class Locks:
    """The Part: True is what a slot may want, what is read are RawLocks."""

    def __init__(self, programs: Programs, abis: Sequence[str]) -> None:
        self._programs = programs
        self._abis = abis
        # slot -> generation.
        self._wanting: dict[int, int] = {}
        self._slots = SlotWords(programs.maps, "lock_slots", _SLOT)

    def enable(self, slot: int, generation: int, wanted: bool) -> None:
        """Count a slot's waits from now on. Raises UnsupportedKernelError where that cannot be."""
        if not wanted or slot in self._wanting:
            return
        self._programs.need(_PROGRAM[0])
        self._open()
        self._slots.begin(slot, generation)
        self._wanting[slot] = generation
        try:
            self._programs.attach(_PROGRAM)
        except BaseException:
            self.disable(slot)
            raise

    def disable(self, slot: int) -> None:
        """Count nothing of a slot any more; the last one's end detaches the program. Idempotent."""
        generation = self._wanting.pop(slot, None)
        if generation is None:
            return
        self._slots.begin(slot, 0)
        if not self._wanting:
            self._programs.detach(_PROGRAM)
        # Both keys begin with the generation.
        for name, size in (("lock_rows", _KEY.size), ("lock_users", _USER_KEY.size)):
            fd = self._programs.maps.fd(name)
            for key in list(bpf_syscall.keys(fd, size)):
                if not self._wanting or _KEY.unpack_from(key)[0] == generation:
                    bpf_syscall.delete(fd, key)

    def lost(self, slot: int) -> int:
        """Count waits whose thread found no room since the slot asked."""
        return self._slots.read(slot, "lost") if slot in self._wanting else 0

    def read(self) -> dict[int, RawLocks]:
        """Return everything that was counted, by slot."""
        if not self._wanting:
            return {}
        found: dict[int, dict[tuple[int, int], LockCounts]] = {each: {} for each in self._wanting.values()}
        for key, value in bpf_syscall.lookup_all(self._programs.maps.fd("lock_rows"), _KEY.size, _ROW.size):
            generation, pid, address = _KEY.unpack(key)
            if generation in found:
                found[generation][pid, address] = _counts(value)
        return {slot: self._reading(slot, found[generation]) for slot, generation in self._wanting.items()}

    def _reading(self, slot: int, locks: dict[tuple[int, int], LockCounts]) -> RawLocks:
        return RawLocks(locks, self._slots.read(slot, "other_waits"), self._slots.read(slot, "other_ns"))

    def _open(self) -> None:
        if self._slots.is_open:
            return
        maps = self._programs.maps
        maps.check_size("lock_rows", _ROW.size)
        with maps.view("lock_calls", "Q") as kinds:
            for at, _, called in indexed(self._abis):
                if called in _KINDS:
                    kinds[at] = _HEADER.number(_KINDS[called])
            self._programs.choose(_PROGRAM[0], (at for at, kind in enumerate(kinds) if kind))
        self._slots.open()

    @property
    def needs_drain(self) -> bool:
        """Never: nothing of it fills."""
        return False

    def close(self) -> None:
        """Give the memory back."""
        self._slots.close()


def _counts(value: bytes) -> LockCounts:
    counts = memoryview(value)[_NUMBERS.size : _NUMBERS.size + 4 * _BUCKETS].cast("I")
    name = value[_PID.size : _PID.size + _NAME_BYTES].partition(b"\0")[0]
    buckets = {index: count for index, count in enumerate(counts) if count}
    numbers = dict(zip(_FIELDS, _NUMBERS.unpack_from(value), strict=True))
    return LockCounts(inner_pid=_PID.unpack_from(value)[0], process=name, buckets=buckets, **numbers)
