"""What happens to a session when it, its pods or their containers change while it runs."""

import pytest
from kubectl import CommandError, Namespace, until
from workloads import busy_pod, calls_pod, deployment, signal


def test_cancel_keeps_what_was_counted(namespace: Namespace) -> None:
    """cancel: true ends a session long before its time, and it cannot be taken back."""
    namespace.apply(busy_pod("shop", "shop"))
    namespace.pods_ready("app=shop")
    session = namespace.session("early", {"podName": "shop"}, durationSeconds=3600).tracing()
    until(lambda: session.status.get("summary", {}).get("calls"), "something is counted", 20)

    namespace.kubectl("patch", "tsess", "early", "--type=merge", "-p", '{"spec":{"cancel":true}}')
    status = session.finished(timeout_seconds=10)

    assert status["phase"] == "Cancelled"
    assert session.condition("Succeeded")["status"] == "False"
    assert status["summary"]["calls"] > 0
    with pytest.raises(CommandError, match="cancel"):
        namespace.kubectl("patch", "tsess", "early", "--type=merge", "-p", '{"spec":{"cancel":false}}')


def test_a_restarted_container_is_followed(namespace: Namespace) -> None:
    """A crash in the middle: the new life of the container is traced as well, and both are shown."""
    pod = calls_pod("shop", "node-1", "shop", "getppid=100")
    namespace.apply(pod)
    namespace.pods_ready("app=shop")
    session = namespace.session("crash", {"podName": "shop"}, durationSeconds=15).tracing()

    signal(namespace, "shop", "SIGKILL")
    until(lambda: len(session.status.get("containers", [])) == 2, "both lives are traced", 20)
    signal(namespace, "shop", "SIGUSR1")
    status = session.finished()

    assert sorted(row["restarts"] for row in status["containers"]) == [0, 1]
    assert session.rows()["getppid"]["calls"] == 100


def test_a_replaced_pod_is_followed(namespace: Namespace) -> None:
    """A pod deleted in the middle keeps its counts, and the one that replaces it is traced."""
    namespace.apply(deployment("shop", 1))
    namespace.kubectl("rollout", "status", "deployment/shop", "--timeout=60s")
    session = namespace.session(
        "replaced", {"workload": {"kind": "Deployment", "name": "shop"}}, durationSeconds=15
    ).tracing()

    namespace.kubectl("delete", "pod", "-l", "app=shop", "--wait=false")
    status = session.finished()

    assert len({row["pod"] for row in status["containers"]}) == 2
    assert all(row["calls"] > 0 for row in status["containers"])


def test_a_deleted_pod_leaves_its_counts(namespace: Namespace) -> None:
    """When the only pod goes, the session still ends with what was counted."""
    namespace.apply(busy_pod("shop", "shop"))
    namespace.pods_ready("app=shop")
    session = namespace.session("gone", {"podName": "shop"}, durationSeconds=6).tracing()
    until(lambda: session.status.get("summary", {}).get("calls"), "something is counted", 20)

    namespace.kubectl("delete", "pod", "shop", "--grace-period=0", "--force")
    status = session.finished()

    assert status["summary"]["calls"] > 0
    assert [row["pod"] for row in status["containers"]] == ["shop"]
