"""Speaks to memory.bpf.c: what the calls of slots that ask did to memory, and which processes they have."""

import time
from collections.abc import Sequence

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters.calls import indexed
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.slot_words import SlotWords
from kubestrace_agent.views.memory import levels
from kubestrace_agent.views.memory.values import KINDS, Flow, RawMemory

_HEADER = header("views/memory/memory.h")
_PROCESS = _HEADER.struct("memory_process").whole()
_SLOT = _HEADER.struct("memory_slot")
# As enum memory_call has them.
_CALLS = {
    "mmap": 1,
    "mmap2": 1,
    "munmap": 2,
    "mremap": 3,
    "brk": 4,
    "madvise": 5,
    "mprotect": 6,
    "pkey_mprotect": 6,
    "mlock": 7,
    "mlock2": 7,
}
# Its arguments are in memory: nobody has called it since 1998.
_OLD_MMAP = ("i386", "mmap")
_HOOKS = ("on_memory_exec", "on_memory_fork", "on_memory_end", "on_memory_call")
_WALKER = "walk_memory"
# Of these none but the calls above is of use.
_CHOOSY = ("on_memory_growth", "on_memory_call")


class Memory:
    """The Part: True is what a slot may want, what is read are RawMemory."""

    def __init__(self, programs: Programs, abis: Sequence[str]) -> None:
        self._programs = programs
        self._abis = abis
        # slot -> generation.
        self._wanting: dict[int, int] = {}
        self._slots = SlotWords(programs.maps, "memory_slots", _SLOT)

    def enable(self, slot: int, generation: int, wanted: bool) -> None:
        """Tell a slot's memory from now on. Raises UnsupportedKernelError where that cannot be."""
        if not wanted or slot in self._wanting:
            return
        for program in (*_HOOKS, _WALKER):
            self._programs.need(program)
        self._open()
        self._slots.begin(slot, generation)
        self._wanting[slot] = generation
        try:
            self._programs.attach(_HOOKS)
            # Keeps the breaks of the processes that are there.
            self._programs.need_walk(_WALKER, self._programs.walk(_WALKER))
        except BaseException:
            self.disable(slot)
            raise

    def disable(self, slot: int) -> None:
        """Tell nothing of a slot any more; the last one's end detaches the programs. Idempotent."""
        if self._wanting.pop(slot, None) is None:
            return
        self._slots.begin(slot, 0)
        if self._wanting:
            return
        self._programs.detach(_HOOKS)
        breaks = self._programs.maps.fd("memory_breaks")
        for key in list(bpf_syscall.keys(breaks, 8)):
            bpf_syscall.delete(breaks, key)

    def lost(self, slot: int) -> int:
        """Count processes for whose break there was no room since the slot asked."""
        return self._slots.read(slot, "lost") if slot in self._wanting else 0

    def read(self) -> dict[int, RawMemory]:
        """Return what was counted and how it stands, by slot; nothing where the iterator cannot be run now."""
        if not self._wanting:
            return {}
        reported = self._programs.walk(_WALKER)
        if reported is None:
            return {}
        processes: dict[int, list[int]] = {}
        for generation, pid in _PROCESS.iter_unpack(reported):
            processes.setdefault(generation, []).append(pid)
        return {slot: self._reading(slot, processes.get(generation, [])) for slot, generation in self._wanting.items()}

    def _reading(self, slot: int, pids: Sequence[int]) -> RawMemory:
        fields = len(Flow._fields)
        words = self._slots.read_many(slot, "flows", len(KINDS) * fields)
        flows = [Flow(*words[first : first + fields]) for first in range(0, len(words), fields)]
        return RawMemory(time.monotonic_ns(), flows, self._slots.read(slot, "unsized_calls"), levels.read(pids))

    def _open(self) -> None:
        if self._slots.is_open:
            return
        maps = self._programs.maps
        with maps.view("memory_calls", "Q") as kinds:
            for at, abi, called in indexed(self._abis):
                if called in _CALLS and (abi, called) != _OLD_MMAP:
                    kinds[at] = _CALLS[called]
            for hook in _CHOOSY:
                self._programs.choose(hook, (at for at, kind in enumerate(kinds) if kind))
        self._slots.open()

    @property
    def needs_drain(self) -> bool:
        """Never: nothing of it fills."""
        return False

    def close(self) -> None:
        """Give the memory back."""
        self._slots.close()
