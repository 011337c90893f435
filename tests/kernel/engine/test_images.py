"""Calls belong to the program that made them: each image of a process has a row, with its names and its end."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_runs import Cgroup, Run, Runs
from view_messages import processes
from watched_processes import Watched, calls_of, summary, sums

from kubestrace_agent.views.processes.collector import Settings
from kubestrace_protos.v1.views import processes_pb2
from kubestrace_protos.v1.views.processes_limits import MAX_TOP

Row = tuple[int, str, int]


def images(watched: Watched, pid: int) -> list[processes_pb2.Process]:
    """Give the rows of one process, the oldest first."""
    rows = processes(watched.report()).processes
    return sorted((each for each in rows if each.host_pid == pid), key=lambda each: each.image)


def others_than(watched: Watched, pid: int) -> list[processes_pb2.Process]:
    """Give the rows of its children, in order."""
    rows = processes(watched.report()).processes
    return sorted((each for each in rows if each.host_pid != pid), key=lambda each: (each.host_pid, each.image))


def test_calls_before_an_exec_are_the_program_befores(runs: Runs) -> None:
    """20,000 descriptors are closed before `true` is executed: `true` has closed none of them."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)

    run = runs.start(cgroup, "closestorm", "20000")
    truth = json.loads(run.finish())

    before, after = others_than(watched, run.process.pid)
    assert (Path(before.command).name, before.sums.errors, truth["EBADF"]) == ("closestorm", 19_997, 19_997)
    assert (after.command, before.end) == ("true", f"executed {after.executable}")
    assert calls_of(before, "close") == 19_997
    assert after.sums.errors < 10
    report = watched.report()
    assert sums(report) == summary(runs, watched.slot)


def test_a_shim_that_executes_three_times(runs: Runs) -> None:
    """Four rows of one process, in their order; each ends with the exec of the next, the last with its exit code."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup, ["getppid", "execve"])

    run = runs.start(cgroup, "images", "shim", "30")
    run.finish_with(5)

    rows = [each for each in images(watched, run.process.pid) if Path(each.executable).name == "images"]
    assert [Path(each.command).name for each in rows] == ["images", "shim20", "shim10", "shim0"]
    assert [calls_of(each) for each in rows] == [30, 20, 10, 0]
    assert [calls_of(each, "execve") for each in rows] == [1, 1, 1, 0]
    assert [each.end for each in rows] == [f"executed {runs.program('images')}"] * 3 + ["exited with 5"]
    assert [each.image for each in rows] == [1, 2, 3, 4]
    assert [len(each.execs) for each in rows] == [1, 2, 3, 4]
    assert all(each.lifetime_nanoseconds > 0 for each in rows)
    times = [each.start_time_unix_nanoseconds for each in rows]
    assert times == sorted(times)


@pytest.mark.parametrize("how", ["fork", "vfork"])
def test_what_a_child_does_before_it_executes(runs: Runs, how: str) -> None:
    """Its calls of then stand under its parent's program; an exec that fails is no border."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup, ["getppid", "execve"])

    run = runs.start(cgroup, "images", how)
    run.finish()

    before, leaf = others_than(watched, run.process.pid)
    assert (Path(before.command).name, calls_of(before), before.image) == ("images", 7, 0)
    assert [(each.calls, each.errors) for each in before.syscalls if each.name == "execve"] == [(2, 1)]
    assert (leaf.command, calls_of(leaf), leaf.image, leaf.execs_seen) == ("leaf", 6, 1, 1)
    assert calls_of(images(watched, run.process.pid)[-1]) == 5


def test_a_child_whose_only_call_is_an_exec(runs: Runs) -> None:
    """It was its parent's program that made it."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup, ["getppid", "execve"])

    run = runs.start(cgroup, "images", "only")
    run.finish()

    before, leaf = others_than(watched, run.process.pid)
    assert (Path(before.command).name, before.sums.calls, before.sums.errors) == ("images", 1, 0)
    assert (leaf.command, calls_of(leaf), leaf.sums.calls) == ("leaf", 6, 6)


def test_calls_where_execs_are_not_counted(runs: Runs) -> None:
    """The border is there all the same."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup, ["getppid"])
    run = runs.start(cgroup, "images", "shim", "20")
    run.finish_with(5)

    rows = [each for each in images(watched, run.process.pid) if each.sums.calls]
    assert [(Path(each.command).name, each.sums.calls) for each in rows] == [("images", 20), ("shim10", 10)]


