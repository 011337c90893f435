"""Writing a session's status: one write at a time, not too often, and the last one until it is there."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kubestrace_operator.kube.errors import ClusterError, NotFoundError, RejectedError

_log = logging.getLogger(__name__)
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)

Document = Mapping[str, Any]


class Publisher:
    """Takes a document whenever one is due and writes it."""

    def __init__(
        self,
        write: Callable[[Document], Awaitable[None]],
        build: Callable[[], Document | None],
        interval_seconds: float,
        gone: Callable[[], None],
    ) -> None:
        """`build` makes the document as of now, None when there is nothing to say.

        `gone` is called when there is no session to write to any more.
        """
        self._write = write
        self._build = build
        self._interval_seconds = interval_seconds
        self._gone = gone
        self._urgent = asyncio.Event()
        self._closed = asyncio.Event()

    def urgent(self) -> None:
        """Write as soon as possible: a person waits for this."""
        self._urgent.set()

    async def run(self) -> None:
        """Write at once what is urgent, and otherwise once in an interval after the first write; until `close`."""
        attempt, interval = 0, None
        while not self._closed.is_set():
            try:
                async with asyncio.timeout(interval):
                    await self._urgent.wait()
            except TimeoutError:
                pass
            self._urgent.clear()
            if self._closed.is_set():
                return
            attempt = await self._attempt(attempt)
            interval = _backoff(attempt) if attempt else self._interval_seconds

    def close(self) -> None:
        """Let `run` return after the write that is under way: one that is late must not undo the last."""
        self._closed.set()
        self._urgent.set()

    async def finish(self, document: Document, minimal: Document) -> None:
        """Write the last document; when it is refused, one that only says that the session has ended."""
        attempt = 0
        while True:
            try:
                await self._write(document)
            except NotFoundError:
                return
            except RejectedError as error:
                if document == minimal:
                    raise
                _log.error("the final status was refused, writing a minimal one: %s", error)
                document = minimal
            except ClusterError as error:
                _log.warning("the final status is not written yet: %s", error)
                await asyncio.sleep(_backoff(attempt))
                attempt += 1
            else:
                return

    async def _attempt(self, attempt: int) -> int:
        document = self._build()
        if document is None:
            return 0
        try:
            await self._write(document)
        except NotFoundError:
            self._gone()
        except ClusterError as error:
            _log.warning("the status is not written yet: %s", error)
            return attempt + 1
        return 0


def _backoff(attempt: int) -> float:
    return _BACKOFF_SECONDS[min(attempt, len(_BACKOFF_SECONDS) - 1)]
