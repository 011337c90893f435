"""The view files as text for people. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubestrace_operator.api.sizes import size
from kubestrace_operator.api.timestamps import duration

MOST = 10
# Of a path, its end says more.
_MOST_CHARACTERS = 100


def lines(rows: Sequence[Mapping[str, Any]], paths: int) -> Iterator[str]:
    """Yield rows of status.files.paths as a table, the most time first; `paths` are all that are known.

    Sizes and times are in the units that people read.
    """
    if not rows:
        yield "No file was named or used."
        return
    yield (
        f"{'time':>8} {'max':>8} {'opens':>8} {'stats':>8} {'other':>8} {'reads':>8} {'writes':>8} {'syncs':>7} "
        f"{'bytes':>9} {'avg':>9} {'errors':>7} file"
    )
    for row in sorted(rows, key=lambda row: -row["totalNanoseconds"]):
        moved = size(row["readBytes"] + row["writeBytes"])
        yield (
            f"{duration(row['totalNanoseconds']):>8} {duration(row['maxNanoseconds']):>8} {row['opens']:>8} "
            f"{row['stats']:>8} {row['other']:>8} {row['reads']:>8} {row['writes']:>8} {row['syncs']:>7} "
            f"{moved:>9} {size(row['avgBytes']):>9} {row['errors']:>7} {_name(row)}"
        )
    if paths > len(rows):
        yield f"and {paths - len(rows)} more: see status.files"


def _name(row: Mapping[str, Any]) -> str:
    leads = f" -> {_short(row['file'])}" if row.get("file") else ""
    failed = f" ({', '.join(each['errno'] for each in row['failed'])})" if row["failed"] else ""
    return _short(row["path"]) + leads + failed


def _short(path: str) -> str:
    return path if len(path) <= _MOST_CHARACTERS else f"...{path[3 - _MOST_CHARACTERS :]}"
