"""Errors as text: how often, with what views have to say of them. Used by page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubestrace_operator.results.places import Places
from kubestrace_operator.views.registry import VIEWS

# -o yaml and json have all.
_SHOWN = 10


def lines(rows: Sequence[Mapping[str, Any]], places: Places) -> Iterator[str]:
    """Yield the most frequent ones."""
    if not rows:
        return
    yield ""
    head = "".join(view.error_head(rows) for view in VIEWS)
    yield f"   errors errno            {'syscall':<19} {head}".rstrip()
    for row in rows[:_SHOWN]:
        said = "".join(view.error_text(row) for view in VIEWS)
        yield f"{row['count']:9} {row['errno']:<16} {_name(row):<19} {said}".rstrip()
        yield from (f"{'':10}{line}" for view in VIEWS for line in view.error_lines(row, places))
    if len(rows) > _SHOWN:
        yield f"{sum(row['count'] for row in rows[_SHOWN:]):9} ({len(rows) - _SHOWN} more)"


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['syscall']} ({row['abi']})" if "abi" in row else str(row["syscall"])
