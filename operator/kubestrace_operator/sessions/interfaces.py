"""What a session depends on, so that its own logic can be run without a cluster."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from kubestrace_operator.agents.client import DESCRIBE_SECONDS, Endpoint
from kubestrace_operator.api.spec import Selector, Workload
from kubestrace_operator.kube.errors import Listener
from kubestrace_operator.kube.pods import PodChanges
from kubestrace_operator.kube.session_rows import SessionRow
from kubestrace_operator.sessions.admission import Places
from kubestrace_operator.sessions.container_seconds import Ledger
from kubestrace_operator.sessions.descriptions import Descriptions
from kubestrace_operator.sessions.offload import Offload, beside_the_loop
from kubestrace_operator.sessions.streams import OpenStreams
from kubestrace_protos.v1 import agent_pb2


class ClusterCalls(Protocol):
    """What is asked of the API server; kube.cluster.Cluster does it."""

    def pods(self, namespace: str, *, failing: Listener | None = None) -> AsyncIterator[PodChanges]:
        """Yield a namespace's pods by UID, at first all, then what changed. `failing` hears of what is tried again."""
        ...

    async def workload_selector(self, namespace: str, workload: Workload) -> Selector | None:
        """Return a workload's selector; None when there is no such workload."""

    async def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Return a namespace's labels."""
        ...

    async def services(self, namespace: str) -> dict[str, str]:
        """Return the names of a namespace's Services by their addresses."""
        ...

    async def session(self, row: SessionRow) -> Mapping[str, Any]:
        """Return a session's whole object."""
        ...

    async def session_named(self, namespace: str, name: str) -> Mapping[str, Any]:
        """Return the whole object of whichever session has this name."""
        ...

    async def write_status(self, row: SessionRow, status: Mapping[str, Any], *, awaited: bool = True) -> None:
        """Replace a session's status; `awaited`: somebody waits for what is new in it."""

    async def amend_status(self, row: SessionRow, parts: Mapping[str, Any]) -> None:
        """Replace these fields of a session's status."""

    async def delete_session(self, row: SessionRow) -> None:
        """Delete a session."""

    async def set_finalizer(self, row: SessionRow, finalizer: str, *, present: bool) -> None:
        """Add a session's finalizer or take it away."""


class AgentCalls(Protocol):
    """What is asked of agents; agents.client.Agents does it."""

    async def describe(
        self, agent: Endpoint, syscalls: Sequence[str] = (), *, within_seconds: float = DESCRIBE_SECONDS
    ) -> agent_pb2.DescribeResponse:
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

    def watch(
        self, agent: Endpoint, session_uid: str, interval_seconds: float = 1.0
    ) -> AsyncIterator[agent_pb2.Report]:
        """Yield reports up to the final one."""
        ...


class AgentDirectory(Protocol):
    """Which agent is ready on which node; agents.endpoints.Directory knows."""

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

    # Between two writes of the totals while tracing: at first, and at most after a while.
    update: float = 5.0
    update_most: float = 75.0
    # For the slower nodes, before Tracing is written: most people start their load then. An agent that is not there is
    # known at once; this is for one that is slow to answer.
    settle: float = 2.5
    # Before a session that has nothing to trace says so: most have it sooner.
    patience: float = 0.4
    # Before a session that has waited long enough is given up without a look at its pods, patterns and nodes: most of
    # the wait may have been another operator's.
    look: float = 5.0
    # After the end of the duration: for a final report to come by itself, longer from a node whose stream is open; then
    # for one that is asked for. To ask a node that is only late makes it later.
    final: float = 2.0
    streamed: float = 5.0
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
    offload: Offload = beside_the_loop
    # Only namespaces whose label says so may be traced.
    only_enabled_namespaces: bool = False
    # The admission policy holds the annotation kubestrace.io/requested-by against who creates a session.
    requesters_proven: bool = False
    places: Places = field(default_factory=Places)
    streams: OpenStreams = field(default_factory=OpenStreams)
    descriptions: Descriptions = field(default_factory=Descriptions)
    ledger: Ledger = field(default_factory=Ledger)
