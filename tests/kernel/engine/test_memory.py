"""What programs asked of the kernel for memory and what they had, against what they know."""

import time

import pytest
from engine_runs import Runs
from view_messages import memory

from kubestrace_agent.views.memory.collector import MemoryOfContainer
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views.memory_pb2 import MemoryResult

PAGE, MIB = 4096, 1 << 20
# As programs/memory.c makes them: calls, of these failed, pages.
CALLS = {
    "mmap anonymous private": (11, 0, 10 * 11 + 5),
    "mmap anonymous shared": (1, 0, 3),
    "mmap reserved": (1, 0, 64),
    "mmap file private": (1, 1, 0),
    "munmap": (10, 0, 110),
    "mremap larger": (1, 0, 4),
    "mremap smaller": (1, 0, 7),
    "brk unchanged": (1, 0, 0),
    "brk up": (1, 0, 7),
    "brk down": (1, 0, 3),
    "madvise given back": (10, 0, 40),
    "madvise other": (10, 0, 20),
    "mprotect": (10, 0, 10),
}


class Watched:
    """A container with the view, collected as a session does."""

    def __init__(self, runs: Runs, slot: int) -> None:
        self.runs, self.slot = runs, slot
        self.collector = MemoryOfContainer()
        self.collector.begin(time.monotonic_ns(), 0)
        runs.tracer.enable("memory", slot, True)
        self.read()

    def read(self) -> None:
        """Take what there is."""
        told = self.runs.tracer.read("memory").get(self.slot)
        self.collector.take(told, self.runs.tracer.lost("memory", self.slot), 0)

    def told(self) -> MemoryResult:
        """Give what was collected."""
        self.read()
        report = agent_pb2.ContainerReport()
        self.collector.write(report)
        assert not report.trust.losses
        return memory(report)


def flows(result: MemoryResult) -> dict[str, tuple[int, int, float]]:
    """Calls, failures and pages by kind."""
    return {each.kind: (each.calls, each.failed, each.bytes / PAGE) for each in result.flows}


@pytest.mark.parametrize("by_process", [False, True])
def test_every_call_is_counted_with_its_bytes(runs: Runs, by_process: bool) -> None:
    """In whole pages, as the kernel does it; the break of a program that was there before is known."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "memory")
    run.hear()
    slot = runs.tracer.add_process(run.process.pid, wanted=None) if by_process else runs.trace(cgroup)
    if by_process:
        runs.slots.append(slot)
    watched = Watched(runs, slot)
    run.say()
    result = watched.told()
    run.say_and_finish()

    assert flows(result) == CALLS
    assert result.unsized_calls == 0
    assert all(each.total_nanoseconds for each in result.flows)


def test_the_break_of_a_child_is_known(runs: Runs) -> None:
    """It is its parent's, until it moves it."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "memory", "fork")
    run.hear()
    watched = Watched(runs, runs.trace(cgroup))
    run.say()
    result = watched.told()
    run.say_and_finish()

    assert flows(result)["brk up"] == (1, 0, 5)
    assert result.unsized_calls == 0


def levels(runs: Runs, kind: str) -> list[float]:
    """Run a program, and give its anonymous memory in MiB by time, from the beginning."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "memory", kind)
    run.hear()
    watched = Watched(runs, runs.trace(cgroup))
    run.stdin.write(b"x")
    end = time.monotonic() + 1
    while time.monotonic() < end:
        watched.read()
        time.sleep(0.1)
    run.hear()
    result = watched.told()
    run.say_and_finish()
    assert [each.processes for each in result.levels] == [1] * len(result.levels)
    return [(each.anon_bytes - result.levels[0].anon_bytes) / MIB for each in result.levels]


def test_a_leak_is_seen_as_it_grows(runs: Runs) -> None:
    """20 MiB in all, and some of them at each reading."""
    grown = levels(runs, "leak")

    assert grown == sorted(grown)
    assert grown[-1] == pytest.approx(20, abs=0.5)
    assert 2 < grown[len(grown) // 2] < 19


def test_an_arena_is_not_a_leak(runs: Runs) -> None:
    """It has its 16 MiB soon, and never more."""
    grown = levels(runs, "arena")

    assert max(grown) == pytest.approx(16, abs=0.5)
    assert grown[-1] == pytest.approx(16, abs=0.5)
