"""What a session sees of the waits of a slot's threads: the difference of two readings."""

from dataclasses import replace

from view_messages import locks

from kubestrace_agent.views.locks.collector import MOST_REPORTED, LockWaits
from kubestrace_agent.views.locks.values import LockCounts, RawLocks
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.histograms import bucket_bounds, bucket_index
from kubestrace_protos.v1.views import locks_pb2

LOCK, OTHER = (700, 0x7F00_0000_1000), (700, 0x7F00_0000_2000)


def waited(*lengths_ns: int, held_ns: int = 0) -> LockCounts:
    """Return waits that took so long, each handed on and followed by a hold."""
    buckets: dict[int, int] = {}
    for length in lengths_ns:
        buckets[bucket_index(length)] = buckets.get(bucket_index(length), 0) + 1
    return LockCounts(
        inner_pid=7,
        process=b"app",
        threads=3,
        waits=len(lengths_ns),
        wakes=len(lengths_ns),
        handed_on=len(lengths_ns),
        holds=len(lengths_ns),
        held_ns=held_ns * len(lengths_ns),
        longest_held_ns=held_ns,
        total_ns=sum(lengths_ns),
        max_ns=max(lengths_ns, default=0),
        buckets=buckets,
    )


def result(*readings: RawLocks, lost: int = 0) -> locks_pb2.LocksResult:
    """Return what a session reports after these readings."""
    collector = LockWaits()
    collector.begin(0, 5)
    for reading in readings:
        collector.take(reading, 5 + lost, 0)
    report = agent_pb2.ContainerReport()
    collector.write(report)
    assert report.trust.losses.get("locks", 0) == lost
    return locks(report)


def test_what_was_there_before_is_not_the_sessions() -> None:
    """Neither waits, nor locks that saw no more of them."""
    before = RawLocks({LOCK: waited(100, 200), OTHER: waited(7)}, other_waits=2, other_ns=50)
    found = result(before, RawLocks({LOCK: waited(100, 200, 300), OTHER: waited(7)}, 5, 80), lost=2)

    (row,) = found.locks
    assert (row.pid, row.host_pid, row.address, row.process, row.threads) == (7, *LOCK, "app", 3)
    assert (row.waits, row.wakes, row.handed_on, row.total_nanoseconds, row.max_nanoseconds) == (1, 1, 1, 300, 300)
    assert (found.other_locks, found.other_waits, found.other_nanoseconds) == (0, 3, 30)


def test_the_longest_are_bounded_where_longer_ones_came_before() -> None:
    """The kernel keeps one maximum for all sessions."""
    before = RawLocks({LOCK: waited(5000, held_ns=900)})
    now = replace(waited(5000, 300), held_ns=1000, longest_held_ns=900)
    (row,) = result(before, RawLocks({LOCK: now})).locks

    assert row.max_nanoseconds == bucket_bounds(bucket_index(300))[1]
    assert (row.held_nanoseconds, row.longest_held_nanoseconds) == (100, 100)


def test_a_report_has_the_longest_waits_and_the_sums_of_the_others() -> None:
    """However many addresses there are."""
    many = {(700, 8 * number): waited(number) for number in range(1, MOST_REPORTED + 11)}
    found = result(RawLocks(), RawLocks(many, other_waits=1, other_ns=1000))

    assert [row.total_nanoseconds for row in found.locks] == list(range(MOST_REPORTED + 10, 10, -1))
    assert (found.other_locks, found.other_waits, found.other_nanoseconds) == (10, 11, 55 + 1000)


def test_a_name_is_safe_to_print_and_redacted() -> None:
    """A program chooses its name."""
    collector = LockWaits()
    collector.begin(0, 0)
    collector.take(RawLocks(), 0, 0)
    collector.take(RawLocks({LOCK: replace(waited(1), process=b"a\x1b[2Jb\n\xff")}), 0, 0)
    report = agent_pb2.ContainerReport()
    collector.write(report)

    assert locks(report).locks[0].process.isprintable()
