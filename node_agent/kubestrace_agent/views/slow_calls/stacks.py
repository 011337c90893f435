"""Stacks of slow calls as the wire carries them: lists of words, the innermost function first.

Words in brackets are no functions: they say why there is none. Used by slow_calls; the Collector counts what is lost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakValueDictionary

from kubestrace_agent.text import safe
from kubestrace_agent.views import user_stacks
from kubestrace_agent.views.loss import Loss
from kubestrace_agent.views.slow_calls.sources import STACKS
from kubestrace_agent.views.user_stacks import MOST_NAME, UNKNOWN
from kubestrace_agent.views.view import Collector, put_lost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubestrace_agent.symbols.roots import Owner
    from kubestrace_agent.views.redaction import Redaction
    from kubestrace_agent.views.slow_calls.values import RawStack, SlowCall
    from kubestrace_protos.v1 import agent_pb2

_MOST_FRAMES = 16
_DID_NOT_SLEEP = "[did not sleep]"
# What a stack has above every sleep, and below every call: the scheduler with our program, and the call's entry.
_SCHEDULER = frozenset({"__schedule", "schedule", "preempt_schedule_common", "__cond_resched"})
_ENTRY = re.compile(r"(entry_SYSCALL|do_syscall_64|x64_sys_call|do_int80|do_fast_syscall|el0|do_el0|invoke_syscall).*")


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

    def __init__(self, owner: Owner, call: SlowCall, raw: RawStack, mappings: user_stacks.Ask) -> None:
        """Take what the kernel knows at once: its own names, and what the process has mapped while it lives."""
        # As long as this lives no other stack has its id().
        self._raw = raw
        self.kernel = user_stacks.bounded(kernel_words(raw), _MOST_FRAMES)
        self.question = user_stacks.question(owner, call.pid, call.inner_pid, raw.user, mappings)

    def user(self, redaction: Redaction) -> Sequence[str]:
        """Give the words of the user's stack, as well as they are known now."""
        stack = self.question.stack
        places = self.question.answer or [stack.place(frame) for frame in stack.followed]
        return user_stacks.words(places, user_stacks.user_word, redaction, _MOST_FRAMES) or (UNKNOWN,)


# By owner and id() of the stack: sessions that trace one container get the same calls.
_shared: WeakValueDictionary[tuple[Owner, int], ReportedStacks] = WeakValueDictionary()


def shared(owner: Owner, call: SlowCall, raw: RawStack, mappings: user_stacks.Ask) -> ReportedStacks:
    """Give the stacks of a call that another session has made, or make it. `mappings` gives those of a process."""
    known = _shared.get((owner, id(raw)))
    if known is None:
        known = _shared[owner, id(raw)] = ReportedStacks(owner, call, raw, mappings)
    return known


def kernel_words(raw: RawStack) -> list[str]:
    """Name where a call waited, without what is the same in each: the scheduler, and the entry of calls."""
    if raw.kernel is None:
        return [UNKNOWN]
    if not raw.kernel:
        return [_DID_NOT_SLEEP]
    names = [name or "[no name]" for name in raw.code.kernel_names(raw.kernel)]
    inner = max((at + 1 for at, name in enumerate(names[:10]) if name in _SCHEDULER), default=0)
    outer = len(names)
    while outer > inner and _ENTRY.fullmatch(names[outer - 1]):
        outer -= 1
    return [_kernel_word(name) for name in names[inner:outer]] or [UNKNOWN]


@lru_cache(maxsize=4096)
def _kernel_word(name: str) -> str:
    return safe(name.encode(), MOST_NAME)
