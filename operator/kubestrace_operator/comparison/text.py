"""A comparison in words, for a page and for a terminal. Pure; from the status."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

_WIDTH = 118
_MOST_CALLS = 10


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
    yield from _calls(comparison)
    for remark in comparison["remarks"]:
        yield from _indented(remark)


def _calls(comparison: Mapping[str, Any]) -> Iterator[str]:
    changed = [row for row in comparison["calls"] if row["changed"]]
    for row in changed[:_MOST_CALLS]:
        marks = ", ".join(filter(None, (row.get("abi", ""), "waited" if row["wait"] else "")))
        yield from _indented(f"{row['name']}{f' ({marks})' if marks else ''}: {row['change']}")
    if len(changed) > _MOST_CALLS:
        yield f"  ({len(changed) - _MOST_CALLS} more in comparison.calls)"


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="    ")
