"""Which pods a session means, what it follows, and what it says when there is nothing to trace."""

import pytest
from kubectl import CommandError, Namespace, until
from workloads import busy_pod, calls_pod, deployment, signal


def test_no_pod_matches(namespace: Namespace) -> None:
    """A session that found no pod ends as failed and names the reason."""
    session = namespace.session("nothing", {"selector": {"matchLabels": {"app": "absent"}}}, durationSeconds=2)
    until(lambda: session.condition("Finished").get("reason") == "NoMatchingPods", "says so while it waits", 5)

    status = session.finished()

    assert status["phase"] == "Failed"
    assert session.condition("Succeeded")["reason"] == "NoMatchingPods"
    assert "app=absent" in session.condition("Succeeded")["message"]


def test_more_pods_match_than_wanted(namespace: Namespace) -> None:
    """Only maxPods are traced and the rest is named."""
    namespace.apply(deployment("shop", 3))
    namespace.kubectl("rollout", "status", "deployment/shop", "--timeout=60s")

    status = namespace.session(
        "few", {"workload": {"kind": "Deployment", "name": "shop"}, "maxPods": 2}, durationSeconds=2
    ).finished()

    assert status["targets"]["matched"] == 3
    assert len(status["containers"]) == 2
    assert status["targets"]["skipped"] == 1
    assert "maxPods" in str(status["failures"])


def test_a_container_that_no_pod_has(namespace: Namespace) -> None:
    """The message names the wrong container and those that are there."""
    namespace.apply(busy_pod("shop", "shop"))
    namespace.pods_ready("app=shop")

    session = namespace.session("wrong", {"podName": "shop", "containers": ["apq"]}, durationSeconds=2)
    session.finished()

    assert session.status["phase"] == "Failed"
    said = str(session.status["conditions"]) + str(session.status.get("failures"))
    assert "apq" in said
    assert "app" in said.replace("apq", "")


def test_an_unknown_syscall(namespace: Namespace) -> None:
    """The session fails at once and offers the nearest names."""
    session = namespace.session("typo", {"podName": "shop"}, syscalls=["opennat", "%fil"], durationSeconds=600)
    session.finished(timeout_seconds=15)

    assert session.condition("Succeeded")["reason"] == "InvalidSpec"
    assert "openat" in session.condition("Succeeded")["message"]
    assert "%file" in session.condition("Succeeded")["message"]


def test_only_the_wanted_syscalls_are_counted(namespace: Namespace) -> None:
    """The words of strace choose what is counted."""
    namespace.apply(busy_pod("shop", "shop"))
    namespace.pods_ready("app=shop")

    status = namespace.session(
        "files", {"podName": "shop"}, syscalls=["%process", "!wait4"], durationSeconds=2
    ).finished()

    names = {row["name"] for row in status["summary"]["syscalls"]}
    assert "execve" in names
    assert names.isdisjoint({"wait4", "openat", "read", "mmap"})


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ('{"spec":{"target":{"podName":"other"}}}', "target"),
        ('{"spec":{"durationSeconds":5}}', "durationSeconds"),
        ('{"spec":{"target":{"workload":{"kind":"Deployment","name":"shop"}}}}', "exactly one"),
    ],
)
def test_a_running_session_cannot_be_changed(namespace: Namespace, patch: str, words: str) -> None:
    """The API server refuses with a message that names the field."""
    session = namespace.session("fixed", {"podName": "shop"}, durationSeconds=60)

    with pytest.raises(CommandError, match=words):
        namespace.kubectl("patch", "tsess", session.name, "--type=merge", "-p", patch)


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
