"""Calls that waited for a neighbour have a row of their own; no call is in both."""

from pathlib import Path

from engine_runs import Runs, counted

from kubestrace_agent.syscalls import parse_patterns
from kubestrace_agent.views.slow_calls.collector import message
from kubestrace_agent.views.slow_calls.values import Floors
from kubestrace_agent.views.timeline import collector

MS = 1_000_000


def own(output: str) -> dict[tuple[str, str], tuple[int, int]]:
    """Name, ABI -> calls that worked, calls that waited; names that come again are added up."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for name, abi, worked, waited, *_ in map(str.split, output.splitlines()):
        key = name, "" if abi == "-" else abi
        before = found.get(key, (0, 0))
        found[key] = before[0] + int(worked), before[1] + int(waited)
    return found


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


def test_each_call_waits_or_works_by_what_happened(runs: Runs, tmp_path: Path) -> None:
    """Locks, children, queues, events, pipes, sockets and timers; not what returned at once, and never the disk."""
    output, difference = runs.whole("neighbours", str(tmp_path))
    rows = {(row.name, row.abi, row.wait): row for row in difference.syscalls}
    expected = own(output)
    lost = runs.may_lose(difference)

    waited = {key: rows[*key, True].calls if (*key, True) in rows else 0 for key in expected}
    worked = {key: rows[*key, False].calls if (*key, False) in rows else 0 for key in expected}
    assert waited == {key: numbers[1] for key, numbers in expected.items()}
    assert {key: worked[key] for key in expected if worked[key] + lost < expected[key][0]} == {}
    for key, calls in waited.items():
        if calls:
            assert rows[*key, True].total_nanoseconds >= calls * 15 * MS, key


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
