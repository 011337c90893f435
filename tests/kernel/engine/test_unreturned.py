"""Calls that do not return: found whether they began before the trace or during it, and never where there is none."""

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from engine_runs import Run, Runs

from kubestrace_agent.traces.unreturned import MOST, Unreturned
from kubestrace_protos.v1 import agent_pb2

# Those of hung.c that hang from its beginning.
FROM_THE_START = ["fcntl", "flock", "futex", "poll", "read", "recvfrom"]


def hanging(run: Run, count: int) -> dict[int, tuple[str, int]]:
    """Thread -> call and when it was made, of the next lines."""
    assert run.process.stdout
    lines = [run.process.stdout.readline().split() for _ in range(count)]
    return {int(tid): (name.decode(), int(began)) for name, tid, began in lines}


def asleep(run: Run, threads: dict[int, tuple[str, int]]) -> None:
    """Wait until they are inside their calls, and its children (the holder of a lock) inside theirs."""
    waited = [Path(f"/proc/{run.process.pid}/task/{tid}/stat") for tid in threads]
    for stat in [*waited, *(path for path in Path("/proc").glob("[0-9]*/stat") if parent(path) == run.process.pid)]:
        while fields(stat)[0] != "S":
            time.sleep(0.001)


def fields(stat: Path) -> list[str]:
    """What follows the name: the state, the parent, ..."""
    return stat.read_text(errors="replace").rsplit(")", 1)[1].split()


