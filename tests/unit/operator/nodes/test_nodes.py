"""What each node can trace, as the ConfigMap has it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from kubestrace_operator.agents.client import AgentUnavailableError, Endpoint
from kubestrace_operator.agents.endpoints import AgentPod
from kubestrace_operator.kube.errors import ClusterError
from kubestrace_operator.nodes import table
from kubestrace_operator.nodes.keeper import Nodes
from kubestrace_protos.v1 import agent_pb2

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
VIEWS = [
    agent_pb2.ViewSupport(name="files", available=True, message="no sizes of reads"),
    agent_pb2.ViewSupport(name="blockIO", message="this kernel has no block layer"),
]


def answer(**other: object) -> agent_pb2.DescribeResponse:
    """Return what an agent says of its node."""
    says = {"can_trace": True, "agent_version": "1.2.3", "kernel_release": "6.1.0", "views": VIEWS}
    return agent_pb2.DescribeResponse(**{**says, "cgroup_mode": agent_pb2.CGROUP_MODE_UNIFIED, **other})  # type: ignore[arg-type]


class World:
    """Agents, the directory that knows them, and the ConfigMap."""

    def __init__(self, *nodes: str) -> None:
        self.known: dict[str, AgentPod] | None = {node: AgentPod("1.2.3", "ready", f"{node} 1") for node in nodes}
        self.answers: dict[str, agent_pb2.DescribeResponse] = {}
        self.asked: list[str] = []
        self.data: dict[str, str] = {}
        self.writes = 0
        self.away = False
        self.now = NOW

    def on(self, node: str) -> Endpoint | None:
        """Return the ready agent of a node."""
        return Endpoint(node, node) if self.known and self.known[node].state == "ready" else None

    def pods(self) -> Mapping[str, AgentPod] | None:
        """Return the agents' pods."""
        return self.known

    async def describe(self, agent: Endpoint) -> agent_pb2.DescribeResponse:
        """Answer as the node's agent."""
        self.asked.append(agent.node)
        if agent.node not in self.answers:
            raise AgentUnavailableError(f"the agent on node {agent.node} did not describe itself")
        return self.answers[agent.node]

    async def nodes(self, name: str) -> Mapping[str, str]:
        """Return the data."""
        if self.away:
            raise ClusterError("away")
        return dict(self.data)

    async def write_nodes(self, name: str, data: Mapping[str, str]) -> None:
        """Take over the data."""
        if self.away:
            raise ClusterError("away")
        self.data.update(data)
        self.writes += 1

    def keeper(self) -> Nodes:
        """Return another operator."""
        return Nodes(self, self.describe, self, "kubestrace-nodes", lambda: self.now)

    def states(self) -> dict[str, dict[str, object]]:
        """Return what programs read."""
        return dict(json.loads(self.data["nodes.json"])["nodes"])


async def test_a_node_with_all_that_is_known_of_it() -> None:
    """Its kernel, the views that it does not serve and why, and those that it serves in part."""
    world = World("n1")
    world.answers["n1"] = answer()
    await world.keeper().look()

    assert world.states()["n1"] == {
        "traces": "yes",
        "version": "1.2.3",
        "kernel": "6.1.0",
        "cgroups": "unified",
        "unavailable": {"blockIO": "this kernel has no block layer"},
        "limited": {"files": "no sizes of reads"},
    }
    row = world.data["nodes"].splitlines()[1]
    assert " ".join(row.split()) == "n1 yes 1.2.3 6.1.0 unified blockIO blockIO: this kernel has no block layer"
    assert world.data["summary"].startswith("1 nodes with an agent: 1 can trace (1 of them not all views)")


async def test_thousands_of_nodes_are_one_write_and_the_next_operator_writes_nothing() -> None:
    """Each agent is asked once by each operator; what is as it was is not written."""
    world = World(*(f"node-{number}" for number in range(2000)))
    world.answers = {node: answer(views=[]) for node in world.known or ()}
    keeper = world.keeper()
    for _ in range(3):
        await keeper.look()
    first, asked = world.writes, len(world.asked)
    await world.keeper().look()

    assert (first, asked) == (1, 2000)
    assert world.writes == 1


async def test_an_agent_that_starts_anew_is_asked_again() -> None:
    """It may have another version, or find another kernel."""
    world = World("n1")
    world.answers["n1"] = answer()
    keeper = world.keeper()
    await keeper.look()
    world.known = {"n1": AgentPod("1.2.3", "ready", "n1 2")}
    world.answers["n1"] = answer(can_trace=False, reason="NoBTF", message="The kernel has no BTF.")
    await keeper.look()

    assert world.asked == ["n1", "n1"]
    assert world.states()["n1"]["traces"] == "no"
    assert "NoBTF: The kernel has no BTF." in world.data["nodes"]


