"""The view locks as text for people. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.results.places import Places

_MOST = 10


def lines(rows: Sequence[Mapping[str, Any]], places: Places) -> Iterator[str]:
    """Yield the rows of status.locks.locks as a table, those with the longest waits first."""
    if not rows:
        yield "No thread waited for another by futex."
        return
    yield (
        f"{'waited':>9} {'waits':>8} {'p50':>9} {'p99':>9} {'max':>9} {'threads':>7} {'handed on':>9} {'held avg':>9} "
        f"{'held max':>9} lock"
    )
    for row in rows[:_MOST]:
        held = [row["heldNanoseconds"] // row["holds"], row["longestHeldNanoseconds"]] if row["holds"] else [None, None]
        average, longest = ("-" if each is None else duration(each) for each in held)
        yield (
            f"{duration(row['totalNanoseconds']):>9} {row['waits']:>8} {duration(row['p50Nanoseconds']):>9} "
            f"{duration(row['p99Nanoseconds']):>9} {duration(row['maxNanoseconds']):>9} {row['threads']:>7} "
            f"{row['handedOn']:>9} {average:>9} {longest:>9} "
            f"{row['address']} of {row['process']}[{row['pid']}]{places.behind(row)}"
        )
    if len(rows) > _MOST:
        yield f"and {len(rows) - _MOST} more: see status.locks"
