"""Stacks of slow calls: which slots ask for them, and what the kernel took.

They come by the ring of slow calls, each before its call.
"""

from collections.abc import Mapping

from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.views import user_stacks_kernel
from kubestrace_agent.views.slow_calls.values import RawStack
from kubestrace_agent.views.user_stacks_kernel import Code

_HEADER = header("views/slow_calls/slow_stacks.h")
IS_STACK = _HEADER.number("IS_STACK")
_STACK = _HEADER.struct("slow_stack")
# A record up to the program's own stack.
_RECORD = _STACK.fields("end_ns", "waited_ns", "tid", "kernel_bytes", "kernel", size=_STACK.offset("user"))
RECORD_BYTES = _STACK.size
_SLOT = header("views/slow_calls/slow_calls.h").struct("slow_slot")
_PROGRAMS = ("on_slow_stack", "on_stack_enter", "on_stack_switch")


class SlowStacks:
    """The Part: a slot wants them or not; they are read with the slow calls. Asked for behind those of the slot."""

    def __init__(self, programs: Programs, code: Code) -> None:
        self._programs = programs
        self._code = code
        # Slot -> what was lost there before it was asked for.
        self._lost_before: dict[int, int] = {}
        # Mapped at the first use.
        self._slots = memoryview(b"")

    def enable(self, slot: int, generation: int, wanted: bool) -> None:  # noqa: ARG002 - as Part has it
        """Take the stacks of a slot's calls. Raises UnsupportedKernelError where that cannot be."""
        if slot in self._lost_before:
            return
        for program in _PROGRAMS:
            self._programs.need(program)
        self._code.prepare()
        self._slots = self._slots or self._programs.maps.view("slow_slots", "Q")
        self._lost_before[slot] = self._slots[_at(slot, "stacks_lost")]
        self._slots[_at(slot, "stacks")] = 1
        self._programs.attach(_PROGRAMS)
        self._follow()

    def _follow(self) -> None:
        """Have the programs look at every traced task's next call: those that were there have no storage yet."""
        with self._programs.maps.view("config", "I") as config:
            at = layout.CONFIG.at("followed")
            config[at] = (config[at] + 1) & 0xFFFFFFFF

    def disable(self, slot: int) -> None:
        """Take no stacks of a slot any more. Idempotent."""
        if self._lost_before.pop(slot, None) is None:
            return
        self._slots[_at(slot, "stacks")] = 0
        if not self._lost_before:
            self._programs.detach(_PROGRAMS)

    def read(self) -> Mapping[int, None]:
        """Nothing: SlowCalls reads them."""
        return {}

    @property
    def asked(self) -> bool:
        """Whether any slot wants them."""
        return bool(self._lost_before)

    @property
    def needs_drain(self) -> bool:
        """Never: SlowCalls says that."""
        return False

    def lost(self, slot: int) -> int:
        """Count the stacks that were not taken since the slot asked, although their calls may have been reported."""
        return self._slots[_at(slot, "stacks_lost")] - self._lost_before[slot] if slot in self._lost_before else 0

    def close(self) -> None:
        """Give the memory back."""
        self._slots.release()
        self._code.close()

    def parsed(self, record: bytes) -> tuple[int, RawStack]:
        """A record of the ring: the thread of its call, and the stack."""
        _, waited, tid, kernel_bytes, *kernel = _RECORD.unpack_from(record)
        stack = RawStack(
            kernel=tuple(kernel[: kernel_bytes // 8]) if kernel_bytes >= 0 else None,
            waited_ns=waited,
            user=user_stacks_kernel.parsed(record[_RECORD.size :]),
            code=self._code,
        )
        return tid, stack


def _at(slot: int, field: str) -> int:
    """Where a field of a slot's struct stands, in words."""
    return (slot * _SLOT.size + _SLOT.offset(field)) // 8
