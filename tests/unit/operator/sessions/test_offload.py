"""Work beside the event loop."""

import asyncio
import threading
import time
from functools import partial

from kubestrace_operator.sessions.offload import beside_the_loop


def test_short_work_does_not_wait_for_long_work() -> None:
    """A session that begins says so, however many results are being made."""

    async def both() -> tuple[str, bool]:
        may_end = threading.Event()
        long = asyncio.ensure_future(beside_the_loop(lambda: may_end.wait(60), long=True))
        short = await beside_the_loop(lambda: "short")
        waits = not long.done()
        may_end.set()
        return (short, waits) if await long else ("the long one was not let go", waits)

    assert asyncio.run(both()) == ("short", True)


def test_of_long_works_one_is_done_at_a_time() -> None:
    """Each holds a status under construction."""

    async def most_at_once() -> int:
        running: list[int] = []
        most = 0

        def work(number: int) -> None:
            nonlocal most
            running.append(number)
            most = max(most, len(running))
            time.sleep(0.01)
            running.remove(number)

        await asyncio.gather(*(beside_the_loop(partial(work, number), long=True) for number in range(5)))
        return most

    assert asyncio.run(most_at_once()) == 1
