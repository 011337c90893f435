"""Two snapshots and what lies between them."""

import errno
import platform
from dataclasses import replace

import pytest

from kubestrace_agent.kernel.counters.counts import InFlight, RawCounts, RingUser, Row
from kubestrace_agent.syscalls import UNKNOWN_NUMBERS, SyscallKey
from kubestrace_agent.traces.delta import Since, difference
from kubestrace_agent.traces.unreturned import Unreturned
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.histograms import bucket_index

READ, GETPID, OLD_GETPID = SyscallKey("x86_64", 0), SyscallKey("x86_64", 39), SyscallKey("i386", 20)


def between(start: RawCounts | None, now: RawCounts, wanted: frozenset[SyscallKey] | None = None):
    """The difference on an x86_64 machine."""
    return difference(start, now, wanted=wanted, architecture="x86_64")


def test_a_trace_is_what_was_added() -> None:
    """Calls, time, errors and buckets since the start; calls without a length count too."""
    start = RawCounts(epoch=3, rows={READ: Row(100, 2, 1, {11: 4}, {5: 1, 40: 9}, ((3, 50),))})
    now = RawCounts(epoch=5, rows={READ: Row(350, 5, 2, {11: 6, 512: 3}, {5: 1, 40: 10, 61: 2}, ((4, 300),))})

    found = between(start, now)
    (read,) = found.syscalls
    assert (read.name, read.abi, read.wait) == ("read", "", False)
    assert (read.calls, read.timed, read.total_nanoseconds) == (6, 3, 250)
    assert (read.errors, read.interrupted) == (2, 3)
    assert [(errno.name, errno.count) for errno in read.errnos] == [("EAGAIN", 2)]
    assert (list(read.latency.buckets), list(read.latency.counts)) == ([40, 61], [1, 2])
    assert found.trust.unmatched_calls == 1


def test_what_calls_moved_is_what_was_added() -> None:
    """In each of a call's two rows."""
    start = RawCounts(epoch=1, rows={READ: Row(10, 0, 0, {}, {10: 2}, ((1, 10),), bytes=700, nothings=1)})
    waited = Row(9, 0, 0, {}, {10: 1}, ((2, 9),), bytes=2**40)
    worked = Row(30, 0, 0, {}, {10: 6}, ((2, 10),), bytes=1500, nothings=3)
    now = RawCounts(epoch=2, rows={READ: worked, READ._replace(waited=True): waited})

    found = [(each.wait, each.bytes, each.zero_results) for each in between(start, now).syscalls]
    assert sorted(found) == [(False, 800, 2), (True, 2**40, 0)]


def test_nothing_since_the_start_is_no_row() -> None:
    """A call that was made only before is not in the trace."""
    row = Row(100, 0, 0, {}, {40: 1}, ((1, 100),))
    counts = RawCounts(epoch=1, rows={READ: row})

    assert between(counts, RawCounts(epoch=2, rows={READ: row})).syscalls == []
    assert [each.calls for each in between(None, counts).syscalls] == [1]


def test_rows_of_another_abi_carry_its_name() -> None:
    """Int 0x80 from a 64-bit program is i386's call."""
    row = Row(10, 0, 0, {}, {10: 1}, ((1, 10),))
    found = between(None, RawCounts(epoch=1, rows={GETPID: row, OLD_GETPID: row}))

    assert sorted((each.name, each.abi) for each in found.syscalls) == [("getpid", ""), ("getpid", "i386")]


def test_only_what_the_trace_wants_is_in_it() -> None:
    """Its slot may count more for others; calls in flight are filtered alike."""
    row = Row(10, 1, 1, {}, {10: 1}, ((1, 10),))
    unknown = SyscallKey("x86_64", 400)
    waiting = (InFlight(READ, 7, 7, 5), InFlight(GETPID, 8, 7, 5))
    now = RawCounts(epoch=1, rows={READ: row, GETPID: row, unknown: row}, in_flight=waiting)

    narrow = between(None, now, frozenset({GETPID}))
    assert [each.name for each in narrow.syscalls] == ["getpid"]
    assert (narrow.trust.unreturned_calls, narrow.trust.unmatched_calls) == (1, 1)
    others = between(None, now, frozenset({SyscallKey("x86_64", UNKNOWN_NUMBERS)}))
    assert [each.name for each in others.syscalls] == ["syscall_400"]


def test_calls_that_waited_are_a_row_of_their_own() -> None:
    """The same call, in the same selection; only one of the two is work."""
    worked, waited = Row(10, 1, 0, {}, {10: 1}, ((1, 10),)), Row(900, 0, 0, {}, {60: 2}, ((1, 500),))
    now = RawCounts(epoch=1, rows={READ: worked, READ._replace(waited=True): waited})

    for wanted in (None, frozenset({READ})):
        found = [(each.name, each.wait, each.calls) for each in between(None, now, wanted).syscalls]
        assert found == [("read", True, 2), ("read", False, 2)]
    assert between(None, now, frozenset({GETPID})).syscalls == []


def test_io_uring_is_said_whatever_is_wanted() -> None:
    """Its work shows as no call, so a filter must not hide it."""
    ring = RawCounts(epoch=1, rows={SyscallKey("x86_64", 426): Row(10, 0, 0, {}, {10: 1}, ((1, 10),))})

    found = between(None, ring, frozenset({READ}))
    assert (found.syscalls, found.trust.io_uring) == ([], True)


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS])
def test_io_uring_that_was_refused_was_not_used(number: int) -> None:
    """Programs try it as they start: where seccomp or kernel.io_uring_disabled forbids it, or the kernel has none."""
    setup = SyscallKey("x86_64", 425)
    refused = RawCounts(epoch=1, rows={setup: Row(30, 0, 0, {number: 3}, {10: 3}, ((1, 10),))})
    allowed = RawCounts(epoch=2, rows={setup: Row(40, 0, 0, {number: 3}, {10: 4}, ((1, 10),))})

    assert not between(None, refused).trust.io_uring
    assert between(None, allowed).trust.io_uring


