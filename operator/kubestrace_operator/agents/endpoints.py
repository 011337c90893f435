"""Which agent serves which node, at this moment: kept up to date by a watch of the agents' pods."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from kubestrace_operator.agents.client import Endpoint

_log = logging.getLogger(__name__)


class AgentPod(NamedTuple):
    """The pod of an agent: `state` is ready, not_ready or ending, `identity` changes when the agent starts anew."""

    version: str
    state: str
    identity: str


class Connections(Protocol):
    """Who keeps connections to agents."""

    async def keep(self, endpoints: list[Endpoint], leaving: list[Endpoint]) -> None:
        """Keep these, hear those out that are leaving, and let go of all others."""


class Directory:
    """The ready agents by node."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ready: dict[str, Endpoint] = {}
        self._leaving: list[Endpoint] = []
        self._listeners: set[asyncio.Event] = set()
        self._known = asyncio.Event()
        # Version and state of every pod of an agent.
        self._states: list[tuple[str, str]] = []
        self._pods: dict[str, AgentPod] | None = None

    async def follow(self, snapshots: AsyncIterator[list[Mapping[str, Any]]], connections: Connections) -> None:
        """Take over every snapshot of the agents' pods; ends when they do."""
        async for pods in snapshots:
            ready = endpoints(pods, self._port)
            self._known.set()
            self._states = [(_version(pod), _state(pod)) for pod in pods]
            self._pods = by_node(pods)
            leaving = replaced(pods, self._port, ready)
            if (ready, leaving) == (self._ready, self._leaving):
                continue
            if ready != self._ready:
                _log.info("ready agents: %s", ", ".join(sorted(ready)) or "none")
            self._ready, self._leaving = ready, leaving
            await connections.keep(list(ready.values()), leaving)
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

    def pods(self) -> Mapping[str, AgentPod] | None:
        """Return the pod of an agent on each node, the one that serves it or will; None: they are not known yet."""
        return self._pods

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
        agent = _endpoint(pod, port)
        if agent and pod["status"]["ready"] and not pod["metadata"].get("deletionTimestamp"):
            ready[agent.node] = agent
    return ready


def replaced(pods: Iterable[Mapping[str, Any]], port: int, ready: Mapping[str, Endpoint]) -> list[Endpoint]:
    """Return the agents that end, or that a newer one on their node replaces: each still has last reports to send."""
    speaking = [pod for pod in pods if pod["metadata"].get("deletionTimestamp") or pod["status"]["ready"]]
    agents = {agent for pod in speaking if (agent := _endpoint(pod, port))}
    return sorted(agents - set(ready.values()))


def _endpoint(pod: Mapping[str, Any], port: int) -> Endpoint | None:
    node, address = pod["spec"]["nodeName"], pod["status"]["podIP"]
    if not node or not address:
        return None
    host = f"[{address}]" if ":" in address else address
    return Endpoint(node, f"{host}:{port}")


def by_node(pods: Iterable[Mapping[str, Any]]) -> dict[str, AgentPod]:
    """Return the pod of each node among trimmed pods: the newest that is ready, as long as it is; else the newest."""
    ordered = sorted(pods, key=lambda each: (_state(each) == "ready", str(each["metadata"].get("creationTimestamp"))))
    return {
        pod["spec"]["nodeName"]: AgentPod(_version(pod), _state(pod), _identity(pod))
        for pod in ordered
        if pod["spec"]["nodeName"]
    }


def _identity(pod: Mapping[str, Any]) -> str:
    statuses = pod["status"].get("containerStatuses") or ()
    return " ".join([str(pod["metadata"].get("uid")), *(str(each.get("containerID")) for each in statuses)])


def _version(pod: Mapping[str, Any]) -> str:
    return str((pod["metadata"].get("labels") or {}).get("app.kubernetes.io/version") or "unknown")


def _state(pod: Mapping[str, Any]) -> str:
    if pod["metadata"].get("deletionTimestamp"):
        return "ending"
    return "ready" if pod["status"]["ready"] else "not_ready"
