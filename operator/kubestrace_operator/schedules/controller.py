"""All schedules of a cluster: each has a task of its own, and hears of the sessions that it has made."""

import asyncio
import logging
from collections.abc import AsyncIterator

from kubestrace_operator.kube.session_rows import SessionRow
from kubestrace_operator.kube.watches import Changes, Document
from kubestrace_operator.schedules.interfaces import Surroundings
from kubestrace_operator.schedules.schedule import Schedule

_log = logging.getLogger(__name__)
# After a fault in the operator itself, before the schedule is served anew.
_FAULT_SECONDS = 30.0


class Schedules:
    """The schedules that this operator serves."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._schedules: dict[str, Schedule] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        # The schedule of each session that has one, by UIDs: of a session that is gone nothing else is known.
        self._of_session: dict[str, str] = {}

    async def follow(self, changes: AsyncIterator[Changes[Document]]) -> None:
        """Serve the schedules of a watch; ends when it does."""
        async for each in changes:
            for uid, body in each.items.items():
                if body is None or body["metadata"].get("deletionTimestamp"):
                    self._gone(uid)
                else:
                    self._see(uid, body)

    async def overhear(self, changes: AsyncIterator[Changes[SessionRow]]) -> AsyncIterator[Changes[SessionRow]]:
        """Pass on the changes of sessions, and tell schedules of theirs."""
        async for each in changes:
            for uid, row in each.items.items():
                self._tell(uid, row)
            yield each

    async def close(self) -> None:
        """Let go of all schedules."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _see(self, uid: str, body: Document) -> None:
        known = self._schedules.get(uid)
        if known is not None:
            known.change(body)
            return
        self._schedules[uid] = Schedule(body, self._around)
        self._tasks[uid] = asyncio.create_task(self._serve(uid))

    def _gone(self, uid: str) -> None:
        self._schedules.pop(uid, None)
        task = self._tasks.pop(uid, None)
        if task is not None:
            task.cancel()

    def _tell(self, uid: str, row: SessionRow | None) -> None:
        if row is not None and row.schedule_uid:
            self._of_session[uid] = row.schedule_uid
        schedule = self._schedules.get(self._of_session.get(uid, ""))
        if row is None:
            self._of_session.pop(uid, None)
        if schedule is not None:
            schedule.look_again()

    async def _serve(self, uid: str) -> None:
        path = self._schedules[uid].row.path
        _log.info("%s: schedule taken up", path)
        while uid in self._schedules:
            try:
                await self._schedules[uid].run()
            except Exception:  # noqa: BLE001 -- whatever it is, the other schedules go on
                _log.exception("%s: the schedule failed unexpectedly", path)
                await asyncio.sleep(_FAULT_SECONDS)
            else:
                return
