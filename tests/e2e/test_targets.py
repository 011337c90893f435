"""Which pods a session matches, and what it reports when there is nothing to trace."""

import pytest
from kubectl import CommandError, Namespace, until
from workloads import busy_pod, deployment


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
