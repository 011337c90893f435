"""A session's time as an operator sees it that may be away or stopped, or whose clock is set."""

import asyncio
from datetime import datetime, timedelta

import pytest
from operator_fakes import BEGIN, Stage, clock, in_no_time, now, pod

from kubestrace_operator.sessions.clock import Schedule
from kubestrace_operator.sessions.container_seconds import Ledger
from kubestrace_operator.sessions.interfaces import Timing
from kubestrace_operator.sessions.session_state import SessionState


@in_no_time
async def test_an_operator_that_was_stopped_has_its_time_to_collect() -> None:
    """It sees the end as late as it wakes: what the agents sent meanwhile is still to be read."""
    state = SessionState(1, {}, now)
    schedule = Schedule(state, Timing(), now)
    schedule.duration_seconds = 10
    state.start = schedule.started()
    await asyncio.sleep(60)

    late_at_first = schedule.late
    schedule.see_end()
    until_due = schedule.until_due()
    await asyncio.sleep(3)
    schedule.see_end()

    assert (schedule.remaining, late_at_first, until_due) == (-53, 0, Timing().final)
    assert schedule.late == 3
    assert schedule.until_due() == Timing().streamed - 3


def stepping(at_seconds: float, by_hours: int) -> datetime:
    """Return the world's time by a clock that is set at some moment of the loop's time."""
    return now() + timedelta(hours=by_hours if clock() >= at_seconds else 0)


@pytest.mark.parametrize("hours", [3, -3])
@in_no_time
async def test_a_session_lasts_as_long_as_it_says_when_the_clock_is_set(hours: int) -> None:
    """It neither ends at once nor goes on for hours; from its start to its end it took what it took."""
    stage = Stage(pod("a"))
    stage.now = lambda: stepping(4, hours)
    await stage.session().run()
    took = clock()
    status = stage.cluster.status
    start, end = (datetime.fromisoformat(status[name]) for name in ("startTime", "completionTime"))

    assert 10 <= took <= 12
    assert status["phase"] == "Succeeded"
    assert end - now() == timedelta(hours=hours)
    assert 10 <= (end - start).total_seconds() <= 12


@pytest.mark.parametrize("hours", [3, -3])
@in_no_time
async def test_a_session_waits_as_long_as_it_may_when_the_clock_is_set(hours: int) -> None:
    """For pods that never come: as long as it would have traced."""
    stage = Stage()
    stage.now = lambda: stepping(4, hours)
    await stage.session(durationSeconds=60).run()

    assert 60 <= clock() <= 62


@in_no_time
async def test_what_passed_under_an_earlier_operator_goes_by_its_dates() -> None:
    """A start that lies in the future, by a clock that was ahead, was just now."""
    remaining = {}
    for seconds_ago in (4, -3 * 3600):
        state = SessionState(1, {"startTime": (BEGIN - timedelta(seconds=seconds_ago)).isoformat()}, now)
        schedule = Schedule(state, Timing(), now)
        schedule.duration_seconds = 10
        schedule.follow_clock()
        remaining[seconds_ago] = schedule.remaining, state.start

    assert remaining[4] == (6, BEGIN - timedelta(seconds=4))
    assert remaining[-3 * 3600] == (10, BEGIN)


@pytest.mark.parametrize("hours", [3, -3])
@in_no_time
async def test_a_clock_that_is_set_uses_up_no_seconds_and_gives_none_back(hours: int) -> None:
    """One container that is traced for 20 s has used 20 container-seconds, and counts for an hour."""
    ledger = Ledger(per_hour=20, now=lambda: stepping(10, hours), clock=clock)
    ledger.follow("u1", "shop", lambda: 1, asyncio.Event())
    await asyncio.sleep(9)
    used = ledger.used_by("u1")
    await asyncio.sleep(11)

    assert (used, ledger.used_by("u1")) == (9, 20)
    assert ledger.used_up("shop")
