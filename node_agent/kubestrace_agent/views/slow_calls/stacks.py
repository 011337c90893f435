"""Stacks of slow calls as the wire carries them: lists of words, the innermost function first.

Words in brackets are no functions: they say why there is none. Used by slow_calls; the Collector counts what is lost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakValueDictionary

from kubestrace_agent.symbols.names import Question
from kubestrace_agent.symbols.naming import Place, Stack
from kubestrace_agent.symbols.unwind import Registers
from kubestrace_agent.text import safe
from kubestrace_agent.views.loss import Loss
from kubestrace_agent.views.slow_calls.sources import STACKS
from kubestrace_agent.views.view import Collector, put_lost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kubestrace_agent.symbols.frames import CodeMapping, UserFrame
    from kubestrace_agent.symbols.roots import Owner
    from kubestrace_agent.views.slow_calls.values import RawStack, SlowCall
    from kubestrace_protos.v1 import agent_pb2

_MOST_FRAMES = 16
_MOST_NAME = 120
_DID_NOT_SLEEP, _UNKNOWN, _NO_FILE = "[did not sleep]", "[not known]", "[code of no file]"
# What a stack has above every sleep, and below every call: the scheduler with our program, and the call's entry.
_SCHEDULER = frozenset({"__schedule", "schedule", "preempt_schedule_common", "__cond_resched"})
_ENTRY = re.compile(r"(entry_SYSCALL|do_syscall_64|x64_sys_call|do_int80|do_fast_syscall|el0|do_el0|invoke_syscall).*")
# Addresses below are none: the kernel follows whatever stands where a frame pointer is expected.
_LEAST_ADDRESS = 4096
# For an address between two mappings the kernel names the file of the next one, with an offset below zero.
_LEAST_WRONG_OFFSET = 1 << 63
# _ZN, then lengths with names, as of C++ and of Rust; a Rust name ends with a hash.
_PART = re.compile(rb"([1-9][0-9]{0,2})")
_HASH = re.compile(rb"h[0-9a-f]{16}")


@dataclass(eq=False)
class Lost(Collector):
    """The Collector of stacks: they come with the slow calls, it counts those that did not."""

    name: ClassVar[str] = "stacks"
    part: ClassVar[str] = STACKS
    # The slow calls are there without them.
    unavailable: ClassVar[str] = "StacksUnavailable"
    loss: Loss = field(default_factory=Loss)

    def begin(self, monotonic_ns: int, lost: int) -> None:  # noqa: ARG002 - as Collector has it
        """Count from now on."""
        self.loss.begin(lost)

    def take(self, reported: Any, lost: int, unix_minus_monotonic_ns: int) -> None:  # noqa: ARG002
        """Count."""
        self.loss.now = lost

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Tell how many."""
        put_lost(report, self.name, self.loss.own)


class ReportedStacks:
    """The stacks of one call, from when the kernel reported them until they are named."""

    def __init__(self, owner: Owner, call: SlowCall, raw: RawStack, mappings: Sequence[CodeMapping]) -> None:
        """Take what the kernel knows at once: its own names, and what the process has mapped while it lives."""
        # As long as this lives no other stack has its id().
        self._raw = raw
        self.kernel = _bounded(kernel_words(raw))
        frames = code_frames(raw.user)
        registers = None
        if raw.words and frames:
            registers = Registers(frames[0].address, raw.stack_pointer, raw.frame_pointer, raw.words)
        self.question = Question(Stack(owner, call.pid, call.inner_pid, frames, mappings, registers))

    def user(self) -> list[str]:
        """Give the words of the user's stack, as well as they are known now."""
        stack = self.question.stack
        places = self.question.answer or [stack.place(frame) for frame in stack.followed]
        return _bounded([user_word(place) for place in places]) or [_UNKNOWN]


# By owner and id() of the stack: sessions that trace one container get the same calls.
_shared: WeakValueDictionary[tuple[Owner, int], ReportedStacks] = WeakValueDictionary()


def shared(
    owner: Owner, call: SlowCall, raw: RawStack, mappings: Callable[[int], Sequence[CodeMapping]]
) -> ReportedStacks:
    """Give the stacks of a call that another session has made, or make it. `mappings` gives those of a process."""
    known = _shared.get((owner, id(raw)))
    if known is None:
        known = _shared[owner, id(raw)] = ReportedStacks(owner, call, raw, mappings(call.pid))
    return known


def code_frames(frames: Sequence[UserFrame]) -> tuple[UserFrame, ...]:
    """Leave out what cannot be the address of code."""
    return tuple(each for each in frames if each.address >= _LEAST_ADDRESS and each.offset < _LEAST_WRONG_OFFSET)


def kernel_words(raw: RawStack) -> list[str]:
    """Name where a call waited, without what is the same in each: the scheduler, and the entry of calls."""
    if raw.kernel is None:
        return [_UNKNOWN]
    if not raw.kernel:
        return [_DID_NOT_SLEEP]
    names = [name or "[no name]" for name in raw.code.kernel_names(raw.kernel)]
    inner = max((at + 1 for at, name in enumerate(names[:10]) if name in _SCHEDULER), default=0)
    outer = len(names)
    while outer > inner and _ENTRY.fullmatch(names[outer - 1]):
        outer -= 1
    return [safe(name.encode(), _MOST_NAME) for name in names[inner:outer]] or [_UNKNOWN]


@lru_cache(maxsize=4096)
def user_word(place: Place) -> str:
    """Name one frame: fsync+0x10 (libc.so.6), app+0x1139 (build id 5f0c...) where no symbol is known."""
    mapping, build_id, name = place.mapping, place.frame.build_id, place.name
    path = mapping.path.removesuffix(b" (deleted)") if mapping else b""
    file = safe(path.rpartition(b"/")[2], _MOST_NAME)
    if name:
        return f"{safe(plain(name.text), _MOST_NAME)}+{name.plus:#x}" + (f" ({file})" if file else "")
    if build_id:
        return f"{file or '[file]'}+{place.offset:#x} (build id {build_id.hex()})"
    if file:
        return f"{file}+{place.offset:#x}"
    return _NO_FILE if mapping else _UNKNOWN


def plain(name: bytes) -> bytes:
    """Give a C++ or Rust name as it is written where it is made of names only: a::b::c; others as they are."""
    parts, at = [], 4 if name.startswith(b"_ZNK") else 3 if name.startswith(b"_ZN") else 0
    while at and (length := _PART.match(name, at)):
        end = length.end() + int(length[1])
        parts.append(name[length.end() : end])
        at = end
    if not parts or name[at : at + 1] != b"E" or at > len(name):
        return name
    if _HASH.fullmatch(parts[-1]):
        parts.pop()
    return b"::".join(parts)


def _bounded(words: list[str]) -> list[str]:
    if len(words) <= _MOST_FRAMES:
        return words
    return [*words[: _MOST_FRAMES - 1], f"[{len(words) - _MOST_FRAMES + 1} more]"]
