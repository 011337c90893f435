"""Looks a container up once for all who ask at about the same time. Used by main, between traces and the resolver."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubestrace_agent.containers.resolver import Resolved, Resolver
    from kubestrace_protos.v1 import agent_pb2

# A container that has ended or started meanwhile has another ID; what was found is checked when its counting begins.
_GOOD_SECONDS = 2.0

_Key = tuple[str, str]


class SharedLookups:
    """A Resolver in front of another. Errors are not kept: the next caller looks again."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._lookups: dict[_Key, asyncio.Task[Resolved]] = {}
        self._found: dict[_Key, tuple[float, Resolved]] = {}

    async def resolve(self, container: agent_pb2.Container) -> Resolved:
        """Find a running container. Raises UnresolvedError. A caller that is cancelled cancels no other's look-up."""
        key = container.container_id, container.pod_uid
        until, found = self._found.get(key, (0.0, None))
        if found is not None and time.monotonic() < until:
            return found
        task = self._lookups.get(key)
        if task is None:
            task = self._lookups[key] = asyncio.get_running_loop().create_task(self._look_up(key, container))
        return await asyncio.shield(task)

    async def _look_up(self, key: _Key, container: agent_pb2.Container) -> Resolved:
        try:
            found = await self._resolver.resolve(container)
        finally:
            del self._lookups[key]
        now = time.monotonic()
        self._found = {each: known for each, known in self._found.items() if now < known[0]}
        self._found[key] = now + _GOOD_SECONDS, found
        return found
