"""What a session sees of a slot's requests: the difference of two readings."""

import pytest
from view_messages import block_io

from kubestrace_agent.kernel.loader.btf import VMLINUX, Btf, BtfError
from kubestrace_agent.views.block_io import offsets
from kubestrace_agent.views.block_io.collector import BlockRequests
from kubestrace_agent.views.block_io.values import BlockCounts, BlockKind, BlockOwner, Lengths, RawBlockIO
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.histograms import bucket_bounds, bucket_index
from kubestrace_protos.v1.views import block_io_pb2

READ = BlockKind(8 << 20, "sda", 0, True, False, BlockOwner.CONTAINER)
FLUSH = BlockKind(8 << 20, "sda", 2, False, False, BlockOwner.SHARED)


def counts(*lengths_ns: int) -> BlockCounts:
    """Return requests of 4 KiB that took so long in the device."""
    buckets: dict[int, int] = {}
    for length in lengths_ns:
        buckets[bucket_index(length)] = buckets.get(bucket_index(length), 0) + 1
    device = Lengths(buckets, sum(lengths_ns), max(lengths_ns, default=0))
    return BlockCounts(len(lengths_ns), 4096 * len(lengths_ns), device=device)


def rows(*readings: RawBlockIO, lost: int = 0) -> dict[str, block_io_pb2.BlockRow]:
    """Return what a session reports after these readings, by operation."""
    collector = BlockRequests()
    collector.begin(0, 5)
    for reading in readings:
        collector.take(reading, 5 + lost, 0)
    report = agent_pb2.ContainerReport()
    collector.write(report)
    assert report.trust.losses.get("blockIO", 0) == lost
    return {row.operation: row for row in block_io(report)}


def test_what_was_there_before_is_not_the_sessions() -> None:
    """Neither requests, nor kinds of them that saw no more."""
    found = rows({READ: counts(100, 200), FLUSH: counts(7)}, {READ: counts(100, 200, 300), FLUSH: counts(7)}, lost=2)

    assert list(found) == ["read"]
    assert (found["read"].count, found["read"].bytes) == (1, 4096)
    assert found["read"].device_time.total_nanoseconds == 300
    assert found["read"].device_time.max_nanoseconds == 300
    assert found["read"].attribution == "container"


def test_the_longest_is_bounded_where_a_longer_one_came_before() -> None:
    """The kernel keeps one maximum for all sessions; a bucket says how long one's own took at most."""
    found = rows({READ: counts(5000)}, {READ: counts(5000, 300)})

    assert found["read"].device_time.max_nanoseconds == bucket_bounds(bucket_index(300))[1]


def test_counters_of_32_bits_wrap() -> None:
    """As the kernel's do."""
    before = BlockCounts(1, device=Lengths({3: 0xFFFFFFFF}, 0, 3))

    found = rows({READ: before}, {READ: BlockCounts(3, device=Lengths({3: 1}, 6, 3))})

    assert list(found["read"].device_time.counts) == [2]


def test_a_kernels_enums_are_read() -> None:
    """The kernel's own BTF has both; what is in none is refused."""
    btf = Btf.of_kernel()

    assert 0 <= btf.value("memory_cgrp_id") < 32
    with pytest.raises(BtfError, match="no_such_cgrp_id"):
        btf.value("no_such_cgrp_id")


class Renamed(Btf):
    """The kernel's own, with its compound field under one of its names, or under none."""

    def __init__(self, name: str) -> None:
        super().__init__(VMLINUX.read_bytes())
        self.name = name

    def bits(self, path: str) -> int:
        """Find it by that name alone."""
        if not path.startswith("page.compound_"):
            return super().bits(path)
        if path != self.name:
            raise BtfError(f"this kernel's BTF has no {path}")
        return 64


@pytest.mark.parametrize("name", ["page.compound_head", "page.compound_info"])
def test_a_page_leads_to_the_first_one_by_either_name(name: str) -> None:
    """Linux 7.1 renamed it."""
    assert offsets.definitions("x86_64", Renamed(name))["BLOCK_HEAD_OFFSET"] == 8


def test_a_kernel_with_neither_name_is_refused() -> None:
    """The view is not there then."""
    with pytest.raises(BtfError, match="compound_info"):
        offsets.definitions("x86_64", Renamed(""))
