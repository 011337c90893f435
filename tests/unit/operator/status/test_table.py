"""The table as a person reads it."""

from collections.abc import Sequence
from typing import Any

import pytest

from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.results.histograms import bucket_index
from kubestrace_operator.results.rows import SyscallKey, SyscallRow, UnreturnedRow
from kubestrace_operator.status.builder import ordered
from kubestrace_operator.status.table import Table, unreturned
from kubestrace_operator.views.view import Column
from kubestrace_protos.v1 import agent_pb2


def row(name: str, each_ns: int, calls: int, **changes: object) -> SyscallRow:
    """Return a row whose calls all took the same time."""
    made = SyscallRow(name, calls=calls, timed=calls, total_ns=each_ns * calls, max_ns=each_ns)
    made.latency = {bucket_index(each_ns): calls}
    for field, value in changes.items():
        setattr(made, field, value)
    return made


def table(rows: Sequence[SyscallRow], *, left_out: Sequence[SyscallRow] = (), **given: Any) -> str:
    """Return the table of rows, with others in its totals."""
    return Table([*rows, *left_out], **given).text(rows)


ROWS = ordered(
    [
        row("openat", 2_000, 1000, errors=301),
        row("fsync", 25_000_000, 812),
        row("futex", 1_000_000_000, 88, wait=True),
        row("exit_group", 0, 2, timed=0, latency={}),
    ]
)


def test_the_table() -> None:
    """Strace -c's columns with three more; work by time, then the waits apart; errors blank where there are none."""
    assert table(ROWS) == (
        "% time     seconds  usecs/call     calls    errors       p50       p99       max syscall\n"
        "------ ----------- ----------- --------- --------- --------- --------- --------- ----------------\n"
        " 99.99   20.300000       25000       812              24.1ms    24.1ms    25.0ms fsync\n"
        "  0.01    0.002000           2      1000       301     2.0us     2.0us     2.0us openat\n"
        "  0.00    0.000000           0         2                                         exit_group\n"
        "------ ----------- ----------- --------- --------- --------- --------- --------- ----------------\n"
        "100.00   20.302000       11204      1814       301                        25.0ms total\n"
        "------ ----------- ----------- --------- --------- --------- --------- --------- ----------------\n"
        "  wait   88.000000     1000000        88             973.1ms      1.0s      1.0s futex (waited)\n"
        "------ ----------- ----------- --------- --------- --------- --------- --------- ----------------\n"
        "  wait   88.000000     1000000        88                                    1.0s total\n"
    )


def test_what_calls_moved() -> None:
    """A column of its own, where any call moved something; in units people read, and in the totals."""
    moved = [
        row("read", 2_000, 1000, errors=3, bytes=1_536_000),
        row("write", 2_000, 4, bytes=4_000),
        row("getppid", 100, 1),
        row("recvfrom", 1_000_000, 1, wait=True, bytes=812),
    ]
    rule = (
        "------ ----------- ----------- --------- --------- --------- --------- --------- --------- ----------------\n"
    )
    assert table(ordered(moved)) == (
        "% time     seconds  usecs/call     calls    errors     bytes       p50       p99       max syscall\n"
        f"{rule}"
        " 99.60    0.002000           2      1000         3    1.5MiB     2.0us     2.0us     2.0us read\n"
        "  0.40    0.000008           2         4              3.9KiB     2.0us     2.0us     2.0us write\n"
        "  0.00    0.000000           0         1                         100ns     100ns     100ns getppid\n"
        f"{rule}"
        "100.00    0.002008           1      1005         3    1.5MiB                         2.0us total\n"
        f"{rule}"
        "  wait    0.001000        1000         1                812B     1.0ms     1.0ms     1.0ms recvfrom (waited)\n"
        f"{rule}"
        "  wait    0.001000        1000         1                812B                         1.0ms total\n"
    )
    head = table(moved, columns=[Column("cpu", {})]).splitlines()[0]
    assert head.split() == [
        "%",
        "time",
        "seconds",
        "cpu",
        "usecs/call",
        "calls",
        "errors",
        "bytes",
        "p50",
        "p99",
        "max",
        "syscall",
    ]
    assert "bytes" in table(moved[2:3], left_out=moved[:1])


def test_rows_that_are_left_out_stay_in_the_totals() -> None:
    """A cut table says how many rows are missing, and its totals are whole."""
    shown = table(ROWS[:1], left_out=ROWS[1:])

    assert "(2 more, in the total)" in shown
    assert "(1 more, in the total)" in shown
    assert "100.00   20.302000       11204      1814       301" in shown


def test_lines_are_the_same_in_each_table_of_a_status() -> None:
    """A status is cut until it fits: lines that are kept from one attempt to the next are those of a new table."""
    rows = ordered([row("read", 2000, 3), row("write", 1000, 3), row("futex", 5000, 2, wait=True), row("close", 10, 9)])
    cut = Table(rows)

    kept = [cut.text(rows[:most]) for most in (4, 1, 3)]

    assert kept == [table(rows[:most], left_out=rows[most:]) for most in (4, 1, 3)]
    assert len(set(kept)) == 3


def test_no_call_at_all() -> None:
    """An empty table is a sentence."""
    assert table([]) == "No system call was made.\n"


def test_no_call_of_those_that_were_chosen() -> None:
    """Of the others nothing is known."""
    assert table([], filtered=True) == "None of the chosen system calls was made.\n"


