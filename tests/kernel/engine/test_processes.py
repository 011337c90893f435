"""Processes as the kernel tells them: that all together are what was counted, who they are, and how they end."""

import os
import time
from pathlib import Path

import pytest
from engine_runs import Runs, counted, links, told
from view_messages import processes
from watched_processes import Watched, calls_of, summary, sums

from kubestrace_agent.views.processes.collector import ProcessCalls, Settings
from kubestrace_agent.views.processes.values import Wants
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views.processes_limits import MAX_TOP

# What the programs of family.c count: of a few kinds of calls all are shown.
OWN = ["getppid", "execve"]
# PID -> calls of getppid, how it ended; as the programs of family.c say.
Family = dict[int, tuple[int, int]]


def family(output: str) -> Family:
    """What the members said of themselves."""
    lines = [line.split() for line in output.splitlines() if line.count(" ") == 2]
    return {int(pid): (int(calls), int(end)) for pid, calls, end in lines}


@pytest.mark.parametrize(
    "name", ["family work 5", "family exec", "threads 100 50", "denied", "unknown 600 100 3", "endings", "interrupted"]
)
def test_all_processes_are_what_was_counted(runs: Runs, name: str) -> None:
    """Calls that succeed, fail, never return or are denied, of more kinds than fit, of threads that end; times too."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)
    program, *words = name.split()

    runs.start(cgroup, program, *words).finish()

    report = watched.report()
    assert report.trust.losses["processCalls"] == 0
    assert sums(report) == summary(runs, watched.slot)
    assert sums(report)[0] > 20


def test_tables_that_are_told_amid_a_reading(runs: Runs) -> None:
    """A thread of 300 kinds of calls tells a table again and again: each is counted once, whenever it comes."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)

    storm = runs.start(cgroup, "unknown", "600", "300", "1000")
    while storm.process.poll() is None:
        watched.read()
    storm.finish()

    report = watched.report()
    assert sums(report)[0] == summary(runs, watched.slot)[0]


def test_a_storm_of_short_processes(runs: Runs) -> None:
    """20,000 of a few calls each: all are seen, and their sum with what was lost is what was counted."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)

    storm = runs.start(cgroup, "forks", "20000")
    while storm.process.poll() is None:
        time.sleep(0.3)
        watched.read()
    output = storm.finish()

    report = watched.report()
    assert told(output)[("getppid", "")] == counted(runs.since(watched.slot).syscalls)[("getppid", "")]
    assert sums(report)[0] == summary(runs, watched.slot)[0]
    if not report.trust.losses["processCalls"]:
        assert processes(report).seen == 20002  # with the program that executed it
        assert processes(report).others.calls >= 19000 * 4


def test_programs_that_are_executed_while_the_tables_are_read(runs: Runs) -> None:
    """What a process tells as it becomes another program may come after its new table was visited."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)

    loop = runs.start_shell(cgroup, "i=0; while [ $i -lt 200 ]; do i=$((i+1)); /bin/true; done")
    while loop.process.poll() is None:
        watched.read()
    loop.finish()

    report = watched.report()
    assert report.trust.losses["processCalls"] == 0
    assert sums(report) == summary(runs, watched.slot)


def test_what_finds_no_room_is_counted(runs: Runs) -> None:
    """Nobody reads for long enough: what is told and what is lost are still all."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)

    stays = runs.start(cgroup, "family", "stay")
    stays.hear()
    watched.read()
    runs.start(cgroup, "forks", "20000").finish()
    stays.say()
    stays.stdin.write(b"x")
    stays.finish()

    report = watched.report()
    assert report.trust.losses["processCalls"] > 1000
    assert sums(report)[0] == summary(runs, watched.slot)[0]


def test_a_noisy_neighbour_takes_no_room(runs: Runs) -> None:
    """It loses its own; the quiet container's processes are all told."""
    noisy, quiet = runs.cgroup(), runs.cgroup()
    loud, watched = Watched(runs, noisy), Watched(runs, quiet)

    runs.start(noisy, "forks", "20000").finish()
    runs.start(quiet, "family", "work", "5").finish()

    report, noise = watched.report(), loud.report()
    assert report.trust.losses["processCalls"] == 0
    assert sums(report) == summary(runs, watched.slot)
    assert noise.trust.losses["processCalls"] > 0


