"""One node of a session: what is sent to its agent, and when."""

import asyncio
from collections.abc import Iterable

from operator_fakes import FakeAgents, in_no_time

from kubestrace_operator.agents.client import Endpoint
from kubestrace_operator.sessions.node import NodeTrace, TraceRequest
from kubestrace_operator.sessions.targets import RunningContainer
from kubestrace_protos.v1 import agent_pb2

START_SECONDS = 0.3


class SlowAgents(FakeAgents):
    """Agents that need a while to find containers."""

    def __init__(self) -> None:
        super().__init__("n1")
        self.sent: list[tuple[float, list[str]]] = []

    async def start(self, agent: Endpoint, request: agent_pb2.StartTraceRequest) -> agent_pb2.StartTraceResponse:
        """Note what is asked for and when, and answer late."""
        now = asyncio.get_running_loop().time()
        self.sent.append((round(now, 1), [each.container_id for each in request.containers]))
        await asyncio.sleep(START_SECONDS)
        return await super().start(agent, request)


def node_of(agents: FakeAgents) -> NodeTrace:
    """Return a session's part on the node n1, of a minute."""
    order = TraceRequest("u1", "shop/s1", (), lambda: 60_000)
    return NodeTrace("n1", order, agents, agents.on, lambda: None, lambda *_: None)


def containers(ids: Iterable[str]) -> list[RunningContainer]:
    """Return running containers with these ids."""
    return [RunningContainer("n1", f"uid-{each}", "shop", each, "app", each) for each in ids]


@in_no_time
async def test_pods_that_start_while_the_trace_starts() -> None:
    """They are sent as soon as the agent has answered, not with the next look for what has failed."""
    agents = SlowAgents()
    node = node_of(agents)
    node.trace(containers("a"))
    running = asyncio.create_task(node.run())
    await asyncio.sleep(0.1)

    node.trace(containers("ab"))
    await asyncio.sleep(2.9)
    node.trace(containers("abc"))
    await asyncio.sleep(0.1)
    node.trace(containers("abcd"))
    await asyncio.sleep(10)
    running.cancel()

    assert agents.sent == [(0.0, ["a"]), (0.3, ["a", "b"]), (3.0, ["a", "b", "c"]), (3.3, ["a", "b", "c", "d"])]


@in_no_time
async def test_a_container_that_failed_is_asked_for_now_and_then() -> None:
    """Every five seconds, not again and again because something woke the node once."""
    agents = SlowAgents()
    agents["n1"].unknown.add("b")
    node = node_of(agents)
    node.trace(containers("a"))
    running = asyncio.create_task(node.run())
    await asyncio.sleep(0.1)

    node.trace(containers("ab"))
    await asyncio.sleep(11)
    running.cancel()

    assert [when for when, _ in agents.sent] == [0.0, 0.3, 5.6, 10.9]


class NotedAgents(FakeAgents):
    """Agents that note how much of a session they are told has gone."""

    def __init__(self) -> None:
        super().__init__("n1")
        self.elapsed: list[int] = []

    async def start(self, agent: Endpoint, request: agent_pb2.StartTraceRequest) -> agent_pb2.StartTraceResponse:
        """Note it."""
        self.elapsed.append(request.elapsed_milliseconds)
        return await super().start(agent, request)


@in_no_time
async def test_a_node_is_told_once_how_late_it_is() -> None:
    """The first agent that counts there hears what was missed; after that gaps are told otherwise."""
    agents = NotedAgents()
    clock = asyncio.get_running_loop().time
    order = TraceRequest("u1", "shop/s1", (), lambda: 60_000, elapsed=lambda: 4000 + int(1000 * clock()))
    node = NodeTrace("n1", order, agents, agents.on, lambda: None, lambda *_: None)
    began = 4000 + int(1000 * clock())
    node.trace(containers("a"))
    running = asyncio.create_task(node.run())
    await asyncio.sleep(2)
    node.trace(containers("ab"))
    await asyncio.sleep(2)
    running.cancel()

    assert agents.elapsed == [began, 0]
