"""The summary as text: strace -c's columns, with bytes, p50, p99 and max beside them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple, TypeVar

from kubestrace_operator.api.sizes import size
from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.results.rows import ContainerRow, SyscallRow, UnreturnedRow, shown_name
from kubestrace_operator.views.view import Column
from kubestrace_protos.v1 import agent_pb2

_WIDTHS = (6, 11, 11, 9, 9, 9, 9, 9)
_HEADS = ("% time", "seconds", "usecs/call", "calls", "errors", "p50", "p99", "max")
# Where columns of views stand, and how wide they are.
_COLUMNS_AT = 2
_COLUMN_WIDTH = 11
# Where the bytes stand that calls moved, before columns of views are there, and how wide they are.
_BYTES_AT = 5
_BYTES_WIDTH = 9
_NAME_RULE = "-" * 16
_NOTHING = "No system call {was_made}.\n"
_NOTHING_CHOSEN = "None of the chosen system calls {was_made}.\n"
_MOST_INTERRUPTED = 5
_MOST_UNRETURNED = 5
_MOST_ENDINGS = 5
# The cells of a line, the name last.
_Line = Sequence[str]
_Cell = TypeVar("_Cell")


class Table:
    """The table of some rows, which may be cut to any of them: their lines, and the totals of all, are made once."""

    def __init__(
        self,
        rows: Sequence[SyscallRow],
        *,
        filtered: bool = False,
        columns: Sequence[Column] = (),
        unreturned_calls: int = 0,
    ) -> None:
        """`rows` are all that count, in order, as `builder.ordered` gives them.

        `filtered` says that only some calls were counted at all; `columns` are those of views. With `unreturned_calls`
        some were made, though none is in the rows.
        """
        self._rows = rows
        self._columns = columns
        self._moved = any(row.bytes for row in rows)
        self._widths = self._inserted(_WIDTHS, [_COLUMN_WIDTH] * len(columns), _BYTES_WIDTH)
        sentence = _NOTHING_CHOSEN if filtered else _NOTHING
        self._nothing = sentence.format(was_made="returned" if unreturned_calls else "was made")
        # By the row itself, which stays as long as the table: its key is made anew each time.
        self._lines: dict[int, str] = {}

    def text(self, shown: Sequence[SyscallRow]) -> str:
        """Return the table with these of its rows; the others are in the totals.

        Calls that work come first, with their share of the working time. Calls that waited follow in a part of their
        own, with `wait` in the place of the share and `(waited)` behind their names. Calls that a signal interrupted
        are named below: they are not errors, though a program may have got EINTR. The column `bytes` is there where a
        call moved some.
        """
        if not self._rows:
            return self._nothing
        lines = [self._heads]
        for wait, part in self._parts.items():
            rows = [row for row in shown if row.wait == wait]
            lines += [self._rule, *(self._row(row, part.busy_ns) for row in rows)]
            if count := part.rows - len(rows):
                lines.append(self._line([*[""] * len(self._widths), f"({count} more, in the total)"]))
            lines += [self._rule, part.total]
        return "\n".join([*lines, *self._interrupted]) + "\n"

    @cached_property
    def _heads(self) -> str:
        return self._line((*self._inserted(_HEADS, [column.head for column in self._columns], "bytes"), "syscall"))

    @cached_property
    def _rule(self) -> str:
        return self._line([*("-" * width for width in self._widths), _NAME_RULE])

    @cached_property
    def _interrupted(self) -> list[str]:
        return _interrupted(self._rows)

    @cached_property
    def _parts(self) -> dict[bool, "_Part"]:
        """The calls that work and those that wait, as far as there are some."""
        parts = {}
        for wait in (False, True):
            rows = [row for row in self._rows if row.wait == wait]
            busy_ns = sum(row.total_ns for row in rows)
            if rows:
                total = self._total(rows, "wait" if wait else _percent(busy_ns, busy_ns))
                parts[wait] = _Part(len(rows), busy_ns, self._line(total))
        return parts

    def _row(self, row: SyscallRow, busy_ns: int) -> str:
        line = self._lines.get(id(row))
        if line is None:
            line = self._line(self._cells(row, "wait" if row.wait else _percent(row.total_ns, busy_ns)))
            self._lines[id(row)] = line
        return line

    def _cells(self, row: SyscallRow, share: str) -> _Line:
        lengths = [duration(each) for each in (*row.percentiles(50, 99), row.max_ns)]
        return [
            share,
            *self._sums([row]),
            *(lengths if row.timed else ["", "", ""]),
            shown_name(row.name, row.abi, wait=row.wait),
        ]

    def _total(self, rows: Sequence[SyscallRow], share: str) -> _Line:
        longest = max((row.max_ns for row in rows), default=0)
        return [share, *self._sums(rows), "", "", duration(longest) if longest else "", "total"]

    def _sums(self, rows: Sequence[SyscallRow]) -> list[str]:
        total_ns = sum(row.total_ns for row in rows)
        timed = sum(row.timed for row in rows)
        calls = sum(row.calls for row in rows)
        errors = sum(row.errors for row in rows)
        each_us = total_ns // timed // 1000 if timed else 0
        added = [sum(column.nanoseconds.get(row.key, 0) for row in rows) for column in self._columns]
        seconds = [f"{nanoseconds / 1e9:.6f}" for nanoseconds in (total_ns, *added)]
        moved = sum(row.bytes for row in rows)
        words = [*seconds, str(each_us), str(calls), str(errors) if errors else ""]
        return [*words, size(moved) if moved else ""] if self._moved else words

    def _inserted(self, cells: Sequence[_Cell], of_views: Sequence[_Cell], moved: _Cell) -> list[_Cell]:
        """Return the cells of a line with those that not every table has."""
        with_bytes = [*cells[:_BYTES_AT], moved, *cells[_BYTES_AT:]] if self._moved else cells
        return [*with_bytes[:_COLUMNS_AT], *of_views, *with_bytes[_COLUMNS_AT:]]

    def _line(self, line: _Line) -> str:
        *numbers, name = line
        cells = [text.rjust(width) for text, width in zip(numbers, self._widths, strict=True)]
        return f"{' '.join(cells)} {name}".rstrip()


class _Part(NamedTuple):
    """The calls that work, or those that wait."""

    rows: int
    busy_ns: int
    total: str


def unreturned(rows: Sequence[UnreturnedRow], count: int) -> str:
    """Return a line, or nothing, about the calls that have not returned: `rows` are the oldest of `count`."""
    if not rows:
        return f"{count} calls have not returned\n" if count else ""
    by_name: dict[str, list[agent_pb2.UnreturnedCall]] = {}
    for row in rows:
        by_name.setdefault(shown_name(row.call.name, row.call.abi, wait=row.call.wait), []).append(row.call)
    shown = list(by_name.items())[:_MOST_UNRETURNED]
    words = [_of_one_name(name, calls) for name, calls in shown]
    others = count - sum(len(calls) for _, calls in shown)
    words += [f"{others} more"] if others > 0 else []
    have = "call has" if count == 1 else "calls have"
    return f"{count} {have} not returned: {', '.join(words)}\n"


def endings(containers: Iterable[ContainerRow]) -> str:
    """Return lines about the containers that have ended with an error, or nothing."""
    lives: Counter[tuple[str, str, int, str]] = Counter()
    for row in containers:
        if row.has_failed:
            named = row.state.container
            lives[named.pod_name, named.container_name, row.state.exit_code, row.state.exit_reason] += 1
    if not lives:
        return ""
    lines = ["ended with an error:"]
    for (pod, container, code, reason), count in lives.most_common(_MOST_ENDINGS):
        times = f", {count} times" if count > 1 else ""
        place = f"{container} of pod {pod}" if pod else container
        lines.append(f"  {place}: exit code {code}{f' ({reason})' if reason else ''}{times}")
    others = sum(count for _, count in lives.most_common()[_MOST_ENDINGS:])
    lines += [f"  {others} more"] if others else []
    return "\n".join(lines) + "\n"


def _of_one_name(name: str, calls: Sequence[agent_pb2.UnreturnedCall]) -> str:
    """Say how many there are, and for how long the oldest lasts."""
    oldest = max(calls, key=lambda call: call.age_nanoseconds)
    if not oldest.age_nanoseconds:
        age = "just begun"
    elif oldest.began_earlier:
        age = f"over {duration(oldest.age_nanoseconds)}"
    else:
        age = f"{'up to ' if len(calls) > 1 else ''}{duration(oldest.age_nanoseconds)}"
    return f"{len(calls)} {name} {age}" if len(calls) > 1 else f"{name} {age}"


def _interrupted(rows: Sequence[SyscallRow]) -> list[str]:
    """Return a line about the calls that a signal interrupted; whether the program got EINTR is not known here."""
    interrupted: Counter[str] = Counter()
    for row in rows:
        interrupted[shown_name(row.name, row.abi, wait=row.wait)] += row.interrupted
    cut = sorted((-count, name) for name, count in interrupted.items() if count)
    if not cut:
        return []
    words = [f"{-count} {name}" for count, name in cut[:_MOST_INTERRUPTED]]
    others = -sum(count for count, _ in cut[_MOST_INTERRUPTED:])
    words += [f"{others} others"] if others else []
    verb = "was" if interrupted.total() == 1 else "were"
    return [
        f"{', '.join(words)} {verb} interrupted by a signal: restarted, ended with EINTR, or the program was killed"
    ]


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}" if whole else "0.00"