async def test_since_when_a_node_is_unknown_outlives_the_operator() -> None:
    """The time is the first operator's, and goes once the agent has answered."""
    world = World("n1")
    world.known = {"n1": AgentPod("1.2.3", "not_ready", "n1 1")}
    await world.keeper().look()
    later = Nodes(world, world.describe, world, "kubestrace-nodes", lambda: NOW.replace(year=2027))
    await later.look()
    before, writes = world.states()["n1"], world.writes
    world.known = {"n1": AgentPod("1.2.3", "ready", "n1 1")}
    world.answers["n1"] = answer()
    await later.look()

    assert (before["reason"], before["since"], writes) == ("AgentNotReady", "2026-01-02T03:04:05Z", 1)
    assert "since" not in world.states()["n1"]


async def test_an_agent_that_does_not_answer_is_asked_again() -> None:
    """It is ready and says nothing: its node is unknown until it does."""
    world = World("n1")
    keeper = world.keeper()
    await keeper.look()
    before = world.states()["n1"]["reason"]
    world.answers["n1"] = answer()
    await keeper.look()

    assert before == "AgentUnavailable"
    assert world.states()["n1"]["traces"] == "yes"


async def test_a_node_that_is_gone_has_no_row() -> None:
    """With its agent's pod."""
    world = World("n1", "n2")
    world.answers = {node: answer() for node in ("n1", "n2")}
    keeper = world.keeper()
    await keeper.look()
    del (world.known or {})["n2"]
    await keeper.look()

    assert world.states().keys() == {"n1"}


async def test_nothing_is_written_before_the_agents_are_known() -> None:
    """An operator that starts must not say that there are no nodes."""
    world = World()
    world.known = None
    await world.keeper().look()

    assert world.writes == 0


async def test_what_was_not_written_is_written_later() -> None:
    """The API server may be away for a while."""
    world = World("n1")
    world.answers["n1"] = answer()
    keeper = world.keeper()
    await keeper.look()
    world.known = {}
    world.away = True
    with pytest.raises(ClusterError):
        await keeper.look()
    world.away = False
    await keeper.look()

    assert world.states() == {}


def test_an_agent_that_lies_stays_within_bounds() -> None:
    """Text that would command a terminal, endless text, thousands of views, odd names."""
    lie = answer(
        agent_version="\x1b[2J" * 1000,
        reason="Not A Word",
        message="x" * 10_000,
        cgroup_mode=99,
        views=[agent_pb2.ViewSupport(name=f"view{number}", message="y" * 10_000) for number in range(1000)],
    )

    state = table.described(lie)

    assert state.version.isprintable()
    assert len(state.message) == 200
    assert (state.reason, state.cgroups) == ("", "")
    assert len(state.unavailable) == 64
    assert max(map(len, state.unavailable.values())) == 200


def test_what_has_no_room_is_told_and_troubles_come_first() -> None:
    """A ConfigMap has at most a MiB, whatever agents say."""
    well = {f"a-{number}": table.described(answer(kernel_release="k" * 64, views=[])) for number in range(6000)}
    data = table.data({**well, "z-broken": table.unknown("", "AgentNotReady", "m" * 200, "2026-01-01T00:00:00Z")})

    assert sum(len(text.encode()) for text in data.values()) < 1_000_000
    assert data["nodes"].splitlines()[1].startswith("z-broken")
    assert "nodes more" in data["nodes"].splitlines()[-1]
    assert json.loads(data["nodes.json"])["leftOut"] > 0


@pytest.mark.parametrize("earlier", [{}, {"nodes.json": "{"}, {"nodes.json": "[]"}, {"nodes.json": '{"nodes": [1]}'}])
def test_what_somebody_else_wrote_says_nothing(earlier: dict[str, str]) -> None:
    """Whoever may write the ConfigMap cannot stop the operator."""
    assert table.since_of(earlier) == {}


async def test_a_config_map_that_was_emptied_is_filled_again() -> None:
    """It was deleted, say, and the chart made another; what others wrote beside is left alone."""
    world = World("n1")
    world.answers["n1"] = answer()
    keeper = world.keeper()
    await keeper.look()
    before = dict(world.data)
    world.data = {"theirs": "x"}
    for minutes in (1, 6, 7, 13):
        world.now = NOW + timedelta(minutes=minutes)
        await keeper.look()

    assert world.data == {**before, "theirs": "x"}
    assert world.writes == 2
