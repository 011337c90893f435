"""Two replicas of the operator with a Lease, judged by a real API server and its audit log.

The agents are simulated: they answer as real ones do, and count in numbers made up there.
"""

import signal
import time
from collections.abc import Iterator

import pytest
from lab import Document, Lab, Namespace
from replicas import Pair, seconds_until_lead

# From the last write of one leader to the first of the next, issue's goal.
FAILOVER_SECONDS = 15
# Simulated agents know neither first calls nor views.
_ALWAYS = {"FirstCallsNotCounted", "ViewUnsupported"}
# A Lease that is given up is taken within a second; the rest is for certificates, lists and a slow machine.
HANDOVER_SECONDS = 8


@pytest.fixture(scope="module")
def pair(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Return both replicas."""
    with Pair(lab, tmp_path_factory.mktemp("replicas")).running() as running:
        yield running


@pytest.fixture(autouse=True)
def one_writer(pair: Pair) -> Iterator[None]:
    """Whatever a test does: nobody writes who does not hold the Lease."""
    yield

    assert any(event["objectRef"]["resource"] == "tracesessions" for event in pair.writes())
    assert pair.writes_without_the_lease() == []


def gaps(status: Document) -> list[str]:
    """Return the reasons of all gaps that a status tells of and a session of simulated agents need not have."""
    return [each["reason"] for each in status["trust"]["gaps"] if each["reason"] not in _ALWAYS]


def test_a_standby_is_ready_and_does_nothing(lab: Lab, pair: Pair, namespace: Namespace) -> None:
    """It neither writes nor speaks to agents; a session runs as with one replica."""
    leader, standby = pair.both()
    namespace.session("plain", 1)
    status = namespace.reach("plain", "Succeeded")

    writers = {event["user"]["username"] for event in pair.writes() if event["objectRef"]["resource"] != "leases"}
    assert standby.ready
    assert not standby.leads
    assert f"standing by: {leader.name} leads" in standby.log()
    assert standby.name not in writers
    assert gaps(status) == []


def test_a_leader_that_ends_hands_over(lab: Lab, pair: Pair, namespace: Namespace) -> None:
    """The standby leads at once; a session goes on, counts everything and has no gap."""
    leader, standby = pair.both()
    uid = namespace.session("long")
    namespace.reach("long", "Tracing")
    begun = time.monotonic()
    leader.send(signal.SIGTERM)
    took = seconds_until_lead(standby, begun, HANDOVER_SECONDS)
    code = leader.ended()
    early = lab.scale.agents[0].stopped.get(uid)
    namespace.set("long", cancel=True)
    status = namespace.reach("long", "Cancelled")

    print(f"handover: {took:.1f} s")
    assert code == 0
    assert early is None
    assert gaps(status) == []
    assert status["summary"]["calls"] == 60_000


def test_a_leader_that_is_killed(lab: Lab, pair: Pair, namespace: Namespace) -> None:
    """The standby leads once the Lease has expired; sessions from before and new ones lose nothing."""
    leader, standby = pair.both()
    uid = namespace.session("before")
    namespace.reach("before", "Tracing")
    begun = time.monotonic()
    leader.send(signal.SIGKILL)
    namespace.session("after", 1)
    took = seconds_until_lead(standby, begun, FAILOVER_SECONDS)
    namespace.reach("after", "Succeeded")
    early = lab.scale.agents[0].stopped.get(uid)
    namespace.set("before", cancel=True)
    status = namespace.reach("before", "Cancelled")

    print(f"failover: {took:.1f} s")
    assert early is None
    assert gaps(status) == []
    assert status["summary"]["calls"] == 60_000


def test_a_leader_that_was_stopped_and_wakes(lab: Lab, pair: Pair, namespace: Namespace) -> None:
    """It finds, before it writes anything, that another leads, and ends; what it had to write is written once."""
    leader, standby = pair.both()
    namespace.session("ends-meanwhile", 14)
    namespace.session("goes-on", 60)
    namespace.session("waits", app="nobody-yet")
    for name in ("ends-meanwhile", "goes-on"):
        namespace.reach(name, "Tracing")
    begun = time.monotonic()
    leader.send(signal.SIGSTOP)
    took = seconds_until_lead(standby, begun, FAILOVER_SECONDS)
    namespace.set("waits", cancel=True)
    namespace.reach("waits", "Cancelled")
    finished = namespace.reach("ends-meanwhile", "Succeeded", 30)
    leader.send(signal.SIGCONT)
    code = leader.ended()
    namespace.set("goes-on", cancel=True)
    cancelled = namespace.reach("goes-on", "Cancelled")

    print(f"failover from a leader that is stopped: {took:.1f} s")
    assert code == 1
    assert f"{standby.name} holds the Lease" in leader.log()
    assert namespace.get("ends-meanwhile")["status"] == finished
    assert gaps(finished) == gaps(cancelled) == []


def test_a_leader_that_is_stopped_for_a_moment(pair: Pair, namespace: Namespace) -> None:
    """Shorter than the Lease lasts, longer than it may write: it renews the Lease before it writes, and leads on."""
    leader, standby = pair.both()
    namespace.session("long", 10)
    namespace.reach("long", "Tracing")
    leader.send(signal.SIGSTOP)
    time.sleep(7.5)
    leader.send(signal.SIGCONT)
    status = namespace.reach("long", "Succeeded", 40)

    assert leader.process is not None
    assert leader.process.poll() is None
    assert not standby.leads
    assert gaps(status) == []
