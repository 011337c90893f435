"""A row's raw values on all CPUs, made whole."""

import struct
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubestrace_agent.kernel.counters.readings import Reading
from kubestrace_agent.kernel.maps import index, layout
from kubestrace_agent.kernel.maps.row_sizes import RowSizes
from kubestrace_agent.kernel.maps.rows import RowValues, on_all_cpus
from kubestrace_agent.syscalls import UNKNOWN_NUMBERS, SyscallKey, abi_names

ABIS = abi_names("x86_64")
KEY = SyscallKey("x86_64", 110)


EVERY_GROUP = (2 << layout.MOVED_GROUP) - 1


def raw(
    total: int = 0, maxima=((0, 0), (0, 0)), untimed: int = 0, unmatched: int = 0, counters=None, moved=None, marked=0
) -> bytes:
    """One CPU's row: maxima are (epoch, ns) of the even and the odd epoch, moved is (bytes, calls that moved none).

    `marked`: groups that are said to be used beside those that are.
    """
    (even, even_ns), (odd, odd_ns) = maxima
    words = [0] * (layout.ERRNOS + layout.BUCKETS)
    for position, count in (counters or {}).items():
        words[position] = count & 0xFFFFFFFF
    used = sum({1 << position // layout.GROUP for position in counters or {}})
    used |= (moved is not None) << layout.MOVED_GROUP | marked
    start = layout.ROW_START.pack(total, even_ns, odd_ns, even, odd, untimed, unmatched, used)
    tail = struct.pack("=QI20x", *(moved or (0, 0)))
    return start + struct.pack(f"={len(words)}I", *words) + tail


STRIDE = layout.ROW_START.size + layout.COUNTERS_SIZE


def starts(cpus: bytes) -> tuple[int, ...]:
    """The rows without their counters."""
    count = len(cpus) // STRIDE
    return on_all_cpus(count, RowSizes(count)).unpack(cpus)


def values(cpus: bytes) -> RowValues:
    """A row whose counters stand on each CPU."""
    return RowValues(starts(cpus), memoryview(cpus), range(layout.ROW_START.size, len(cpus), STRIDE))


def shared(cpus: bytes) -> RowValues:
    """The same values where the counters are apart, behind those of another row: CPUs that share a copy added to it."""
    words, size = layout.ERRNOS + layout.BUCKETS, layout.COUNTERS_SIZE
    form = f"={words}IQI20x"
    counters = [struct.unpack_from(form, cpus, at) for at in range(layout.ROW_START.size, len(cpus), STRIDE)]
    copies = [[sum(column) for column in zip(*counters[n::2], strict=True)] for n in range(2)]
    memory = b"\x01" * 2 * size + b"".join(struct.pack(form, *copy) for copy in copies)
    return RowValues(starts(cpus), memoryview(memory), range(2 * size, 4 * size, size))


both = pytest.mark.parametrize("place", [values, shared])


@both
def test_cpus_are_added_up(place: Callable[[bytes], RowValues]) -> None:
    """Sums of all CPUs; restart codes and errnos by their own numbers."""
    counters = {2: 7, layout.LOW_ERRNOS + 2: 1, layout.ERRNOS: 3, layout.ERRNOS + 319: 4}
    cpus = raw(100, ((2, 60), (1, 90)), 1, 1, counters) + raw(50, ((2, 70), (0, 0)), 2, 0, {2: 1}) + raw()

    row = Reading(KEY).take(place(cpus), {1000: 5})
    assert (row.total_ns, row.untimed, row.unmatched) == (150, 3, 1)
    assert row.errnos == {2: 8, 514: 1, 1000: 5}
    assert row.buckets == {0: 3, 319: 4}
    assert row.maxima == ((1, 90), (2, 70))


@both
def test_what_calls_moved_is_added_up(place: Callable[[bytes], RowValues]) -> None:
    """Beyond 32 bits, and no errno or bucket of it."""
    cpus = raw(counters={layout.ERRNOS: 2}, moved=(5 << 32, 3)) + raw(moved=(0xFFFFFFFF, 0)) + raw(counters={2: 1})

    row = Reading(KEY).take(place(cpus), {})
    assert (row.bytes, row.nothings) == ((5 << 32) + 0xFFFFFFFF, 3)
    assert (row.errnos, row.buckets) == ({2: 1}, {0: 2})


def test_calls_that_moved_nothing_are_made_whole_when_they_wrap() -> None:
    """32 bits in the kernel."""
    reading = Reading(KEY)
    reading.take(values(raw(moved=(1, 2**32 - 2))), {})

    assert reading.take(values(raw(moved=(1, 5))), {}).nothings == 2**32 + 5


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8))
def test_counters_that_wrap_are_made_whole(steps: list[int]) -> None:
    """32 bits in the kernel, exact here, whatever was added between two readings."""
    reading, total = Reading(KEY), 0
    for step in steps:
        total += step
        row = reading.take(values(raw(maxima=((2, 1), (0, 0)), untimed=total & 0xFFFFFFFF, counters={200: total})), {})

    assert row.untimed == total
    assert row.buckets.get(200 - layout.ERRNOS, 0) == total


