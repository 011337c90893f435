"""The summary as text: strace -c's columns, with p50, p99 and max beside them."""

from collections import Counter
from collections.abc import Sequence

from kubestrace_operator.results.merge import SyscallRow
from kubestrace_operator.views.single_calls import UnreturnedRow
from kubestrace_protos.v1 import agent_pb2

_WIDTHS = (6, 11, 11, 11, 9, 9, 9, 9, 9)
_HEADS = ("% time", "seconds", "on cpu", "usecs/call", "calls", "errors", "p50", "p99", "max")
# The column that only the view of CPU time has.
_CPU_AT = 2
_NAME_RULE = "-" * 16
_NOTHING = "No system call was made.\n"
_NOTHING_CHOSEN = "None of the chosen system calls was made.\n"
_MOST_INTERRUPTED = 5
_MOST_UNRETURNED = 5
# The cells of a line, the name last.
_Line = tuple[str, ...]


def table(
    rows: Sequence[SyscallRow], *, left_out: Sequence[SyscallRow] = (), filtered: bool = False, cpu_time: bool = False
) -> str:
    """Return the table of rows that are already in order, as `status.ordered` gives them.

    Calls that work come first, with their share of the working time. Calls whose purpose is to wait follow apart: they
    say `wait` where the others have their share. Rows in `left_out` are not shown but are in the totals.
    Calls that a signal interrupted are told below: they are no errors, though a program may have got EINTR. `filtered`
    says that only some calls were counted at all, `cpu_time` that the seconds on a CPU are known, too.
    """
    if not rows and not left_out:
        return _NOTHING_CHOSEN if filtered else _NOTHING
    everything = [*rows, *left_out]
    working = [row for row in everything if not row.wait]
    waiting = [row for row in everything if row.wait]
    busy_ns = sum(row.total_ns for row in working)
    shown = [row for row in rows if not row.wait]
    lines = [_line(*_HEADS, "syscall"), _rule()]
    lines += [_row(row, _percent(row.total_ns, busy_ns)) for row in shown]
    lines += _left_out(len(working) - len(shown))
    lines += [_rule(), _total(working, "100.00", "total")]
    if waiting:
        shown = [row for row in rows if row.wait]
        lines += [_rule(), *(_row(row, "wait") for row in shown)]
        lines += _left_out(len(waiting) - len(shown))
        lines += [_rule(), _total(waiting, "wait", "total")]
    text = [_text(line, cpu_time=cpu_time) for line in lines]
    return "\n".join(text + _interrupted(everything)) + "\n"


def unreturned(rows: Sequence[UnreturnedRow], count: int) -> str:
    """Return a line, or nothing, about the calls that have not returned: `rows` are the oldest of `count`."""
    if not rows:
        return f"{count} calls have not returned\n" if count else ""
    words = [
        f"{_called(row.call)} {'over ' if row.call.began_earlier else ''}{duration(row.call.age_nanoseconds)}"
        for row in rows[:_MOST_UNRETURNED]
    ]
    others = count - len(words)
    words += [f"{others} more"] if others > 0 else []
    have = "call has" if count == 1 else "calls have"
    return f"{count} {have} not returned: {', '.join(words)}\n"


def _called(call: agent_pb2.UnreturnedCall) -> str:
    return f"{call.name} ({call.abi})" if call.abi else call.name


def duration(nanoseconds: int) -> str:
    """Return a length for people, with one digit behind the point: 850ns, 21.0ms, 3.5s."""
    if nanoseconds < 1000:
        return f"{nanoseconds}ns"
    for unit, unit_ns in (("us", 1000), ("ms", 1000_000)):
        # What would be rounded to 1000.0 is shown in the next unit.
        if nanoseconds < unit_ns * 999.95:
            return f"{nanoseconds / unit_ns:.1f}{unit}"
    return f"{nanoseconds / 1e9:.1f}s"


def _row(row: SyscallRow, share: str) -> _Line:
    lengths = [duration(row.percentile(50)), duration(row.percentile(99)), duration(row.max_ns)]
    return _line(share, *_sums([row]), *(lengths if row.timed else ["", "", ""]), _name(row))


def _name(row: SyscallRow) -> str:
    return f"{row.name} ({row.abi})" if row.abi else row.name


def _interrupted(rows: Sequence[SyscallRow]) -> list[str]:
    """Say which calls a signal cut short: what the program got of it is not known where calls are counted."""
    interrupted: Counter[str] = Counter()
    for row in rows:
        interrupted[_name(row)] += row.interrupted
    cut = sorted((-count, name) for name, count in interrupted.items() if count)
    if not cut:
        return []
    words = [f"{-count} {name}" for count, name in cut[:_MOST_INTERRUPTED]]
    others = -sum(count for count, _ in cut[_MOST_INTERRUPTED:])
    words += [f"{others} others"] if others else []
    verb = "was" if interrupted.total() == 1 else "were"
    return [f"{', '.join(words)} {verb} interrupted by a signal: restarted or ended with EINTR"]


def _total(rows: Sequence[SyscallRow], share: str, name: str) -> _Line:
    longest = max((row.max_ns for row in rows), default=0)
    return _line(share, *_sums(rows), "", "", duration(longest) if longest else "", name)


def _sums(rows: Sequence[SyscallRow]) -> list[str]:
    total_ns = sum(row.total_ns for row in rows)
    timed = sum(row.timed for row in rows)
    calls = sum(row.calls for row in rows)
    errors = sum(row.errors for row in rows)
    each_us = total_ns // timed // 1000 if timed else 0
    cpu_ns = sum(row.cpu_ns for row in rows)
    return [f"{total_ns / 1e9:.6f}", f"{cpu_ns / 1e9:.6f}", str(each_us), str(calls), str(errors) if errors else ""]


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}" if whole else "0.00"


def _left_out(count: int) -> list[_Line]:
    return [_line(*[""] * len(_WIDTHS), f"({count} more, in the total)")] if count else []


def _line(*columns: str) -> _Line:
    return columns


def _text(line: _Line, *, cpu_time: bool) -> str:
    *numbers, name = line
    cells = [text.rjust(width) for text, width in zip(numbers, _WIDTHS, strict=True)]
    if not cpu_time:
        del cells[_CPU_AT]
    return f"{' '.join(cells)} {name}".rstrip()


def _rule() -> _Line:
    return _line(*("-" * width for width in _WIDTHS), _NAME_RULE)
