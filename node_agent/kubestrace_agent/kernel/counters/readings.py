"""A row's raw values on all CPUs -> exact totals since its slot was made. Pure.

A machine may have hundreds of possible CPUs: each field is summed over all of them at once.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

from kubestrace_agent.kernel.counters.counts import Row
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.rows import RowValues
from kubestrace_agent.syscalls import SyscallKey

# Few of the 464 counters are ever used: the row tells in which groups those are.
_GROUP = struct.Struct(f"={layout.GROUP}I")
_MOVED_BIT = 1 << layout.MOVED_GROUP
# The 64 bits are read at once, as the kernel writes them.
_MOVED = struct.Struct("@QI")
_32_BITS = 0xFFFFFFFF
_ERRNOS = layout.ERRNOS


@dataclass(slots=True)
class Reading:
    """What has been read of a row; 32-bit counters that wrapped in between are made whole."""

    key: SyscallKey
    row: Row = field(default_factory=Row)
    # Index among errnos, and among buckets -> calls.
    _errnos: dict[int, int] = field(default_factory=dict)
    _buckets: dict[int, int] = field(default_factory=dict)

    def take(self, values: RowValues, odd_errnos: Mapping[int, int]) -> Row:
        """Add a newer reading: the row's values, and the errnos that are counted beside them."""
        totals, even_max, odd_max, even_epoch, odd_epoch, all_untimed, all_unmatched, used = values.by_field()
        untimed, unmatched = sum(all_untimed), sum(all_unmatched)
        maxima = {*self.row.maxima, *zip(even_epoch, even_max, strict=True), *zip(odd_epoch, odd_max, strict=True)}
        in_use = reduce(or_, used)
        moved, nothings = _moved(values) if in_use & _MOVED_BIT else (0, 0)
        self._grow(_sums(values, in_use & ~_MOVED_BIT))
        newer = Row(
            total_ns=sum(totals),
            untimed=_grown(self.row.untimed, untimed),
            unmatched=_grown(self.row.unmatched, unmatched),
            errnos={**{layout.errno_at(index): calls for index, calls in self._errnos.items()}, **odd_errnos},
            buckets=self._buckets.copy(),
            maxima=_staircase(maxima),
            bytes=moved,
            nothings=_grown(self.row.nothings, nothings),
        )
        # The same object while nothing changes: who keeps it sees that at once.
        if newer != self.row:
            self.row = newer
        return self.row

    def _grow(self, sums: dict[int, int]) -> None:
        errnos, buckets = self._errnos, self._buckets
        for index, now in sums.items():
            known, at = (buckets, index - _ERRNOS) if index >= _ERRNOS else (errnos, index)
            before = known.get(at, 0)
            if now != before:
                known[at] = _grown(before, now)
        if len(errnos) + len(buckets) > len(sums):  # one that wrapped to zero is in no sum
            for known, first in ((errnos, 0), (buckets, _ERRNOS)):
                for at in known:
                    if first + at not in sums:
                        known[at] = _grown(known[at], 0)


def _sums(values: RowValues, used: int) -> dict[int, int]:
    """Counters that are not zero, by rising index; `used` has a bit for each group."""
    sums: dict[int, int] = {}
    memory, unpack = values.counters, _GROUP.unpack_from
    while used:
        lowest = used & -used
        used ^= lowest
        first = (lowest.bit_length() - 1) * layout.GROUP
        for start in values.copies:
            for index, count in enumerate(unpack(memory, start + 4 * first), first):
                if count:
                    sums[index] = sums.get(index, 0) + count
    return sums


def _moved(values: RowValues) -> tuple[int, int]:
    """Bytes that calls moved, and calls that moved none."""
    at = 4 * layout.GROUP * layout.MOVED_GROUP
    pairs = [_MOVED.unpack_from(values.counters, start + at) for start in values.copies]
    return sum(moved for moved, _ in pairs), sum(nothings for _, nothings in pairs)


def _grown(before: int, now: int) -> int:
    """The exact counter: `now` is known by its lowest 32 bits, and less than 2^32 was added since `before`."""
    return before + ((now - before) & _32_BITS)


def _staircase(maxima: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Without those epochs that a later one has surpassed: epochs ascend, lengths fall."""
    steps: list[tuple[int, int]] = []
    for epoch, longest in sorted(maxima, reverse=True):
        if longest > (steps[-1][1] if steps else 0):
            steps.append((epoch, longest))
    return tuple(reversed(steps))