def parent(stat: Path) -> int | None:
    """Of a process; None if it has just ended."""
    try:
        return int(fields(stat)[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def told(runs: Runs, slot: int, unreturned: Unreturned) -> dict[int, agent_pb2.UnreturnedCall]:
    """What is told now, by thread; with paths."""
    calls = unreturned.calls(runs.snapshot(slot))
    assert len({call.host_tid for call in calls}) == len(calls)
    return {call.host_tid: call for call in calls}


@pytest.fixture
def everything() -> Unreturned:
    """Tell all calls of a slot with what is behind descriptors."""
    return Unreturned(None, wanted=None, paths=True)


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open no file."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open("/", os.O_RDONLY)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(probe, limits[1]), limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_too_many_open_files_hide_them_for_now(runs: Runs, everything: Unreturned, tmp_path: Path) -> None:
    """They are known again as soon as files can be opened, and the counts were never in danger."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "hung", str(tmp_path / "file"))
    threads = hanging(run, len(FROM_THE_START))
    asleep(run, threads)
    slot = runs.trace(cgroup)
    # The maps are mapped at the first use.
    assert told(runs, slot, everything)

    before = runs.tracer.walk_failures.count
    with no_more_files():
        meanwhile = told(runs, slot, everything)
    failures = runs.tracer.walk_failures
    afterwards = told(runs, slot, everything)

    assert meanwhile == {}
    assert failures.count > before
    assert failures.why.startswith("too many open files")
    assert runs.tracer.walk_failures == failures
    assert threads.keys() <= afterwards.keys()


def test_what_hung_before_the_trace(runs: Runs, everything: Unreturned, tmp_path: Path) -> None:
    """Each call and its thread, none of those that compute; no age is longer than the program's own."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "hung", str(tmp_path / "file"))
    threads = hanging(run, len(FROM_THE_START))
    asleep(run, threads)
    slot = runs.trace(cgroup)

    now = runs.snapshot(slot)
    calls = {call.host_tid: call for call in everything.calls(now) if call.host_pid == run.process.pid}

    assert {tid: call.name for tid, call in calls.items()} == {tid: name for tid, (name, _) in threads.items()}
    assert all(call.began_earlier for call in calls.values())
    for tid, call in calls.items():
        assert call.age_nanoseconds <= now.time_ns - threads[tid][1], call.name
        assert (call.tid, call.pid, call.process) == (tid, run.process.pid, "hung")
    by_name = {call.name: call for call in calls.values()}
    assert by_name["read"].arguments == "0<pipe>, ..., 1"
    assert by_name["fcntl"].arguments.startswith(f"7<{tmp_path}/file>, F_SETLKW, 0x")
    assert runs.since(slot).trust.unreturned_calls == len(now.in_flight) == len(threads) + 1  # the holder of the lock
    assert all(call.wait for call in calls.values())


def test_ages_grow_from_one_snapshot_to_the_next(runs: Runs, everything: Unreturned, tmp_path: Path) -> None:
    """A call that is found again has aged by the time that has passed at least."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "hung", str(tmp_path / "file"))
    asleep(run, hanging(run, len(FROM_THE_START)))
    slot = runs.trace(cgroup)
    runs.snapshot(slot)  # finds them
    first = runs.snapshot(slot)
    before = {call.host_tid: call.age_nanoseconds for call in everything.calls(first)}
    second = runs.snapshot(slot)

    passed_ns = second.time_ns - first.time_ns
    assert all(call.age_nanoseconds >= before[call.host_tid] + passed_ns for call in everything.calls(second))


def test_what_hangs_during_the_trace(runs: Runs, everything: Unreturned, tmp_path: Path) -> None:
    """Its start is known; the calls from before go on beside it, and what returns is no longer told."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "hung", str(tmp_path / "file"))
    threads = hanging(run, len(FROM_THE_START))
    asleep(run, threads)
    slot = runs.trace(cgroup)
    run.stdin.write(b"x")
    later = hanging(run, 2)  # the leader, which reads again, and the new thread
    asleep(run, later)
    now = runs.snapshot(slot)
    calls = {call.host_tid: call for call in everything.calls(now)}
    (new,) = later.keys() - {run.process.pid}
    run.stdin.write(b"r")
    hanging(run, 1)
    asleep(run, {run.process.pid: ("read", 0)})
    while Path(f"/proc/{run.process.pid}/task/{new}").exists():
        time.sleep(0.001)
    after = told(runs, slot, everything)

    assert {tid for tid, call in calls.items() if not call.began_earlier} == set(later)
    for tid, (_, began) in later.items():
        assert 0 < calls[tid].age_nanoseconds <= now.time_ns - began
    assert calls[new].arguments == "3<pipe>, ..., 1"
    assert set(after) == set(calls) - {new}
    counts = runs.since(slot)
    assert counts.trust.unmatched_calls == 1  # the leader's first read
    assert counts.trust.unreturned_calls == len(after)


def test_no_more_than_the_oldest_are_told(runs: Runs, everything: Unreturned) -> None:
    """300 threads and a leader that wait: no more are told one by one, and all are counted."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "blocked", "300")
    run.hear()
    slot = runs.trace(cgroup)
    calls = everything.calls(runs.snapshot(slot))

    assert len(calls) == MOST
    assert [call.age_nanoseconds for call in calls] == sorted((call.age_nanoseconds for call in calls), reverse=True)
    assert runs.since(slot).trust.unreturned_calls == 301


def test_a_second_session_knows_what_began_before_it(runs: Runs) -> None:
    """A call that the first session saw begin has its whole age, and began earlier to the second."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    run = runs.start(cgroup, "blocked", "1")
    run.hear()
    start = runs.snapshot(slot)
    now = runs.snapshot(slot)

    first = Unreturned(None, wanted=None, paths=False).calls(now)
    second = Unreturned(start, wanted=None, paths=False).calls(now)

    assert [call.began_earlier for call in first] == [False, False]
    assert [call.began_earlier for call in second] == [True, True]
    assert [call.age_nanoseconds for call in first] == [call.age_nanoseconds for call in second]


def test_files_behind_descriptors_are_told_where_they_are_asked_for(runs: Runs, tmp_path: Path) -> None:
    """Otherwise the number alone, and what kind of thing a pipe or a socket is."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "hung", str(tmp_path / "file"))
    asleep(run, hanging(run, len(FROM_THE_START)))
    slot = runs.trace(cgroup)
    calls = Unreturned(None, wanted=None, paths=False).calls(runs.snapshot(slot))

    assert not any(str(tmp_path) in call.arguments for call in calls)
    by_name = {call.name: call.arguments for call in calls}
    assert by_name["flock"] in {"8, LOCK_EX", "9, LOCK_EX", "10, LOCK_EX"}
    assert by_name["recvfrom"].startswith("5<socket>, ..., 1, 0")


def test_a_process_that_is_followed_by_its_pid(runs: Runs, everything: Unreturned, tmp_path: Path) -> None:
    """Not by its cgroup."""
    run = runs.start(runs.cgroup(), "hung", str(tmp_path / "file"))
    threads = hanging(run, len(FROM_THE_START))
    asleep(run, threads)
    slot = runs.tracer.add_process(run.process.pid, wanted=None)
    runs.slots.append(slot)

    assert set(told(runs, slot, everything)) == set(threads)
