"""What devices did for one container in one session, as the wire carries it. Pure."""

from __future__ import annotations

from typing import ClassVar

from kubestrace_agent.views.block_io.sources import PART
from kubestrace_agent.views.block_io.values import BlockCounts, BlockKind, BlockOwner, Lengths, RawBlockIO
from kubestrace_agent.views.growing import Growing, longest, more
from kubestrace_protos.v1.views import block_io_pb2

NAME = "blockIO"
# REQ_OP_* of Linux include/linux/blk_types.h.
_OPERATIONS = {0: "read", 1: "write", 2: "flush", 3: "discard", 5: "discard", 7: "write", 9: "write zeroes"}
_ATTRIBUTIONS = {
    BlockOwner.SHARED: "shared",
    BlockOwner.CONTAINER: "container",
    BlockOwner.PAGE: "pageOwner",
    BlockOwner.PROCESS: "process",
}
_NOTHING = BlockCounts()


class BlockRequests(Growing[RawBlockIO]):
    """The requests of a container: two readings of the kernel's counts, the first of them the start."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = PART
    may_wait: ClassVar[bool] = True

    def told(self, start: RawBlockIO, now: RawBlockIO) -> block_io_pb2.BlockIOResult:
        """Return what was done since the start."""
        return block_io_pb2.BlockIOResult(rows=_rows(start, now))


def _rows(start: RawBlockIO, now: RawBlockIO) -> list[block_io_pb2.BlockRow]:
    rows = []
    for kind, counts in sorted(now.items()):
        grown = _grown(start.get(kind, _NOTHING), counts)
        if grown.count or grown.bytes:
            rows.append(_row(kind, grown))
    return rows


def _row(kind: BlockKind, counts: BlockCounts) -> block_io_pb2.BlockRow:
    return block_io_pb2.BlockRow(
        device=kind.disk,
        operation=_OPERATIONS.get(kind.operation, f"operation {kind.operation}"),
        sync=kind.sync,
        metadata=kind.metadata,
        attribution=_ATTRIBUTIONS[kind.owner],
        count=counts.count,
        bytes=counts.bytes,
        errors=counts.errors,
        sequential=counts.sequential,
        queue=_lengths(counts.queue),
        device_time=_lengths(counts.device),
    )


def _lengths(lengths: Lengths) -> block_io_pb2.BlockLengths:
    indexes = sorted(lengths.buckets)
    return block_io_pb2.BlockLengths(
        buckets=indexes,
        counts=[lengths.buckets[index] for index in indexes],
        total_nanoseconds=lengths.total_ns,
        max_nanoseconds=lengths.max_ns,
    )


def _grown(then: BlockCounts, now: BlockCounts) -> BlockCounts:
    return BlockCounts(
        now.count - then.count,
        now.bytes - then.bytes,
        now.errors - then.errors,
        now.sequential - then.sequential,
        _longer(then.queue, now.queue),
        _longer(then.device, now.device),
    )


def _longer(then: Lengths, now: Lengths) -> Lengths:
    """What came between: the longest is known where it is longer than all before, and by its bucket otherwise."""
    buckets = more(then.buckets, now.buckets)
    return Lengths(buckets, now.total_ns - then.total_ns, longest(then.max_ns, now.max_ns, buckets))
