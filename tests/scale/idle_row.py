"""The row of the scale table about an operator that is idle, beside thousands of finished sessions."""

import asyncio
import os
import time
from typing import Any

from cluster import SESSIONS, Cluster, at_once
from finished_sessions import METADATA, make_finished

_COUNT = 10_000
# It lists them in pages of its own time. Connections that it does not use are closed within a minute, and what that has
# freed goes back within half a minute more.
_SETTLE_SECONDS = 120


async def idle(scale: Cluster, count: int = _COUNT) -> dict[str, Any]:
    """Make the sessions, restart the operator, and look at its memory once it has listed them."""
    begun = time.monotonic()
    before = await _memory(scale)
    await at_once(make_finished(scale, f"finished-{number}") for number in range(count))
    made = time.monotonic() - begun
    there = len((await scale.send("GET", f"{SESSIONS}?resourceVersion=0", accept=METADATA))["items"])
    now = await _memory(scale)
    return {
        "finished_sessions": there,
        "made_within_seconds": round(made),
        "memory_without_sessions_mib": round(before[0]),
        "memory_mib": round(now[0]),
        "most_memory_mib": round(now[1]),
        "load": [round(each, 1) for each in os.getloadavg()],
    }


async def _memory(scale: Cluster) -> tuple[float, float]:
    scale.stop_operator()
    scale.start_operator()
    await asyncio.sleep(_SETTLE_SECONDS)
    return scale.memory()
