"""What disks did: added up over containers and nodes, as a document and as text."""

from typing import Any

from kubestrace_operator.api.sizes import size
from kubestrace_operator.results.rows import ContainerKey
from kubestrace_operator.views.block_io import BlockIO, Kind, Part, Requests, Times
from kubestrace_operator.views.block_io_text import lines
from kubestrace_operator.views.view import ContainerResult
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.histograms import bucket_index
from kubestrace_protos.v1.views import block_io_pb2

MS = 1_000_000
VIEW = BlockIO()


def row(count: int, attribution: str = "container", **fields: object) -> block_io_pb2.BlockRow:
    """Return a row of as many writes of 4 KiB, each a millisecond in the device."""
    times = block_io_pb2.BlockLengths(
        buckets=[bucket_index(MS)], counts=[count], total_nanoseconds=count * MS, max_nanoseconds=MS
    )
    return block_io_pb2.BlockRow(
        **{"device": "vda", "operation": "write", "sync": True, **fields},
        attribution=attribution,
        count=count,
        bytes=4096 * count,
        device_time=times,
    )


def merged(*containers: list[block_io_pb2.BlockRow], node: str = "n1") -> Part:
    """Return what a node's containers come to."""
    results = [
        ContainerResult(
            ContainerKey(node, "pod", "app", f"c{number}"),
            agent_pb2.Container(),
            block_io_pb2.BlockIOResult(rows=rows),
        )
        for number, rows in enumerate(containers)
    ]
    return VIEW.merge(results)


def kind(attribution: str = "container", node: str = "n1") -> Kind:
    """Return the key of such rows."""
    return Kind(node, "vda", "write", True, False, attribution)


def test_containers_are_added_and_what_is_shared_is_not() -> None:
    """Each container of a node reports what is shared; the one that was traced first has the most of it."""
    part = merged([row(3), row(9, "shared")], [row(4), row(5, "shared")])

    assert part[kind()].count == 7
    assert part[kind()].bytes == 7 * 4096
    assert part[kind()].device.total_ns == 7 * MS
    assert part[kind("shared")].count == 9


def test_nodes_have_disks_of_their_own() -> None:
    """Disks of one name are not one disk; the parts stay as they are."""
    one, other = merged([row(3)]), merged([row(4)], node="n2")

    whole = VIEW.add([one, other, one])

    assert {each.node: requests.count for each, requests in whole.items()} == {"n1": 6, "n2": 4}
    assert one[kind()].count == 3
    assert VIEW.add([]) == {}


def row_of(attribution: str, errors: int, node: str) -> dict[str, Any]:
    """Return a row of status.blockIO.devices."""
    return {
        "node": node, "device": "vda", "operation": "write", "sync": True, "metadata": False,
        "attribution": attribution, "count": 812, "bytes": 812 * 16384, "errors": errors,
        "queueTime": {"p99Nanoseconds": 61 * MS},
        "deviceTime": {"p50Nanoseconds": 3 * MS, "p99Nanoseconds": 32 * MS, "maxNanoseconds": 48 * MS},
    }  # fmt: skip


def test_the_text_has_the_worst_first_in_units_that_people_read() -> None:
    """A row for each disk and operation, and who else had a part in it."""
    head, first, second = lines([row_of("container", 0, "n1"), row_of("pageOwner", 2, "n1")])

    assert head.split() == ["requests", "bytes", "avg", "queue", "p99", "disk", "p50", "p99", "max", "disk"]
    assert first.split() == ["812", "12.7MiB", "16.0KiB", "61.0ms", "3.0ms", "32.0ms", "48.0ms", "vda", "write", "sync"]
    assert second.endswith("vda write sync (written back by others) 2 failed")
    assert next(lines([])).startswith("No disk did anything")


def test_disks_of_the_same_name_are_told_apart_by_their_nodes() -> None:
    """Each node has its own vda."""
    _, first, second = lines([row_of("container", 0, "n1"), row_of("shared", 0, "n2")])

    assert first.endswith("vda write sync on n1")
    assert second.endswith("vda write sync (of all n2: journals, flushes)")


def test_sizes() -> None:
    """One digit behind the point, never four before it."""
    assert [size(count) for count in (0, 999, 1000, 1023, 1024, 1 << 20, 10**15)] == [
        "0B", "999B", "1.0KiB", "1.0KiB", "1.0KiB", "1.0MiB", "909.5TiB",
    ]  # fmt: skip


def test_a_maximum_is_the_greatest() -> None:
    """Times add up, the longest does not."""
    total = Requests()
    for longest in (3, 7, 5):
        total.add(Requests(1, device=Times({longest: 1}, longest, longest)))

    assert total.device == Times({3: 1, 7: 1, 5: 1}, 15, 7)
