"""Work beside the event loop, so that it can go on meanwhile: what is short does not wait for what is long."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

_Result = TypeVar("_Result")

# One thread for each: more would wait for each other, and each would hold a status under construction. Where sessions
# end faster than their results can be made, those that begin are still told that they trace.
_SHORT = ThreadPoolExecutor(1, thread_name_prefix="totals")
_LONG = ThreadPoolExecutor(1, thread_name_prefix="result")


class Offload(Protocol):
    """Runs work beside the event loop."""

    def __call__(self, work: Callable[[], _Result], /, *, long: bool = False) -> Awaitable[_Result]:
        """Return what the work returns. `long`: it takes tens of milliseconds, as a whole result does."""
        ...


def beside_the_loop(work: Callable[[], _Result], /, *, long: bool = False) -> Awaitable[_Result]:
    """Run work in its thread, after all of its kind that was given before."""
    return asyncio.get_running_loop().run_in_executor(_LONG if long else _SHORT, work)
