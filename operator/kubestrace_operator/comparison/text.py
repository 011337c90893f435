"""A comparison in words, for a page and for a terminal. Pure; from the status."""

import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_WIDTH = 118
_MOST_ROWS = 10


def lines(status: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines; none where nothing is compared."""
    comparison = status.get("comparison")
    if not comparison:
        return
    yield from textwrap.wrap(comparison["message"], _WIDTH)
    if "total" not in comparison:
        return
    yield from _indented(comparison["noise"]["message"])
    for head, ids in (("Findings new since", comparison["newSince"]), ("Findings gone since", comparison["goneSince"])):
        yield from _indented(f"{head}: {', '.join(ids) or 'none'}")
    for each in comparison["findings"]:
        yield from _indented(f"{each['id']}: {each['change'] or 'as before'}")
    yield from _rows(comparison, "calls", _call)
    yield from _rows(comparison, "rows", lambda row: f"{row['view']} {row['row']}")
    for remark in comparison["remarks"]:
        yield from _indented(remark)


def _rows(comparison: Mapping[str, Any], part: str, name: Callable[[Mapping[str, Any]], str]) -> Iterator[str]:
    """Yield those that changed."""
    changed = [row for row in comparison[part] if row["changed"]]
    for row in changed[:_MOST_ROWS]:
        yield from _indented(f"{name(row)}: {row['change']}")
    if len(changed) > _MOST_ROWS:
        yield f"  ({len(changed) - _MOST_ROWS} more in comparison.{part})"


def _call(row: Mapping[str, Any]) -> str:
    marks = ", ".join(filter(None, (row.get("abi", ""), "waited" if row["wait"] else "")))
    return f"{row['name']}{f' ({marks})' if marks else ''}"


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="    ")
