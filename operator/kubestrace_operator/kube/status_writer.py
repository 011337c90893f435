"""Writing a session's status: one write at a time, ever more rarely, and the last one until it is there."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from kubestrace_operator.kube.errors import ClusterError, NotFoundError, RejectedError

_log = logging.getLogger(__name__)
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
# Between two attempts with a status that nothing can be left out of: the CRD or a policy has to change first.
_REFUSED_SECONDS = 30.0
# What is worth a write of its own waits so long for others of its kind, and there are no more than so many of them.
_SOON_SECONDS = 1.0
_MOST_SOON = 3

Document = Mapping[str, Any]


class StatusWriter:
    """Writes a status whenever one is due."""

    def __init__(
        self,
        write: Callable[[Document], Awaitable[None]],
        build: Callable[[], Awaitable[Document | None]],
        intervals: Iterator[float],
        gone: Callable[[], None],
    ) -> None:
        """`build` makes the document as of now, None when there is nothing to say.

        `intervals` are the seconds between one write and the next. `gone` is called when the session does not exist
        any more.
        """
        self._write = write
        self._build = build
        self._intervals = intervals
        self._gone = gone
        self._urgent = asyncio.Event()
        self._closed = asyncio.Event()
        self._later: asyncio.TimerHandle | None = None
        self._soon_left = _MOST_SOON

    def urgent(self) -> None:
        """Write as soon as possible: a person waits for this."""
        self._urgent.set()

    def soon(self) -> None:
        """Write within a second, together with what comes meanwhile; without effect after a few times."""
        if self._later is None and self._soon_left:
            self._soon_left -= 1
            self.keep()

    def keep(self) -> None:
        """Write within a second what another operator could not find out by itself."""
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(_SOON_SECONDS, self.urgent)

    async def run(self) -> None:
        """Write at once what is urgent, and otherwise at the intervals after the first write; until `close`."""
        attempt, interval = 0, None
        while not self._closed.is_set():
            try:
                async with asyncio.timeout(interval):
                    await self._urgent.wait()
            except TimeoutError:
                pass
            self._urgent.clear()
            self._let_go_of_later()
            if self._closed.is_set():
                return
            attempt = await self._attempt(attempt)
            interval = _backoff(attempt) if attempt else next(self._intervals)

    def close(self) -> None:
        """Let `run` return after the write that is under way: one that is late must not undo the last."""
        self._closed.set()
        self._urgent.set()

    def _let_go_of_later(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None

    async def _attempt(self, attempt: int) -> int:
        document = await self._build()
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


async def write_last(path: str, writes: Sequence[Callable[[], Awaitable[None]]]) -> bool:
    """Write the last status, by the first of these that is not refused; ends when it is written or the session is gone.

    Each says less than the one before; the last is tried again for as long as it takes, since no session may stay
    unfinished. Returns whether it was written. `path` is the session's, for the log.
    """
    attempt = 0
    remaining = list(writes)
    while True:
        try:
            await remaining[0]()
        except NotFoundError:
            return False
        except RejectedError as error:
            _log.error("%s: the final status was refused: %s", path, error)
            if len(remaining) > 1:
                del remaining[0]
            else:
                await asyncio.sleep(_REFUSED_SECONDS)
        except ClusterError as error:
            _log.warning("%s: the final status is not written yet: %s", path, error)
            await asyncio.sleep(_backoff(attempt))
            attempt += 1
        else:
            return True


def growing(first: float, most: float) -> Iterator[float]:
    """Yield intervals that double from the first to the most, for ever."""
    while True:
        yield first
        first = min(most, 2 * first)


def _backoff(attempt: int) -> float:
    return _BACKOFF_SECONDS[min(attempt, len(_BACKOFF_SECONDS) - 1)]
