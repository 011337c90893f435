"""A session's time: what is due, and how long until then. Durations by the loop's clock, dates by the world's."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from kubestrace_operator.sessions.interfaces import Timing
from kubestrace_operator.sessions.session_state import SessionState


class Schedule:
    """The times of one session."""

    def __init__(self, state: SessionState, timing: Timing, now: Callable[[], datetime]) -> None:
        self.duration_seconds = 0
        self._state = state
        self._timing = timing
        self._now = now
        self._clock = asyncio.get_running_loop().time
        self._begun = self._clock()
        self._announce_at = self._begun + timing.settle
        # When this operator first saw that the time is over.
        self._over_at: float | None = None

    def begin_again(self) -> None:
        """Count the waiting from now on: it waited for its turn before."""
        self._begun = self._clock()
        self._announce_at = self._begun + self._timing.settle

    @property
    def remaining(self) -> float:
        """Seconds until the counting ends; negative afterwards."""
        start = self._state.start
        return self.duration_seconds - ((self._now() - start).total_seconds() if start else 0.0)

    @property
    def elapsed(self) -> float:
        """Seconds that were counted."""
        return min(max(0.0, self.duration_seconds - self.remaining), self.duration_seconds)

    @property
    def late(self) -> float:
        """Seconds since this operator saw the end; 0 before.

        One that was away or stopped at the end has its whole time to collect what agents kept.
        """
        return self._clock() - self._over_at if self._over_at is not None else 0.0

    def see_end(self) -> None:
        """Note that the time is over. Idempotent."""
        if self._over_at is None:
            self._over_at = self._clock()

    @property
    def waited_enough(self) -> bool:
        """Whether a session with nothing to trace has waited as long as it would have traced."""
        return self._waited() >= self.duration_seconds

    @property
    def looked_enough(self) -> bool:
        """Whether this operator has had its own time to find something to trace, whoever waited before it."""
        return self._clock() - self._begun >= self._timing.look

    @property
    def worth_a_word(self) -> bool:
        """Whether a session has waited so long that it should say for what."""
        return self._clock() - self._begun >= self._timing.patience

    @property
    def settled(self) -> bool:
        """Whether the slower nodes have had their time to start."""
        return self._clock() >= self._announce_at

    def started(self, seconds_ago: float = 0.0) -> datetime:
        """Return the start, now or some time ago; the slower nodes' time runs from here."""
        self._announce_at = self._clock() + self._timing.settle
        return self._now() - timedelta(seconds=seconds_ago)

    def until_due(self) -> float:
        """Return the seconds until something is due."""
        if self._state.start is None:
            own = self._clock() - self._begun
            due = [self._timing.patience - own, self._timing.look - own, self.duration_seconds - self._waited()]
        else:
            rest = self.remaining
            seen = rest if self._over_at is None else -self.late
            after_end = (self._timing.final, self._timing.streamed, self._timing.grace)
            due = [rest, *(seen + each for each in after_end), self._announce_at - self._clock()]
        return min((each for each in due if each > 0), default=self._timing.retry)

    def _waited(self) -> float:
        first_seen = self._state.first_seen
        since_status = (self._now() - first_seen).total_seconds() if first_seen else 0.0
        return max(since_status, self._clock() - self._begun)
