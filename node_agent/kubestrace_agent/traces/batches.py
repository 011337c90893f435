"""Work that many ask for at the same time, done in one go. Used by attach and registry."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Batches(Generic[_Item, _Result]):
    """Collects what is asked for while earlier work goes on, and passes all of it to `work` in one call.

    `work` returns one result for each item, in their order; a result that is an exception is raised for its item alone.
    It may return fewer, one at least: the other items come first in its next call. `gather_seconds` says how long to
    wait for others before a call.
    """

    def __init__(
        self,
        work: Callable[[list[_Item]], Awaitable[Sequence[_Result | Exception]]],
        gather_seconds: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._work = work
        self._gather_seconds = gather_seconds
        self._waiting: list[tuple[_Item, asyncio.Future[_Result]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def ask(self, item: _Item) -> _Result:
        """Have one item done with all others that wait. An item is done even if its caller goes away."""
        future: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                if (seconds := self._gather_seconds()) > 0:
                    await asyncio.sleep(seconds)
                taken, self._waiting = self._waiting, []
                try:
                    results = await self._work([item for item, _ in taken])
                except Exception as error:  # noqa: BLE001 - whoever asked gets it
                    results = [error] * len(taken)
                self._waiting[:0] = taken[len(results) :]
                for (_, future), result in zip(taken, results, strict=False):
                    _answer(future, result)
        finally:
            self._worker = None


def _answer(future: asyncio.Future[_Result], result: _Result | Exception) -> None:
    if future.done():  # its caller went away
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
