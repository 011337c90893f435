"""Who may take the Lease, and what is written into it."""

import time
from datetime import UTC, datetime

import pytest

from kubestrace_operator.kube import election
from kubestrace_operator.kube.election import LEASE_SECONDS, RENEW_SECONDS, REQUEST_SECONDS, WRITE_SECONDS, Lease
from kubestrace_operator.kube.errors import NotLeadingError
from kubestrace_operator.kube.fence import Fence, boot_seconds

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def lease(holder: str, version: str = "1", duration: float = LEASE_SECONDS) -> Lease:
    """Return a Lease."""
    return Lease(holder, version, "2026-01-01T00:00:00.000000Z", 3, duration)


def test_a_lease_that_nobody_holds_is_taken_at_once() -> None:
    """There is none yet, it was given up, or it is one's own from before a restart."""
    takes = [election.Observer("me").may_take(each, 0) for each in (None, lease(""), lease("me"))]

    assert takes == [True, True, True]


@pytest.mark.parametrize("duration", [1, LEASE_SECONDS, 60])
def test_a_holder_that_does_not_renew_is_replaced_after_the_whole_time(duration: int) -> None:
    """Counted from when it was seen to change last; a shorter time set by others does not count."""
    observer, whole = election.Observer("me"), max(duration, LEASE_SECONDS)
    first = observer.may_take(lease("other", "1", duration), 100)
    renewed = observer.may_take(lease("other", "2", duration), 105)
    before = observer.may_take(lease("other", "2", duration), 105 + whole - 0.1)
    after = observer.may_take(lease("other", "2", duration), 105 + whole)

    assert [first, renewed, before, after] == [False, False, False, True]


def test_a_lease_that_was_deleted_is_no_invitation() -> None:
    """Its holder may write on until it notices."""
    observer = election.Observer("me")
    observer.may_take(lease("other"), 100)

    assert not observer.may_take(None, 101)
    assert observer.may_take(None, 100 + LEASE_SECONDS)


def test_a_holder_stops_writing_before_another_may_begin() -> None:
    """Whatever it waits for: the last renewal it knows of was sent before the other one saw it."""
    assert WRITE_SECONDS < LEASE_SECONDS
    assert RENEW_SECONDS + REQUEST_SECONDS < WRITE_SECONDS


def test_what_a_holder_writes() -> None:
    """The time of taking it stays while it is renewed; a change of the holder is counted."""
    first = election.held("name", "me", None, NOW)
    renewed = election.held("name", "me", lease("me", "7"), NOW)
    taken = election.held("name", "me", lease("other", "8"), NOW)
    given = election.given_up("name", lease("me", "9"), NOW)

    assert "resourceVersion" not in first["metadata"]
    assert first["spec"]["leaseTransitions"] == 0
    assert first["spec"]["acquireTime"] == first["spec"]["renewTime"] == "2026-01-02T03:04:05.000000Z"
    assert renewed["spec"]["acquireTime"] == "2026-01-01T00:00:00.000000Z"
    assert renewed["spec"]["leaseTransitions"] == 3
    assert taken["spec"]["acquireTime"] == "2026-01-02T03:04:05.000000Z"
    assert taken["spec"]["leaseTransitions"] == 4
    assert [each["metadata"]["resourceVersion"] for each in (renewed, taken, given)] == ["7", "8", "9"]
    assert given["spec"]["holderIdentity"] == ""


def test_a_lease_of_somebody_elses_making() -> None:
    """Fields may be missing or empty: it is then held by nobody."""
    empty = election.parse({"metadata": {"resourceVersion": "1"}})
    null = election.parse({"metadata": {"resourceVersion": "1"}, "spec": {"holderIdentity": None}})

    assert empty == null == Lease("", "1", None, 0, LEASE_SECONDS)


def test_a_fence_closes_by_itself() -> None:
    """Nobody has to be awake for it."""
    clock = [100.0]
    fence = Fence(lambda: clock[0])
    at_first = fence.is_open
    fence.open_until(107)
    fence.check()
    clock[0] = 107.0

    with pytest.raises(NotLeadingError):
        fence.check()
    assert not at_first


def test_a_fence_goes_by_a_clock_that_runs_on() -> None:
    """It is not behind the monotonic clock, which stands while the machine sleeps."""
    monotonic = time.monotonic()

    assert boot_seconds() >= monotonic
