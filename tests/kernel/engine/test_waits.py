"""Calls by a descriptor that waited for somebody at its other end have a row of their own; no call is in both."""

from pathlib import Path

import pytest
from engine_runs import Runs, counted

from kubestrace_agent.syscalls import parse_patterns
from kubestrace_agent.views.slow_calls.collector import message
from kubestrace_agent.views.slow_calls.values import Floors
from kubestrace_agent.views.timeline import collector

MS = 1_000_000


def own(output: str) -> dict[tuple[str, str], tuple[int, int]]:
    """Name, ABI -> calls that worked, calls that waited."""
    lines = [line.split() for line in output.splitlines()]
    return {(name, "" if abi == "-" else abi): (int(work), int(wait)) for name, abi, work, wait, *_ in lines}


def test_what_waited_is_no_work(runs: Runs, tmp_path: Path) -> None:
    """Sockets, pipes, a terminal, an event and a timer wait; files and /dev/zero work, however long it takes."""
    output, difference = runs.whole("ends", str(tmp_path / "file"))
    rows = {(row.name, row.abi, row.wait): row for row in difference.syscalls}
    expected = own(output)

    assert set(expected) >= {("recvfrom", ""), ("read", ""), ("readv", ""), ("writev", ""), ("connect", "")}
    for (called, abi), (worked, waited) in expected.items():
        waits = rows.get((called, abi, True))
        if called == "connect":  # the one that filled the backlog may have been held up
            assert waits
            assert waits.calls >= waited
        else:
            assert (waits.calls if waits else 0) == waited, called
        if waits:
            assert waits.timed == waits.calls
            assert waits.total_nanoseconds >= waited * 15 * MS
        assert counted(difference.syscalls)[called, abi][0] == worked + waited
    assert len(rows) == len(difference.syscalls)


@pytest.mark.parametrize("what", ["pipes", "sockets", "locks", "children", "queues", "events", "work"])
def test_what_happened_decides_and_not_the_name(runs: Runs, tmp_path: Path, what: str) -> None:
    """A call waited that slept for a neighbour; what does not sleep, or sleeps for a disk, is not in that row."""
    output, difference = runs.whole("neighbours", what, str(tmp_path))
    rows = {(row.name, row.abi, row.wait): row for row in difference.syscalls}
    expected = own(output)

    assert len(expected) >= 2
    for (called, abi), (worked, waited) in expected.items():
        waits, works = rows.get((called, abi, True)), rows.get((called, abi, False))
        assert (waits.calls if waits else 0) == waited, called
        assert waits is None or waits.total_nanoseconds >= 10 * MS, called
        # -1: others make such calls, too.
        assert worked < 0 or (works.calls if works else 0) == worked, called


def test_waits_and_the_time_budget_say_the_same(runs: Runs, tmp_path: Path) -> None:
    """Of the rows that wait all but moments is the budget's waiting; what it waits for beyond them are disks."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    runs.tracer.enable("cpu_time", slot, True)
    begin = runs.tracer.read("cpu_time")[slot]
    runs.start(cgroup, "neighbours", "events", str(tmp_path)).finish()
    now = runs.tracer.read("cpu_time")[slot]
    rows = runs.since(slot).syscalls

    assert not begin.ended
    waits_ns = sum(row.total_nanoseconds for row in rows if row.wait)
    asleep = {
        waited: sum(parts.asleep_ns for key, parts in now.ended.items() if key.waited == waited)
        for waited in (False, True)
    }
    spent_ns = sum(parts.all_ns for key, parts in now.ended.items() if key.waited)
    # The clock is read a moment later by one than by the other.
    assert abs(spent_ns - waits_ns) <= 0.01 * waits_ns
    assert asleep[True] >= 0.9 * waits_ns
    assert asleep[False] <= 0.1 * asleep[True]


def test_both_rows_are_of_the_same_call_for_a_selection(runs: Runs, tmp_path: Path) -> None:
    """Who wants recvfrom and writev has all of their calls, and no others."""
    cgroup = runs.cgroup()
    wanted = parse_patterns(["recvfrom", "writev"], "x86_64").keys()
    slot = runs.tracer.add_container(cgroup.path, wanted=wanted)
    runs.slots.append(slot)
    runs.start(cgroup, "ends", str(tmp_path / "file")).finish()

    found = counted(runs.since(slot).syscalls)
    assert {called: numbers[0] for (called, _), numbers in found.items()} == {"recvfrom": 3, "writev": 6}


def test_a_timeline_keeps_work_and_waits_apart_as_the_rows_do(runs: Runs, tmp_path: Path) -> None:
    """The same calls and times, whichever way they are added up."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    start = runs.snapshot(slot)
    runs.start(cgroup, "ends", str(tmp_path / "file")).finish()
    now = runs.snapshot(slot)
    totals = collector.between(start, now, wanted=None)
    rows = runs.since(slot, start).syscalls

    assert totals.calls == sum(row.calls for row in rows)
    assert totals.work_ns == sum(row.total_nanoseconds for row in rows if not row.wait)
    assert totals.wait_ns == sum(row.total_nanoseconds for row in rows if row.wait)


def test_slow_calls_that_waited_are_among_those_that_wait(runs: Runs, tmp_path: Path) -> None:
    """The floor for waits is theirs, and so is the mark."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    never = 1 << 63
    runs.tracer.enable("slow_calls", slot, Floors(working_ns=never, waiting_ns=15 * MS))
    runs.start(cgroup, "ends", str(tmp_path / "file")).finish()
    told = [message(call, 0) for call in runs.tracer.read("slow_calls").get(slot, [])]

    assert sum(call.name == "recvfrom" for call in told) == 3
    assert sum((call.name, call.abi) == ("read", "") for call in told) == 5
    assert all(call.wait for call in told)
