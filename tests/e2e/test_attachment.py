"""An idle node runs no program of ours."""

import pytest
from kubectl import Namespace, until
from workloads import NODES, attached_programs, busy_pod

pytestmark = pytest.mark.alone


def test_nothing_is_attached_afterwards(namespace: Namespace, system: Namespace) -> None:
    """While a session traces, its nodes run programs of ours; before and after it none does."""
    for node in NODES:
        namespace.apply(busy_pod(f"shop-{node}", "shop", nodeName=node))
    namespace.pods_ready("app=shop")
    status = namespace.session("first", {"selector": {"matchLabels": {"app": "shop"}}}, durationSeconds=2).finished()
    assert {row["node"] for row in status["containers"] if row["calls"]} == set(NODES)
    assert [attached_programs(system, node) for node in NODES] == [0, 0]

    session = namespace.session("again", {"podName": f"shop-{NODES[0]}"}, durationSeconds=60).tracing()
    assert attached_programs(system, NODES[0]) > 0
    assert attached_programs(system, NODES[1]) == 0
    namespace.kubectl("delete", "tsess", session.name, "--timeout=20s")
    until(lambda: attached_programs(system, NODES[0]) == 0, "the agent has cleaned up", timeout_seconds=5)
