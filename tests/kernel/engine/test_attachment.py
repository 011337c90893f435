"""What is in the kernel when: programs are attached only while something is traced."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from engine_runs import SMALL, Runs, links

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters.tracer import NodeFullError
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps import rows
from kubestrace_agent.views import loading, registry
from kubestrace_agent.views.registry import all_sources


def test_nothing_is_attached_while_nothing_is_traced(runs: Runs) -> None:
    """Two hooks (four where programs may be preempted) and one of rings with the first container, none at the end."""
    assert links() == []

    slots = [runs.trace(runs.cgroup()) for _ in range(2)]
    counting = links()
    assert len(counting) in {3, 5}
    assert runs.tracer.attached
    runs.disable(slots[0])
    assert links() == counting
    runs.disable(slots[1])
    assert links() == []
    assert not runs.tracer.attached


def test_a_process_needs_two_more_hooks(runs: Runs) -> None:
    """For its children; gone with it."""
    container = runs.trace(runs.cgroup())
    counting = links()
    slot = runs.tracer.add_process(os.getpid(), wanted=None)
    assert len(links()) == len(counting) + 2

    runs.tracer.remove(slot)
    assert links() == counting
    assert runs.snapshot(container).rows == {}


def test_a_further_container_starts_at_once(runs: Runs) -> None:
    """By entries in maps alone: nothing more is loaded or attached."""
    runs.trace(runs.cgroup())
    attached = links()
    for _ in range(40):
        runs.trace(runs.cgroup())

    assert links() == attached


def test_what_cannot_be_traced_is_refused(runs: Runs, tmp_path: Path) -> None:
    """A cgroup that is gone or none, one that is traced already, a process that is not there."""
    cgroup = runs.cgroup()
    runs.trace(cgroup)

    with pytest.raises(ValueError, match="traced already"):
        runs.trace(cgroup)
    with pytest.raises(FileNotFoundError):
        runs.tracer.add_container(cgroup.path / "gone", wanted=None)
    with pytest.raises(FileNotFoundError):
        runs.tracer.add_container(tmp_path, wanted=None)
    with pytest.raises(ProcessLookupError):
        runs.tracer.add_process(2**22 - 1, wanted=None)


def test_the_cap_of_a_node_is_kept(runs: Runs) -> None:
    """One more than the cap is refused, and fits after another has ended."""
    tracer = loading.load(max_containers=2)
    try:
        slots = [tracer.add_container(runs.cgroup().path, wanted=None) for _ in range(2)]
        with pytest.raises(NodeFullError, match="2 containers"):
            tracer.add_container(runs.cgroup().path, wanted=None)
        tracer.remove(slots[0])
        for _ in range(20):
            tracer.remove(tracer.add_container(runs.cgroup().path, wanted=None))
    finally:
        tracer.close()
        tracer.close()


def test_without_memory_for_further_rows_all_is_told_that_was_counted(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The second chunk of several has no room: the first one is given back, and it is said once."""
    slot = runs.trace(runs.cgroup())
    runs.snapshot(slot)
    made: list[int] = []
    create = bpf_syscall.create_percpu_array

    def full(name: str, value_size: int, entries: int) -> int:
        if len(made) % 2:
            made.append(-1)
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        made.append(create(name, value_size, entries))
        return made[-1]

    monkeypatch.setattr(bpf_syscall, "create_percpu_array", full)
    monkeypatch.setattr(rows, "SPARE_ROWS", 20_000)
    before = _files()

    counts = [runs.tracer.snapshot([slot])[slot] for _ in range(2)]

    assert len(made) == 4
    assert _files() == before
    assert [each.lost_calls for each in counts] == [0, 0]
    assert caplog.text.count("no further rows can be made: ") == 1


def _files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


LOAD_WITHOUT_RIGHTS = """
import json, os
from kubestrace_agent.kernel.counters.tracer import UnsupportedKernelError
from kubestrace_agent.views import loading
os.setgid(65534), os.setuid(65534)
try:
    loading.load()
except UnsupportedKernelError as error:
    print(json.dumps([error.reason, str(error)]))
"""


def test_without_rights_the_reason_is_ours(tmp_path: Path) -> None:
    """An agent without capabilities says which are missing, not bcc's sentence."""
    environment = os.environ | {"HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", LOAD_WITHOUT_RIGHTS],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
        timeout=200,
    )
    reason, message = json.loads(done.stdout)

    assert reason == "MissingCapabilities"
    assert "BPF and PERFMON" in message
    assert "super-user" not in message + done.stderr


PARTS = [source.part for source in registry.sources()]


@pytest.mark.parametrize("part", [*dict.fromkeys(PARTS), ""])
def test_each_part_of_a_view_can_be_loaded_without_the_others(part: str) -> None:
    """As local mode does, for which all of them take too long; what is not loaded says so."""
    needs = {"slow_stacks": ["slow_calls", "user_stacks"], "callers": ["user_stacks"], "dns": ["sockets"]}
    asked = {part, *needs.get(part, [])}
    loaded = Programs.load(SMALL, all_sources(), loading.PROBE, parts=asked)
    try:
        for source in registry.sources():
            there = source.part in asked
            assert all((program in loaded.fds) == there for program in source.programs), source.file
            assert all((program in loaded.problems) == (not there) for program in source.programs), source.file
            assert bool(loaded.problem_of(source.part)) == (not there)
    finally:
        loaded.close()
