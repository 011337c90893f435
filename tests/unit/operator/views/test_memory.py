"""What containers asked for and had: added up, as a document and as text."""

import pytest

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.results.rows import ContainerKey
from kubestrace_operator.views import memory_growth
from kubestrace_operator.views.memory import Flow, MemoryView, Part, added
from kubestrace_operator.views.memory_growth import Growth
from kubestrace_operator.views.view import ContainerResult, Span
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views.memory_pb2 import MemoryFlow, MemoryGrowth, MemoryLevels, MemoryResult

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


def grown(calls: int, *stacks: tuple[str, int, int]) -> MemoryResult:
    """Return calls that added 1 MiB each; of some the function, how many, and what they added in MiB."""
    growth = MemoryGrowth(calls=calls, bytes=calls << 20)
    for number, (name, count, mib) in enumerate(stacks):
        growth.functions.append(name)
        growth.stacks.add(kind="brk up", functions=[number, 99], calls=count, bytes=mib << 20)
    return MemoryResult(growth=growth)


def test_who_asked_for_much_is_added_up_and_the_sums_stay_right() -> None:
    """Over containers and agents; whatever is not shown is in the sums of the others."""
    one, other = merged(grown(9, ("leak", 4, 4), ("load", 3, 3))), merged(grown(5, ("load", 2, 2)), grown(1))
    whole = memory_growth.added(
        each.growth for part in (one, VIEW.add([one, other])) for each in part.values() if each.growth
    )
    both = memory_growth.added(each.growth for each in VIEW.add([one, other]).values() if each.growth)

    document = memory_growth.document(both.rows[:1], both.whole)

    assert document == {
        "growth": [{"kind": "brk up", "calls": 5, "bytes": 5 << 20, "stack": ["load"]}],
        "otherGrowth": {"calls": 10, "bytes": 10 << 20},
    }
    assert whole.whole.calls == 24
    assert next(iter(one.values())).growth == Growth.of(grown(9, ("leak", 4, 4), ("load", 3, 3)).growth)


def test_the_text_has_those_that_added_the_most() -> None:
    """And how much all others added."""
    growth = Growth.of(grown(9, ("leak (app)", 4, 4), ("load (app)", 3, 3)).growth)

    head, first, second, rest = memory_growth.lines(growth)

    assert head == "9 calls added 1 MiB or more each, 9.0MiB in all; by whom:"
    assert first.split() == ["4", "4.0MiB", "brk", "up:", "leak", "(app)"]
    assert second.split()[:2] == ["3", "3.0MiB"]
    assert rest.split() == ["2.0MiB", "by", "others"]


@pytest.mark.parametrize(("spec", "stacks"), [({}, False), ({"stacks": True}, True), ({"stacks": False}, False)])
def test_stacks_are_asked_for_where_the_spec_has_them(spec: dict[str, bool], stacks: bool) -> None:
    """And a spec that was read says the same again."""
    settings = VIEW.parse(Fields(spec, "views.memory", VIEW.fields), 60)

    assert VIEW.request(settings, Span(1)).stacks is stacks
    assert VIEW.spec(settings) == ({"stacks": True} if stacks else {})


def test_places_without_a_name_are_left_out_of_the_text() -> None:
    """As those of an allocator; where there are no others, they are told without their build id."""
    place = "libc.so.6+0x95f28 (build id 93ac)"
    calls = ["mmap (libc.so.6)", place, "malloc (libc.so.6)", *(f"f{number} (app)" for number in range(6))]

    assert memory_growth.words(calls) == (
        "mmap (libc.so.6) < malloc (libc.so.6) < f0 (app) < f1 (app) < f2 (app) < [3 more]"
    )
    assert memory_growth.words([place]) == "libc.so.6"
    assert list(memory_growth.lines(Growth())) == ["No call added 1 MiB or more."]
