"""What a session sees of a slot's memory: the difference of two readings, and levels by time."""

import itertools
from pathlib import Path

from view_messages import memory

from kubestrace_agent.symbols.roots import Held
from kubestrace_agent.views.memory import levels
from kubestrace_agent.views.memory.collector import MAX_LEVELS, MemoryOfContainer
from kubestrace_agent.views.memory.values import KINDS, Flow, Levels, RawMemory
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views.memory_pb2 import MemoryResult


def reading(second: int, unmapped: int, anon: int = 0, processes: int = 1) -> RawMemory:
    """Return a reading with that many unmappings of a page until then."""
    flows = [Flow(unmapped, 0, 4096 * unmapped, unmapped) if kind == "munmap" else Flow(2, 1) for kind in KINDS]
    return RawMemory(10**9 * second, flows, unmapped, Levels(processes, anon))


def told(*readings: RawMemory) -> MemoryResult:
    """Return what a session reports after these."""
    collector, report = MemoryOfContainer(), agent_pb2.ContainerReport()
    collector.begin(0, 1)
    for each in readings:
        collector.take(each, 1, 0)
    collector.write(report)
    assert not report.trust.losses
    return memory(report)


def test_what_was_there_before_is_not_the_sessions() -> None:
    """Neither calls, nor kinds that saw no more."""
    result = told(reading(10, 5), reading(12, 8, anon=77))

    (flow,) = result.flows
    assert (flow.kind, flow.calls, flow.bytes) == ("munmap", 3, 3 * 4096)
    assert result.unsized_calls == 3
    assert [(each.since_start_nanoseconds, each.anon_bytes) for each in result.levels] == [(0, 0), (2 * 10**9, 77)]


def test_of_a_long_session_some_levels_are_kept() -> None:
    """As many as there is room for, all over its time, and always the first and the last."""
    result = told(*(reading(second, 0, anon=second) for second in range(3600)))

    kept = [each.anon_bytes for each in result.levels]
    assert MAX_LEVELS // 3 < len(kept) <= MAX_LEVELS
    assert (kept[0], kept[-1]) == (0, 3599)
    assert max(later - before for before, later in itertools.pairwise(kept)) < 3600 / 15


def test_a_container_that_has_ended_keeps_its_last_levels() -> None:
    """It has none itself: they would look like memory that was given back."""
    result = told(reading(1, 0, anon=5), reading(2, 0, anon=6), reading(3, 0, processes=0))

    assert [each.anon_bytes for each in result.levels] == [5, 6]


def test_levels_begin_with_the_program_that_is_traced() -> None:
    """Not with the process that waits to become it, nor with the container runtime's."""
    held = Held(1)
    collector = MemoryOfContainer(held=held)
    collector.begin(0, 0)
    collector.take(reading(1, 0, anon=5), 0, 0)
    held.released_ns = 1_500_000_000
    collector.take(reading(2, 0, anon=6), 0, 0)
    collector.take(reading(4, 0, anon=7), 0, 0)

    assert [each.levels.anon for each in collector.use.readings] == [6, 7]
    collector.began(3 * 10**9)
    assert [each.levels.anon for each in collector.use.readings] == [7]


def test_levels_are_those_of_all_processes(tmp_path: Path) -> None:
    """One that has ended, or that has given its memory back, is counted as unread."""
    for pid, text in (
        (1, "RssAnon:\t 3 kB\nRssFile: 1 kB\nRssShmem: 0 kB\nVmSwap: 2 kB\nVmSize: 9 kB\nVmPTE: 4 kB\n"),
        (2, "Name: x\n"),
    ):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "status").write_text(text)

    found = levels.read([1, 2, 3], tmp_path)

    assert found == Levels(1, 3072, 1024, 0, 2048, 9216, 4096, 2)
