"""How containers ended that ran before their session was told: the runtime is asked once for all sessions.

Those that are counted from their first call are followed by pods. Used by registry, on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from kubestrace_agent.containers import lives
from kubestrace_agent.containers.lives import Life
from kubestrace_agent.traces import reports

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubestrace_agent.containers.resolver import Runtime
    from kubestrace_agent.traces.attach import TracerThread
    from kubestrace_agent.traces.reports import TracedContainer

_log = logging.getLogger(__name__)


class Endings:
    """Look-ups of how containers ended; each container is looked up once, and written into all its rows."""

    def __init__(self, runtime: Runtime | None, thread: TracerThread) -> None:
        """`runtime` is None where there is none to be asked."""
        self._runtime = runtime
        self._thread = thread
        # By container ID.
        self._rows: dict[str, list[TracedContainer]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def look(self, containers: Iterable[TracedContainer]) -> None:
        """Ask for those that have ended since this was called last."""
        for traced in containers:
            if traced.has_ended and not traced.end_asked:
                traced.end_asked = True
                self._ask(traced)

    def _ask(self, traced: TracedContainer) -> None:
        runtime, container_id = self._runtime, traced.state.container.container_id.rpartition("://")[2]
        if runtime is None:
            return
        if container_id in self._rows:
            self._rows[container_id].append(traced)
            return
        self._rows[container_id] = [traced]
        self._tasks[container_id] = asyncio.get_running_loop().create_task(self._find(runtime, container_id))

    async def _find(self, runtime: Runtime, container_id: str) -> None:
        try:
            known = await lives.ending(runtime, Life(container_id))
            await self._thread.call(reports.write_end, self._rows.pop(container_id), known)
        except Exception:  # noqa: BLE001 - the row is there without its end
            _log.exception("how container %s ended is not known", container_id[:100])
        finally:
            self._rows.pop(container_id, None)
            self._tasks.pop(container_id, None)

    async def settle(self, containers: Iterable[TracedContainer], within_seconds: float) -> None:
        """Wait until it is known how these have ended, but not for long."""
        asked = {each.state.container.container_id.rpartition("://")[2] for each in containers if each.end_asked}
        tasks = [self._tasks[container_id] for container_id in asked if container_id in self._tasks]
        if tasks:
            await asyncio.wait(tasks, timeout=within_seconds)

    async def close(self) -> None:
        """Ask nothing any more."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
