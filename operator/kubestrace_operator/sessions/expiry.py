"""Deleting finished sessions whose spec.ttlSecondsAfterFinished has passed."""

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from kubestrace_operator.kube.errors import ClusterError, NotFoundError
from kubestrace_operator.kube.session_rows import SessionRow

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 5.0
# A clock that is set meanwhile is noticed after this.
_LOOK_SECONDS = 60.0


class Expiry:
    """The finished sessions that are to be deleted, the next one first."""

    def __init__(self, delete: Callable[[SessionRow], Awaitable[None]], now: Callable[[], datetime]) -> None:
        """`delete` raises NotFoundError when the session is gone, and ClusterError when it should be tried again."""
        self._delete = delete
        self._now = now
        self._due: dict[str, tuple[datetime, SessionRow]] = {}
        self._queue: list[tuple[datetime, str]] = []
        self._changed = asyncio.Event()

    def note(self, row: SessionRow) -> None:
        """Take over a finished session; without a TTL it is never deleted."""
        due = _due(row)
        if due is None:
            self.forget(row.uid)
            return
        if self._due.get(row.uid, (None,))[0] != due:
            heapq.heappush(self._queue, (due, row.uid))
            self._changed.set()
        self._due[row.uid] = (due, row)

    def forget(self, uid: str) -> None:
        """Let go of a session that is gone, or whose TTL was taken away."""
        self._due.pop(uid, None)

    async def run(self) -> None:
        """Delete each session when it is due, one after the other; never ends."""
        while True:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds()):
                    await self._changed.wait()
                    continue
            await self._delete_next()

    def _seconds(self) -> float | None:
        """Return the seconds until the next look; None while there is nothing to delete."""
        if not self._queue:
            return None
        return min(max(0.0, (self._queue[0][0] - self._now()).total_seconds()), _LOOK_SECONDS)

    async def _delete_next(self) -> None:
        if not self._queue or self._queue[0][0] > self._now():
            return
        due, uid = heapq.heappop(self._queue)
        known = self._due.get(uid)
        if known is None or known[0] != due:
            return
        row = known[1]
        try:
            await self._delete(row)
        except NotFoundError:
            pass
        except ClusterError as error:
            _log.warning("%s: could not be deleted at the end of its TTL: %s", row.path, error)
            heapq.heappush(self._queue, (due, uid))
            await asyncio.sleep(_RETRY_SECONDS)
            return
        else:
            _log.info("%s: deleted %s s after it had finished", row.path, row.ttl_seconds)
        self.forget(uid)


def _due(row: SessionRow) -> datetime | None:
    if row.ttl_seconds is None or not row.completed:
        return None
    try:
        completed = datetime.fromisoformat(row.completed)
    except ValueError:
        return None
    if completed.tzinfo is None:
        completed = completed.replace(tzinfo=UTC)
    return completed + timedelta(seconds=row.ttl_seconds)
