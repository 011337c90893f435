"""Parts that die in the middle: nothing hangs, and what is missing is said."""

import json
import subprocess
import time
from collections.abc import Iterator

import pytest
from kubectl import Document, Namespace, until
from workloads import NODES, RIG, agent_pod, attached_programs, busy_pod, signal

pytestmark = pytest.mark.alone


@pytest.fixture
def shop(namespace: Namespace) -> Namespace:
    """A busy pod on each node."""
    for node in NODES:
        namespace.apply(busy_pod(f"shop-{node}", "shop", nodeName=node))
    namespace.pods_ready("app=shop")
    return namespace


TARGET = {"selector": {"matchLabels": {"app": "shop"}}}


@pytest.fixture
def without_agent(system: Namespace) -> Iterator[str]:
    """A node whose agent is gone and does not come back while the test runs."""
    node = NODES[1]
    away = {"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": NODES[0]}}}}}
    back = {"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": None}}}}}
    _patch_agents(system, away)
    until(lambda: not agent_pod(system, node), "the agent is gone")
    # The other node's agent is replaced too: its template has changed.
    system.kubectl("rollout", "status", "daemonset/kubestrace-agent", "--timeout=90s")
    yield node
    _patch_agents(system, back)
    system.kubectl("rollout", "status", "daemonset/kubestrace-agent", "--timeout=90s")


def _patch_agents(system: Namespace, patch: Document) -> None:
    system.kubectl("patch", "daemonset", "kubestrace-agent", "--type=merge", "-p", json.dumps(patch))


def test_a_node_without_an_agent(shop: Namespace, without_agent: str) -> None:
    """The other node is traced, and the failure names the node."""
    session = shop.session("half", TARGET, durationSeconds=4)
    status = session.finished()

    assert session.condition("Succeeded")["reason"] == "PartiallyCompleted"
    assert session.condition("DataComplete")["status"] == "False"
    assert {(entry["node"], entry["reason"]) for entry in status["failures"]} == {(without_agent, "AgentUnavailable")}
    assert {row["node"] for row in status["containers"] if row["calls"]} == {NODES[0]}


def test_an_agent_that_is_killed(shop: Namespace, system: Namespace) -> None:
    """The counts from before are kept, the agent that comes back goes on, and trust shows the gap."""
    session = shop.session("killed", TARGET, durationSeconds=25).tracing()
    until(lambda: session.status.get("summary", {}).get("calls"), "something is counted", 20)
    before = session.status["summary"]["calls"]

    signal(system, agent_pod(system, NODES[0]), "SIGKILL")
    status = session.finished()

    assert status["summary"]["calls"] > before
    assert [gap["node"] for gap in status["trust"]["gaps"]] == [NODES[0]]
    gap = status["trust"]["gaps"][0]
    assert gap["startTime"] <= gap["endTime"]
    assert status["trust"]["complete"] is False
    assert session.condition("Finished")["reason"] == "PartiallyCompleted"


def test_the_operator_is_killed(shop: Namespace, system: Namespace) -> None:
    """A new operator takes up the running session from the agents: nothing is lost and it ends on time."""
    session = shop.session("resumed", TARGET, durationSeconds=18).tracing()
    started = session.status["startTime"]

    system.kubectl("delete", "pod", "-l", "app.kubernetes.io/component=operator", "--grace-period=0", "--force")
    status = session.finished()

    assert status["startTime"] == started
    assert session.condition("Finished")["reason"] == "Completed"
    assert status["trust"]["gaps"] == []
    assert {row["node"] for row in status["containers"]} == set(NODES)


def test_the_operator_is_away_at_the_end(shop: Namespace, system: Namespace) -> None:
    """A session whose time ended while no operator was there is finished by the next one, with all its counts."""
    session = shop.session("late", TARGET, durationSeconds=5).tracing()
    system.kubectl("scale", "deployment/kubestrace-operator", "--replicas=0")
    time.sleep(7)

    system.kubectl("scale", "deployment/kubestrace-operator", "--replicas=1")
    status = session.finished()

    assert session.condition("Finished")["reason"] == "Completed"
    assert all(row["calls"] > 0 for row in status["containers"])


def test_the_api_server_is_away(shop: Namespace) -> None:
    """Twenty seconds without an API server cost no counts: the agents go on and the status comes late."""
    session = shop.session("dark", TARGET, durationSeconds=10).tracing()

    subprocess.run([RIG / "apiserver", "stop"], check=True, timeout=60)
    time.sleep(20)
    subprocess.run([RIG / "apiserver", "start"], check=True, timeout=60)
    status = session.finished()

    assert session.condition("Finished")["reason"] == "Completed"
    assert status["trust"]["complete"] is True
    assert {row["node"] for row in status["containers"] if row["calls"]} == set(NODES)


def test_the_container_runtime_restarts(shop: Namespace, system: Namespace) -> None:
    """It makes a new socket: the agent finds it in the mounted directory and asks it about the next containers."""
    shop.session("before", TARGET, durationSeconds=1).finished()
    subprocess.run([RIG / "containerd", "restart", NODES[0]], check=True, timeout=60)
    # The node may be taken as not ready for a moment, and its agent with it.
    shop.kubectl("wait", "node", NODES[0], "--for=condition=Ready", "--timeout=60s")
    system.pods_ready("app.kubernetes.io/component=agent")

    # Long enough for a second status while it traces: the first may be written before the slower node has begun.
    status = shop.session("after", TARGET, durationSeconds=20).tracing().finished()
    said = system.kubectl("logs", agent_pod(system, NODES[0]))

    assert {row["node"] for row in status["containers"] if row["calls"]} == set(NODES)
    assert status["trust"]["complete"] is True
    assert "no container runtime answered" not in said
    assert "in the cgroup tree alone" not in said


def test_a_session_that_is_deleted(shop: Namespace, system: Namespace) -> None:
    """Deletion while it runs ends the traces on every node within 5 s, and the object goes."""
    shop.session("deleted", TARGET, durationSeconds=3600).tracing()
    assert all(attached_programs(system, node) > 0 for node in NODES)

    shop.kubectl("delete", "tsess", "deleted", "--wait=false")

    until(lambda: not any(attached_programs(system, node) for node in NODES), "the agents have cleaned up", 5)
    until(lambda: not shop.kubectl("get", "tsess", "-o", "name").strip(), "the object is gone", 10)


def test_two_sessions_at_once(shop: Namespace) -> None:
    """Sessions that share containers each count for themselves."""
    long = shop.session("long", TARGET, durationSeconds=8).tracing()
    short = shop.session("short", TARGET, durationSeconds=2)

    short_calls = short.finished()["summary"]["calls"]
    long_calls = long.finished()["summary"]["calls"]

    assert 0 < short_calls < long_calls
