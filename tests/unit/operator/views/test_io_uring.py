"""What was done by io_uring: added up over containers and nodes, as a document and as text."""

from datetime import UTC, datetime
from typing import Any

from kubestrace_operator.results.rows import ContainerKey
from kubestrace_operator.status.sections import combined
from kubestrace_operator.views.io_uring import MAX_ERRNOS, MAX_OPERATIONS, IOUring, Part, Settings
from kubestrace_operator.views.io_uring_text import lines, remarks
from kubestrace_operator.views.view import ContainerResult, Shown
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.histograms import bucket_index
from kubestrace_protos.v1.views import io_uring_pb2

US = 1000
VIEW = IOUring()


def row(operation: str, count: int, **errnos: int) -> io_uring_pb2.RingRow:
    """Return a row of as many operations, each of 5 us."""
    return io_uring_pb2.RingRow(
        operation=operation,
        submitted=count,
        completed=count,
        errors=sum(errnos.values()),
        bytes=512 * count,
        buckets=[bucket_index(5 * US)],
        counts=[count],
        total_nanoseconds=5 * US * count,
        max_nanoseconds=5 * US,
        errnos=[io_uring_pb2.RingErrno(name=name, count=number) for name, number in errnos.items()],
    )


def merged(*containers: list[io_uring_pb2.RingRow], further: int = 0) -> Part:
    """Return what a node's containers come to."""
    return VIEW.merge(
        ContainerResult(
            ContainerKey("n1", "pod", "app", f"c{number}"),
            agent_pb2.Container(),
            io_uring_pb2.IOUringResult(rows=rows, further_results=further),
        )
        for number, rows in enumerate(containers)
    )


def status(part: Part) -> dict[str, Any]:
    """Return the view's part of a status."""
    now = datetime.now(UTC)
    shown = Shown(Settings(), part, [], [], now, now, 0)
    (section,) = VIEW.sections(shown)
    return combined(VIEW.document(shown), section.document(len(section.rows)))


def test_containers_and_nodes_are_added() -> None:
    """Rows of one operation are one row; the parts stay as they are."""
    one = merged([row("read", 3)], [row("read", 4, EIO=1), row("openat", 2, ENOENT=2)], further=5)

    whole = VIEW.add([one, merged([row("read", 10, EIO=2)])])

    read = whole.operations["read"]
    assert (read.submitted, read.completed, read.errors, read.bytes) == (17, 17, 3, 17 * 512)
    assert (read.errnos, read.total_ns, read.max_ns) == ({"EIO": 3}, 17 * 5 * US, 5 * US)
    assert (whole.operations["openat"].errnos, whole.further_results) == ({"ENOENT": 2}, 10)
    assert one.operations["read"].submitted == 7


def test_the_status_has_the_totals_and_the_longest_first() -> None:
    """And trust says how many were counted."""
    found = status(merged([row("read", 3), row("openat", 9, ENOENT=2, EACCES=3)], further=5))

    assert found["trust"]["ioUring"] == {"operations": 12}
    ring = found["ioUring"]
    assert (ring["submitted"], ring["completed"], ring["errors"], ring["furtherResults"]) == (12, 12, 5, 5)
    assert [each["operation"] for each in ring["operations"]] == ["openat", "read"]
    assert ring["operations"][0]["errorCounts"] == [{"errno": "EACCES", "count": 3}, {"errno": "ENOENT", "count": 2}]
    assert ring["otherOperations"] == {"rows": 0, "submitted": 0, "completed": 0, "errors": 0}


def test_what_is_not_shown_is_in_the_sums_of_others() -> None:
    """Rows beyond the bound, and errnos of one row."""
    many = [row(f"operation {number}", 1 + (number == 0)) for number in range(MAX_OPERATIONS + 3)]
    ring = status(merged(many))["ioUring"]
    errors = {f"errno_{number}": 1 for number in range(MAX_ERRNOS + 2)}
    (only,) = status(merged([row("read", 20, **errors)]))["ioUring"]["operations"]

    assert (len(ring["operations"]), ring["otherOperations"]["rows"]) == (MAX_OPERATIONS, 3)
    assert ring["otherOperations"]["submitted"] == 3
    assert (len(only["errorCounts"]), only["otherErrors"]) == (MAX_ERRNOS, 2)


def test_the_text_says_what_failed_how() -> None:
    """In units that people read."""
    rows = status(merged([row("read", 2048), row("openat", 50, ENOENT=50)]))["ioUring"]["operations"]

    head, read, opened, further = lines(rows, 7)

    assert head.split() == ["submitted", "completed", "errors", "bytes", "p50", "p99", "max", "by", "io_uring"]
    assert read.split() == ["2048", "2048", "0", "1.0MiB", "4.9us", "4.9us", "5.0us", "read"]
    assert opened.endswith(" 5.0us openat (ENOENT 50)")
    assert further == "7 further results: of multishot operations, messages, or with the completion ring full"
    assert list(lines([], 0)) == ["Nothing was done by io_uring."]


def test_a_remark_says_who_and_whether_it_is_counted() -> None:
    """Nothing where nobody uses it."""
    process = {"process": "db", "pid": 7, "rings": 2, "polled": True}
    used = {"used": True, "processes": [process], "otherProcesses": 3}

    (counted,) = remarks({**used, "operations": 12})
    (not_counted,) = remarks(used)

    assert counted.startswith("io_uring is in use by db (process 7, 2 rings, polled by the kernel), 3 more: ")
    assert counted.endswith(" 12 operations were counted apart.")
    assert not_counted.endswith("--io-uring (views.ioUring) counts it.")
    assert list(remarks({"used": False})) == []
