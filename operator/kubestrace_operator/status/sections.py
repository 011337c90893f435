"""Fitting a status into a number of bytes: lists that may be cut, each with its share of the room. Pure."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Where lines of a page are left out.
_MORE = "... (the rest of the status has more)"
# Made once: a status is measured several times, and each row of it.
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
# Rows of a list of weight 1 that are tried in turn, until all that cannot be cut fits beside the lists.
STEPS = (100, 30, 10, 3, 0)


@dataclass(frozen=True)
class Section:
    """A list of the status whose last rows may be left out."""

    # What is measured, the most valuable row first. A row that is empty is not missed.
    rows: Sequence[Any]
    # The part of the status with that many of the first rows.
    document: Callable[[int], Mapping[str, Any]]
    # The rows take at most 1/share of all bytes.
    share: int = 1
    # The rows are at most weight times the step (STEPS).
    weight: int = 1
    # No more rows than the table has: the table has the room rather than these.
    no_more_than_table: bool = False

    def most(self, step: int, limit_bytes: int) -> int:
        """Return how many rows a step allows."""
        return min(fitting(self.rows, limit_bytes // self.share), self.weight * step)

    def is_cut(self, shown: int) -> bool:
        """Return whether rows are missing."""
        return any(self.rows[shown:])


def listed(
    rows: Sequence[Any], *path: str, share: int = 1, weight: int = 1, no_more_than_table: bool = False
) -> Section:
    """Return the section of a plain list at a path of the status."""

    def document(shown: int) -> Mapping[str, Any]:
        part: Any = list(rows[:shown])
        for name in reversed(path):
            part = {name: part}
        return dict(part)

    return Section(rows, document, share, weight, no_more_than_table)


def combined(*documents: Mapping[str, Any]) -> dict[str, Any]:
    """Return documents in one: mappings key by key, lists row by row; the documents stay as they are.

    A later list adds to the rows of an earlier one; it does not make that list longer.
    """
    whole: dict[str, Any] = {}
    for document in documents:
        for name, value in document.items():
            whole[name] = _both(whole[name], value) if name in whole else value
    return whole


def _both(one: Any, more: Any) -> Any:
    if isinstance(one, Mapping) and isinstance(more, Mapping):
        return combined(one, more)
    if isinstance(one, list) and isinstance(more, list):
        added = [combined(row, addition) for row, addition in zip(one, more, strict=False)]
        return [*added, *one[len(added) :]]
    return more


def page(body: Sequence[str], end: Sequence[str], limit_bytes: int) -> str:
    """Return lines that take so many bytes as JSON; the body's last ones are left out, and a line says so."""
    whole = "\n".join([*body, *end, ""])
    if size([whole]) <= limit_bytes:
        return whole
    room = limit_bytes - size([_MORE, *end])
    kept = fitting(body, room)
    return "\n".join([*body[:kept], _MORE, *end, ""]) if kept else ""


def size(document: Mapping[str, Any] | Sequence[Any]) -> int:
    """Return the bytes that a document takes as JSON."""
    return len(_encode(document).encode())


def fitting(rows: Sequence[Any], limit_bytes: int) -> int:
    """Return how many of the first rows take no more than so many bytes."""
    sums = itertools.accumulate(size(row) + 1 for row in rows)
    return sum(1 for _ in itertools.takewhile(lambda total: total <= limit_bytes, sums))


def most_that_fit(build: Callable[[int], Mapping[str, Any]], rows: int, limit_bytes: int) -> int:
    """Return how many of so many rows a document may have; it fits with none.

    Rows take about the same, so the place is guessed from what was measured; every third time by halving, as they may
    not.
    """
    whole = size(build(rows))
    if whole <= limit_bytes:
        return rows
    # The most rows that fit and the fewest that do not, as far as it is known, with their bytes.
    fits, taken, beyond, too_many = 0, size(build(0)), rows, whole
    step = 0
    while beyond - fits > 1:
        middle = (fits + beyond) // 2
        if step % 3 < 2 and taken <= limit_bytes:
            guess = fits + (beyond - fits) * (limit_bytes - taken) // (too_many - taken)
            middle = min(max(guess, fits + 1), beyond - 1)
        measured = size(build(middle))
        if measured <= limit_bytes:
            fits, taken = middle, measured
        else:
            beyond, too_many = middle, measured
        step += 1
    return fits
