"""Speaks to io_uring.bpf.c: what the slots that ask submitted to rings, and what came of it."""

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.loader.programs import Programs, UnsupportedKernelError
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.slot_words import SlotWords
from kubestrace_agent.views.io_uring.values import RawRings, RingCounts

_HEADER = header("views/io_uring/io_uring.h")
_KEY = _HEADER.struct("ring_key").whole()
_ERRNO_KEY = _HEADER.struct("ring_errno_key").whole()
_ROW = _HEADER.struct("ring_row")
_NUMBERS = _ROW.fields(
    *("submitted", "completed", "errors", "untimed", "silent", "bytes", "total_ns", "max_ns"),
    size=_ROW.offset("buckets"),
)
_BUCKETS = _HEADER.number("BUCKETS")
_REQUEST = _HEADER.struct("ring_request")
_SLOT = _HEADER.struct("ring_slot")
# Results first: what both see is then an operation that began after both were there.
_RESULTS = ("on_ring_complete", "on_ring_overflow", "on_ring_refused")
# As the kernel calls the event: Linux 6.4 and later, and before.
_SUBMISSIONS = ("on_ring_submit", "on_ring_submit_sqe")
_HOOKS = (*_RESULTS, *_SUBMISSIONS)


class IOUring:
    """The Part: True is what a slot may want, what is read are RawRings."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        # slot -> generation, and what had been lost as it asked.
        self._wanting: dict[int, int] = {}
        self._lost_before: dict[int, int] = {}
        self._slots = SlotWords(programs.maps, "ring_slots", _SLOT)

    def enable(self, slot: int, generation: int, wanted: bool) -> None:
        """Tell a slot's operations from now on. Raises UnsupportedKernelError where that cannot be."""
        if not wanted or slot in self._wanting:
            return
        for program in _HOOKS:
            self._programs.need(program)
        self._open()
        self._slots.write(slot, "generation", generation)
        try:
            self._attach()
        except BaseException:
            self._slots.write(slot, "generation", 0)
            raise
        self._wanting[slot] = generation
        self._lost_before[slot] = self._lost(slot)

    def _attach(self) -> None:
        if self._wanting:
            return
        newer, older = _SUBMISSIONS
        try:
            self._programs.attach((*_RESULTS, newer))
        except UnsupportedKernelError:
            self._programs.attach((*_RESULTS, older))

    def disable(self, slot: int) -> None:
        """Tell nothing of a slot any more; the last one's end detaches the programs. Idempotent."""
        generation = self._wanting.pop(slot, None)
        if generation is None:
            return
        del self._lost_before[slot]
        self._slots.write(slot, "generation", 0)
        if not self._wanting:
            self._programs.detach(_HOOKS)
        self._forget(generation)

    def _forget(self, generation: int) -> None:
        """Take a slot's rows away; with the last one everything."""
        of_all, maps = not self._wanting, self._programs.maps
        for name, key_of in (("ring_rows", _KEY), ("ring_errnos", _ERRNO_KEY)):
            for key in list(bpf_syscall.keys(maps.fd(name), key_of.size)):
                if of_all or key_of.unpack(key)[0] == generation:
                    bpf_syscall.delete(maps.fd(name), key)
        # Of others that are under way the results find no row, until the last one's end.
        for key in list(bpf_syscall.keys(maps.fd("ring_requests"), 8)) if of_all else ():
            bpf_syscall.delete(maps.fd("ring_requests"), key)

    def _lost(self, slot: int) -> int:
        """All that was lost of a slot, and events for which the kernel did not run a program."""
        return self._slots.read(slot, "lost") + sum(self._programs.skipped(hook) for hook in _HOOKS)

    def lost(self, slot: int) -> int:
        """Count operations and results for which there was no row since the slot asked."""
        return self._lost(slot) - self._lost_before[slot] if slot in self._wanting else 0

    def read(self) -> dict[int, RawRings]:
        """Return everything that was counted, by slot."""
        if not self._wanting:
            return {}
        maps = self._programs.maps
        # The rows first: an errno is counted before its error is.
        rows = list(bpf_syscall.lookup_all(maps.fd("ring_rows"), _KEY.size, _ROW.size))
        errnos: dict[tuple[int, int], dict[int, int]] = {}
        for key, value in bpf_syscall.lookup_all(maps.fd("ring_errnos"), _ERRNO_KEY.size, 8):
            generation, opcode, number = _ERRNO_KEY.unpack(key)
            errnos.setdefault((generation, opcode), {})[number] = int.from_bytes(value, "little")
        found: dict[int, dict[int, RingCounts]] = {}
        for key, value in rows:
            generation, opcode = _KEY.unpack(key)
            found.setdefault(generation, {})[opcode] = _counts(value, errnos.get((generation, opcode), {}))
        return {slot: found.get(generation, {}) for slot, generation in self._wanting.items()}

    def _open(self) -> None:
        if self._slots.is_open:
            return
        maps = self._programs.maps
        for name, layout in (("ring_rows", _ROW), ("ring_requests", _REQUEST)):
            maps.check_size(name, layout.size)
        self._slots.open()

    @property
    def needs_drain(self) -> bool:
        """Never: nothing of it fills."""
        return False

    def close(self) -> None:
        """Give the memory back."""
        self._slots.close()


def _counts(value: bytes, errnos: dict[int, int]) -> RingCounts:
    counts = memoryview(value)[_NUMBERS.size : _NUMBERS.size + 4 * _BUCKETS].cast("I")
    buckets = {index: count for index, count in enumerate(counts) if count}
    submitted, completed, errors, untimed, silent, moved, total_ns, max_ns = _NUMBERS.unpack_from(value)
    return RingCounts(submitted, completed, errors, untimed, silent, moved, total_ns, max_ns, buckets, errnos)
