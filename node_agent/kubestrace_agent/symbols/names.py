"""Names for stacks in a thread of their own. Used by stacks.

A container's file may be huge, hostile or on a dead network: whoever asks goes on meanwhile, and asks again. Owners are
served in turn, so that one with many or slow stacks holds up the others by one stack at a time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kubestrace_agent.symbols.naming import Naming, Place, Stack
    from kubestrace_agent.symbols.roots import Owner

_log = logging.getLogger(__name__)

# Of all owners, and of one.
_MOST_QUESTIONS = 2048
_MOST_OF_ONE = 128
# Of waiting for answers in the thread that asks: saved up to so much, so much more each second.
_PATIENCE_SECONDS, _PATIENCE_A_SECOND = 0.5, 0.05


@dataclass(eq=False)
class Question:
    """A stack to be named; the answer is there when it is done."""

    stack: Stack
    answer: Sequence[Place] | None = None
    done: bool = False
    asked: bool = False


class _Turns:
    """Questions that wait, by owner; bounded, and given out one of each owner after the other."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # The owner whose turn it is stands first.
        self._waiting: OrderedDict[Owner, deque[Question]] = OrderedDict()
        self._count = 0

    def put(self, questions: Iterable[Question]) -> None:
        """Add questions, as far as there is room; who waits for one wakes up once for all of them."""
        with self._changed:
            for question in questions:
                question.asked = self._put(question)
            self._changed.notify()

    def _put(self, question: Question) -> bool:
        own = self._waiting.get(question.stack.owner, ())
        if self._count >= _MOST_QUESTIONS or len(own) >= _MOST_OF_ONE:
            return False
        self._waiting.setdefault(question.stack.owner, deque()).append(question)
        self._count += 1
        return True

    def get(self) -> Question:
        """Wait for a question, and take it."""
        with self._changed:
            self._changed.wait_for(lambda: self._count > 0)
            owner, own = self._waiting.popitem(last=False)
            question = own.popleft()
            self._count -= 1
            if own:
                self._waiting[owner] = own
            return question


class Names:
    """Answers questions, one after the other."""

    def __init__(self, naming: Naming) -> None:
        self._naming = naming
        self._turns = _Turns()
        self._thread: threading.Thread | None = None
        # Whoever waits for an answer: a thousand questions a second are not worth an event each.
        self._answered = threading.Condition()
        self._patience, self._patience_at = _PATIENCE_SECONDS, time.monotonic()

    def ask(self, questions: Iterable[Question]) -> None:
        """Have questions answered; those that find no room are to be asked again."""
        new = [question for question in questions if not question.asked]
        if new:
            self._turns.put(new)
            self._start()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="names", daemon=True)
            self._thread.start()

    def wait(self, questions: Iterable[Question]) -> None:
        """Wait for answers, as long as there is patience."""
        now = time.monotonic()
        self._patience = min(_PATIENCE_SECONDS, self._patience + (now - self._patience_at) * _PATIENCE_A_SECOND)
        # One that found no room is not waited for.
        waiting = [question for question in questions if question.asked and not question.done]
        if waiting:
            with self._answered:
                self._answered.wait_for(lambda: all(question.done for question in waiting), self._patience)
        self._patience_at = time.monotonic()
        self._patience = max(0.0, self._patience - (self._patience_at - now))

    def _work(self) -> None:
        while True:
            question = self._turns.get()
            try:
                question.answer = self._naming.named(question.stack)
            except Exception:  # noqa: BLE001 - a hostile file must not end the thread
                _log.exception("the stack of process %d cannot be named", question.stack.pid)
            with self._answered:
                question.done = True
                self._answered.notify_all()
