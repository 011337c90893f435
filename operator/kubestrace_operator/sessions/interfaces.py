"""What a session needs of the world around it, so that its own logic can be run without a cluster."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from kubestrace_operator.agents.client import Endpoint
from kubestrace_operator.api.spec import Selector, Workload
from kubestrace_operator.kube.errors import Listener
from kubestrace_protos.v1 import agent_pb2


class ClusterCalls(Protocol):
    """What is asked of the API server; cluster.Cluster does it."""

    def pods(
        self, namespace: str, *, labels: str | None = None, name: str | None = None, failing: Listener | None = None
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield the matching pods, at first and after every change. `failing` hears of what is tried again."""
        ...

    async def workload_selector(self, namespace: str, workload: Workload) -> Selector | None:
        """Return a workload's selector; None when there is no such workload."""

    async def patch_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        """Write a session's status."""


class AgentCalls(Protocol):
    """What is asked of agents; agents.Agents does it."""

    async def describe(self, agent: Endpoint, syscalls: Sequence[str] = ()) -> agent_pb2.DescribeResponse:
        """Return what a node can do and what is wrong with patterns."""
        ...

    async def start(self, agent: Endpoint, request: agent_pb2.StartTraceRequest) -> agent_pb2.StartTraceResponse:
        """Start a trace or add to it."""
        ...

    async def stop(self, agent: Endpoint, session_uid: str) -> agent_pb2.Report:
        """End a trace."""
        ...

    async def traces(self, agent: Endpoint) -> agent_pb2.ListTracesResponse:
        """Return the traces of an agent."""
        ...

    def watch(self, agent: Endpoint, session_uid: str) -> AsyncIterator[agent_pb2.Report]:
        """Yield reports up to the final one."""
        ...


class AgentDirectory(Protocol):
    """Which agent is ready on which node; directory.Directory knows."""

    def on(self, node: str) -> Endpoint | None:
        """Return the ready agent of a node."""

    def all(self) -> list[Endpoint]:
        """Return all ready agents."""
        ...

    def subscribe(self, event: asyncio.Event) -> None:
        """Set this event whenever agents come or go."""

    def unsubscribe(self, event: asyncio.Event) -> None:
        """Stop setting this event."""


@dataclass(frozen=True)
class Timing:
    """How long a session waits for what, in seconds."""

    # Between two writes of the counts while tracing.
    update: float = 5.0
    # For the slower nodes, before Tracing is written: most people start their load then. An agent that is not there is
    # known at once; this is for one that is slow to answer.
    settle: float = 2.5
    # Before a session that has nothing to trace says so: most have it sooner.
    patience: float = 0.4
    # Before a session that has waited long enough is given up without a look at its pods, patterns and nodes: most of
    # the wait may have been another operator's.
    look: float = 5.0
    # After the end of the duration: for a final report to come by itself, then for one that is asked for.
    final: float = 2.0
    grace: float = 8.0
    # Between two looks for a workload or for agents that are not there.
    retry: float = 1.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Dependencies:
    """Everything around a session."""

    cluster: ClusterCalls
    agents: AgentCalls
    directory: AgentDirectory
    timing: Timing = Timing()
    now: Callable[[], datetime] = _utc_now


@dataclass(frozen=True)
class Identity:
    """Which session."""

    uid: str
    namespace: str
    name: str
    generation: int = 1

    @property
    def path(self) -> str:
        """For logs and messages."""
        return f"{self.namespace}/{self.name}"
