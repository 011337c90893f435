"""Who makes a container's calls, against programs whose functions make known shares of their reads."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_runs import Cgroup, Run, Runs

from kubestrace_agent.symbols.names import Names
from kubestrace_agent.symbols.naming import Naming
from kubestrace_agent.views.callers.collector import CallStacks
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import callers_pb2

SOURCES = Path(__file__).parent / "callers"
SHARES = {"often": 0.6, "sometimes": 0.3, "seldom": 0.1}
# Of the standard error: one in 15,000 right results is farther off.
SIGMAS = 4
SECONDS = 120
# An emulated machine may be too slow to read a program's tables before its first stacks are wanted: they lack a caller.
SLOW = os.environ.get("KUBESTRACE_TIMES_SLOWER", "1") != "1"


@pytest.fixture(autouse=True)
def no_maps_are_left() -> Iterator[None]:
    """Remove the perf maps that programs of a test have written; those of a program that runs are another test's."""
    folder = Path("/tmp")  # noqa: S108 - where they are by convention
    before = set(folder.glob("perf-*.map"))
    yield
    for path in set(folder.glob("perf-*.map")) - before:
        if not Path("/proc", path.stem.removeprefix("perf-")).exists():
            path.unlink(missing_ok=True)


class Watched:
    """A container with the view, collected as a session does."""

    def __init__(self, runs: Runs, slot: int, per_second: int = 1000, *, by_errno: bool = False) -> None:
        self.runs, self.slot = runs, slot
        self.collector = CallStacks(per_second, by_errno, None, Names(Naming()))
        self.collector.begin(time.monotonic_ns(), 0)
        runs.tracer.enable("callers", slot, per_second)

    def read(self) -> None:
        """Take what there is."""
        told = self.runs.tracer.read("callers").get(self.slot)
        self.collector.take(told, self.runs.tracer.lost("callers", self.slot), 0)

    def follow(self, process: subprocess.Popen[bytes]) -> None:
        """Read as the agent does until a program has ended."""
        until = time.monotonic() + SECONDS
        while process.poll() is None and time.monotonic() < until:
            self.read()
            time.sleep(0.1)
        assert process.wait(timeout=1) == 0
        self.read()

    def told(self) -> callers_pb2.CallersResult:
        """Give the result once all stacks are named."""
        for _ in range(100):
            report = agent_pb2.ContainerReport()
            self.collector.write(report)
            result = callers_pb2.CallersResult()
            assert report.views["callers"].Unpack(result)
            if "[not named in time]" not in result.functions:
                break
            time.sleep(0.1)
        return result


def watch(runs: Runs, per_second: int = 1000, *, by_errno: bool = False) -> tuple[Cgroup, Watched]:
    """Give a cgroup that is traced with the view."""
    cgroup = runs.cgroup()
    return cgroup, Watched(runs, runs.trace(cgroup), per_second, by_errno=by_errno)


def run_in(cgroup: Cgroup, watched: Watched, *words: str | Path) -> None:
    """Run a program in the cgroup to its end."""
    watched.follow(subprocess.Popen([*map(str, words)], preexec_fn=cgroup.enter))  # noqa: PLW1509 - as in Run


def reads(result: callers_pb2.CallersResult) -> callers_pb2.CallerRow:
    """Give the row of read."""
    (row,) = [row for row in result.rows if row.name == "read"]
    return row


def calls_below(result: callers_pb2.CallersResult, row: callers_pb2.CallerRow, function: str) -> tuple[int, int]:
    """How many calls stand for stacks with a function, and the variance."""
    found = [
        stack.sums
        for stack in row.stacks
        if any(function in result.functions[each].partition(" (")[0] for each in stack.functions)
    ]
    return sum(each.calls for each in found), sum(each.variance for each in found)


def stacks(result: callers_pb2.CallersResult) -> list[str]:
    """Give the stacks for who reads why a test failed."""
    return [
        f"{stack.sums.calls} {' < '.join(result.functions[each] for each in stack.functions)}"
        for stack in reads(result).stacks
    ]


