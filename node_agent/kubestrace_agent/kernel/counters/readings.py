"""A row's raw values on all CPUs -> exact totals since its slot was made. Pure."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubestrace_agent.kernel.counters.counts import Row
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.syscalls import SyscallKey

if TYPE_CHECKING:
    import ctypes

# Of the 464 counters of a CPU few are ever used: the row says in which groups those are.
_GROUP = struct.Struct(f"={layout.GROUP}I")
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

    def take(self, raw: "ctypes.Array[ctypes.c_char]", odd_errnos: Mapping[int, int]) -> Row:
        """Adds a newer reading: the row's values, one after the other for each CPU; errnos counted beside them."""
        total = untimed = unmatched = 0
        maxima = list(self.row.maxima)
        sums: dict[int, int] = {}
        for start in range(0, len(raw), layout.ROW_SIZE):
            ns, even_max, odd_max, even_epoch, odd_epoch, cpu_untimed, cpu_unmatched, used = (
                layout.ROW_START.unpack_from(raw, start)
            )
            if not even_epoch and not odd_epoch:
                continue  # never touched on this CPU
            total += ns
            untimed += cpu_untimed
            unmatched += cpu_unmatched
            maxima += (even_epoch, even_max), (odd_epoch, odd_max)
            _add_counters(sums, used, raw, start + layout.ROW_START.size)
        self._grow(sums)
        newer = Row(
            total_ns=total,
            untimed=_grown(self.row.untimed, untimed),
            unmatched=_grown(self.row.unmatched, unmatched),
            errnos={**{layout.errno_at(index): calls for index, calls in self._errnos.items()}, **odd_errnos},
            buckets=self._buckets.copy(),
            maxima=_staircase(maxima),
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


def _add_counters(sums: dict[int, int], used: int, raw: "ctypes.Array[ctypes.c_char]", start: int) -> None:
    """Adds one CPU's counters, by rising index."""
    while used:
        lowest = used & -used
        used ^= lowest
        first = (lowest.bit_length() - 1) * layout.GROUP
        for index, count in enumerate(_GROUP.unpack_from(raw, start + 4 * first), first):
            if count:
                sums[index] = sums.get(index, 0) + count


def _grown(before: int, now: int) -> int:
    """The exact counter: `now` is known by its lowest 32 bits, and less than 2^32 was added since `before`."""
    return before + ((now - before) & _32_BITS)


def _staircase(maxima: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Without those epochs that a later one has surpassed: epochs ascend, lengths fall."""
    steps: list[tuple[int, int]] = []
    for epoch, longest in sorted(maxima, reverse=True):
        if longest > (steps[-1][1] if steps else 0):
            steps.append((epoch, longest))
    return tuple(reversed(steps))
