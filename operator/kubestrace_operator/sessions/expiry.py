"""Deleting finished sessions whose spec.ttlSecondsAfterFinished has passed."""

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from kubestrace_operator.kube.errors import ClusterError, NotFoundError
from kubestrace_operator.kube.session_rows import SessionRow

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 5.0
_RETRY_MOST_SECONDS = 300.0
# Entries of the queue beyond those that are due, before it is made anew.
_STALE_ENTRIES = 1024


@dataclass
class _Due:
    """One session that is to be deleted."""

    row: SessionRow
    # By the loop's clock.
    at: float
    failures: int = 0


class Expiry:
    """The finished sessions that are to be deleted, the next one first.

    Dates say how much of a TTL is left when a session is first seen; from then on the loop's clock counts, which is
    never set. So a step of the world's clock neither deletes results early nor keeps them.
    """

    def __init__(self, delete: Callable[[SessionRow], Awaitable[None]], now: Callable[[], datetime]) -> None:
        """`delete` raises NotFoundError when the session is gone, and ClusterError when it should be tried again."""
        self._delete = delete
        self._now = now
        self._clock = asyncio.get_running_loop().time
        self._due: dict[str, _Due] = {}
        self._queue: list[tuple[float, str]] = []
        # Until the watch says that they are gone: one that is behind must not have them deleted again.
        self._deleted: set[str] = set()
        self._changed = asyncio.Event()

    def note(self, row: SessionRow) -> None:
        """Take over a finished session; without a TTL it is never deleted."""
        if row.uid in self._deleted:
            return
        known = self._due.get(row.uid)
        if known is not None and _key(known.row) == _key(row):
            known.row = row
            return
        left = _seconds_left(row, self._now())
        if left is None:
            self._due.pop(row.uid, None)
            return
        self._schedule(_Due(row, self._clock() + left))

    def forget(self, uid: str) -> None:
        """Let go of a session that is gone or going."""
        self._due.pop(uid, None)
        self._deleted.discard(uid)

    async def run(self) -> None:
        """Delete each session when it is due, one after the other; never ends. Sleeps while none is due."""
        while True:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds()):
                    await self._changed.wait()
                    continue
            await self._delete_next()

    def _schedule(self, due: _Due) -> None:
        self._due[due.row.uid] = due
        heapq.heappush(self._queue, (due.at, due.row.uid))
        if len(self._queue) > 2 * len(self._due) + _STALE_ENTRIES:
            self._queue = [(each.at, uid) for uid, each in self._due.items()]
            heapq.heapify(self._queue)
        self._changed.set()

    def _seconds(self) -> float | None:
        """Return the seconds until the next look; None while there is nothing to delete."""
        return max(0.0, self._queue[0][0] - self._clock()) if self._queue else None

    async def _delete_next(self) -> None:
        if not self._queue or self._queue[0][0] > self._clock():
            return
        at, uid = heapq.heappop(self._queue)
        due = self._due.get(uid)
        if due is None or due.at != at:
            return
        row = due.row
        try:
            await self._delete(row)
        except NotFoundError:
            self._due.pop(uid, None)
        except ClusterError as error:
            _log.warning("%s: could not be deleted at the end of its TTL: %s", row.path, error)
            self._try_later(due)
        else:
            _log.info("%s: deleted %s s after it had finished", row.path, row.ttl_seconds)
            if self._due.pop(uid, None) is not None:
                self._deleted.add(uid)

    def _try_later(self, due: _Due) -> None:
        """Try one again that could not be deleted, later each time; others that are due do not wait for it."""
        if self._due.get(due.row.uid) is not due:
            # It has gone meanwhile, or its TTL was changed.
            return
        due.at = self._clock() + min(_RETRY_SECONDS * 2**due.failures, _RETRY_MOST_SECONDS)
        due.failures += 1
        self._schedule(due)


def _key(row: SessionRow) -> tuple[str, int | None]:
    """Return what decides when a session is deleted."""
    return row.completed, row.ttl_seconds


def _seconds_left(row: SessionRow, now: datetime) -> float | None:
    """Return how much of the TTL is left; None: it is never deleted. One that ends in the future ends now."""
    if row.ttl_seconds is None or not row.completed:
        return None
    try:
        completed = datetime.fromisoformat(row.completed)
    except ValueError:
        return None
    if completed.tzinfo is None:
        completed = completed.replace(tzinfo=UTC)
    return row.ttl_seconds - max(0.0, (now - completed).total_seconds())
