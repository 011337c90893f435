"""How long containers of a namespace were traced: what a chart's value bounds per hour and per day.

One container that is traced for a second is a container-second. It is counted while sessions run. After a restart the
operator knows what finished sessions say that they used, so what was deleted before is forgotten then. All goes by a
clock that is never set; a date only says when a session of an earlier operator ended.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kubestrace_operator.kube.session_rows import SessionRow

_TICK_SECONDS = 1.0
# What is older is in no window any more; kept by the minute.
_MINUTE_SECONDS = 60
_HOUR_SECONDS = 60 * _MINUTE_SECONDS
_DAY_SECONDS = 24 * _HOUR_SECONDS
# How often what is too old is looked for.
_FORGET_SECONDS = 10 * _MINUTE_SECONDS


@dataclass
class _Followed:
    namespace: str
    # How many containers of it are traced now.
    containers: Callable[[], int]
    # Set when the namespace has used up what it may.
    wake: asyncio.Event
    used: float = 0.0


@dataclass
class Ledger:
    """What each namespace has used. 0: as much as it likes."""

    per_hour: int = 0
    per_day: int = 0
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    # In seconds.
    clock: Callable[[], float] = time.monotonic
    # Container-seconds by namespace and minute, of the clock.
    _used: dict[str, dict[int, float]] = field(default_factory=dict)
    _followed: dict[str, _Followed] = field(default_factory=dict)
    # Sessions that wait, by UID: of which namespace, and what wakes them.
    _waiting: dict[str, tuple[str, asyncio.Event]] = field(default_factory=dict)
    # Finished sessions that are charged already, by UID.
    _charged: set[str] = field(default_factory=set)
    _counted_at: float | None = None

    @property
    def is_on(self) -> bool:
        """Whether anything is bounded."""
        return bool(self.per_hour or self.per_day)

    def used_up(self, namespace: str) -> str:
        """Return what a namespace has used up, in words; empty: nothing."""
        for most, span, words in ((self.per_hour, _HOUR_SECONDS, "an hour"), (self.per_day, _DAY_SECONDS, "a day")):
            if most and self._within(namespace, span) >= most:
                return f"Namespace {namespace} has used its {most} container-seconds of {words}"
        return ""

    def wait(self, uid: str, namespace: str, wake: asyncio.Event) -> None:
        """Set an event when a namespace may be traced again."""
        self._waiting[uid] = namespace, wake

    def follow(self, uid: str, namespace: str, containers: Callable[[], int], wake: asyncio.Event) -> None:
        """Count a session from now on."""
        self._waiting.pop(uid, None)
        if self.is_on and uid not in self._followed:
            self._count()
            self._followed[uid] = _Followed(namespace, containers, wake)

    def take_up(self, uid: str, containers: int, seconds: float) -> None:
        """Charge a followed session with its time before: an earlier operator has begun it."""
        if uid in self._followed:
            self._add(self._followed[uid], containers * seconds)

    def used_by(self, uid: str) -> int | None:
        """Return what a followed session has used, in whole container-seconds, rounded up; None: nobody counts."""
        if uid not in self._followed:
            return None
        self._count()
        return -int(-self._followed[uid].used // 1)

    def leave(self, uid: str) -> None:
        """Count a session no longer, and let it wait no longer."""
        self._waiting.pop(uid, None)
        if uid in self._followed:
            self._count()
            del self._followed[uid]
            self._charged.add(uid)

    def recall(self, row: SessionRow) -> None:
        """Charge what a finished session says that it used under an earlier operator."""
        if not self.is_on or row.uid in self._charged or not row.container_seconds:
            return
        self._charged.add(row.uid)
        try:
            ended = datetime.fromisoformat(row.completed)
        except ValueError:
            return
        if ended.tzinfo is not None:
            seconds_ago = max(0.0, (self.now() - ended).total_seconds())
            self._charge(row.namespace, row.container_seconds, self.clock() - seconds_ago)

    def forget(self, uid: str) -> None:
        """Note that a session's object is gone; what it used stays used."""
        self._charged.discard(uid)

    async def run(self) -> None:
        """Count each second, end sessions of namespaces that have used theirs, and wake those that wait; never ends."""
        forgotten = self.clock()
        while self.is_on:
            await asyncio.sleep(_TICK_SECONDS)
            self._count()
            if self.clock() >= forgotten + _FORGET_SECONDS:
                self._forget_old()
                forgotten = self.clock()
            for each in self._followed.values():
                if self.used_up(each.namespace):
                    each.wake.set()
            for namespace, wake in self._waiting.values():
                if not self.used_up(namespace):
                    wake.set()

    def _count(self) -> None:
        """Charge the time since the last look."""
        now = self.clock()
        seconds = now - (self._counted_at if self._counted_at is not None else now)
        self._counted_at = now
        for each in self._followed.values():
            self._add(each, each.containers() * seconds)

    def _add(self, followed: _Followed, used: float) -> None:
        followed.used += used
        self._charge(followed.namespace, used, self.clock())

    def _charge(self, namespace: str, used: float, at: float) -> None:
        minutes = self._used.setdefault(namespace, {})
        minute = int(at // _MINUTE_SECONDS)
        minutes[minute] = minutes.get(minute, 0.0) + used

    def _within(self, namespace: str, seconds: int) -> float:
        first = (self.clock() - seconds) // _MINUTE_SECONDS
        return sum(used for minute, used in self._used.get(namespace, {}).items() if minute > first)

    def _forget_old(self) -> None:
        """Let go of what no window reaches: also of namespaces that are gone, or trace nothing any more."""
        first = (self.clock() - _DAY_SECONDS) // _MINUTE_SECONDS
        for namespace, minutes in list(self._used.items()):
            kept = {minute: used for minute, used in minutes.items() if minute > first}
            if kept:
                self._used[namespace] = kept
            else:
                del self._used[namespace]