def assert_shares(result: callers_pb2.CallersResult) -> None:
    """The shares are right within their errors."""
    row = reads(result)
    whole, spread = row.sums.calls, row.sums.variance
    nobodys = 1 - sum(calls_below(result, row, function)[0] for function in SHARES) / whole if SLOW else 0
    for function, right in SHARES.items():
        calls, variance = calls_below(result, row, function)
        share = calls / whole
        error = ((1 - share) ** 2 * variance + share**2 * (spread - variance)) ** 0.5 / whole
        # As the operator has it: the variance of what was seldom chosen says nothing of what was not seen.
        error = max(error, 3 / 1.96 * spread / whole**2)
        # What the start of the program reads is in none of them.
        room = SIGMAS * error + 0.003
        assert -room - nobodys < share - right < room, (function, share, error, stacks(result))


@pytest.mark.parametrize("option", ["-fno-omit-frame-pointer", "-fomit-frame-pointer"])
def test_shares_of_a_program_in_c(runs: Runs, tmp_path: Path, option: str) -> None:
    """With and without frame pointers: functions that take turns have their shares, and all reads are estimated."""
    program = tmp_path / "reads"
    source = SOURCES / "reads.c"
    command = ["gcc", "-O1", option, "-fno-optimize-sibling-calls", "-o", program, source]
    subprocess.run(command, check=True, timeout=200)
    cgroup, watched = watch(runs)

    run_in(cgroup, watched, program, "40000")
    result = watched.told()

    assert_shares(result)
    sums = reads(result).sums
    assert abs(sums.calls - 400_000) < SIGMAS * sums.variance**0.5 + 10
    assert sums.samples < 10_000
    assert runs.tracer.lost("callers", watched.slot) < sums.samples / 20


COMPILED = {
    "reads.cc": ["g++", "-O1", "-fno-optimize-sibling-calls", "-o", "{program}", "{source}"],
    "reads.go": ["go", "build", "-o", "{program}", "{source}"],
    "reads.rs": ["rustc", "-O", "-o", "{program}", "{source}"],
}


# scripts/test installs C++; a machine need not have all languages, and scripts/test says which it has not.
INSTALLED = [source for source, command in COMPILED.items() if shutil.which(command[0])]


@pytest.mark.parametrize("source", INSTALLED)
def test_shares_of_compiled_programs(runs: Runs, tmp_path: Path, source: str) -> None:
    """In C++, Go and Rust, whose functions have other names in their files and other stacks."""
    program = tmp_path / "reads"
    command = [word.format(program=program, source=SOURCES / source) for word in COMPILED[source]]
    subprocess.run(command, check=True, timeout=200)
    cgroup, watched = watch(runs)

    # So long that its beginning, of which more or fewer calls may be chosen, is a small part.
    run_in(cgroup, watched, program, "200000")

    assert_shares(watched.told())


def python_with_perf_maps() -> str | None:
    """Give a CPython that can write a perf map: 3.12 or later."""
    found = [*Path.home().glob(".pyenv/versions/3.1[2-9]*/bin/python3"), Path(shutil.which("python3.12") or "/none")]
    return next((str(path) for path in found if path.exists()), None)


if PYTHON := python_with_perf_maps():

    def test_shares_of_a_program_in_python(runs: Runs) -> None:
        """Its own functions by its perf map."""
        cgroup, watched = watch(runs)

        run_in(cgroup, watched, str(PYTHON), "-X", "perf", SOURCES / "reads.py", "40000")

        assert_shares(watched.told())


JIT = {
    "node": [
        "--perf-basic-prof",
        "--no-turbo-inlining",
        "{folder}/reads.js",
        "40000",
    ],
    "java": [
        "-XX:+PreserveFramePointer",
        "-XX:CompileCommand=quiet",
        "-XX:CompileCommand=dontinline,Reads.*",
        "{folder}/Reads.java",
        "40000",
    ],
}


if any(map(shutil.which, JIT)):

    @pytest.mark.parametrize("program", list(filter(shutil.which, JIT)))
    def test_shares_of_programs_that_compile_themselves(
        runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
    ) -> None:
        """Functions by the perf map of Node and of a JVM, once it is written."""
        monkeypatch.chdir(tmp_path)  # Node leaves a log there
        cgroup = runs.cgroup()
        command = [word.format(folder=SOURCES) for word in (program, *JIT[program])]
        run = Run(cgroup, *command)
        runs.running.append(run)
        assert run.hear() == b"ready"
        watched = Watched(runs, runs.trace(cgroup), 1000)

        run.stdin.write(b"\n")
        run.stdin.flush()
        watched.follow(run.process)

        assert_shares(watched.told())
