"""What a row costs on machines with few and with many CPUs."""

import pytest

from kubestrace_agent.kernel.maps import row_sizes, rows
from kubestrace_agent.kernel.maps.row_sizes import RowSizes
from kubestrace_agent.kernel.maps.rows import ROWS_A_CONTAINER, SPARE_ROWS


def test_few_cpus_have_counters_of_their_own() -> None:
    """The fastest way, as long as it is cheap."""
    sizes = row_sizes.for_cpus(2, 2)

    assert (sizes.copies, sizes.row_bytes, sizes.chunk_rows) == (0, 2 * 1936, 256)
    assert sizes.definitions() == {"CHUNK_ROWS": 256}


def test_many_possible_cpus_share_counters_as_those_need_that_are_online() -> None:
    """A machine with two CPUs and room for 254 more has no two CPUs in one copy."""
    sizes = row_sizes.for_cpus(256, 2)

    assert (sizes.copies, sizes.copy_shift) == (2, 0)
    assert sizes.row_bytes == 256 * 48 + 2 * 1888
    assert sizes.definitions() == {"CHUNK_ROWS": 64, "COPIES": 2, "COPY_SHIFT": 0}


@pytest.mark.parametrize(("online", "copies", "shift"), [(17, 16, 1), (96, 16, 3), (256, 16, 4), (300, 16, 5)])
def test_neighbouring_cpus_share_a_copy(online: int, copies: int, shift: int) -> None:
    """At most 16 copies, and every one is used."""
    sizes = row_sizes.for_cpus(max(online, 256), online)

    assert (sizes.copies, sizes.copy_shift) == (copies, shift)
    assert {cpu >> shift & copies - 1 for cpu in range(online)} == set(range(min(copies, -(-online >> shift))))


@pytest.mark.parametrize("possible", [1, 2, 8, 16, 17, 64, 256, 512])
def test_the_first_container_takes_little(possible: int) -> None:
    """Rows for one container and the spare stay below 30 MiB, whatever the number of CPUs."""
    sizes = row_sizes.for_cpus(possible, possible)
    chunks = -(-(ROWS_A_CONTAINER + SPARE_ROWS) // sizes.chunk_rows)

    assert chunks * sizes.chunk_bytes <= 30 << 20


def test_cpus_are_counted() -> None:
    """As the kernel lists them."""
    assert [row_sizes.count_cpus(ranges) for ranges in ("0\n", "0-1\n", "0-3,8,10-11\n")] == [1, 2, 7]


def test_chunks_are_few_enough_for_the_limit_of_open_files() -> None:
    """Two maps a chunk where counters are shared."""
    assert 32768 // RowSizes(512, 16, 5).chunk_rows * 2 <= 1024


def test_rows_that_stand_near_each_other_are_read_together() -> None:
    """Of one chunk, with few between them that nobody needs."""
    assert list(rows.runs([], 64)) == []
    assert list(rows.runs([5], 64)) == [(5, 5)]
    assert list(rows.runs([0, 1, 2, 6, 11, 63, 64, 65], 64)) == [(0, 6), (11, 11), (63, 63), (64, 65)]
