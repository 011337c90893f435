"""The order of the faults: by the seed alone, each of them before any again."""

import pytest
import schedule
from schedule import Bounds

FAULTS = [Bounds("agent killed", 0, 0), Bounds("node partitioned", 2, 20), Bounds("etcd full", 3, 10, at_start=0)]


def test_a_seed_is_a_run() -> None:
    """The same seed gives the same run, another one another."""
    assert schedule.plan(7, 50, FAULTS) == schedule.plan(7, 50, FAULTS)
    assert schedule.plan(7, 50, FAULTS) != schedule.plan(8, 50, FAULTS)


def test_a_longer_run_begins_as_a_shorter_one() -> None:
    """So that a run can be taken up, or one fault of it repeated."""
    assert schedule.plan(7, 50, FAULTS)[:10] == schedule.plan(7, 10, FAULTS)


def test_each_comes_before_any_comes_again() -> None:
    """Also in a run that is shorter than a whole number of turns."""
    names = [planned.name for planned in schedule.plan(1, 8, FAULTS)]

    assert all(set(names[i : i + 3]) == {fault.name for fault in FAULTS} for i in (0, 3))
    assert len(names) == 8


def test_times_lie_within_the_bounds() -> None:
    """How long it holds, and when it comes: before the sessions only where they can be created then."""
    run = schedule.plan(5, 300, FAULTS)
    bounds = {fault.name: fault for fault in FAULTS}

    for planned in run:
        fault = bounds[planned.name]
        assert fault.least_seconds <= planned.hold_seconds <= fault.most_seconds
        assert 0 <= planned.delay_seconds <= 8
    assert not any(planned.at_start for planned in run if planned.name == "etcd full")
    assert {planned.at_start for planned in run if planned.name == "agent killed"} == {True, False}
    assert {planned.node for planned in run} == set(schedule.NODES)


def test_no_faults_are_an_error() -> None:
    """Rather than a run that never begins."""
    with pytest.raises(ValueError, match="no faults"):
        schedule.plan(1, 5, [])
