"""Names for stacks in a thread of their own. Used by stacks.

A container's file may be huge, hostile or on a dead network: whoever asks goes on meanwhile, and asks again.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kubestrace_agent.symbols.naming import Naming, Place, Stack

_log = logging.getLogger(__name__)

_MOST_QUESTIONS = 512
# Of waiting for answers in the thread that asks: saved up to so much, so much more each second.
_PATIENCE_SECONDS, _PATIENCE_A_SECOND = 0.5, 0.05


@dataclass(eq=False)
class Question:
    """A stack to be named; the answer is there when `done` is set."""

    stack: Stack
    answer: Sequence[Place] | None = None
    done: threading.Event = field(default_factory=threading.Event)
    asked: bool = False


class Names:
    """Answers questions, one after the other."""

    def __init__(self, naming: Naming) -> None:
        self._naming = naming
        self._questions: queue.Queue[Question] = queue.Queue(_MOST_QUESTIONS)
        self._thread: threading.Thread | None = None
        self._patience, self._patience_at = _PATIENCE_SECONDS, time.monotonic()

    def ask(self, questions: Iterable[Question]) -> None:
        """Have questions answered; those that find no room are to be asked again."""
        for question in questions:
            if question.asked:
                continue
            try:
                self._questions.put_nowait(question)
            except queue.Full:
                return
            question.asked = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="names", daemon=True)
                self._thread.start()

    def wait(self, questions: Iterable[Question]) -> None:
        """Wait for answers, as long as there is patience."""
        now = time.monotonic()
        self._patience = min(_PATIENCE_SECONDS, self._patience + (now - self._patience_at) * _PATIENCE_A_SECOND)
        for question in questions:
            question.done.wait(max(0.0, self._patience - (time.monotonic() - now)))
        self._patience_at = time.monotonic()
        self._patience = max(0.0, self._patience - (self._patience_at - now))

    def _work(self) -> None:
        while True:
            question = self._questions.get()
            try:
                question.answer = self._naming.named(question.stack)
            except Exception:  # noqa: BLE001 - a hostile file must not end the thread
                _log.exception("the stack of process %d cannot be named", question.stack.pid)
            question.done.set()
