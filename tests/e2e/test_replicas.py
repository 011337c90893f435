"""Two replicas of the operator, installed by Helm: one leads, and the other takes over when that one stands still."""

import time
from collections.abc import Iterator

import pytest
from install import ROOT
from kubectl import Namespace, run, until
from workloads import NODES, calls_pod, report, signal

pytestmark = pytest.mark.alone

# From the moment in which a leader stands still until another one holds the Lease.
FAILOVER_SECONDS = 15
CALLS = 100_000


def set_replicas(system: Namespace, replicas: int) -> None:
    """Upgrade the release as a person would."""
    run(
        *("helm", "upgrade", "kubestrace", str(ROOT / "charts/kubestrace"), "--namespace", system.name),
        *("--reuse-values", "--set", f"operator.replicas={replicas}", "--wait", "--timeout", "2m"),
        timeout_seconds=150,
    )
    system.kubectl("rollout", "status", "deployment/kubestrace-operator", "--timeout=60s")


def holder(system: Namespace) -> str:
    """Return the name of the pod that leads; empty while none does."""
    identity: str = system.get("lease", "kubestrace-operator")["spec"].get("holderIdentity") or ""
    return identity


@pytest.fixture
def two_replicas(system: Namespace) -> Iterator[None]:
    """Both are ready, and one leads."""
    set_replicas(system, 2)
    until(lambda: holder(system) in operators(system), "one of them leads", FAILOVER_SECONDS)
    yield
    set_replicas(system, 1)


def operators(system: Namespace) -> list[str]:
    """Return the names of the operator's pods."""
    component = "app.kubernetes.io/component=operator"
    return system.kubectl("get", "pods", "-l", component, "-o", "name").replace("pod/", "").split()


def restarts(system: Namespace, pod: str) -> int:
    """Return how often a pod's container was restarted."""
    return int(system.get("pod", pod)["status"]["containerStatuses"][0]["restartCount"])


def test_the_leader_stands_still_amid_a_session(namespace: Namespace, system: Namespace, two_replicas: None) -> None:
    """The other one goes on: calls that were made while nobody led are counted, each, without a gap.

    The one that wakes ends, is restarted and stands by.
    """
    del two_replicas
    names = [f"calls-{number}" for number in range(2)]
    namespace.apply(*(calls_pod(name, NODES[number], "calls", f"getppid={CALLS}") for number, name in enumerate(names)))
    namespace.pods_ready("app=calls")
    session = namespace.session("held", {"selector": {"matchLabels": {"app": "calls"}}}, durationSeconds=40).tracing()
    leader = holder(system)

    begun = time.monotonic()
    signal(system, leader, "SIGSTOP")
    for name in names:
        signal(namespace, name, "SIGUSR1")
    until(lambda: holder(system) not in ("", leader), "the other one leads", FAILOVER_SECONDS + 5)
    took = time.monotonic() - begun
    signal(system, leader, "SIGCONT")
    asked = namespace.session("asked", {"podName": names[0]}, durationSeconds=2)
    for name in names:
        report(namespace, name)
    short, status = asked.finished(), session.finished()

    print(f"failover: {took:.1f} s")
    assert took <= FAILOVER_SECONDS
    assert short["phase"] == status["phase"] == "Succeeded"
    assert status["trust"]["gaps"] == []
    assert session.condition("Finished")["reason"] == "Completed"
    assert session.rows()["getppid"]["calls"] == 2 * CALLS
    until(lambda: restarts(system, leader), "the one that woke was restarted")
    assert holder(system) != leader
