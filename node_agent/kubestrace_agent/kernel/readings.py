"""A row's raw values on all CPUs -> exact totals since its slot was made. Pure."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import compress

from kubestrace_agent.kernel import layout
from kubestrace_agent.kernel.counts import Row

# Counters of one CPU: few of them are ever used, and `compress` finds those at C speed.
_COUNTERS = struct.Struct(f"={layout.ERRNOS + layout.BUCKETS}I")
_INDEXES = range(layout.ERRNOS + layout.BUCKETS)
_32_BITS = 0xFFFFFFFF


@dataclass(slots=True)
class Reading:
    """What has been read of a row; 32-bit counters that wrapped in between are made whole."""

    row: Row = field(default_factory=Row)
    # Index among errnos and buckets -> calls.
    _counters: dict[int, int] = field(default_factory=dict)

    def take(self, raw: bytes, odd_errnos: Mapping[int, int]) -> Row:
        """Adds a newer reading: the row's values, one after the other for each CPU; errnos counted beside them."""
        total = untimed = unmatched = 0
        maxima = set(self.row.maxima)
        sums: dict[int, int] = {}
        for start in range(0, len(raw), layout.ROW_SIZE):
            ns, even_max, odd_max, even_epoch, odd_epoch, cpu_untimed, cpu_unmatched = layout.ROW_START.unpack_from(
                raw, start
            )
            if not even_epoch and not odd_epoch:
                continue  # never touched on this CPU
            total += ns
            untimed += cpu_untimed
            unmatched += cpu_unmatched
            maxima |= {(even_epoch, even_max), (odd_epoch, odd_max)}
            counters = _COUNTERS.unpack_from(raw, start + layout.ROW_START.size)
            for index in compress(_INDEXES, counters):
                sums[index] = sums.get(index, 0) + counters[index]
        for index in self._counters.keys() | sums.keys():  # one that wrapped to zero is in no sum
            self._counters[index] = _grown(self._counters.get(index, 0), sums.get(index, 0))
        newer = Row(
            total_ns=total,
            untimed=_grown(self.row.untimed, untimed),
            unmatched=_grown(self.row.unmatched, unmatched),
            errnos={layout.errno_at(i): n for i, n in self._counters.items() if i < layout.ERRNOS} | dict(odd_errnos),
            buckets={i - layout.ERRNOS: n for i, n in self._counters.items() if i >= layout.ERRNOS},
            maxima=_staircase(maxima),
        )
        # The same object while nothing changes: who keeps it sees that at once.
        if newer != self.row:
            self.row = newer
        return self.row


def _grown(before: int, now: int) -> int:
    """The exact counter: `now` is known by its lowest 32 bits, and less than 2^32 was added since `before`."""
    return before + ((now - before) & _32_BITS)


def _staircase(maxima: set[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Without those epochs that a later one has surpassed: epochs ascend, lengths fall."""
    steps: list[tuple[int, int]] = []
    for epoch, longest in sorted(maxima, reverse=True):
        if longest > (steps[-1][1] if steps else 0):
            steps.append((epoch, longest))
    return tuple(reversed(steps))
