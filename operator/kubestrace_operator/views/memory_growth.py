"""Who asked for much memory: calls that added 1 MiB or more, by stack, merged, in the status and as text. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kubestrace_operator.api.sizes import size
from kubestrace_protos.v1.views.memory_pb2 import MemoryGrowth

# Stacks of a session.
MAX_STACKS = 100
# Stacks in the text, and functions of each.
_MOST_LINES, _MOST_FUNCTIONS = 10, 6
# What stands for a function that has no name.
_PLACE = re.compile(r"\+0x[0-9a-f]+( \(build id [0-9a-f]+\))?$")


class Key(NamedTuple):
    """Calls that are added up."""

    kind: str
    # The innermost function first.
    frames: tuple[str, ...]


class Sums(NamedTuple):
    """Calls, and what they added."""

    calls: int = 0
    bytes: int = 0

    def plus(self, more: "Sums") -> "Sums":
        """Return the sum."""
        return Sums(self.calls + more.calls, self.bytes + more.bytes)


@dataclass
class Growth:
    """All such calls, and those of which the stack is known."""

    whole: Sums = field(default_factory=Sums)
    stacks: dict[Key, Sums] = field(default_factory=dict)

    @classmethod
    def of(cls, message: MemoryGrowth) -> "Growth":
        """Return what the wire carries; a number of no function is left out."""
        found: dict[Key, Sums] = {}
        for row in message.stacks:
            frames = tuple(message.functions[each] for each in row.functions if each < len(message.functions))
            key = Key(row.kind, frames)
            found[key] = found.get(key, Sums()).plus(Sums(row.calls, row.bytes))
        return cls(Sums(message.calls, message.bytes), found)

    @property
    def rows(self) -> list[tuple[Key, Sums]]:
        """The stacks that added the most."""
        return sorted(self.stacks.items(), key=lambda each: (-each[1].bytes, each[0]))[:MAX_STACKS]


def added(parts: Iterable[Growth]) -> Growth:
    """Return the sum; the parts stay as they are."""
    total = Growth()
    for part in parts:
        total.whole = total.whole.plus(part.whole)
        for key, sums in part.stacks.items():
            total.stacks[key] = total.stacks.get(key, Sums()).plus(sums)
    return total


def document(rows: Sequence[tuple[Key, Sums]], whole: Sums) -> Mapping[str, Any]:
    """Return some stacks as the status has them, and the sums of all other calls."""
    known = [
        {"kind": key.kind, "calls": sums.calls, "bytes": sums.bytes, "stack": list(key.frames)} for key, sums in rows
    ]
    calls, bytes_ = (max(0, whole[at] - sum(sums[at] for _, sums in rows)) for at in (0, 1))
    return {"growth": known, "otherGrowth": {"calls": calls, "bytes": bytes_}}


def words(frames: Sequence[str]) -> str:
    """Return a stack in one line: places without a function's name (an allocator's inner ones) are left out."""
    named = [frame for frame in frames if not _PLACE.search(frame)] or [_PLACE.sub("", frame) for frame in frames]
    if len(named) > _MOST_FUNCTIONS:
        named[_MOST_FUNCTIONS - 1 :] = [f"[{len(named) - _MOST_FUNCTIONS + 1} more]"]
    return " < ".join(named)


def lines(growth: Growth) -> Iterator[str]:
    """Yield the stacks that added the most: below a function stand those that called it."""
    if not growth.whole.calls:
        yield "No call added 1 MiB or more."
        return
    yield f"{growth.whole.calls} calls added 1 MiB or more each, {size(growth.whole.bytes)} in all; by whom:"
    for key, sums in growth.rows[:_MOST_LINES]:
        yield f"{sums.calls:>10} {size(sums.bytes):>9} {key.kind}: {words(key.frames)}"
    rest = growth.whole.bytes - sum(sums.bytes for _, sums in growth.rows[:_MOST_LINES])
    if rest > 0:
        yield f"{'':>10} {size(rest):>9} by others"
