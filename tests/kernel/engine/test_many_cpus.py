"""Rows on machines with many possible CPUs: counters that CPUs share, and the memory that rows may take."""

import ctypes
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_runs import Cgroup, Runs, agree, counted, moved, told
from memory_cgroup import Memory

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters.tracer import Tracer
from kubestrace_agent.kernel.maps import rows
from kubestrace_agent.kernel.maps.row_sizes import RowSizes
from kubestrace_agent.views import loading


@pytest.fixture(scope="module", params=[1, 4], ids=["one copy", "four copies"])
def sharing(request: pytest.FixtureRequest) -> Iterator[Tracer]:
    """Give a Tracer as a machine with many CPUs has it; all CPUs of this one share a copy, or none do."""
    tracer = loading.load(parts=(), sizes=RowSizes(256, copies=request.param))
    yield tracer
    tracer.close()


@pytest.fixture
def shared_runs(sharing: Tracer, cgroup: Callable[..., Cgroup], program: Callable[[str], Path]) -> Iterator[Runs]:
    """Run programs under that Tracer."""
    runs = Runs(sharing, cgroup, program)
    yield runs
    runs.end()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("plain", ()), ("storm", ("1",)), ("threads", ("8", "20000")), ("denied", ()), ("unknown", ("1000", "8", "5"))],
)
def test_shared_counters_are_exact(shared_runs: Runs, name: str, arguments: tuple[str, ...]) -> None:
    """Whichever CPUs add to them at once."""
    output, difference = shared_runs.whole(name, *arguments)

    agree(told(output), counted(difference.syscalls), shared_runs.may_lose(difference))


def test_what_calls_moved_is_exact(shared_runs: Runs, tmp_path: Path) -> None:
    """It stands among the counters that CPUs share."""
    output, difference = shared_runs.whole("moves", str(tmp_path / "one"), str(tmp_path / "two"))

    found = moved(difference.syscalls)
    assert {key: found[key] for key in told(output)} == told(output)


def test_rows_that_come_back_begin_at_zero(shared_runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended slots give their rows back, with all copies of the counters."""
    monkeypatch.setattr(rows, "GRACE_SECONDS", 0)
    shared_runs.whole("moves", str(tmp_path / "one"), str(tmp_path / "two"))
    shared_runs.whole("plain")
    # So that only the rows that come back are free.
    free = shared_runs.tracer._maps.fd("free_rows")
    while bpf_syscall.pop(free, ctypes.create_string_buffer(4)):
        pass
    shared_runs.end()
    output, difference = shared_runs.whole("plain")

    agree(told(output), counted(difference.syscalls), shared_runs.may_lose(difference))
    assert difference.trust.lost_calls == 0
    assert {each.name: each.bytes for each in difference.syscalls if each.bytes} == {
        "read": 4,
        "write": len(output) + 1,
    }


@pytest.fixture
def memory() -> Iterator[Memory]:
    """Make a memory cgroup."""
    made = Memory()
    yield made
    made.remove()


TRACE = """
import json, os, sys
from pathlib import Path
procs, container = map(Path, sys.argv[1:])
procs.write_text(str(os.getpid()))
from kubestrace_agent.kernel.counters.tracer import NodeFullError
from kubestrace_agent.views import loading
tracer = loading.load(max_containers=2, parts=())
for _ in range(2):
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        tracer.remove(tracer.add_container(container, wanted=None))
        print(json.dumps("traced"), flush=True)
    except NodeFullError as error:
        print(json.dumps(str(error)), flush=True)
tracer.close()
"""


def test_a_memory_limit_refuses_a_container_before_it_kills(memory: Memory, cgroup: Callable[..., Cgroup]) -> None:
    """It says how much is needed, how much is left, and what to do; with a higher limit the next attempt works."""
    words = [sys.executable, "-c", TRACE, str(memory.path / "cgroup.procs"), str(cgroup().path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as agent:
        assert agent.stdin
        assert agent.stdout
        answers = []
        for free_mib in (32, 200):
            assert agent.stdout.readline() == "ready\n"
            memory.limit(memory.used() + (free_mib << 20))
            agent.stdin.write("go\n")
            answers.append(json.loads(agent.stdout.readline()))
    refusal, traced = answers

    assert (agent.returncode, traced) == (0, "traced")
    assert "of kernel memory, and the memory limit of " in refusal
    assert "agent.resources.limits.memory" in refusal