def test_the_newest_title_and_names(runs: Runs) -> None:
    """Beside those at the start; they changed in memory, without a call that says so, and the process still lives."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup, ["getppid"])

    run = runs.start(cgroup, "images", "title", "room for a longer title")
    run.hear()
    living = images(watched, run.process.pid)[-1]
    run.stdin.write(b"x")
    run.finish()
    ended = images(watched, run.process.pid)[-1]

    for row in (living, ended):
        assert (Path(row.command).name, row.title) == ("images", "demo: worker idle")
        assert (row.first_name, row.name) == ("images", "renamed")
        (thread,) = row.busiest_threads
        assert (thread.first_name, thread.name) == ("images", "renamed")


@pytest.mark.parametrize("shown", [3, 5])
def test_more_threads_on_request(runs: Runs, shown: int) -> None:
    """The busiest by their names, and one sum of the others."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup, ["getppid"], settings=Settings(MAX_TOP, threads=shown))

    run = runs.start(cgroup, "images", "threads", "8")
    run.finish()

    row = images(watched, run.process.pid)[-1]
    assert len(row.busiest_threads) == shown
    told = {each.name: each.sums.calls for each in row.busiest_threads}
    assert all(name == f"worker-{calls // 10}" for name, calls in told.items())
    assert sum(told.values()) + row.other_threads.calls == row.sums.calls == 360
    assert all(each.first_name == "images" for each in row.busiest_threads)


def test_programs_from_memory_and_deleted_ones(runs: Runs, tmp_path: Path) -> None:
    """Named as what they are."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup, ["getppid"])

    memory = runs.start(cgroup, "images", "memfd")
    memory.finish()
    deleted = runs.start(cgroup, "images", "deleted", str(tmp_path / "gone"))
    deleted.finish()

    assert images(watched, memory.process.pid)[-1].executable == "memfd:payload"
    row = images(watched, deleted.process.pid)[-1]
    assert row.executable.endswith(" (deleted)")
    assert calls_of(row) == 6


def test_an_executable_that_is_deleted_while_it_runs(runs: Runs, tmp_path: Path) -> None:
    """By its next calls."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup, ["getppid"])
    copy = tmp_path / "copy"
    copy.write_bytes(runs.program("images").read_bytes())
    copy.chmod(0o755)

    run = Run(cgroup, copy, "title", "room for a longer title")
    run.hear()
    before = images(watched, run.process.pid)[-1].executable
    copy.unlink()
    run.stdin.write(b"x")
    run.finish()

    assert (before, images(watched, run.process.pid)[-1].executable) == (str(copy), f"{copy} (deleted)")


def test_who_is_ended_by_seccomp(runs: Runs) -> None:
    """With the call that was not allowed."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup, ["getppid"])

    run = runs.start(cgroup, "images", "killed")
    run.finish()

    (row,) = others_than(watched, run.process.pid)
    assert (row.end, row.signal) == ("killed by seccomp for calling mkdirat (SIGSYS)", "SIGSYS")
    assert calls_of(row) == 4


def test_a_signal_that_only_looks_like_it(runs: Runs) -> None:
    """SIGSYS and SIGKILL that somebody has sent."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)

    first = runs.start_shell(cgroup, "kill -SYS $$; exec true")
    first.finish_with(-31)
    second = runs.start_shell(cgroup, "kill -KILL $$; exec true")
    second.finish_with(-9)

    ends = [images(watched, each.process.pid)[-1].end for each in (first, second)]
    assert ends[0].startswith("killed by SIGSYS")
    assert ends[1] == "killed by SIGKILL"


