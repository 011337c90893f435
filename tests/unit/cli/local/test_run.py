"""Local mode put together, with a tracer that only says that it counted."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubestrace_agent import syscalls
from kubestrace_agent.kernel.counters.counts import RawCounts, RingUser, Row
from kubestrace_agent.kernel.counters.tracer import UnsupportedKernelError
from kubestrace_agent.kernel.loader.programs import WalkFailures
from kubestrace_cli.local import options, targets
from kubestrace_cli.local import run as local

GETPPID = syscalls.SyscallKey(platform.machine(), {"x86_64": 110, "aarch64": 173}[platform.machine()])


class FakeTracer:
    """Says that the process called getppid five times, or what a test sets."""

    counts = RawCounts(rows={GETPPID: Row(total_ns=600, buckets={39: 5}, maxima=((1, 120),))})

    def __init__(self) -> None:
        self.did: list[object] = []
        self.skipped_calls = 0
        self.walk_failures = WalkFailures()

    def reserve_process(self, pid: int, *, wanted: frozenset[syscalls.SyscallKey] | None) -> int:
        """Note the process."""
        self.did.append(("add", pid, wanted))
        return 3

    def followed(self, _slot: int) -> list[int]:
        """Return nobody."""
        return []

    def begin(self, slot: int) -> None:
        """Note the beginning."""
        self.did.append(("begin", slot))

    def stop(self, slots: Iterable[int]) -> None:
        """Note the end of counting."""
        self.did.append(("stop", *slots))

    def snapshot(self, slots: Iterable[int]) -> dict[int, RawCounts]:
        """Give the counts of the slot."""
        return dict.fromkeys(slots, self.counts)

    def remove(self, slot: int) -> None:
        """Note the end."""
        self.did.append(("remove", slot))

    def close(self) -> None:
        """Note that all was given back."""
        self.did.append("close")


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeTracer:
    """Put the fake in the tracer's place, and a cgroup tree that any user has."""
    (tmp_path / "cgroup.controllers").touch()
    fake = FakeTracer()
    monkeypatch.setattr(targets, "CGROUP_MOUNT", tmp_path)
    monkeypatch.setattr(local.loading, "load", lambda **_: fake)
    return fake


@pytest.fixture
def process() -> Iterator[int]:
    """Start a process that ends by itself after a moment.

    Popen returns when the kernel closes its pipe to the child, and that is before execve gives the
    child its new name: a test that is quick would see the name of this one.
    """
    started = subprocess.Popen(["sleep", "1"])
    comm = Path(f"/proc/{started.pid}/comm")
    deadline = time.monotonic() + 5
    while comm.read_text(encoding="ascii") != "sleep\n":
        assert time.monotonic() < deadline, "the child did not become sleep within 5 s"
        time.sleep(0.001)
    yield started.pid
    started.wait(timeout=30)


def run(*words: str) -> int:
    """Run the command's own function, with the counts alone."""
    return local.run(options.parse(["local", "--profile", "Counts", *words]))


