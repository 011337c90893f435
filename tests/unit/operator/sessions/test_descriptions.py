"""What agents lately said of themselves: asked rarely, and never taken for what another process can do."""

import asyncio
from collections.abc import Sequence

from operator_fakes import FakeAgents, Stage, in_no_time, pod

from kubestrace_operator.agents.client import Endpoint
from kubestrace_operator.sessions.descriptions import Descriptions
from kubestrace_protos.v1 import agent_pb2


class AskedAgents(FakeAgents):
    """Agents that count how often they were asked what they can do."""

    def __init__(self) -> None:
        super().__init__("n1")
        self.asked = 0

    async def describe(
        self, agent: Endpoint, syscalls: Sequence[str] = (), *, within_seconds: float = 0
    ) -> agent_pb2.DescribeResponse:
        """Answer, and count."""
        self.asked += 1
        return await super().describe(agent, syscalls, within_seconds=within_seconds)


class Cluster(Stage):
    """A node with a pod, and sessions that know what others have heard."""

    def __init__(self) -> None:
        super().__init__(pod("a"))
        self.agents = AskedAgents()
        self.descriptions = Descriptions()

    @property
    def asked(self) -> int:
        """How often the agent was asked."""
        assert isinstance(self.agents, AskedAgents)
        return self.agents.asked


def reasons(stage: Stage) -> list[str]:
    """Return the reasons of the gaps in the last status."""
    return [gap["reason"] for gap in stage.cluster.status["trust"]["gaps"]]


@in_no_time
async def test_sessions_share_what_an_agent_has_said() -> None:
    """For half a minute: then each asks anew."""
    stage = Cluster()
    await stage.run()
    await stage.run()
    soon = stage.asked

    await asyncio.sleep(30)
    await stage.run()

    assert (soon, stage.asked) == (1, 2)


@in_no_time
async def test_an_agent_that_was_replaced_by_a_newer_one_is_asked_again() -> None:
    """Its ID says so when it starts the trace; the session knows it as what it is."""
    stage = Cluster()
    agent = stage.agents["n1"]
    agent.become_older_than_views()
    await stage.run()
    agent.restart()
    agent.described.views.add(name="slowCalls", available=True)

    await stage.run(views={"slowCalls": {}})

    assert stage.asked == 2
    assert reasons(stage) == []


@in_no_time
async def test_an_agent_that_was_replaced_by_an_older_one_is_asked_again() -> None:
    """It refuses what it does not know, or drops it; the trace is started as it can."""
    stage = Cluster()
    await stage.run()
    stage.agents["n1"].restart()
    stage.agents["n1"].become_older_than_pods()

    await stage.run()

    assert stage.asked == 2
    assert stage.cluster.status["phase"] == "Succeeded"
    assert reasons(stage) == ["FirstCallsNotCounted"]


@in_no_time
async def test_what_is_to_be_hidden_is_asked_of_the_agent_itself() -> None:
    """What another process could do does not count: one that cannot would show everything."""
    stage = Cluster()
    await stage.run()
    stage.agents["n1"].described.redacts = False
    asked = len(stage.agents["n1"].requests)

    status = await stage.run(redact=["*/secrets/*"])

    assert [failure["reason"] for failure in status["failures"]] == ["CannotRedact"]
    assert len(stage.agents["n1"].requests) == asked


@in_no_time
async def test_what_is_old_is_not_kept() -> None:
    """Nodes come and go: nothing of those that went stays."""
    known = Descriptions()
    for number in range(100):
        known.note(Endpoint(f"n{number}", f"10.0.0.{number}:1"), agent_pb2.DescribeResponse())
        await asyncio.sleep(1)

    assert known.of(Endpoint("n0", "10.0.0.0:1")) is None
    assert known.of(Endpoint("n99", "10.0.0.99:1")) is not None
    assert len(known._known) <= 31
