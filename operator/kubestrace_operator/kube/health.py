"""Whether the operator does its work: what its liveness probe tells.

An event loop that stands still answers no probe at all. A watch that has stalled is found by looking past it: a
session that nobody has taken up, twice in a row, has not been delivered. An API server that is away is no reason to
restart: a new operator would not reach it either.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from kubestrace_operator.kube.errors import ClusterError

_log = logging.getLogger(__name__)
INTERVAL_SECONDS = 30.0


class Health:
    """The latest finding."""

    def __init__(self, unseen: Callable[[], Awaitable[set[str]]], interval_seconds: float = INTERVAL_SECONDS) -> None:
        """`unseen` returns the sessions that have no phase yet, read past the watch."""
        self._unseen = unseen
        self._interval_seconds = interval_seconds
        self._waiting: set[str] = set()
        self._problem: str | None = None

    def problem(self) -> str | None:
        """Return what is wrong, None when all is well."""
        return self._problem

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(self._interval_seconds)
            await self._look()

    async def _look(self) -> None:
        try:
            unseen = await self._unseen()
        except ClusterError as error:
            _log.warning("the sessions could not be listed: %s", error)
            return
        stale, self._waiting = unseen & self._waiting, unseen
        self._problem = None
        if stale:
            self._problem = f"the watch has stalled: {', '.join(sorted(stale)[:5])} was never delivered"
            _log.error(self._problem)
