"""Which agent serves which node, at this moment: kept up to date by a watch of the agents' pods."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from kubestrace_operator.agents.client import Endpoint

_log = logging.getLogger(__name__)


class Connections(Protocol):
    """Who wants to know early which agents there are."""

    async def keep(self, endpoints: list[Endpoint]) -> None:
        """Connect to these, let go of all others."""


class Directory:
    """The ready agents by node."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ready: dict[str, Endpoint] = {}
        self._listeners: set[asyncio.Event] = set()
        self._known = asyncio.Event()
        # Version and state of every pod of an agent.
        self._states: list[tuple[str, str]] = []

    async def follow(self, snapshots: AsyncIterator[list[Mapping[str, Any]]], connections: Connections) -> None:
        """Take over every snapshot of the agents' pods; ends when they do."""
        async for pods in snapshots:
            ready = endpoints(pods, self._port)
            self._known.set()
            self._states = [(_version(pod), _state(pod)) for pod in pods]
            if ready == self._ready:
                continue
            _log.info("ready agents: %s", ", ".join(sorted(ready)) or "none")
            self._ready = ready
            await connections.keep(list(ready.values()))
            for listener in self._listeners:
                listener.set()

    async def wait_until_known(self, seconds: float) -> None:
        """Wait for the first snapshot, at most this long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._known.wait()

    def on(self, node: str) -> Endpoint | None:
        """Return the ready agent of a node."""
        return self._ready.get(node)

    def all(self) -> list[Endpoint]:
        """Return all ready agents."""
        return list(self._ready.values())

    def states(self) -> list[tuple[str, str]]:
        """Return version and state (ready, not_ready, ending) of every pod of an agent."""
        return self._states

    def subscribe(self, event: asyncio.Event) -> None:
        """Set this event whenever agents come or go."""
        self._listeners.add(event)

    def unsubscribe(self, event: asyncio.Event) -> None:
        """Stop setting this event."""
        self._listeners.discard(event)


def endpoints(pods: Iterable[Mapping[str, Any]], port: int) -> dict[str, Endpoint]:
    """Return the ready agents among trimmed pods, by node; of two on one node the newer."""
    ready: dict[str, Endpoint] = {}
    for pod in sorted(pods, key=lambda each: str(each["metadata"].get("creationTimestamp"))):
        node, address = pod["spec"]["nodeName"], pod["status"]["podIP"]
        if node and address and pod["status"]["ready"] and not pod["metadata"].get("deletionTimestamp"):
            host = f"[{address}]" if ":" in address else address
            ready[node] = Endpoint(node, f"{host}:{port}")
    return ready


def _version(pod: Mapping[str, Any]) -> str:
    return str((pod["metadata"].get("labels") or {}).get("app.kubernetes.io/version") or "unknown")


def _state(pod: Mapping[str, Any]) -> str:
    if pod["metadata"].get("deletionTimestamp"):
        return "ending"
    return "ready" if pod["status"]["ready"] else "not_ready"