def test_each_process_has_its_own_calls_and_end(runs: Runs) -> None:
    """Three children that know what they called, and the code that they exit with."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup, OWN)

    run = runs.start(cgroup, "family", "work", "5")
    said = family(run.finish())

    processes = watched.processes()
    assert len(said) == 3
    for pid, (calls, end) in said.items():
        process = processes[pid]
        assert (calls_of(process), process.exit_code, process.signal) == (calls, end, "")
        assert (process.pid, process.parent_pid, process.threads) == (pid, run.process.pid, 1)
        assert 0 < process.lifetime_nanoseconds < 60_000_000_000
        assert process.command == str(runs.program("family"))
        assert process.executable == "family"  # forked: nothing was executed


def test_the_signal_that_ends_a_process(runs: Runs) -> None:
    """Instead of an exit code."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup, OWN)

    ((pid, (calls, _)),) = family(runs.start(cgroup, "family", "signal").finish()).items()

    process = watched.processes()[pid]
    assert (process.signal, process.HasField("exit_code"), calls_of(process)) == ("SIGKILL", False, calls)


def test_threads_are_told_apart(runs: Runs) -> None:
    """The busiest of those that made the call, with the calls of each."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup, OWN)

    ((pid, (calls, end)),) = family(runs.start(cgroup, "family", "threads", "500").finish()).items()

    process = watched.processes()[pid]
    assert (calls_of(process), process.exit_code, process.threads) == (calls, end, 4)
    assert len(process.busiest_threads) == 3
    assert [each.sums.calls for each in process.busiest_threads] == [500] * 3
    assert all(each.tid == each.host_tid for each in process.busiest_threads)


def test_a_thread_that_executes_takes_the_process_over(runs: Runs) -> None:
    """One process with a row for each program, and argv[0] alone of its arguments."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup, OWN)

    ((pid, (calls, end)),) = family(runs.start(cgroup, "family", "exec").finish()).items()

    report = watched.report()
    before, process = sorted(
        (each for each in processes(report).processes if each.host_pid == pid), key=lambda each: each.image
    )
    assert (before.command, calls_of(before)) == (str(runs.program("family")), 3)
    assert (calls_of(process), process.exit_code, process.command) == (calls - 3, end, "after")
    assert calls_of(before, "execve") == 1
    assert [each.sums.calls for each in before.busiest_threads] == [4]
    assert process.executable == str(runs.program("family"))
    assert [each.command for each in process.execs] == ["after"]
    assert "a secret" not in str(report)


def test_a_program_that_lives_has_not_ended(runs: Runs) -> None:
    """Though the one that the process was before has, as it executed this one."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)
    run = runs.start_shell(cgroup, "read word; exec /bin/sleep 60")
    watched.read()
    run.stdin.write(b"go\n")
    run.stdin.flush()
    until = time.monotonic() + 200
    while Path(f"/proc/{run.process.pid}/comm").read_text(encoding="ascii") != "sleep\n":
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(0.2)

    before, living = sorted(
        (each for each in processes(watched.report()).processes if each.host_pid == run.process.pid),
        key=lambda each: each.image,
    )[-2:]

    assert (before.end, living.end) == ("executed /bin/sleep", "")
    assert before.lifetime_nanoseconds
    assert not living.lifetime_nanoseconds


def test_what_cannot_be_executed_is_no_exec(runs: Runs) -> None:
    """The call has failed, and the process is still the old program's."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup, OWN)

    ((pid, (calls, end)),) = family(runs.start(cgroup, "family", "fail").finish()).items()

    process = watched.processes()[pid]
    assert [(each.calls, each.errors) for each in process.syscalls if each.name == "execve"] == [(1, 1)]
    assert (calls_of(process), process.exit_code, process.execs_seen) == (calls, end, 0)