def test_calls_that_seccomp_denies(runs: Runs) -> None:
    """With an errno; a call that returns 0 or is no errno cannot be told from one that worked."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)

    run = runs.start(cgroup, "denied")
    run.finish()

    row = images(watched, run.process.pid)[-1]
    denied = {each.name: each.denied for each in row.syscalls if each.denied}
    assert row.denied == 105
    assert denied.items() <= {"mkdirat": 100, "swapoff": 5}.items()


MEMORY_V1 = Path("/sys/fs/cgroup/memory")
MOST_MEMORY = str(8 << 20)


def limit_in_own_cgroup(cgroup: Cgroup) -> bool:
    """Limit a cgroup of version 2, where the controller can be had on the way to it."""
    for folder in reversed(cgroup.path.relative_to("/sys/fs/cgroup").parents):
        with contextlib.suppress(OSError):
            (Path("/sys/fs/cgroup") / folder / "cgroup.subtree_control").write_text("+memory")
    limit = cgroup.path / "memory.max"
    if not limit.exists():
        return False
    limit.write_text(MOST_MEMORY)
    return True


@pytest.fixture
def small(runs: Runs) -> Iterator[tuple[Cgroup, str]]:
    """Give a cgroup, and the command by which a shell in it has no more than 8 MiB of memory."""
    cgroup, other = runs.cgroup(), MEMORY_V1 / f"kubestrace-{os.getpid()}"
    if not (MEMORY_V1 / "memory.limit_in_bytes").exists():
        if not limit_in_own_cgroup(cgroup):
            pytest.skip("no memory controller")
        yield cgroup, ":"
        return
    other.mkdir()
    (other / "memory.limit_in_bytes").write_text(MOST_MEMORY)
    yield cgroup, f"echo $$ >{other}/cgroup.procs"
    other.rmdir()


def test_who_is_killed_for_memory(runs: Runs, small: tuple[Cgroup, str]) -> None:
    """Not just by SIGKILL."""
    cgroup, command = small
    watched = Watched(runs, cgroup)

    run = runs.start_shell(cgroup, f"{command}; exec {runs.program('images')} memory")
    run.finish()

    (row,) = others_than(watched, run.process.pid)
    assert (row.end, row.signal) == ("killed for memory (SIGKILL)", "SIGKILL")


def test_words_where_a_session_asks(runs: Runs) -> None:
    """Of programs that are executed, that are forked, and that were there before; without secrets, and bounded."""
    cgroup = runs.cgroup()
    old = runs.start(cgroup, "family", "stay")
    old.hear()
    watched = Watched(runs, cgroup, settings=Settings(MAX_TOP, arguments=True))
    old.say()

    quick = runs.start(cgroup, "images", "words", "app.py", "--port", "80", "--password=hunter2", "\x1b[31m")
    quick.finish()
    long = runs.start(cgroup, "images", "words", *(f"word-{n}" for n in range(200)))
    long.finish()

    rows = {each.host_pid: each for each in processes(watched.report()).processes if each.execs_seen or not each.image}
    assert list(rows[old.process.pid].arguments) == ["stay"]
    assert list(images(watched, quick.process.pid)[-1].arguments) == [
        "words", "app.py", "--port", "80", "--password=***", "\\x1b[31m",
    ]  # fmt: skip
    words = images(watched, long.process.pid)[-1].arguments
    assert words[:3] == ["words", "word-0", "word-1"]
    assert (words[-1], len(words)) == ("...", 33)
    old.stdin.write(b"x")
    old.finish()


def test_no_words_where_none_asks(runs: Runs) -> None:
    """Nothing of them is read."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)
    run = runs.start(cgroup, "images", "words", "quite-special")
    run.finish()

    assert not images(watched, run.process.pid)[-1].arguments
    assert "quite-special" not in str(watched.report())


def test_processes_of_one_program_are_one_row(runs: Runs) -> None:
    """300 leaves, and their sums."""
    cgroup = runs.cgroup()
    settings = Settings(MAX_TOP, by_program=True)
    watched = Watched(runs, cgroup, ["getppid"], settings=settings)

    script = f"for i in $(seq 300); do {runs.program('images')} leaf 6; done; exec {runs.program('images')} shim 0"
    runs.start_shell(cgroup, script).finish_with(5)

    report = watched.report()
    (row,) = [each for each in processes(report).processes if each.executable.endswith("images")]
    assert (row.processes, row.living, calls_of(row)) == (301, 0, 1800)
    assert {each.end: each.count for each in row.ends} == {"exited with 0": 300, "exited with 5": 1}
    assert not row.from_outside
    assert row.sums.calls == 1800


def test_what_comes_from_outside_is_apart(runs: Runs) -> None:
    """As of kubectl exec and exec probes: they and what they start; the container's own first program is inside."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup, ["getppid"], settings=Settings(MAX_TOP, by_program=True))

    service = runs.start(cgroup, "family", "stay")
    service.hear()
    for _ in range(3):
        probe = runs.start_shell(cgroup, f"{runs.program('images')} leaf 6; true")
        probe.finish()
        time.sleep(0.01)
    service.say()
    service.stdin.write(b"x")
    service.finish()

    rows = {Path(each.executable).name: each for each in processes(watched.report()).processes if each.sums.calls}
    assert (rows["family"].from_outside, calls_of(rows["family"])) == (False, 13)
    assert (rows["images"].from_outside, rows["images"].processes, calls_of(rows["images"])) == (True, 3, 18)
