"""Calls that waited for a neighbour have a row of their own; no call is in both."""

import os
import signal
import time
from pathlib import Path

import pytest
from engine_runs import Cgroup, Run, Runs, counted
from view_messages import cpu_time

from kubestrace_agent.syscalls import name, parse_patterns
from kubestrace_agent.views.cpu_time.collector import TimeBudget
from kubestrace_agent.views.slow_calls.collector import message
from kubestrace_agent.views.slow_calls.values import Floors
from kubestrace_agent.views.timeline import collector
from kubestrace_protos.v1 import agent_pb2

MS = 1_000_000
# For a disk, or memory: a file's pages, the tables of a new process.
SLEEPS_AT_WORK = frozenset({"clone", "clone3", "openat", "read"})


def own(output: str) -> dict[tuple[str, str], tuple[int, int]]:
    """Name, ABI -> calls that worked, calls that waited; names that come again are added up."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for called, abi, worked, waited, *_ in map(str.split, output.splitlines()):
        key = called, "" if abi == "-" else abi
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


def budgeted(runs: Runs, *words: str) -> tuple[str, agent_pb2.ContainerReport]:
    """Trace a program to its end with the view of CPU time: its own words, and the report."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    runs.tracer.enable("cpu_time", slot, True)
    budget = TimeBudget(None)
    budget.take(runs.tracer.read("cpu_time")[slot], 0, 0)
    output = runs.start(cgroup, *words).finish()
    report = agent_pb2.ContainerReport(syscalls=runs.since(slot).syscalls)
    budget.take(runs.tracer.read("cpu_time")[slot], 0, 0)
    budget.write(report)
    return output, report


def test_the_budget_and_the_rows_tell_the_same(runs: Runs, tmp_path: Path) -> None:
    """What waits slept is the budget's waiting, what work slept its blocked: exactly, as one reading has both.

    The length of a row is its time on a CPU, runnable and asleep within 2 % and 5 ms: the counting and the view see a
    call end some hundred nanoseconds after each other, and a thread that is preempted in between has others' turn on
    the wrong side.
    """
    output, report = budgeted(runs, "neighbours", str(tmp_path))
    result = cpu_time(report)
    parts = {(each.name, each.abi, each.wait): each for each in result.calls}
    asleep_ns = {
        True: sum(each.waiting_nanoseconds for each in result.budget.calls),
        False: sum(each.blocked_nanoseconds for each in result.budget.calls),
    }

    for wait, slept_ns in asleep_ns.items():
        assert slept_ns == sum(each.asleep_nanoseconds for each in result.calls if each.wait == wait)
        rows = [row for row in report.syscalls if row.wait == wait and row.timed == row.calls]
        used = [parts[row.name, row.abi, wait] for row in rows]
        used_ns = sum(each.cpu_nanoseconds + each.runnable_nanoseconds + each.asleep_nanoseconds for each in used)
        assert used_ns == pytest.approx(sum(row.total_nanoseconds for row in rows), rel=0.02, abs=5 * MS)
    for (called, abi), (_, waited) in own(output).items():
        if waited:
            # Whoever is preempted on the way to sleep sleeps for the rest of it: the whole is the nap.
            part = parts[called, abi, True]
            assert part.asleep_nanoseconds > 0, called
            assert part.cpu_nanoseconds + part.runnable_nanoseconds + part.asleep_nanoseconds >= waited * 15 * MS, (
                called
            )
        # Calls that returned at once did not sleep either.
        if waited and (called, abi, False) in parts and called not in SLEEPS_AT_WORK:
            assert parts[called, abi, False].asleep_nanoseconds < MS, called


def hanging(runs: Runs, cgroup: Cgroup, folder: Path) -> tuple[Run, set[str]]:
    """Start a program whose children wait for ever; which calls they are in."""
    run = runs.start(cgroup, "neighbours", str(folder), "hang")
    assert run.process.stdout
    said = "".join(iter(lambda: run.process.stdout.readline().decode(), ".\n"))
    deadline = time.monotonic() + 200
    while any(state != "S" for state in states(cgroup)):
        assert time.monotonic() < deadline, states(cgroup)
        time.sleep(0.01)
    return run, {called for called, _ in own(said)}


def states(cgroup: Cgroup) -> list[str]:
    """Of its processes; S and D are asleep."""
    stats = [Path(f"/proc/{pid}/stat").read_text(encoding="utf-8") for pid in cgroup.pids()]
    return [stat.rsplit(")", 1)[1].split()[0].replace("D", "S") for stat in stats]


@pytest.mark.parametrize("before", [True, False])
def test_waits_that_do_not_return(runs: Runs, tmp_path: Path, *, before: bool) -> None:
    """They are unreturned waits, also where they began before the trace; killed, they are in the rows that waited."""
    cgroup = runs.cgroup()
    slot = None if before else runs.trace(cgroup)
    run, calls = hanging(runs, cgroup, tmp_path)
    if slot is None:
        slot = runs.trace(cgroup)
    hung = {(name(call.key), call.key.waited) for call in runs.snapshot(slot).in_flight}
    for pid in cgroup.pids():
        if pid != run.process.pid:
            os.kill(pid, signal.SIGKILL)
    run.finish()

    assert {(called, True) for called in calls} <= hung
    assert not {(called, False) for called in calls} & hung
    waited = {row.name for row in runs.since(slot).syscalls if row.wait}
    assert calls - waited <= {"vfork", "clone3"}  # their children end with them, in any order
    assert not runs.snapshot(slot).in_flight


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
    totals = collector.Sums(None).between(start.rows, now.rows)
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
