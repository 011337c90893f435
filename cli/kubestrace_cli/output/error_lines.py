"""Errors as text: how often, and with the view of errors when, and some of the calls. Used by results."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# -o yaml and json have all.
_SHOWN = 10


def lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Tell the most frequent ones."""
    if not rows:
        return
    timed = any("firstTime" in row for row in rows)
    yield ""
    yield "   errors errno            syscall" + (" " * 13 + "first and last (UTC)" if timed else "")
    for row in rows[:_SHOWN]:
        yield f"{row['count']:9} {row['errno']:<16} {_name(row):<19} {_times(row)}".rstrip()
        for sample in row.get("samples", ()):
            who = f"{sample['process']}[{sample['pid']}]"
            yield f"{'':10}{row['syscall']}({sample['arguments']})  {who} {_clock(sample['time'])}"
    if len(rows) > _SHOWN:
        yield f"{sum(row['count'] for row in rows[_SHOWN:]):9} ({len(rows) - _SHOWN} more)"


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['syscall']} ({row['abi']})" if "abi" in row else str(row["syscall"])


def _times(row: Mapping[str, Any]) -> str:
    if "firstTime" not in row:
        return ""
    first, last = _clock(row["firstTime"]), _clock(row["lastTime"])
    return first if row["count"] == 1 else f"{first} {last}"


def _clock(time: str) -> str:
    return time[11:26]