_COUNTS = st.dictionaries(st.integers(0, layout.ERRNOS + layout.BUCKETS - 1), st.integers(1, 2**32 - 1), max_size=6)


@given(st.lists(st.tuples(_COUNTS, _COUNTS), min_size=1, max_size=8), st.sampled_from([0, EVERY_GROUP]))
def test_all_is_counted_whatever_groups_come_into_use(
    steps: list[tuple[dict[int, int], dict[int, int]]], marked: int
) -> None:
    """One after the other, on one CPU or on both, or all are marked at once; and their counters wrap."""
    reading, total = Reading(KEY), Counter[int]()
    on_cpus = Counter[int](), Counter[int]()
    for step in steps:
        for cpu, counts in zip(on_cpus, step, strict=True):
            cpu.update(counts)
            total.update(counts)
        row = reading.take(values(b"".join(raw(counters=cpu, marked=marked) for cpu in on_cpus)), {})

    errnos = {layout.errno_at(position): count for position, count in total.items() if position < layout.ERRNOS}
    buckets = {position - layout.ERRNOS: count for position, count in total.items() if position >= layout.ERRNOS}
    assert (row.errnos, row.buckets) == (errnos, buckets)


@given(st.lists(st.tuples(*[st.integers(0, 6)] * 4), min_size=1, max_size=12))
def test_the_longest_since_any_epoch_is_known(steps: list[tuple[int, int, int, int]]) -> None:
    """Also where an epoch's lengths are read late, or those of an earlier one come after it."""
    reading, seen = Reading(KEY), set[tuple[int, int]]()
    for even, even_ns, odd, odd_ns in steps:
        maxima = (2 * even, even_ns), (2 * odd + 1, odd_ns)
        seen.update(maxima)
        row = reading.take(values(raw(maxima=maxima)), {})

    for since in range(-1, 14):
        longest = max((ns for epoch, ns in seen if epoch > since), default=0)
        assert next((ns for epoch, ns in row.maxima if epoch > since), 0) == longest
    assert list(row.maxima) == sorted(row.maxima)


def test_a_group_whose_counters_wrap_to_zero_is_read_on() -> None:
    """Also where all groups are marked, and this one looks as if it had no count."""
    reading = Reading(KEY)
    for count in (2**32 - 1, 2**32, 2**32 + 7):
        row = reading.take(values(raw(counters={200: count}, marked=EVERY_GROUP)), {})

    assert row.buckets == {200 - layout.ERRNOS: 2**32 + 7}


def test_an_earlier_row_is_not_changed_by_a_later_reading() -> None:
    """A trace keeps the row of its start."""
    reading = Reading(KEY)
    first = reading.take(values(raw(10, ((2, 5), (1, 5)), counters={200: 1})), {})
    reading.take(values(raw(90, ((4, 80), (3, 5)), counters={200: 2, 201: 1})), {})

    assert (first.total_ns, first.buckets, first.maxima) == (10, {200 - layout.ERRNOS: 1}, ((2, 5),))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30))
def test_the_first_maximum_after_an_epoch_is_the_longest_since(lengths: list[int]) -> None:
    """Whatever came before it, without keeping every epoch."""
    reading = Reading(KEY)
    for epoch, length in enumerate(lengths, start=1):
        pair = ((epoch, length), (epoch - 1, 0)) if epoch % 2 == 0 else ((epoch - 1, 0), (epoch, length))
        row = reading.take(values(raw(maxima=pair)), {})

    for since in range(len(lengths)):
        assert next(ns for epoch, ns in row.maxima if epoch > since) == max(lengths[since:])


def test_everything_is_wanted_without_a_selection() -> None:
    """No row yet, for any number."""
    entries, others = index.blank(None, ABIS)

    assert (set(entries), others) == ({0}, True)


def test_a_selection_marks_what_is_not_wanted() -> None:
    """Native, i386 and x32 numbers each at their own place; io_uring always counts."""
    keys = frozenset({SyscallKey("x86_64", 0), SyscallKey("i386", 3), SyscallKey("x32", 513)})
    entries, others = index.blank(keys, ABIS)

    wanted = {position for position, entry in enumerate(entries) if entry == 0}
    rings = {abi * 512 + number for abi in range(3) for number in (425, 426)}
    assert wanted == {0, 512 + 3, 1024 + 513} | rings
    assert not others


def test_unknown_numbers_are_those_that_no_table_has() -> None:
    """Gaps of the table, and everything beyond the index."""
    entries, others = index.blank(frozenset({SyscallKey("x86_64", UNKNOWN_NUMBERS)}), ABIS)

    assert (entries[400], entries[511], entries[0]) == (0, 0, layout.NOT_WANTED)
    assert others


def test_nothing_new_is_the_same_row() -> None:
    """Rows are read once more after a change; a trace must not work them out again for that."""
    reading = Reading(KEY)
    first = reading.take(values(raw(10, ((2, 5), (1, 5)), 1, 0, {200: 1})), {})

    assert reading.take(values(raw(10, ((2, 5), (1, 5)), 1, 0, {200: 1})), {}) is first
