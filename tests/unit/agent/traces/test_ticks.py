"""What is read each second, and what waits for the next report."""

import time
from pathlib import Path

import pytest

from kubestrace_agent.traces import shared_counters
from kubestrace_agent.traces.counter import CgroupPlace
from kubestrace_agent.traces.shared_counters import Acquired, Asked, Counters
from kubestrace_agent.views.cpu_time.collector import TimeBudget
from kubestrace_agent.views.slow_calls.collector import Slowest
from kubestrace_agent.views.view import Moment

AT_ONCE = 0.0


@pytest.fixture
def parts(tracer, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the parts of views that are read from now on."""
    read: list[str] = []
    monkeypatch.setattr(tracer, "read", lambda part: read.append(part) or {})
    return read


@pytest.fixture
def counted(tracer, node, parts: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[Counters, Acquired]:
    """Count a container with a view that fills and one that does not, read a moment ago, for some time already."""
    counters, cgroup = Counters(tracer), node.run("app")
    place = CgroupPlace(cgroup, cgroup.stat().st_ino)
    (acquired,) = counters.acquire([Asked(place, "s1", None, lambda: [Slowest(1, 9, None), TimeBudget(None)])])
    assert isinstance(acquired, Acquired)
    counters._acquired -= 2 * shared_counters._READ_SECONDS
    counters.refresh(fresh=True)
    parts.clear()
    return counters, acquired


def test_a_tick_reads_what_fills(counted, tracer, parts: list[str]) -> None:
    """Everything else is read for the reports, which come as often as somebody asks for them."""
    counters, _ = counted
    before = tracer.snapshots

    counters.tick(AT_ONCE)
    assert (parts, tracer.snapshots) == (["slow_calls"], before)
    counters.refresh(fresh=True)

    assert sorted(parts) == ["cpu_time", "slow_calls", "slow_calls"]
    assert tracer.snapshots == before + 1


def test_a_tick_after_a_report_has_nothing_to_do(counted, parts: list[str]) -> None:
    """What was read for that is new enough."""
    counters, _ = counted

    counters.tick(1000.0)

    assert parts == []


@pytest.mark.parametrize("since", ["_refreshed", "_acquired"])
def test_a_tick_reads_everything_now_and_then(counted, tracer, parts: list[str], since: str) -> None:
    """Where nobody asked for a report for a while, and while calls end that were in flight as a trace joined."""
    counters, _ = counted
    before = tracer.snapshots
    setattr(counters, since, time.monotonic() - (2 * shared_counters._READ_SECONDS if since == "_refreshed" else 0))

    counters.tick(AT_ONCE)

    assert sorted(parts) == ["cpu_time", "slow_calls"]
    assert tracer.snapshots == before + 1


def test_a_tick_reads_everything_of_a_container_that_has_ended(
    counted, tracer, node, parts: list[str], tmp_path: Path
) -> None:
    """Its last counts are there before its slot is given back."""
    counters, acquired = counted
    counter = acquired.counter
    tracer.call(counter.place.cgroup, times=3)
    node.end("app")

    counters.tick(AT_ONCE)

    assert counter.ended_ns
    assert sum(row.total_ns for row in counter.counts.rows.values()) == 15
    assert sorted(parts) == ["cpu_time", "slow_calls"]
    assert not counters.holds(counter)


def test_what_is_read_for_a_moment_are_the_containers_that_have_one(tracer, node) -> None:
    """Of those alone that were not read about then; a snapshot stays what reports are made of."""
    counters, cgroups = Counters(tracer), [node.run(name) for name in ("a", "b", "c")]
    places = [CgroupPlace(cgroup, cgroup.stat().st_ino) for cgroup in cgroups]
    made = counters.acquire([Asked(place, "s1", None) for place in places])
    one, other, third = (each.counter for each in made if isinstance(each, Acquired))
    counters.refresh(fresh=True)
    snapshot = one.counts
    now_ns = time.monotonic_ns()

    counters.peek_near([(one, Moment(now_ns, 0)), (other, Moment(now_ns - 10**12, 0))])
    counters.peek_near([(one, Moment(now_ns, 0))])

    assert tracer.peeks == [{one.slot}]
    assert one.counts is snapshot
    assert one.newest is not snapshot
    assert third.newest is third.counts
