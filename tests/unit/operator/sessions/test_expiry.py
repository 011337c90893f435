"""spec.ttlSecondsAfterFinished: deleted once, in time, whatever clocks and the API server do meanwhile."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from operator_fakes import BEGIN, in_no_time, now

from kubestrace_operator.api.conditions import timestamp
from kubestrace_operator.kube.errors import ClusterError, ConflictError, NotFoundError
from kubestrace_operator.kube.session_rows import SessionRow
from kubestrace_operator.sessions.expiry import Expiry


class Harness:
    """An expiry whose deletions a test can see, and let fail."""

    def __init__(self) -> None:
        self.deleted: list[tuple[float, str]] = []
        self.failing: dict[str, ClusterError] = {}
        # What the world's clock was set forward by.
        self.step = timedelta()
        self.expiry = Expiry(self._delete, lambda: now() + self.step)
        self.beside = asyncio.create_task(self.expiry.run())

    async def _delete(self, row: SessionRow) -> None:
        self.deleted.append((asyncio.get_running_loop().time(), row.name))
        if row.name in self.failing:
            raise self.failing[row.name]

    @property
    def names(self) -> list[str]:
        """The sessions that the API server was asked to delete."""
        return [name for _, name in self.deleted]


def finished(name: str, ttl_seconds: int | None, at: datetime = BEGIN) -> SessionRow:
    """Return a session that has ended."""
    return SessionRow(f"uid-{name}", "shop", name, "1", 1, (), False, "Succeeded", timestamp(at), ttl_seconds)


@in_no_time
async def test_without_a_ttl_it_stays() -> None:
    """Weeks pass."""
    harness = Harness()
    harness.expiry.note(finished("kept", None))

    await asyncio.sleep(20 * 86_400)

    assert harness.names == []


@in_no_time
async def test_ten_thousand_that_wait_cost_nothing() -> None:
    """Between now and the first that is due nothing wakes up: the operator does not poll."""
    harness = Harness()
    for number in range(10_000):
        harness.expiry.note(finished(f"s{number}", 86_400))
    looks = 0
    seconds = harness.expiry._seconds

    def counted() -> float | None:
        nonlocal looks
        looks += 1
        return seconds()

    harness.expiry._seconds = counted  # type: ignore[method-assign]
    await asyncio.sleep(86_000)
    before = looks
    await asyncio.sleep(1000)

    assert before <= 2
    assert len(harness.names) == len(set(harness.names)) == 10_000


@in_no_time
async def test_one_that_cannot_be_deleted_holds_up_no_other() -> None:
    """It is tried again, later each time."""
    harness = Harness()
    harness.failing["stuck"] = ClusterError("a webhook refuses it")
    harness.expiry.note(finished("stuck", 1))
    harness.expiry.note(finished("other", 2))

    await asyncio.sleep(100)

    assert harness.deleted[1] == (2, "other")
    assert [when for when, name in harness.deleted if name == "stuck"] == [1, 6, 16, 36, 76]


@in_no_time
async def test_a_clock_that_is_set_moves_no_deletion() -> None:
    """Forward or back, after the session was seen: its TTL is a length of time."""
    harness = Harness()
    harness.expiry.note(finished("forward", 100))
    harness.step = timedelta(days=3650)
    await asyncio.sleep(99)
    early = list(harness.names)
    harness.step = timedelta(days=-3650)
    await asyncio.sleep(2)

    assert (early, harness.names) == ([], ["forward"])


@in_no_time
async def test_a_session_from_the_future_waits_no_longer_than_its_ttl() -> None:
    """The clock of the operator that ended it was ahead."""
    harness = Harness()
    harness.expiry.note(finished("ahead", 10, BEGIN + timedelta(days=30)))

    await asyncio.sleep(11)

    assert harness.names == ["ahead"]


@in_no_time
async def test_an_operator_that_starts_deletes_what_was_due_meanwhile() -> None:
    """The date in the status says how much of the TTL is left."""
    harness = Harness()
    harness.expiry.note(finished("over", 60, BEGIN - timedelta(hours=1)))
    harness.expiry.note(finished("nearly", 60, BEGIN - timedelta(seconds=50)))

    await asyncio.sleep(5)
    at_once = list(harness.names)
    await asyncio.sleep(6)

    assert (at_once, harness.names) == (["over"], ["over", "nearly"])


@in_no_time
async def test_a_watch_that_is_behind_deletes_nothing_twice() -> None:
    """An event from before the deletion comes after it; a session of the same name is another one."""
    harness = Harness()
    row = finished("once", 1)
    harness.expiry.note(row)
    await asyncio.sleep(2)
    harness.expiry.note(row)
    await asyncio.sleep(2)
    once = list(harness.names)
    harness.expiry.forget(row.uid)
    harness.expiry.note(replace(row, uid="another"))
    await asyncio.sleep(2)

    assert (once, harness.names) == (["once"], ["once", "once"])


@in_no_time
async def test_a_ttl_that_is_changed_at_the_last_moment() -> None:
    """The API server refuses to delete what is not as it was seen; what the watch says then counts."""
    harness = Harness()
    row = finished("longer", 10)
    harness.expiry.note(row)
    harness.failing["longer"] = ConflictError("the object has been modified")
    await asyncio.sleep(11)
    del harness.failing["longer"]
    harness.expiry.note(replace(row, resource_version="2", ttl_seconds=1000))
    await asyncio.sleep(900)
    before = len(harness.names)
    await asyncio.sleep(100)

    assert (before, len(harness.names)) == (1, 2)


@in_no_time
async def test_a_ttl_that_is_taken_away_and_one_that_is_gone() -> None:
    """Neither is asked for again."""
    harness = Harness()
    harness.expiry.note(finished("kept", 10))
    harness.expiry.note(finished("kept", None))
    harness.failing["gone"] = NotFoundError("no such session")
    harness.expiry.note(finished("gone", 1))

    await asyncio.sleep(1000)

    assert harness.names == ["gone"]


@in_no_time
async def test_a_session_that_comes_and_goes_leaves_nothing() -> None:
    """Years of sessions that people delete before their TTL do not fill the memory."""
    harness = Harness()
    for number in range(5000):
        row = finished(f"s{number}", 2**31 - 1)
        harness.expiry.note(row)
        harness.expiry.forget(row.uid)

    await asyncio.sleep(1)

    assert len(harness.expiry._queue) < 2000
