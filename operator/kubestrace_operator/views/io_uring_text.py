"""The view ioUring as text for people. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubestrace_operator.api.sizes import size
from kubestrace_operator.api.timestamps import duration

_MOST = 12


def lines(rows: Sequence[Mapping[str, Any]], further_results: int) -> Iterator[str]:
    """Yield the rows of status.ioUring.operations as a table; sizes and times in the units that people read."""
    if not rows and not further_results:
        yield "Nothing was done by io_uring."
        return
    yield f"{'submitted':>10} {'completed':>10} {'errors':>8} {'bytes':>9} {'p50':>9} {'p99':>9} {'max':>9} by io_uring"
    for row in rows[:_MOST]:
        yield (
            f"{row['submitted']:>10} {row['completed']:>10} {row['errors']:>8} "
            f"{size(row['bytes']) if row['bytes'] else '':>9} "
            f"{duration(row['p50Nanoseconds']):>9} {duration(row['p99Nanoseconds']):>9} "
            f"{duration(row['maxNanoseconds']):>9} {_name(row)}"
        )
    if len(rows) > _MOST:
        yield f"and {len(rows) - _MOST} more in status.ioUring.operations"
    if further_results:
        yield f"{further_results} further results: of multishot operations, messages, or with the completion ring full"


def remarks(io_uring: Mapping[str, Any]) -> Iterator[str]:
    """Yield the sentences about trust.ioUring."""
    if not io_uring["used"]:
        return
    use = f"io_uring is in use{_by_whom(io_uring)}: what is done by it never shows as system calls"
    if "operations" in io_uring:
        yield f"{use}. {io_uring['operations']} operations were counted apart."
    else:
        yield f"{use}, and is not counted here. --io-uring (views.ioUring) counts it."


def _by_whom(io_uring: Mapping[str, Any]) -> str:
    words = [_process(each) for each in io_uring["processes"]]
    words += [f"{io_uring['otherProcesses']} more"] if io_uring["otherProcesses"] else []
    return f" by {', '.join(words)}" if words else ""


def _process(process: Mapping[str, Any]) -> str:
    number = process["pid"]
    rings = [] if process["rings"] == 1 else [f"{process['rings']} rings"]
    polled = ["polled by the kernel"] if process["polled"] else []
    return f"{process['process']} ({', '.join([f'process {number}', *rings, *polled])})"


def _name(row: Mapping[str, Any]) -> str:
    failed = [f"{each['errno']} {each['count']}" for each in row["errorCounts"]]
    failed += [f"others {row['otherErrors']}"] if row["otherErrors"] else []
    return f"{row['operation']} ({', '.join(failed)})" if failed else str(row["operation"])