def test_chains_of_programs(runs: Runs) -> None:
    """Each program in its order, by the path that was given."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)

    run = runs.start_shell(cgroup, "exec /bin/sh -c 'exec /usr/bin/env true'")
    run.finish()

    process = watched.processes()[run.process.pid]
    paths = [each.executable for each in process.execs]
    assert [Path(path).name for path in paths] == ["sh", "sh", "env", "true"]
    assert process.command == "true"
    assert process.executable == paths[-1]


def test_pids_inside_and_outside(runs: Runs) -> None:
    """Of processes that have ended before anybody could look at them."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)

    runs.start_shell(cgroup, "unshare --pid --fork sh -c '/bin/true; exit 4'").finish_with(4)
    processes = watched.processes().values()

    (first,) = [each for each in processes if each.pid == 1]
    (child,) = [each for each in processes if each.parent_pid == 1]
    assert (first.command, first.exit_code, first.parent_pid) == ("sh", 4, 0)
    assert child.command == "/bin/true"
    assert first.host_pid > 1


def test_a_process_that_is_older_than_the_trace(runs: Runs) -> None:
    """Its calls from then on, while it lives and at its end; who it is was read at its first one."""
    cgroup = runs.cgroup()
    stays = runs.start(cgroup, "family", "stay")
    stays.hear()
    before = time.time_ns()
    watched = Watched(runs, cgroup, OWN)

    stays.say()
    stays.hear()
    living = watched.processes()[stays.process.pid]
    stays.stdin.write(b"x")
    stays.finish()
    process = watched.processes()[stays.process.pid]

    assert (calls_of(living), living.lifetime_nanoseconds, living.HasField("exit_code")) == (5, 0, False)
    assert (calls_of(process), process.exit_code) == (8, 0)
    assert (process.command, process.executable) == (str(runs.program("family")), "family")
    assert (process.parent_pid, process.execs_seen) == (os.getpid(), 0)
    assert living.start_time_unix_nanoseconds == process.start_time_unix_nanoseconds < before


def test_a_session_that_joins_sees_what_comes_after(runs: Runs) -> None:
    """Both share what the kernel tells; the later one has no call of before."""
    cgroup = runs.cgroup()
    first = Watched(runs, cgroup, OWN)
    stays = runs.start(cgroup, "family", "stay")
    stays.hear()
    first.read()
    second = ProcessCalls(Settings(MAX_TOP), first.collector.syscalls)
    second.begin(time.monotonic_ns(), runs.tracer.lost("processes", first.slot))

    stays.say()
    stays.hear()
    told_now = runs.tracer.read("processes")[first.slot]
    for collector in (first.collector, second):
        collector.take(told_now, 0, 0)
    reports = [agent_pb2.ContainerReport(), agent_pb2.ContainerReport()]
    first.collector.write(reports[0])
    second.write(reports[1])

    assert [sum(calls_of(row) for row in processes(each).processes) for each in reports] == [10, 5]
    stays.stdin.write(b"x")
    stays.finish()


def test_nothing_is_there_while_nobody_asks(runs: Runs) -> None:
    """Two more links with the first container that asks, gone with the last; a silent one tells nothing."""
    first, second = runs.trace(runs.cgroup()), runs.trace(runs.cgroup())
    counting = len(links())

    runs.tracer.enable("processes", first, Wants())
    assert len(links()) == counting + 2
    silent = runs.cgroup()
    slot = runs.trace(silent)
    runs.start(silent, "family", "work", "5").finish()
    assert slot not in runs.tracer.read("processes")
    runs.tracer.enable("processes", second, Wants())
    runs.tracer.enable("processes", first, None)
    assert len(links()) == counting + 2
    assert "on_process_call" in runs.tracer.active
    runs.tracer.remove(second)
    runs.slots.remove(second)
    assert len(links()) == counting
    assert "on_process_call" not in runs.tracer.active
    assert runs.tracer.read("processes") == {}
