"""What containers asked for and had: added up, as a document and as text."""

from kubestrace_operator.results.rows import ContainerKey
from kubestrace_operator.views.memory import Flow, MemoryView, Part, added
from kubestrace_operator.views.view import ContainerResult
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views.memory_pb2 import MemoryFlow, MemoryLevels, MemoryResult

VIEW = MemoryView()


def merged(*results: MemoryResult) -> Part:
    """Return what a report of as many containers comes to."""
    return VIEW.merge(
        ContainerResult(ContainerKey("n1", "pod", "app", f"c{number}"), agent_pb2.Container(), each)
        for number, each in enumerate(results)
    )


def result(calls: int, *anon: int) -> MemoryResult:
    """Return unmappings of a page each, and anonymous memory by the second."""
    flow = MemoryFlow(kind="munmap", calls=calls, bytes=4096 * calls, total_nanoseconds=7)
    levels = [MemoryLevels(since_start_nanoseconds=10**9 * second, anon_bytes=each) for second, each in enumerate(anon)]
    return MemoryResult(flows=[flow], unsized_calls=1, levels=levels)


def test_flows_are_added_and_levels_stay_each_containers() -> None:
    """Also those of agents that served one container one after the other; the parts stay as they are."""
    one, other = merged(result(3, 5, 6), result(1)), merged(result(2, 9))

    first, second = VIEW.add([one, other]).values()

    assert first.flows == {"munmap": Flow(5, 0, 5 * 4096, 14)}
    assert first.unsized_calls == 2
    assert [each["anonBytes"] for each in first.levels] == [5, 6]
    assert second.flows["munmap"].calls == 1
    assert next(iter(one.values())).flows["munmap"].calls == 3
    assert added([first.flows, second.flows])["munmap"].calls == 6
