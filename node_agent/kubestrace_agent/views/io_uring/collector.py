"""What a container's rings did in one session, as the wire carries it. Pure."""

from __future__ import annotations

from typing import ClassVar

from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.syscalls import errno_name
from kubestrace_agent.views.growing import Growing, longest, more
from kubestrace_agent.views.io_uring import opcodes
from kubestrace_agent.views.io_uring.sources import PART
from kubestrace_agent.views.io_uring.values import RawRings, RingCounts
from kubestrace_protos.v1.views import io_uring_pb2

NAME = "ioUring"
_FURTHER = header("views/io_uring/io_uring.h").number("FURTHER_RESULTS")
_NOTHING = RingCounts()


class RingOperations(Growing[RawRings]):
    """The operations of a container: two readings of the kernel's counts, the first of them the start."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = PART
    may_wait: ClassVar[bool] = True

    def told(self, start: RawRings, now: RawRings) -> io_uring_pb2.IOUringResult:
        """Return what was done since the start."""
        grown = {opcode: _grown(start.get(opcode, _NOTHING), counts) for opcode, counts in now.items()}
        further = grown.pop(_FURTHER, _NOTHING)
        rows = [
            _row(opcode, counts) for opcode, counts in sorted(grown.items()) if counts.submitted or counts.completed
        ]
        return io_uring_pb2.IOUringResult(rows=rows, further_results=further.completed, further_errors=further.errors)


def _row(opcode: int, counts: RingCounts) -> io_uring_pb2.RingRow:
    indexes = sorted(counts.buckets)
    return io_uring_pb2.RingRow(
        operation=opcodes.name(opcode),
        submitted=counts.submitted,
        completed=counts.completed,
        errors=counts.errors,
        untimed=counts.untimed,
        silent=counts.silent,
        bytes=counts.bytes if opcodes.moves_bytes(opcode) else 0,
        buckets=indexes,
        counts=[counts.buckets[index] for index in indexes],
        total_nanoseconds=counts.total_ns,
        max_nanoseconds=counts.max_ns,
        errnos=[
            io_uring_pb2.RingErrno(name=errno_name(number), count=count)
            for number, count in sorted(counts.errnos.items())
        ],
    )


def _grown(then: RingCounts, now: RingCounts) -> RingCounts:
    """What came between; the longest is known where it is longer than all before, and by its bucket otherwise."""
    buckets = more(then.buckets, now.buckets)
    errors, errnos = now.errors - then.errors, more(then.errnos, now.errnos)
    # Those for which the kernel's table had no room.
    others = errors - sum(errnos.values())
    return RingCounts(
        submitted=now.submitted - then.submitted,
        completed=now.completed - then.completed,
        errors=errors,
        untimed=now.untimed - then.untimed,
        silent=now.silent - then.silent,
        bytes=now.bytes - then.bytes,
        total_ns=now.total_ns - then.total_ns,
        max_ns=longest(then.max_ns, now.max_ns, buckets),
        buckets=buckets,
        errnos=errnos | ({0: others} if others > 0 else {}),
    )
