"""What a session sees of a slot's rings: the difference of two readings; and which kernels can tell of them."""

import pytest
from view_messages import io_uring

from kubestrace_agent.kernel.loader.btf import BtfError
from kubestrace_agent.views.io_uring import offsets
from kubestrace_agent.views.io_uring.collector import RingOperations
from kubestrace_agent.views.io_uring.values import RawRings, RingCounts
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.histograms import bucket_bounds, bucket_index
from kubestrace_protos.v1.views import io_uring_pb2

NOP, OPENAT, READ, UNKNOWN, FURTHER = 0, 18, 22, 200, 256


def counts(*lengths_ns: int, errnos: dict[int, int] | None = None, others: int = 0) -> RingCounts:
    """Return operations that took so long, with a result of 512; `others` are errors without an errno."""
    buckets: dict[int, int] = {}
    for length in lengths_ns:
        buckets[bucket_index(length)] = buckets.get(bucket_index(length), 0) + 1
    done, errors = len(lengths_ns), sum((errnos or {}).values()) + others
    return RingCounts(
        submitted=done,
        completed=done,
        errors=errors,
        bytes=512 * (done - errors),
        total_ns=sum(lengths_ns),
        max_ns=max(lengths_ns, default=0),
        buckets=buckets,
        errnos=errnos or {},
    )


def result(*readings: RawRings, lost: int = 0) -> io_uring_pb2.IOUringResult:
    """Return what a session reports after these readings."""
    collector = RingOperations()
    collector.begin(0, 5)
    for reading in readings:
        collector.take(reading, 5 + lost, 0)
    report = agent_pb2.ContainerReport()
    collector.write(report)
    assert report.trust.losses.get("ioUring", 0) == lost
    return io_uring(report)


def test_what_was_there_before_is_not_the_sessions() -> None:
    """Neither operations, nor kinds of them that saw no more."""
    found = result({READ: counts(100, 200), NOP: counts(7)}, {READ: counts(100, 200, 300), NOP: counts(7)}, lost=2)

    (row,) = found.rows
    assert (row.operation, row.submitted, row.completed, row.bytes) == ("read", 1, 1, 512)
    assert (row.total_nanoseconds, row.max_nanoseconds) == (300, 300)


def test_the_longest_is_bounded_where_a_longer_one_came_before() -> None:
    """The kernel keeps one maximum for all sessions; a bucket says how long one's own took at most."""
    (row,) = result({READ: counts(5000)}, {READ: counts(5000, 300)}).rows

    assert row.max_nanoseconds == bucket_bounds(bucket_index(300))[1]


def test_errors_add_up_whether_their_errno_is_known_or_not() -> None:
    """Those for which the kernel's table had no room stand under a name of their own."""
    (row,) = result({}, {OPENAT: counts(1, 2, 3, 4, errnos={2: 1, 13: 1}, others=1)}).rows

    assert row.errors == 3
    assert [(each.name, each.count) for each in row.errnos] == [("errno_other", 1), ("ENOENT", 1), ("EACCES", 1)]
    # What openat returns is a descriptor.
    assert row.bytes == 0


def test_what_has_no_name_and_what_belongs_to_no_operation() -> None:
    """A newer kernel's opcode has its number; results of multishot operations are no row."""
    found = result({}, {UNKNOWN: counts(1), FURTHER: RingCounts(completed=9, errors=2, untimed=9)})

    assert [row.operation for row in found.rows] == ["operation 200"]
    assert (found.further_results, found.further_errors) == (9, 2)


def test_without_a_reading_there_is_no_result() -> None:
    """The container ended before."""
    report = agent_pb2.ContainerReport()
    RingOperations().write(report)

    assert not report.views


class Kernel:
    """The type information of a kernel whose tracepoints have so many arguments, with the one that each has."""

    def __init__(self, **arguments: int) -> None:
        self._arguments = {f"btf_trace_io_uring_{event}": count for event, count in arguments.items()}

    def names(self, name: str) -> bool:
        """Whether it has a tracepoint."""
        return name in self._arguments

    def parameters(self, name: str) -> int:
        """Return how many it has."""
        return self._arguments[name]

    def offset(self, path: str) -> int:
        """Any."""
        return len(path)


@pytest.mark.parametrize(
    ("kernel", "by_struct"),
    [
        (Kernel(submit_req=2, req_failed=4, cqe_overflow=6, complete=4), True),  # 6.18
        (Kernel(submit_req=2, req_failed=4, cqe_overflow=6, complete=8), False),  # 6.6
        (Kernel(submit_sqe=3, req_failed=4, cqe_overflow=6, complete=8), False),  # 6.1
    ],
)
def test_each_kernels_way_to_tell_a_result_is_known(kernel: Kernel, by_struct: bool) -> None:
    """In a struct, or by itself."""
    assert ("RING_RESULT_OFFSET" in offsets.definitions("x86_64", kernel)) == by_struct  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "kernel",
    [
        Kernel(submit_sqe=8, req_failed=5, complete=8),  # 5.19
        Kernel(submit_sqe=7, complete=5),  # 5.15
        Kernel(submit_req=2, req_failed=4, cqe_overflow=6, complete=5),
        Kernel(),  # built without io_uring
    ],
)
def test_a_kernel_that_does_not_tell_requests_apart_is_refused(kernel: Kernel) -> None:
    """With the reason."""
    with pytest.raises(BtfError, match="this kernel"):
        offsets.definitions("x86_64", kernel)  # type: ignore[arg-type]
