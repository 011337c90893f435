"""Speaks to counters.bpf.c: what the kernel counts of the threads of slots that ask."""

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.slot_words import SlotWords
from kubestrace_agent.views.counters.values import ThreadSums

_HEADER = header("views/counters/counters.h")
_OPEN = _HEADER.struct("counters_open").whole()
_SLOT = _HEADER.struct("counters_slot")
_HOOKS = ("on_counters_end",)
_WALKER = "walk_counters"
# Threads that end during a walk may be counted twice or not at all: then it is walked again.
_READINGS = 4


class Counters:
    """The Part: True is what a slot may want, what is read are ThreadSums."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        # slot -> generation, and the events for which the kernel had not run the program as it asked.
        self._wanting: dict[int, int] = {}
        self._skipped_before: dict[int, int] = {}
        self._slots = SlotWords(programs.maps, "counters_slots", _SLOT)

    def enable(self, slot: int, generation: int, wanted: bool) -> None:
        """Count for a slot from now on. Raises UnsupportedKernelError where that cannot be."""
        if not wanted or slot in self._wanting:
            return
        for program in (*_HOOKS, _WALKER):
            self._programs.need(program)
        self._slots.open()
        bpf_syscall.update(self._generations, bpf_syscall.key_u32(generation), bpf_syscall.key_u32(slot))
        self._slots.begin(slot, generation)
        self._wanting[slot] = generation
        try:
            self._programs.attach(_HOOKS)
            self._programs.need_walk(_WALKER, self._programs.walk(_WALKER))
        except BaseException:
            self.disable(slot)
            raise
        self._skipped_before[slot] = self._programs.skipped(*_HOOKS)

    def disable(self, slot: int) -> None:
        """Count nothing of a slot any more; the last one's end detaches the program. Idempotent."""
        generation = self._wanting.pop(slot, None)
        if generation is None:
            return
        self._skipped_before.pop(slot, None)
        self._slots.begin(slot, 0)
        bpf_syscall.delete(self._generations, bpf_syscall.key_u32(generation))
        if not self._wanting:
            self._programs.detach(_HOOKS)

    @property
    def _generations(self) -> int:
        return self._programs.maps.fd("counters_generations")

    def lost(self, slot: int) -> int:
        """Count threads whose end was not seen, or may be counted twice, since the slot asked."""
        if slot not in self._skipped_before:
            return 0
        skipped = self._programs.skipped(*_HOOKS) - self._skipped_before[slot]
        return skipped + self._slots.read(slot, "lost")

    def read(self) -> dict[int, ThreadSums]:
        """Return the sums of all threads, by slot; nothing where this kernel does not run the iterator now."""
        if not self._wanting:
            return {}
        reported: bytes | None = None
        ended: dict[int, ThreadSums] = {}
        for _ in range(_READINGS):
            before = self._ends()
            reported = self._programs.walk(_WALKER)
            if reported is None:
                return {}
            ended = {slot: self._ended(slot) for slot in self._wanting}
            if self._ends() == before:
                break
        living: dict[int, ThreadSums] = {}
        for generation, *sums in _OPEN.iter_unpack(reported or b""):
            living[generation] = living.get(generation, ThreadSums()).plus(ThreadSums(*sums))
        return {
            slot: ended[slot].plus(living.get(generation, ThreadSums())) for slot, generation in self._wanting.items()
        }

    def _ends(self) -> list[int]:
        return [self._slots.read(slot, "ends") for slot in self._wanting]

    def _ended(self, slot: int) -> ThreadSums:
        return ThreadSums(*self._slots.read_many(slot, "ended", len(ThreadSums._fields)))

    @property
    def needs_drain(self) -> bool:
        """Never: nothing of it fills."""
        return False

    def close(self) -> None:
        """Give the memory back."""
        self._slots.close()
