"""What agents lately said of themselves: of a thousand sessions a minute not each one asks every agent anew.

A description is that of one process. Whoever starts a trace hears the agent's ID, and asks again when it is another.
"""

import asyncio

from kubestrace_operator.agents.client import Endpoint
from kubestrace_protos.v1 import agent_pb2

# What an agent can do is known when it begins; a view that could not be loaded at one time may be at another.
_FRESH_SECONDS = 30.0


class Descriptions:
    """The descriptions that are still fresh, by agent."""

    def __init__(self) -> None:
        # With the loop's time at which they came, the oldest first.
        self._known: dict[Endpoint, tuple[float, agent_pb2.DescribeResponse]] = {}

    def note(self, agent: Endpoint, described: agent_pb2.DescribeResponse) -> None:
        """Keep what an agent just said."""
        self.forget(agent)
        self._known[agent] = (self._now(), described)

    def of(self, agent: Endpoint) -> agent_pb2.DescribeResponse | None:
        """Return what an agent said lately; None: ask it."""
        self._drop_old()
        known = self._known.get(agent)
        return known[1] if known is not None else None

    def forget(self, agent: Endpoint) -> None:
        """Have an agent asked again: another process answers there."""
        self._known.pop(agent, None)

    def _drop_old(self) -> None:
        oldest = self._now() - _FRESH_SECONDS
        while self._known and next(iter(self._known.values()))[0] < oldest:
            del self._known[next(iter(self._known))]

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
