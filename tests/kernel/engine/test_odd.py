"""Programs that do what hardly any program does: the numbers agree with their own all the same."""

import time
from pathlib import Path

import pytest
from engine_runs import Runs, agree, counted, told

from kubestrace_agent.syscalls import name


@pytest.mark.parametrize(
    "way", ["vforks 40", "shared", "namespaces", "execs 25", "killed", "hopping", "leaderless"], ids=lambda way: way
)
def test_odd_tasks(runs: Runs, way: str) -> None:
    """Chains of vfork, memory shared without threads, namespaces, all threads at execve, a process without leader."""
    output, difference = runs.whole("odd_tasks", *way.split())

    agree(told(output), counted(difference.syscalls))
    assert difference.trust.lost_calls == 0
    assert difference.trust.unreturned_calls == 0


def test_execve_that_fails(runs: Runs, tmp_path: Path) -> None:
    """By a name that is not there, and by a file that is no program: only the first execve of all went."""
    output, difference = runs.whole("odd_tasks", "failing", str(tmp_path / "file"))

    agree(told(output), counted(difference.syscalls))
    (execve,) = (each for each in difference.syscalls if each.name == "execve")
    assert {errno.name: errno.count for errno in execve.errnos} == {"ENOENT": 30, "ENOEXEC": 20}


@pytest.mark.parametrize(
    "way",
    [
        *("trap", "kills", "notify", "emulated", "renumbered", "jump", "nested", "signals", "dispatched", "ring"),
        "vsyscalls",
    ],
)
def test_odd_entries(runs: Runs, way: str) -> None:
    """Filters that trap, kill and ask; tracers that emulate and renumber; jumps out of handlers; user dispatch."""
    output, difference = runs.whole("odd_entries", way)

    agree(told(output), counted(difference.syscalls))
    assert difference.trust.lost_calls == 0
    assert difference.trust.unreturned_calls == 0


def test_away_and_back_in_the_middle_of_a_call(runs: Runs) -> None:
    """A call that returns where it began has its whole length, wherever its task has been meanwhile."""
    home, other, nowhere = runs.cgroup(), runs.cgroup(), runs.cgroup()
    slot, beside = runs.trace(home), runs.trace(other)
    run = runs.start(home, "blocked", "0")
    run.hear()
    for cgroup in (other, nowhere, home):
        cgroup.take(run.process.pid)
        time.sleep(0.01)
    run.say()

    (read,) = (each for each in runs.since(slot).syscalls if each.name == "read")
    assert (read.calls, read.timed) == (1, 1)
    assert read.total_nanoseconds >= 30_000_000
    assert counted(runs.since(slot).syscalls)["getppid", ""] == (10, 0, 0, 10)
    assert runs.since(beside).syscalls == []


def test_a_container_that_is_made_anew_under_its_old_name(runs: Runs) -> None:
    """A cgroup's name is not the cgroup: what comes back is another container."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    runs.start(cgroup, "plain").finish()
    cgroup.path.rmdir()
    cgroup.path.mkdir()
    again = runs.trace(cgroup)
    runs.start(cgroup, "plain").finish()

    for each in (slot, again):
        assert counted(runs.since(each).syscalls)["getppid", ""] == (1000, 0, 0, 1000)


def test_threads_of_one_process_in_cgroups_of_their_own(runs: Runs) -> None:
    """A threaded cgroup below the container: its threads count there, and are found while they hang."""
    cgroup = runs.cgroup()
    below = cgroup.path / "below"
    below.mkdir()
    (below / "cgroup.type").write_text("threaded")
    run = runs.start(None, "blocked", "3")
    run.hear()
    try:
        cgroup.take(run.process.pid)
        threads = [int(each.name) for each in Path(f"/proc/{run.process.pid}/task").iterdir()]
        (below / "cgroup.threads").write_text(str(max(threads)))
        slot = runs.trace(cgroup)
        now = runs.snapshot(slot)
        run.say()
        run.say()

        assert {call.tid for call in now.in_flight} == set(threads)
        assert counted(runs.since(slot).syscalls)["getppid", ""] == (20, 0, 0, 20)
    finally:
        run.end()
        below.rmdir()


def test_4096_threads_that_wait_already(runs: Runs) -> None:
    """Each of them is found, and when they are killed each one's call has ended, begun before and cut short."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "blocked", "4096")
    run.hear()
    slot = runs.trace(cgroup)
    before = runs.since(slot)
    run.finish()
    after = runs.since(slot)

    assert before.trust.unreturned_calls == 4097
    assert counted(after.syscalls)["futex", ""] == (4096, 0, 4096, 0)
    assert after.trust.unmatched_calls == 4097
    assert after.trust.unreturned_calls == 0


def test_a_container_that_is_frozen(runs: Runs) -> None:
    """Freezing takes tasks out of their calls and thawing makes these anew; while it lasts nobody is inside of one."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    run = runs.start(cgroup, "blocked", "0")
    run.hear()
    (cgroup.path / "cgroup.freeze").write_text("1")
    while "frozen 1" not in (cgroup.path / "cgroup.events").read_text():
        time.sleep(0.001)
    frozen = runs.since(slot)
    (cgroup.path / "cgroup.freeze").write_text("0")
    run.say()

    assert counted(frozen.syscalls)["read", ""] == (1, 0, 1, 1)
    assert frozen.trust.unreturned_calls == 0
    assert counted(runs.since(slot).syscalls)["read", ""] == (2, 0, 1, 2)


def test_a_call_that_waits_for_an_answer_of_seccomps(runs: Runs) -> None:
    """It hangs before its entry is seen: told all the same, whether it hung before the trace or hangs in it."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "odd_entries", "held")
    run.hear()
    slot = runs.trace(cgroup)
    before = [call for call in runs.snapshot(slot).in_flight if name(call.key) == "getppid"]
    run.say()
    after = [call for call in runs.snapshot(slot).in_flight if name(call.key) == "getppid"]

    assert [call.began_earlier for call in before] == [True]
    assert len(after) == 2
    assert "getppid" not in {called for called, _ in counted(runs.since(slot).syscalls)}