def test_who_made_a_ring_before_the_session_and_has_ended_is_not_named() -> None:
    """Whoever made one within it is, also where another session looked first."""
    before = RingUser(1, 1, b"old", polled=False, noted=4)
    start = RawCounts(epoch=5, ring_users=(before,))
    within = RingUser(2, 2, b"new", polled=False, noted=6)

    trust = Since(start, wanted=None, architecture="x86_64").to(RawCounts(epoch=9, ring_users=(before, within))).trust

    assert [user.process for user in trust.ring_users] == ["new"]


def test_who_used_io_uring_stays_known() -> None:
    """As long as it lives by every snapshot; what it is called is made safe to print."""
    user = RingUser(4711, 7, b"d\x1bb", polled=True, rings=frozenset({1, 2}))
    differences = Since(RawCounts(), wanted=frozenset({READ}), architecture="x86_64")
    differences.to(RawCounts(epoch=1, ring_users=(user,)))
    differences.to(RawCounts(epoch=2, ring_users=(replace(user, rings=frozenset({3})),)))

    trust = differences.to(RawCounts(epoch=3)).trust

    assert trust.io_uring
    assert list(trust.ring_users) == [agent_pb2.RingUser(pid=7, host_pid=4711, process="d\\x1bb", polled=True, rings=2)]
    assert trust.rings == 2


def test_rows_come_by_falling_time() -> None:
    """Those that took longest first."""
    rows = {READ: Row(10, 0, 0, {}, {10: 1}, ((1, 10),)), GETPID: Row(30, 0, 0, {}, {26: 1}, ((1, 30),))}

    assert [each.name for each in between(None, RawCounts(epoch=1, rows=rows)).syscalls] == ["getpid", "read"]


def test_the_maximum_is_of_the_traces_own_time() -> None:
    """The longest call of an epoch after the start's, never of an earlier one."""
    row = Row(1000, 0, 0, {}, {bucket_index(500): 1, bucket_index(90): 3}, ((2, 500), (5, 95), (7, 90)))
    before = Row(810, 0, 0, {}, {bucket_index(500): 1, bucket_index(90): 1}, ((2, 500), (4, 90)))

    assert between(None, RawCounts(epoch=7, rows={READ: row})).syscalls[0].max_nanoseconds == 500
    later = between(RawCounts(epoch=4, rows={READ: before}), RawCounts(epoch=7, rows={READ: row}))
    assert later.syscalls[0].max_nanoseconds == 95


def test_lost_calls_are_those_since_the_start() -> None:
    """What did not fit before the trace is not its loss."""
    assert between(RawCounts(lost_calls=5), RawCounts(lost_calls=12)).trust.lost_calls == 7


def test_a_growing_difference_is_the_same_as_a_new_one() -> None:
    """What has not changed is not worked out again, and what has is."""
    still, first = Row(10, 0, 0, {}, {10: 1}, ((1, 10),)), Row(30, 0, 0, {}, {26: 1}, ((1, 30),))
    second = Row(60, 0, 0, {}, {26: 2}, ((2, 30),))
    start = RawCounts(epoch=0)
    since = Since(start, wanted=None, architecture="x86_64")
    early, late = (RawCounts(epoch=n, rows={READ: still, GETPID: row}) for n, row in ((1, first), (2, second)))

    assert since.to(early) == between(start, early)
    assert since.to(late) == between(start, late)
    assert since.to(late).syscalls[1] is since.to(late).syscalls[1]


def test_when_a_call_was_first_seen_stays() -> None:
    """Unix time of the first reading that held one of the session's own, whatever comes later."""
    old, new = Row(10, 0, 0, {}, {10: 1}, ((1, 10),)), Row(20, 0, 0, {}, {10: 2}, ((2, 10),))
    since = Since(RawCounts(rows={READ: old}), wanted=None, architecture="x86_64", unix_offset_ns=1_000)

    def seen(time_ns: int, **rows: Row) -> dict[str, int]:
        keys = {"read": READ, "getpid": GETPID}
        counts = RawCounts(epoch=time_ns, time_ns=time_ns, rows={keys[name]: row for name, row in rows.items()})
        return {each.name: each.first_seen_unix_nanoseconds for each in since.to(counts).syscalls}

    assert seen(5, read=old) == {}
    assert seen(6, read=new) == {"read": 1_006}
    assert seen(9, read=new._replace(total_ns=30), getpid=old) == {"read": 1_006, "getpid": 1_009}


def test_each_call_that_has_not_returned_is_named_once() -> None:
    """Of all of them, although few are listed; another ABI's with its name."""
    calls = [
        InFlight(key, 10, False, tid) for tid, key in enumerate([READ, READ._replace(waited=True), OLD_GETPID] * 20)
    ]

    names = Unreturned(None, wanted=None, paths=False).names(RawCounts(in_flight=tuple(calls)))

    assert names == (["i386:getpid", "read"] if platform.machine() == "x86_64" else names)
    assert Unreturned(None, wanted=frozenset({GETPID}), paths=False).names(RawCounts(in_flight=tuple(calls))) == []
