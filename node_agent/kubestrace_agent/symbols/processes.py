"""What is known of the code of processes whose stacks were named, by addresses. Used by naming, in its thread.

Most stacks of a program lead through the same few hundred places: of these nothing is sought twice.
"""

from __future__ import annotations

import bisect
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from kubestrace_agent.symbols.cfi import Row
    from kubestrace_agent.symbols.frames import CodeMapping

# Addresses of all processes together: those of the process that was asked for longest ago go first.
_MOST_KNOWN = 65536
# Whole stacks of all processes.
_MOST_WALKS = 8192

_Place = TypeVar("_Place")


@dataclass(eq=False, slots=True)
class Region(Generic[_Place]):
    """What is known of one mapping of a process, by addresses."""

    mapping: CodeMapping
    # What the linker called its file, and which that is, once it was opened: what is mapped stays that file, and is not
    # opened again for what is known of it.
    build_id: bytes = b""
    identity: Hashable = None
    rows: dict[int, Row | None] = field(default_factory=dict)
    # By address and build ID; of which nothing more can be found out.
    settled: dict[tuple[int, bytes], _Place] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Count what is known."""
        return 1 + len(self.rows) + len(self.settled)


class Process(Generic[_Place]):
    """One process, with the code that it has mapped."""

    def __init__(self, mappings: Sequence[CodeMapping], before: Process[_Place] | None = None) -> None:
        """Begin; what was known of mappings that have stayed stays known."""
        self.mappings = mappings
        known = {region.mapping: region for region in before.regions} if before else {}
        ascending = sorted(mappings, key=lambda each: each.start)
        self.regions: list[Region[_Place]] = [known.get(each) or Region(each) for each in ascending]
        self._starts = [each.start for each in ascending]

    def region(self, address: int) -> Region[_Place] | None:
        """Find the mapping of an address; None: there is none."""
        at = bisect.bisect_right(self._starts, address) - 1
        return self.regions[at] if at >= 0 and address < self.regions[at].mapping.end else None

    @property
    def size(self) -> int:
        """Count what is known."""
        return 1 + sum(region.size for region in self.regions)


class Processes(Generic[_Place]):
    """All processes, each of an owner: the PID of one that has ended may become another owner's."""

    def __init__(self, most: int = _MOST_KNOWN) -> None:
        self._most = most
        self._known: OrderedDict[Hashable, tuple[Process[_Place], int]] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """Count what is known of all."""
        return self._size

    def of(self, key: Hashable, mappings: Sequence[CodeMapping]) -> Process[_Place]:
        """Give what is known of a process that has these mappings now."""
        before = self._known[key][0] if key in self._known else None
        if before is not None and (before.mappings is mappings or before.mappings == mappings):
            return before
        return Process(mappings, before)

    def keep(self, key: Hashable, process: Process[_Place], *, changed: bool) -> None:
        """Keep a process as the one that was asked for last; others may have to go for it."""
        known = self._known.get(key)
        if known is not None and known[0] is process and not changed:
            self._known.move_to_end(key)
            return
        size = process.size
        self._size += size - (known[1] if known else 0)
        self._known[key] = process, size
        self._known.move_to_end(key)
        while self._size > self._most:
            _, (_, gone) = self._known.popitem(last=False)
            self._size -= gone


@dataclass(frozen=True, slots=True)
class _Walk(Generic[_Place]):
    """A stack that was named whole, with the words that led from frame to frame, by their places."""

    at: tuple[int, ...]
    words: tuple[int, ...]
    places: tuple[_Place, ...]


class Walks(Generic[_Place]):
    """Stacks that were named whole: where the words are the same that led from frame to frame, all of it is."""

    def __init__(self, most: int = _MOST_WALKS) -> None:
        self._most = most
        self._known: OrderedDict[tuple[Process[_Place], Hashable], _Walk[_Place]] = OrderedDict()

    def find(self, process: Process[_Place], key: Hashable, words: Sequence[int]) -> Sequence[_Place] | None:
        """Give the last stack of a process with these registers and as many words, if it is this one."""
        walk = self._known.get((process, key))
        if walk is None or tuple(map(words.__getitem__, walk.at)) != walk.words:
            return None
        self._known.move_to_end((process, key))
        return walk.places

    def add(self, process: Process[_Place], key: Hashable, used: Mapping[int, int], places: Sequence[_Place]) -> None:
        """Remember a stack, with the words that were looked at; the one that was asked for longest ago goes for it."""
        self._known[process, key] = _Walk(tuple(used), tuple(used.values()), tuple(places))
        self._known.move_to_end((process, key))
        if len(self._known) > self._most:
            self._known.popitem(last=False)