def test_a_process_is_traced_to_its_end_and_everything_is_given_back(
    tracer: FakeTracer, process: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tracer's counts become the document, in the order add, remove, close."""
    exit_code = run("--pid", str(process), "-o", "json")

    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    [row] = document["status"]["summary"]["syscalls"]
    assert exit_code == 0
    assert (row["name"], row["calls"], row["totalNanoseconds"], row["maxNanoseconds"]) == ("getppid", 5, 600, 120)
    told = document["status"]["containers"][0].pop("resources")
    assert {each["name"] for each in told["unavailable"]} == {"cpu", "memory", "pressure", "pids", "pods", "limits"}
    assert document["status"]["containers"][0] | {"node": ""} == {
        "pod": "",
        "container": "sleep",
        "node": "",
        "restarts": 0,
        "pid": process,
        "hostPid": process,
        "calls": 5,
        "errors": 0,
        "totalNanoseconds": 600,
        "waitNanoseconds": 0,
    }
    assert tracer.did[:5] == [("add", process, None), ("begin", 3), ("stop", 3), ("remove", 3), "close"]


class WithoutViews(FakeTracer):
    """A tracer of a machine whose kernel serves no view."""

    def lost(self, _part: str, _slot: int) -> int:
        """Return nothing."""
        return 0

    def read(self, _part: str) -> dict[int, object]:
        """Return nothing."""
        return {}

    def enable(self, part: str, _slot: int, _wanted: object) -> None:
        """Refuse."""
        raise UnsupportedKernelError("UnsupportedKernel", f"no {part} here")


def test_a_view_of_the_profile_that_cannot_be_had_is_a_gap(
    tracer: FakeTracer, process: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has named it: the rest is traced. One that was named is an error."""
    monkeypatch.setattr(local.loading, "load", lambda **_: WithoutViews())

    assert run("--profile", "Overview", "--pid", str(process), "-o", "json") == 0
    status = json.loads(capsys.readouterr().out)["status"]
    assert run("--files", "--pid", str(os.getpid()), "-d", "1") == local.CANNOT_TRACE

    assert [(gap["reason"], gap["message"]) for gap in status["trust"]["gaps"]] == [
        ("ViewUnsupported", "counters: no counters here")
    ]
    assert status["summary"]["calls"] == 5
    assert "no files here" in capsys.readouterr().err


def test_a_trace_is_compared_with_an_earlier_one(
    tracer: FakeTracer, process: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is what -o json wrote; a wrong one is refused before anything is traced."""
    earlier = tmp_path / "earlier.json"
    assert run("--pid", str(process), "-d", "1", "-o", "json", "--to", str(earlier)) == 0

    assert run("--pid", str(os.getpid()), "-d", "1", "--compare", str(earlier)) == 0
    shown = capsys.readouterr().out
    assert "Compared with earlier.json: calls " in shown
    assert "Noise: not known, the baseline has no timeline: trace it with views.timeline." in shown

    tracer.did.clear()
    earlier.write_text("{}")
    assert run("--pid", str(os.getpid()), "-d", "1", "--compare", str(earlier)) == 2
    assert "earlier.json: holds no TraceSession; write one with kubestrace local -o json" in capsys.readouterr().err
    assert tracer.did == []


def test_the_selection_reaches_the_tracer(tracer: FakeTracer, process: int) -> None:
    """-e becomes the keys that the kernel side compares with."""
    run("--pid", str(process), "-e", "getppid", "--to", os.devnull)

    [(_, _, wanted)] = [did for did in tracer.did if did[0] == "add"]
    assert GETPPID in wanted


def test_what_its_threads_are_inside_of_explains_an_empty_table(
    tracer: FakeTracer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing counted is said with its reason, below the table."""
    tracer.counts = RawCounts()

    run("--pid", str(os.getpid()), "-d", "1")

    assert "Nothing was counted: no system call began or returned; its " in capsys.readouterr().out


def test_work_that_goes_by_io_uring_is_not_nothing(tracer: FakeTracer, capsys: pytest.CaptureFixture[str]) -> None:
    """No call, and yet something was done: by whom is said below."""
    tracer.counts = RawCounts(ring_users=(RingUser(7, 7, b"db", polled=True, rings=frozenset({1})),))

    run("--pid", str(os.getpid()), "-d", "1")

    said = capsys.readouterr().out
    assert "No system call began or returned: the work goes by io_uring." in said
    assert "io_uring is in use by db (process 7, polled by the kernel): " in said


def test_a_kernel_that_cannot_trace_is_told_in_one_line(
    tracer: FakeTracer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The engine's own sentence, on standard error, with exit code 1."""

    def refuse(**_: object) -> None:
        raise UnsupportedKernelError("NotPermitted", "loading programs takes root: use sudo")

    monkeypatch.setattr(local.loading, "load", refuse)

    exit_code = run("--pid", str(os.getpid()))

    assert exit_code == 1
    assert capsys.readouterr().err == "kubestrace: loading programs takes root: use sudo\n"


def test_starting_up_reads_no_library_of_the_cluster() -> None:
    """Local mode needs neither kopf nor the Kubernetes client nor gRPC, and stays quick by leaving them out."""
    code = "import json, sys; from kubestrace_cli.local import run; print(json.dumps([*sys.modules]))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert set(json.loads(done.stdout)).isdisjoint({"aiohttp", "asyncio", "bcc", "grpc", "kopf", "kubernetes"})


def test_a_wrong_call_is_told_with_its_place(
    tracer: FakeTracer, process: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A session's file has a field for it; -e, which takes precedence, stands for itself."""
    file = tmp_path / "f.yaml"
    file.write_text("apiVersion: kubestrace.io/v1alpha1\nkind: TraceSession\nspec: {syscalls: [opnat]}\n")
    words = ["-f", str(file), "--pid", str(process)]

    assert run(*words) == run(*words, "-e", "opnat2") == 2
    said, of_option = capsys.readouterr().err.splitlines()
    assert said.startswith(f'kubestrace: {file}: spec.syscalls: "opnat" names no system call')
    assert of_option.startswith('kubestrace: "opnat2" names no system call')
    assert tracer.did == []
