"""Keeps the ConfigMap of nodes: asks each agent once, and writes when something has changed.

One object for all nodes, written at most every `PERIOD_SECONDS`: an operator that starts among thousands of nodes asks
each of them, and writes once, or not at all when all is as it was. A node is in it as long as it has an agent's pod,
and that goes with the node; so no right on nodes is needed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from kubestrace_operator.agents.client import AgentError, Endpoint
from kubestrace_operator.agents.endpoints import AgentPod
from kubestrace_operator.api import timestamps
from kubestrace_operator.kube.errors import ClusterError
from kubestrace_operator.nodes import table
from kubestrace_protos.v1 import agent_pb2

_log = logging.getLogger(__name__)
PERIOD_SECONDS = 10.0
# How often it is read: somebody may have deleted it and had the chart make it anew, without data.
_READ_AGAIN = timedelta(minutes=5)
# Agents that are asked at a time.
_AT_ONCE = 8


class Directory(Protocol):
    """Which agents there are; agents.endpoints.Directory knows."""

    def on(self, node: str) -> Endpoint | None:
        """Return the ready agent of a node."""

    def pods(self) -> Mapping[str, AgentPod] | None:
        """Return the newest pod of an agent on each node; None: they are not known yet."""


class Store(Protocol):
    """Where it is kept; kube.cluster.Cluster reaches it."""

    async def nodes(self, name: str) -> Mapping[str, str]:
        """Return the data of the ConfigMap."""
        ...

    async def write_nodes(self, name: str, data: Mapping[str, str]) -> None:
        """Replace these entries of its data."""


class Nodes:
    """The states of all nodes with an agent, in the ConfigMap of this name."""

    def __init__(
        self,
        directory: Directory,
        describe: Callable[[Endpoint], Awaitable[agent_pb2.DescribeResponse]],
        store: Store,
        name: str,
        now: Callable[[], datetime],
    ) -> None:
        self._directory = directory
        self._describe = describe
        self._store = store
        self._name = name
        self._now = now
        # What each agent has said, by node, with the pod's identity: a restarted agent is asked again.
        self._said: dict[str, tuple[str, table.NodeState]] = {}
        self._since: dict[str, str] = {}
        self._written: dict[str, str] | None = None
        self._read_at = now()

    async def run(self, period_seconds: float = PERIOD_SECONDS) -> None:
        """Keep it; never ends. Where the API server refuses, the next turn tries again."""
        said = ""
        while True:
            try:
                await self.look()
                said = ""
            except ClusterError as error:
                if str(error) != said:
                    said = str(error)
                    _log.warning("the states of nodes are not written: %s", error)
            await asyncio.sleep(period_seconds)

    async def look(self) -> None:
        """Ask the agents that are new, and write what has changed. Raises ClusterError."""
        if self._written is None:
            self._written = await self._read()
            self._since = table.since_of(self._written)
        elif self._now() >= self._read_at + _READ_AGAIN:
            self._written = await self._read()
        if (pods := self._directory.pods()) is None:
            return
        unanswered = await self._ask_new(pods)
        data = table.data({node: self._state(node, pod, unanswered.get(node)) for node, pod in pods.items()})
        self._since = {node: since for node, since in self._since.items() if node in pods}
        # What others have added to it is left alone.
        if data.items() - self._written.items():
            await self._store.write_nodes(self._name, data)
            self._written = data

    async def _read(self) -> dict[str, str]:
        found = dict(await self._store.nodes(self._name))
        self._read_at = self._now()
        return found

    def _state(self, node: str, pod: AgentPod, error: str | None) -> table.NodeState:
        known = self._said.get(node)
        if known is not None:
            self._since.pop(node, None)
            return known[1]
        since = self._since.setdefault(node, timestamps.whole_seconds(self._now()))
        if error is not None:
            return table.unknown(pod.version, "AgentUnavailable", error, since)
        return table.unknown(pod.version, "AgentNotReady", f"the agent's pod is {pod.state} since {since}", since)

    async def _ask_new(self, pods: Mapping[str, AgentPod]) -> dict[str, str]:
        """Ask agents that have not said anything; return why those did not answer that should have."""
        ready = {node: agent for node in pods if (agent := self._directory.on(node)) is not None}
        self._said = {
            node: said for node, said in self._said.items() if node in ready and said[0] == pods[node].identity
        }
        turns, failed = asyncio.Semaphore(_AT_ONCE), dict[str, str]()

        async def ask(node: str, agent: Endpoint) -> None:
            async with turns:
                try:
                    answer = await self._describe(agent)
                except AgentError as error:
                    failed[node] = str(error)
                else:
                    self._said[node] = (pods[node].identity, table.described(answer))

        await asyncio.gather(*(ask(node, agent) for node, agent in ready.items() if node not in self._said))
        return failed
