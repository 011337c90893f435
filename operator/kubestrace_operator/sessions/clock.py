"""A session's time: what is due, and how long until then. Durations by the loop's clock, dates by the world's.

Dates say how much passed under an earlier operator; from then on the loop's clock counts, which is never set. So a step
of the world's clock makes no session shorter or longer.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from kubestrace_operator.sessions.interfaces import Timing
from kubestrace_operator.sessions.session_state import SessionState

# The two clocks may run at slightly different speeds.
_STEP_SECONDS = 1.0


class Schedule:
    """The times of one session."""

    def __init__(self, state: SessionState, timing: Timing, now: Callable[[], datetime]) -> None:
        self.duration_seconds = 0
        self._state = state
        self._timing = timing
        self._now = now
        self._clock = asyncio.get_running_loop().time
        self._begun = self._clock()
        self._waiting_since = self._begun - self._seconds_since(state.first_seen)
        # None: nothing is counted yet.
        self._counting_since = None if state.start is None else self._begun - self._seconds_since(state.start)
        self._announce_at = self._begun + timing.settle
        # When this operator first saw that the time is over.
        self._over_at: float | None = None

    def begin_again(self) -> None:
        """Count the waiting from now on: it waited for its turn before."""
        self._begun = self._waiting_since = self._clock()
        self._announce_at = self._begun + self._timing.settle

    @property
    def remaining(self) -> float:
        """Seconds until the counting ends; negative afterwards."""
        since = self._counting_since
        return self.duration_seconds - (self._clock() - since if since is not None else 0.0)

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
        self._counting_since = self._clock() - seconds_ago
        return self._now() - timedelta(seconds=seconds_ago)

    def follow_clock(self) -> None:
        """Have the start by the world's clock as it is now: it may have been set since, and the end will go by it."""
        if self._state.start is None or self._counting_since is None:
            return
        start = self._now() - timedelta(seconds=self._clock() - self._counting_since)
        if abs((start - self._state.start).total_seconds()) > _STEP_SECONDS:
            self._state.start = start

    def until_due(self) -> float:
        """Return the seconds until something is due."""
        if self._counting_since is None:
            own = self._clock() - self._begun
            due = [self._timing.patience - own, self._timing.look - own, self.duration_seconds - self._waited()]
        else:
            rest = self.remaining
            seen = rest if self._over_at is None else -self.late
            after_end = (self._timing.final, self._timing.streamed, self._timing.grace)
            due = [rest, *(seen + each for each in after_end), self._announce_at - self._clock()]
        return min((each for each in due if each > 0), default=self._timing.retry)

    def _waited(self) -> float:
        return self._clock() - self._waiting_since

    def _seconds_since(self, moment: datetime | None) -> float:
        """Return how long ago an earlier operator's date was; one that is in the future by our clock was just now."""
        return max(0.0, (self._now() - moment).total_seconds()) if moment else 0.0
