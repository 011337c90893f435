"""The view callers as text: a tree for people, and folded stacks for flame graphs. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Kinds of calls that have a tree, and its lines.
_MOST_KINDS, _MOST_LINES = 5, 10
# Callers with less of their calls than this share are added up.
_LEAST_SHARE = 0.01
_LEAST_SHOWN = 0.0005
# A share of a half may be all or nothing: it says who makes such calls, not how many.
_TOO_FAR_OFF = 0.5
# The rows have them.
_BUILD_ID = re.compile(r" \(build id [0-9a-f]+\)")
# Functions on a line.
_ON_A_LINE = 6


@dataclass(frozen=True)
class Calls:
    """Calls of one kind, and how many of them each stack makes, innermost function first."""

    name: str
    # That the chosen ones stand for.
    calls: int
    samples: int
    # How far off a share may be, 19 of 20 times.
    error: float
    stacks: Mapping[tuple[str, ...], int]
    # That were counted; None where not all of one kind were counted apart from others.
    counted: int | None = None


def lines(kinds: Sequence[Calls]) -> Iterator[str]:
    """Yield a tree for each kind, those with the most calls: below a function stand its callers."""
    if not kinds:
        yield "No call was chosen for views.callers."
        return
    yield "callers: below a function stand those that called it, with their shares of the calls"
    for kind in kinds[:_MOST_KINDS]:
        yield f"{kind.name}: {_taken(kind)}"
        yield from _tree(kind)
    if len(kinds) > _MOST_KINDS:
        rest = kinds[_MOST_KINDS:]
        kinds_left = f"{len(rest)} more kind{'s' * (len(rest) != 1)}"
        yield f"and {kinds_left} of calls, about {sum(each.calls for each in rest)} calls"


def _taken(kind: Calls) -> str:
    calls = f"{kind.calls} call{'s' * (kind.calls != 1)}"
    if not kind.error:
        return f"{calls}, the stacks of all"
    stacks = f"{kind.samples} stack{'s' * (kind.samples != 1)}"
    of_calls = f"about {calls}, {stacks}" if kind.counted is None else f"{stacks} of {kind.counted} calls"
    if kind.error >= _TOO_FAR_OFF:
        return f"{of_calls}: too few for shares, which may be {100 * kind.error:.0f} percentage points off"
    return f"{of_calls}: shares are at most {100 * kind.error:.1f} percentage points off, 19 of 20 times"


def _tree(kind: Calls) -> Iterator[str]:
    drawn = list(_below(list(kind.stacks.items()), 0, kind.calls, 1))
    yield from drawn[:_MOST_LINES]
    if len(drawn) > _MOST_LINES:
        yield f"{'':9} ({len(drawn) - _MOST_LINES} more lines)"
    rest = kind.calls - sum(kind.stacks.values())
    if rest > _LEAST_SHOWN * kind.calls:
        yield f"{100 * rest / kind.calls:7.1f} % other"


def _below(stacks: list[tuple[tuple[str, ...], int]], at: int, whole: int, indent: int) -> Iterator[str]:
    """Yield the callers at a depth; those that are alone stand on one line."""
    by_function: dict[str, list[tuple[tuple[str, ...], int]]] = {}
    for frames, calls in stacks:
        if at < len(frames):
            by_function.setdefault(frames[at], []).append((frames, calls))
    few = 0
    for _, found in sorted(by_function.items(), key=lambda item: (-_sum(item[1]), item[0])):
        if not whole or _sum(found) < _LEAST_SHARE * whole:
            few += _sum(found)
            continue
        end = _end_of_chain(found, at)
        share = f"{100 * _sum(found) / whole:7.1f} %"
        yield f"{share}{'  ' * indent}{_chain(found[0][0][at:end])}"
        yield from _below(found, end, whole, indent + 1)
    if whole and few >= _LEAST_SHOWN * whole:
        yield f"{100 * few / whole:7.1f} %{'  ' * indent}others"


def _sum(stacks: Sequence[tuple[tuple[str, ...], int]]) -> int:
    return sum(calls for _, calls in stacks)


def _end_of_chain(stacks: Sequence[tuple[tuple[str, ...], int]], at: int) -> int:
    """Return where the stacks, which are one until `at`, part or end."""
    first, end = stacks[0][0], at + 1
    while end < len(first) and all(end < len(frames) and frames[end] == first[end] for frames, _ in stacks):
        end += 1
    return end


def _chain(frames: Sequence[str]) -> str:
    """Return functions, each called by the next; of many those at both ends."""
    shown = [_BUILD_ID.sub("", frame) for frame in frames]
    if len(shown) > _ON_A_LINE:
        shown[_ON_A_LINE - 2 : -1] = [f"[{len(shown) - _ON_A_LINE + 1} more]"]
    return " < ".join(shown)


def folded(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each stack: functions from the outermost to the call, between semicolons, and the calls."""
    for row in rows:
        called = row["syscall"] + (f" ({row['abi']})" if "abi" in row else "")
        words = [*reversed(row["stack"]), called, *([row["errno"]] if "errno" in row else [])]
        yield f"{';'.join(word.replace(';', ',') for word in words)} {row['calls']}"
