"""Which agents have a trace: asked once, however many sessions want to know."""

import asyncio
from collections import Counter

from operator_fakes import in_no_time

from kubestrace_operator.agents.client import AgentUnavailableError, Endpoint
from kubestrace_operator.sessions.trace_index import TraceIndex
from kubestrace_protos.v1 import agent_pb2


class Agents:
    """Agents with traces by node; those without do not answer."""

    def __init__(self, **traces: list[str]) -> None:
        self.traces_by_node = traces
        self.nodes = list(traces)
        self.asked: Counter[str] = Counter()

    def all(self) -> list[Endpoint]:
        """Return all."""
        return [Endpoint(node, f"{node}:1") for node in self.nodes]

    async def traces(self, agent: Endpoint) -> agent_pb2.ListTracesResponse:
        """Answer after a moment."""
        self.asked[agent.node] += 1
        await asyncio.sleep(0.1)
        found = self.traces_by_node[agent.node]
        if not found:
            raise AgentUnavailableError("away")
        return agent_pb2.ListTracesResponse(traces=[agent_pb2.TraceSummary(session_uid=uid) for uid in found])


def names(agents: list[Endpoint]) -> list[str]:
    """Return their nodes."""
    return sorted(agent.node for agent in agents)


@in_no_time
async def test_a_thousand_sessions_ask_each_agent_once() -> None:
    """Each gets its own agents, and those that did not answer where they might have its trace."""
    agents = Agents(n1=["a", "b"], n2=["b"], n3=[])
    index = TraceIndex(agents, agents)  # type: ignore[arg-type] # the part of both that is asked

    tracing = await asyncio.gather(*(index.tracing(uid) for uid in ["a", "b", "c"] * 300))
    perhaps = await index.perhaps_tracing("a")

    assert [names(each) for each in tracing[:3]] == [["n1"], ["n1", "n2"], []]
    assert names(perhaps) == ["n1", "n3"]
    assert agents.asked == {"n1": 1, "n2": 1, "n3": 1}


@in_no_time
async def test_one_that_is_cancelled_takes_the_answer_from_nobody() -> None:
    """A session that is deleted at that moment is cancelled."""
    agents = Agents(n1=["a"])
    index = TraceIndex(agents, agents)  # type: ignore[arg-type] # the part of both that is asked
    first, second = (asyncio.create_task(index.tracing("a")) for _ in range(2))
    await asyncio.sleep(0.05)
    first.cancel()

    assert names(await second) == ["n1"]
    assert agents.asked["n1"] == 1


@in_no_time
async def test_a_new_agent_is_asked_alone_and_all_are_asked_again_after_a_while() -> None:
    """Answers are kept for some seconds."""
    agents = Agents(n1=["a"], n2=["a"])
    agents.nodes = ["n1"]
    index = TraceIndex(agents, agents)  # type: ignore[arg-type] # the part of both that is asked
    first = await index.tracing("a")
    agents.nodes = ["n1", "n2"]
    second = await index.tracing("a")
    asked = dict(agents.asked)
    await asyncio.sleep(11)
    await index.tracing("a")

    assert (names(first), names(second)) == (["n1"], ["n1", "n2"])
    assert asked == {"n1": 1, "n2": 1}
    assert agents.asked == {"n1": 2, "n2": 2}
