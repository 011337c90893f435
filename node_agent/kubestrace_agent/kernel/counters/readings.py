"""A row's raw values on all CPUs -> exact totals since its slot was made. Pure.

A machine may have hundreds of possible CPUs: each field is summed over all of them at once.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from itertools import compress
from operator import ne, or_
from typing import NamedTuple

from kubestrace_agent.kernel.counters.counts import Row
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.rows import RowValues
from kubestrace_agent.syscalls import SyscallKey

_MOVED_BIT = 1 << layout.MOVED_GROUP
# All groups of errnos and buckets.
_ALL_GROUPS = _MOVED_BIT - 1
_GROUP_BYTES = 4 * layout.GROUP
_ERRNO_GROUPS = layout.ERRNOS // layout.GROUP
# Groups without a count between some that have one: to read them takes less time than to read twice.
_MOST_BETWEEN = 3
# The 64 bits are read at once, as the kernel writes them.
_MOVED = struct.Struct("@QI")
_32_BITS = 0xFFFFFFFF
# Of layout.ROW_START.
_FIELDS = 8
_TOTAL, _EVEN_MAX, _ODD_MAX, _EVEN_EPOCH, _ODD_EPOCH, _UNTIMED, _UNMATCHED, _USED = range(_FIELDS)

_Steps = tuple[tuple[int, int], ...]


class _Span(NamedTuple):
    """Counters that stand one behind the other, errnos or buckets, in groups that are used."""

    # Their groups, the first and the one behind the last.
    first: int
    end: int
    # Where they begin, in bytes.
    at: int
    words: struct.Struct
    # The errno or the bucket of each.
    keys: Sequence[int]


@dataclass(slots=True)
class Reading:
    """What has been read of a row; 32-bit counters that wrapped in between are made whole."""

    key: SyscallKey
    row: Row = field(default_factory=Row)
    # errno -> calls: those that have a counter.
    _errnos: Mapping[int, int] = field(default_factory=dict)
    _odd_errnos: Mapping[int, int] = field(default_factory=dict)
    # As they were read last: the fields of layout.ROW_START on all CPUs, what was moved, and of the groups with a count
    # the counters, by copy.
    _on_cpus: tuple[int, ...] = ()
    _moved: tuple[int, int] = (0, 0)
    _groups: int = 0
    _spans: tuple[_Span, ...] = ()
    _counters: list[list[bytes]] = field(default_factory=list)

    def take(self, values: RowValues, odd_errnos: Mapping[int, int]) -> Row:
        """Add a newer reading: the row's values, and the errnos that are counted beside them.

        The same object while nothing changes: who keeps it sees that at once.
        """
        on_cpus, before = values.on_cpus, self.row
        in_use = reduce(or_, on_cpus[_USED::_FIELDS])
        moved = _moved(values) if in_use & _MOVED_BIT else (0, 0)
        self._groups |= _groups(values, in_use & ~_MOVED_BIT)
        errnos, buckets = self._grown(values)
        if (
            errnos is self._errnos
            and buckets is before.buckets
            and (on_cpus, moved, odd_errnos) == (self._on_cpus, self._moved, self._odd_errnos)
        ):
            return before
        self._on_cpus, self._moved, self._errnos, self._odd_errnos = on_cpus, moved, errnos, odd_errnos
        self.row = Row(
            sum(on_cpus[_TOTAL::_FIELDS]),
            _whole(before.untimed, sum(on_cpus[_UNTIMED::_FIELDS])),
            _whole(before.unmatched, sum(on_cpus[_UNMATCHED::_FIELDS])),
            {**errnos, **odd_errnos} if odd_errnos else errnos,
            buckets,
            _staircase(before.maxima, on_cpus),
            moved[0],
            _whole(before.nothings, moved[1]),
        )
        return self.row

    def _grown(self, values: RowValues) -> tuple[Mapping[int, int], Mapping[int, int]]:
        """Give errnos and buckets with what came since the last reading; the same objects where nothing did."""
        spans = _spans(self._groups)
        if spans is not self._spans:
            self._widen(spans, len(values.copies))
        memory, errnos, buckets = values.counters, self._errnos, self.row.buckets
        for (_, _, at, words, keys), known in zip(spans, self._counters, strict=True):
            grown: dict[int, int] = {}
            for copy, start in enumerate(values.copies):
                counters = bytes(memory[start + at : start + at + words.size])
                if counters != known[copy]:
                    before, now = words.unpack(known[copy]), words.unpack(counters)
                    known[copy] = counters
                    for index in compress(range(len(now)), map(ne, now, before)):
                        more = now[index] - before[index] & _32_BITS
                        grown[keys[index]] = grown.get(keys[index], 0) + more
            if grown and at < 4 * layout.ERRNOS:
                errnos = _sum(errnos, grown)
            elif grown:
                buckets = _sum(buckets, grown)
        return errnos, buckets

    def _widen(self, spans: tuple[_Span, ...], copies: int) -> None:
        """Read these spans from now on, which hold all that were read before; what was in none was zero."""
        before = list(zip(self._spans, self._counters, strict=True))
        self._spans, self._counters = spans, []
        for span in spans:
            known = [bytearray(span.words.size) for _ in range(copies)]
            for (first, end, at, words, _), counters in before:
                if span.first <= first and end <= span.end:
                    for wider, counted in zip(known, counters, strict=True):
                        wider[at - span.at : at - span.at + words.size] = counted
            self._counters.append([bytes(wider) for wider in known])


def _groups(values: RowValues, in_use: int) -> int:
    """The groups with a count, a bit for each; `in_use` as the kernel marks them: all, where it may be preempted."""
    if in_use != _ALL_GROUPS:
        return in_use
    counters, groups = 0, 0
    for start in values.copies:
        counters |= int.from_bytes(values.counters[start : start + _GROUP_BYTES * layout.MOVED_GROUP], "little")
    while counters:
        group = ((counters & -counters).bit_length() - 1) // (8 * _GROUP_BYTES)
        groups |= 1 << group
        done = 8 * _GROUP_BYTES * (group + 1)
        counters = counters >> done << done
    return groups


# Containers run the same programs: most of a node's rows use the same groups. One that is forgotten is made again.
@lru_cache(maxsize=16384)
def _spans(in_use: int) -> tuple[_Span, ...]:
    """Give what is to be read of the counters of these groups: neighbours are read in one go."""
    found: list[tuple[int, int]] = []
    for group in range(in_use.bit_length()):
        if in_use >> group & 1:
            near = found and group - found[-1][1] <= _MOST_BETWEEN
            same_kind = found and (found[-1][0] < _ERRNO_GROUPS) == (group < _ERRNO_GROUPS)
            first = found.pop()[0] if near and same_kind else group
            found.append((first, group + 1))
    return tuple(_span(first, end) for first, end in found)


@lru_cache(maxsize=4096)
def _span(first: int, end: int) -> _Span:
    indexes = range(first * layout.GROUP, end * layout.GROUP)
    is_of_errnos = first < _ERRNO_GROUPS
    keys = [layout.errno_at(index) if is_of_errnos else index - layout.ERRNOS for index in indexes]
    return _Span(first, end, 4 * indexes.start, struct.Struct(f"={len(indexes)}I"), keys)


def _sum(known: Mapping[int, int], grown: Mapping[int, int]) -> Mapping[int, int]:
    """Give what was known with what has come; earlier rows keep what they have."""
    together = dict(known)
    for key, more in grown.items():
        together[key] = together.get(key, 0) + more
    return together


def _moved(values: RowValues) -> tuple[int, int]:
    """Bytes that calls moved, and calls that moved none."""
    at = _GROUP_BYTES * layout.MOVED_GROUP
    pairs = [_MOVED.unpack_from(values.counters, start + at) for start in values.copies]
    return sum(moved for moved, _ in pairs), sum(nothings for _, nothings in pairs)


def _whole(before: int, now: int) -> int:
    """The exact counter: `now` is known by its lowest 32 bits, and less than 2^32 was added since `before`."""
    return before + ((now - before) & _32_BITS)


def _staircase(before: _Steps, on_cpus: tuple[int, ...]) -> _Steps:
    """Add the longest calls of the last epochs: of all (epoch, longest call) those that no later one has surpassed.

    Epochs ascend, lengths fall.
    """
    steps = list(before)
    for epochs, lengths in ((_EVEN_EPOCH, _EVEN_MAX), (_ODD_EPOCH, _ODD_MAX)):
        for epoch, longest in zip(on_cpus[epochs::_FIELDS], on_cpus[lengths::_FIELDS], strict=True):
            at = len(steps)
            while at and steps[at - 1][0] >= epoch:
                at -= 1
            # The first step that is not earlier is the longest of those.
            if longest <= (steps[at][1] if at < len(steps) else 0):
                continue
            surpassed = at
            while surpassed and steps[surpassed - 1][1] <= longest:
                surpassed -= 1
            behind = at + 1 if at < len(steps) and steps[at][0] == epoch else at
            steps[surpassed:behind] = [(epoch, longest)]
    return tuple(steps)
