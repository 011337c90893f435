"""What a schedule does when: every slot once at most, never more than the cap, and nothing left out without a word."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubestrace_operator.schedules.cron import Cron
from kubestrace_operator.schedules.decision import (
    ACTIVE,
    ALLOW,
    CAP,
    COOL_DOWN,
    DEADLINE,
    FORBID,
    HOUR,
    MISSED,
    REPLACE,
    Rules,
    State,
    Step,
    at_event,
    at_time,
    next_look,
    started,
)

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOURLY = Cron.parse("0 * * * *")


def after(**length: float) -> datetime:
    """Return a time after noon."""
    return NOON + timedelta(**length)


def reasons(step: Step) -> dict[str, int]:
    """Return how much was skipped and why."""
    return {skip.reason: skip.count for skip in step.skips}


def test_a_slot_starts_a_session_once() -> None:
    """When it has come, and not again."""
    rules, state = Rules(HOURLY), State(NOON)
    early = at_time(rules, state, 0, after(minutes=59))
    due = at_time(rules, state, 0, after(minutes=60))
    again = at_time(rules, due.state, 0, after(minutes=61))

    assert (early.start, due.start, again.start) == (False, True, False)
    assert due.slot == after(hours=1)
    assert next_look(rules, due.state, after(minutes=61)) == after(hours=2)


def test_of_missed_slots_the_last_is_made_up_for() -> None:
    """The operator was away for five and a half hours."""
    step = at_time(Rules(HOURLY), State(NOON), 0, after(hours=5.5))

    assert (step.start, step.slot, reasons(step)) == (True, after(hours=5), {MISSED: 4})


def test_a_clock_that_was_ahead_stops_no_schedule() -> None:
    """Once it is right again the next slot comes, and the cool-down lasts as long as it says."""
    rules = Rules(HOURLY, cool_down=timedelta(minutes=5))
    ahead = replace(at_time(rules, State(NOON), 0, after(days=900)).state, last_event=after(days=900))
    state = ahead.believable(after(minutes=30))

    assert at_time(rules, state, 0, after(minutes=59)) == Step(state)
    assert at_time(rules, state, 0, after(hours=1)).slot == after(hours=1)
    assert [at_event(rules, state, 0, after(minutes=minutes)).start for minutes in (34, 35)] == [False, True]


def test_a_slot_that_waits_by_a_clock_that_was_ahead_is_let_go() -> None:
    """It comes again in its time."""
    rules = Rules(HOURLY, FORBID)
    state = at_time(rules, State(NOON), 1, after(hours=3)).state.believable(after(minutes=30))

    assert state == State(after(minutes=30))
    assert at_time(rules, state, 1, after(hours=3)).state.held == after(hours=3)


def test_clocks_of_two_nodes_may_differ_a_little() -> None:
    """An operator that is half a minute behind the one before it does no slot again."""
    state = replace(at_time(Rules(HOURLY), State(NOON), 0, after(hours=1)).state, last_event=after(hours=1))

    assert state.believable(after(minutes=59.5)) == state


def test_the_deadline_of_a_missed_slot() -> None:
    """One that came too long ago is left out, and counted once."""
    rules = Rules(HOURLY, starting_deadline=timedelta(seconds=60))
    in_time = at_time(rules, State(NOON), 0, after(hours=1, seconds=60))
    late = at_time(rules, State(NOON), 0, after(hours=1, seconds=61))
    again = at_time(rules, late.state, 0, after(hours=1, seconds=62))

    assert in_time.start
    assert (late.start, reasons(late)) == (False, {DEADLINE: 1})
    assert (again.start, reasons(again)) == (False, {})


def test_forbid_waits_for_the_session_that_runs() -> None:
    """As CronJob: the slot is made up for when the session has ended, unless another slot has come."""
    rules = Rules(HOURLY, FORBID)
    held = at_time(rules, State(NOON), 1, after(hours=1))
    ended = at_time(rules, held.state, 0, after(hours=1.5))
    still = at_time(rules, held.state, 1, after(hours=2))

    assert (held.start, held.state.held, reasons(held)) == (False, after(hours=1), {})
    assert (ended.start, ended.slot, reasons(ended)) == (True, after(hours=1), {})
    assert (still.start, still.state.held, reasons(still)) == (False, after(hours=2), {ACTIVE: 1})


def test_a_slot_that_waits_beyond_its_deadline_is_left_out() -> None:
    """And the schedule looks when that is."""
    rules = Rules(HOURLY, FORBID, timedelta(minutes=5))
    held = at_time(rules, State(NOON), 1, after(hours=1))
    look = next_look(rules, held.state, after(hours=1))
    assert look is not None
    late = at_time(rules, held.state, 1, look)

    assert look - after(hours=1, minutes=5) < timedelta(seconds=1)
    assert (late.start, late.state.held, reasons(late)) == (False, None, {ACTIVE: 1})


@pytest.mark.parametrize(
    ("policy", "start", "replaces"), [(ALLOW, True, False), (REPLACE, True, True), (FORBID, False, False)]
)
def test_what_happens_while_a_session_runs(policy: str, start: bool, replaces: bool) -> None:
    """By the policy, for a slot and for an event."""
    rules = Rules(HOURLY, policy)
    for step in (at_time(rules, State(NOON), 1, after(hours=1)), at_event(rules, State(NOON), 1, after(hours=1))):
        assert (step.start, step.replace) == (start, replaces)


def test_events_within_the_cool_down_start_nothing() -> None:
    """Counted from the event that started a session; slots do not care."""
    rules = Rules(HOURLY, ALLOW, cool_down=timedelta(minutes=5))
    first = at_event(rules, State(NOON), 0, NOON)
    soon = at_event(rules, first.state, 0, after(seconds=299))
    later = at_event(rules, soon.state, 0, after(seconds=300))

    assert (first.start, soon.start, later.start) == (True, False, True)
    assert reasons(soon) == {COOL_DOWN: 1}
    assert at_time(rules, State(NOON, last_event=after(minutes=59)), 0, after(hours=1)).start


def test_the_hourly_cap_holds_for_both() -> None:
    """Sessions of the last hour count, whatever made them."""
    rules = Rules(HOURLY, ALLOW, most_per_hour=2)
    full = State(NOON, starts={"a": after(minutes=30), "b": after(minutes=40)})

    assert reasons(at_time(rules, full, 0, after(hours=1))) == {CAP: 1}
    assert reasons(at_event(rules, full, 0, after(hours=1))) == {CAP: 1}
    assert at_event(rules, full, 0, after(minutes=90)).start


def test_a_suspended_schedule_does_nothing() -> None:
    """Afterwards, the slots that passed were missed, as for CronJob."""
    held = Rules(HOURLY, suspend=True)
    state = at_time(held, State(NOON), 0, after(hours=3.5)).state
    resumed = at_time(Rules(HOURLY), state, 0, after(hours=3.6))

    assert not at_event(held, State(NOON), 0, NOON).start
    assert next_look(held, state, after(hours=3.5)) is None
    assert (resumed.start, resumed.slot, reasons(resumed)) == (True, after(hours=3), {MISSED: 2})


# Any history.

SECONDS = st.integers(0, 4000)
MOVES = st.lists(
    st.tuples(SECONDS, st.sampled_from(("look", "event", "restart", "clock back", "end")), st.integers(0, 600)),
    min_size=1,
    max_size=40,
)
RULES = st.builds(
    Rules,
    st.sampled_from(
        [Cron.parse(text, zone) for text in ("*/5 * * * *", "30 2 * * *") for zone in ("UTC", "Europe/Berlin")]
    ),
    st.sampled_from((ALLOW, FORBID, REPLACE)),
    st.sampled_from((None, timedelta(seconds=30), timedelta(hours=2))),
    st.sampled_from((timedelta(), timedelta(minutes=5))),
    st.integers(1, 4),
)
BEGINS = st.sampled_from((datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC), NOON))


@settings(max_examples=100, deadline=None)
@given(RULES, BEGINS, MOVES)
def test_no_slot_is_started_twice_and_the_cap_is_never_exceeded(
    rules: Rules, begin: datetime, moves: list[tuple[int, str, int]]
) -> None:
    """Whatever comes in which order: late looks, events, operators that begin anew, and clocks that go back."""
    now, latest, state, active = begin, begin, State(begin), 0
    slots: list[datetime] = []
    starts: list[datetime] = []
    accounted = 0
    for seconds, move, back in moves:
        now += timedelta(seconds=seconds)
        if move == "clock back":
            now -= timedelta(seconds=back)
        elif move == "restart":
            # What is written is to the second.
            state = State(state.considered.replace(microsecond=0), state.held, state.last_event, state.starts)
        elif move == "end":
            active = 0
        step = at_event(rules, state, active, now) if move == "event" else at_time(rules, state, active, now)
        assert not (step.start and active and rules.concurrency == FORBID)
        state = step.state
        if step.start:
            state = started(state, f"session-{len(starts)}", now)
            starts.append(now)
            active = 1 if step.replace else active + 1
            slots += [step.slot] if step.slot is not None else []
        if move != "event":
            accounted += bool(step.start) + sum(skip.count for skip in step.skips)
        latest = max(latest, now)
    assert len(slots) == len(set(slots))
    assert slots == sorted(slots)
    assert rules.cron is not None
    for at in starts:
        assert sum(1 for other in starts if at - HOUR < other <= at) <= rules.most_per_hour
    # Every slot was started, is counted, or waits for a session to end.
    last = at_time(rules, state, active, latest)
    accounted += bool(last.start) + sum(skip.count for skip in last.skips) + (last.state.held is not None)
    assert accounted == rules.cron.count(begin, latest + timedelta(microseconds=1), 100_000)