def test_calls_of_which_none_has_returned() -> None:
    """They were made, so nobody is told that there was none."""
    assert table([], unreturned_calls=1) == "No system call returned.\n"
    assert table([], filtered=True, unreturned_calls=1) == "None of the chosen system calls returned.\n"


def test_a_part_without_calls_is_not_there() -> None:
    """Where all wait, there are no rules around nothing, and no total of it."""
    lines = table([row("futex", 1_000, 2, wait=True)]).splitlines()

    assert [line.split()[-1] for line in lines if not line.startswith("---")] == ["syscall", "(waited)", "total"]
    assert len(lines) == 5


def test_calls_without_a_length_have_no_share() -> None:
    """A total of nothing is not all of it."""
    lines = table([row("exit_group", 0, 2, timed=0, latency={})]).splitlines()

    assert (lines[2].split()[0], lines[-1].split()[0]) == ("0.00", "0.00")


def hung(name: str, age_ns: int, *, began_earlier: bool = False) -> UnreturnedRow:
    """Return a call that has not returned."""
    call = agent_pb2.UnreturnedCall(name=name, age_nanoseconds=age_ns, began_earlier=began_earlier)
    return UnreturnedRow(call, agent_pb2.Container(), "node")


@pytest.mark.parametrize(
    ("rows", "count", "said"),
    [
        ([hung("read", 2_000_000_000, began_earlier=True)], 1, "1 call has not returned: read over 2.0s\n"),
        ([hung("clock_nanosleep", 0)], 1, "1 call has not returned: clock_nanosleep just begun\n"),
        (
            [hung("futex", 3_000_000), hung("read", 2_000), hung("futex", 1_000)], 9,
            "9 calls have not returned: 2 futex up to 3.0ms, read 2.0us, 6 more\n",
        ),
        ([hung("futex", 3_000, began_earlier=True), hung("futex", 1)], 2,
            "2 calls have not returned: 2 futex over 3.0us\n"),
        ([], 2, "2 calls have not returned\n"),
        ([], 0, ""),
    ],
)  # fmt: skip
def test_calls_that_have_not_returned_are_summed_up(rows: list[UnreturnedRow], count: int, said: str) -> None:
    """By name, with the age of the oldest."""
    assert unreturned(rows, count) == said


def test_calls_that_were_interrupted() -> None:
    """They are no errors: a line below the table names them, also those whose row is left out."""
    rows = ordered([row("read", 100, 9, interrupted=5), row("pause", 100, 7, interrupted=5), row("openat", 100, 1)])

    shown = table(rows[:1], left_out=rows[1:])

    assert shown.endswith(
        "total\n5 pause, 5 read were interrupted by a signal: restarted, ended with EINTR, or the program was killed\n"
    )


def test_one_call_that_was_interrupted() -> None:
    """In the singular, with its ABI."""
    shown = table([row("read", 100, 9, interrupted=1, abi="i386")])

    assert shown.splitlines()[-1].startswith("1 read (i386) was interrupted by a signal")


def test_many_calls_that_were_interrupted() -> None:
    """The line stays short: the most frequent are named, the others added up."""
    shown = table([row(f"call{number}", 100, 9, interrupted=number) for number in range(1, 8)])

    named = "7 call7, 6 call6, 5 call5, 4 call4, 3 call3, 3 others were interrupted"
    assert shown.splitlines()[-1].startswith(named)


def test_a_foreign_abi_is_shown() -> None:
    """The same call of a 32-bit program is told apart."""
    assert "getpid (i386)" in table([row("getpid", 100, 1, abi="i386")])
    assert "read (i386, waited)" in table([row("read", 100, 1, abi="i386", wait=True)])


def test_two_rows_of_one_name_are_told_apart() -> None:
    """The one that waited says so, also among those that a signal interrupted."""
    lines = table([row("read", 2_000, 1), row("read", 9_000, 2, wait=True, interrupted=2)]).splitlines()

    assert [line.partition("us read")[2] for line in lines if "us read" in line] == ["", " (waited)"]
    assert lines[-1].startswith("2 read (waited) were interrupted")


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [
        (0, "0ns"),
        (999, "999ns"),
        (1000, "1.0us"),
        (21_000_000, "21.0ms"),
        (999_949, "999.9us"),
        (999_950, "1.0ms"),
        (999_999_999, "1.0s"),
        (3_600_000_000_000, "3600.0s"),
    ],
)
def test_lengths_are_for_people(nanoseconds: int, shown: str) -> None:
    """One digit behind the point, never 1000 of a unit, never wider than its column."""
    assert duration(nanoseconds) == shown
    assert len(shown) <= 9


def test_time_on_a_cpu_stands_beside_wall_time() -> None:
    """Only where it is known; the total has it too, and the table stays readable."""
    rows = ordered([row("fsync", 25_000_000, 4), row("futex", 5, 1, wait=True)])
    column = Column("on cpu", {SyscallKey("fsync"): 12_500_000, SyscallKey("futex", wait=True): 2})

    shown = table(rows, columns=[column]).splitlines()

    assert shown[0].startswith("% time     seconds      on cpu  usecs/call     calls")
    assert shown[2].startswith("100.00    0.100000    0.012500       25000         4")
    assert shown[4].startswith("100.00    0.100000    0.012500       25000         4")
    assert max(map(len, shown)) <= 110
    assert "on cpu" not in table(rows)
