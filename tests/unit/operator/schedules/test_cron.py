"""Slots of cron expressions: each once, in order, also where the clocks change."""

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kubestrace_operator.schedules.cron import Cron, CronError

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia")
# Days on which the clocks of one of them change, and the day that Apia left out.
DAYS = (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
DAYS += (datetime(2026, 4, 4, tzinfo=UTC), datetime(2026, 3, 8, tzinfo=UTC), datetime(2011, 12, 30, tzinfo=UTC))
MOMENTS = st.builds(
    lambda day, minutes: day + timedelta(minutes=minutes), st.sampled_from(DAYS), st.integers(-2000, 2000)
)
EXPRESSIONS = st.sampled_from(
    (
        "*/7 * * * *",
        "30 2 * * *",
        "0,30 1-3 * * *",
        "15 */2 * * *",
        "0 3 * * SUN",
        "59 23 * * *",
        "0 0 1 * *",
        "30 1 * * *",
    )
)
CRONS = st.builds(Cron.parse, EXPRESSIONS, st.sampled_from(ZONES))


def utc(text: str) -> datetime:
    """Return a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def slots(expression: str, zone: str, after: str, count: int) -> list[str]:
    """Return the slots after a moment in UTC."""
    found = islice(Cron.parse(expression, zone).slots(utc(after)), count)
    return [each.strftime("%m-%d %H:%M") for each in found]


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        ("0 3 * * *", "UTC", "2026-11-28T00:00", ["11-28 03:00", "11-29 03:00"]),
        ("0 3 * * *", "Europe/Berlin", "2026-07-01T00:00", ["07-01 01:00", "07-02 01:00"]),
        ("@hourly", "UTC", "2026-11-28T00:00", ["11-28 01:00", "11-28 02:00"]),
        ("@weekly", "UTC", "2026-11-28T00:00", ["11-29 00:00", "12-06 00:00"]),
        # 02:30 does not exist on 29 March: the clocks go from 02:00 to 03:00, which is 01:00 UTC.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["03-29 01:00", "03-30 00:30"]),
        # 02:30 comes twice on 25 October.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", ["10-25 00:30", "10-26 01:30"]),
        # Two slots in the gap are one.
        ("15,45 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["03-29 01:00", "03-30 00:15"]),
        ("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:45", ["10-25 00:00", "10-25 00:30", "10-25 01:00"]),
    ],
)
def test_the_slots_of_an_expression(expression: str, zone: str, after: str, expected: list[str]) -> None:
    """In UTC, whatever the zone's clocks do."""
    assert slots(expression, zone, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "zone", "complaint"),
    [
        ("every day", "UTC", "five fields"),
        ("* * * * * *", "UTC", "five fields"),
        ("@often", "UTC", "five fields"),
        ("61 * * * *", "UTC", "bad minute"),
        ("* 24 * * *", "UTC", "bad hour"),
        ("0 0 31 2 *", "UTC", "bad day-of-month"),
        ("0 0 * * *", "Mars/Olympus", "not a time zone"),
        ("0 0 * * *", "../etc/passwd", "not a time zone"),
    ],
)
def test_what_says_nothing_is_refused(text: str, zone: str, complaint: str) -> None:
    """In words that say what is wrong."""
    with pytest.raises(CronError, match=complaint):
        Cron.parse(text, zone)


@settings(max_examples=60, deadline=None)
@given(CRONS, MOMENTS, st.integers(1, 3000))
@example(Cron.parse("30 2 * * *", "Europe/Berlin"), utc("2026-10-25T01:15"), 60)
def test_the_latest_slot_is_the_last_of_those_that_come(cron: Cron, after: datetime, minutes: int) -> None:
    """Looked for from any moment before: no slot is lost or made up between two looks."""
    until = after + timedelta(minutes=minutes)
    between = list(takewhile(lambda slot: slot <= until, cron.slots(after)))

    assert between == sorted(set(between))
    assert cron.latest(after, until) == (between[-1] if between else None)
    if between:
        assert cron.count(after, between[-1], 10_000) == len(between) - 1


@settings(max_examples=60, deadline=None)
@given(CRONS, MOMENTS, st.integers(1, 2000), st.integers(1, 2000))
def test_slots_do_not_depend_on_when_one_looks(cron: Cron, after: datetime, first: int, second: int) -> None:
    """Two looks see together what one sees."""
    middle, end = after + timedelta(minutes=first), after + timedelta(minutes=first + second)

    def seen(begin: datetime, until: datetime) -> list[datetime]:
        return list(takewhile(lambda slot: slot <= until, cron.slots(begin)))

    assert seen(after, middle) + seen(middle, end) == seen(after, end)


def test_the_latest_slot_of_a_schedule_that_slept_for_years() -> None:
    """Found without going through all of them."""
    minutely = Cron.parse("* * * * *")

    assert minutely.latest(utc("2006-01-01T00:00"), utc("2026-01-01T00:00:30")) == utc("2026-01-01T00:00")
    assert Cron.parse("0 0 1 1 *").latest(utc("2006-01-01T00:00"), utc("2026-06-01T00:00")) == utc("2026-01-01T00:00")
    assert Cron.parse("0 0 29 2 *").latest(utc("2006-01-01T00:00"), utc("2027-06-01T00:00")) == utc("2024-02-29T00:00")
