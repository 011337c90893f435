"""The table of a status on a terminal that has fewer columns. Pure; used by page."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from kubestrace_operator.results.places import PLACE

_RULE = re.compile(r"-+(?: -+)+")
# Of a view's table or list: what follows it is told apart from the next one.
_ROW = re.compile(r"^ |  ")
_BELOW = " " * 8
# What goes first where a line still has no room: the others say as much.
_LESS_NEEDED = ("usecs/call", "p50", "bytes", "p99", "% time")


def fitted(text: str, columns: int) -> str:
    """Return the table with cells as narrow as they can be; where that is too wide, without some of its columns."""
    lines = text.splitlines()
    rules = [index for index, line in enumerate(lines) if _RULE.fullmatch(line)]
    if max(map(len, lines), default=0) <= columns:
        return text
    if not rules:
        # Nothing was counted: what views have to say is all there is.
        return "\n".join(wrapped(lines, columns))
    # The total stands below the last rule; other lines below it are sentences.
    end = rules[-1] + 2
    cells = [_cells(line, lines[rules[0]]) for line in lines[:end]]
    dropped = []
    while (too_wide := _drawn(cells)) and max(map(len, too_wide)) > columns:
        at = next((cells[0].index(head) for head in _LESS_NEEDED if head in cells[0]), None)
        if at is None:
            break
        dropped.append(cells[0][at])
        cells = [row[:at] + row[at + 1 :] for row in cells]
    hint = [f"(not shown, as the terminal is narrow: {', '.join(dropped)})"] if dropped else []
    return "\n".join([*_drawn(cells), *wrapped([*hint, *lines[end:]], columns)])


def wrapped(lines: Iterable[str], columns: int) -> Iterator[str]:
    """Yield lines that are no longer, as far as words allow; of rows of columns only lists are broken."""
    for line in lines:
        if len(line) <= columns:
            yield line
        elif _ROW.search(line):
            yield from _row(line, columns)
        else:
            yield from textwrap.wrap(line, columns, break_long_words=False, break_on_hyphens=False)


def _row(line: str, columns: int) -> Iterator[str]:
    row, where, place = line.rpartition(PLACE)
    if where:
        # Arguments stay together where they can.
        yield from wrapped([row], columns)
        yield f"{_BELOW}{where.strip()} {place}"
        return
    shown, *more = line.split(", ")
    before, bar, first = shown.rpartition("| ")
    if bar and len(shown) + bool(more) > columns:
        # Not even the first of the list has room behind a bar of the chart.
        yield f"{before}|"
        shown = f"{_BELOW}{first}"
    for each in more:
        if len(shown) + len(each) + 3 > columns:
            yield f"{shown},"
            shown = f"{_BELOW}{each}"
        else:
            shown = f"{shown}, {each}"
    yield shown


def _cells(line: str, rule: str) -> list[str]:
    """Return the cells of a line, as the dashes of a rule say where columns end; the last one has no end."""
    *widths, _ = map(len, rule.split())
    ends = list(accumulate(width + 1 for width in widths))
    return [line[start:end].strip() for start, end in zip([0, *ends], [*ends, None], strict=True)]


def _drawn(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column if not _is_rule(cell)) for column in zip(*rows, strict=True)]
    return [_line(row, widths) for row in rows]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    if all(map(_is_rule, row)):
        return " ".join("-" * width for width in widths)
    *numbers, name = row
    return f"{' '.join(cell.rjust(width) for cell, width in zip(numbers, widths, strict=False))} {name}".rstrip()


def _is_rule(cell: str) -> bool:
    return bool(cell) and set(cell) == {"-"}
