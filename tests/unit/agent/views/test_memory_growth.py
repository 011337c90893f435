"""Who made the calls that added 1 MiB or more: added up by stack for one session."""

from collections.abc import Iterable
from typing import cast

from google.protobuf import any_pb2
from view_messages import memory

from kubestrace_agent.symbols.frames import CodeMapping, UserFrame, UserStack
from kubestrace_agent.symbols.names import Names, Question
from kubestrace_agent.symbols.naming import Name, Place
from kubestrace_agent.symbols.roots import Owner
from kubestrace_agent.views.memory.collector import MemoryOfContainer
from kubestrace_agent.views.memory.growth import MOST_REPORTED, MOST_STACKS, NOT_NAMED, GrowthStacks
from kubestrace_agent.views.memory.sources import GROWTH, PART
from kubestrace_agent.views.memory.values import GrowthSample, RawGrowth
from kubestrace_agent.views.memory.view import VIEW
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views.memory_pb2 import MemoryGrowth, MemoryRequest, MemoryResult

MIB = 1 << 20
APP = CodeMapping(0x400000, 0x500000, 0, b"/srv/app")


class Namer:
    """Names each address at once, or never."""

    def __init__(self, *, answers: bool = True) -> None:
        self.answers = answers

    def ask(self, questions: Iterable[Question]) -> None:
        """Answer."""
        for question in questions if self.answers else ():
            question.answer = [Place(frame, APP, Name(b"f%x" % frame.address, 0)) for frame in question.stack.followed]
            question.done = True

    def wait(self, questions: Iterable[Question]) -> None:
        """Never."""


def sample(address: int, mib: int = 1) -> GrowthSample:
    """Return a mapping by one function."""
    stack = UserStack((UserFrame(address),), 0, 0, ())
    return GrowthSample("mmap anonymous private", mib * MIB, 7, 1, stack, lambda _pid, _frames: [APP])


def told(*readings: RawGrowth, answers: bool = True) -> MemoryGrowth:
    """Return what a session reports after these."""
    collector, report = GrowthStacks(cast("Names", Namer(answers=answers))), agent_pb2.ContainerReport()
    collector.begin(0, 0)
    for each in readings:
        collector.take(each, 0, 0)
    collector.write(report)
    return memory(report).growth


def by_stack(growth: MemoryGrowth) -> dict[tuple[str, ...], tuple[int, int]]:
    """Return calls and MiB by stack."""
    return {
        tuple(growth.functions[each] for each in row.functions): (row.calls, row.bytes // MIB) for row in growth.stacks
    }


def test_calls_are_added_up_by_stack_from_the_sessions_start_on() -> None:
    """What was counted and taken before it was for others; calls without a stack are in the sums."""
    growth = told(
        RawGrowth(5, 50 * MIB, [sample(0x401000, 50)]),
        RawGrowth(7, 53 * MIB, [sample(0x401000), sample(0x401000, 2)]),
        RawGrowth(10, 63 * MIB, [sample(0x402000, 4)]),
    )

    assert (growth.calls, growth.bytes) == (5, 13 * MIB)
    assert by_stack(growth) == {("f402000 (app)",): (1, 4), ("f401000 (app)",): (2, 3)}
    assert growth.stacks[0].bytes == 4 * MIB
    assert growth.stacks[0].kind == "mmap anonymous private"


def test_what_has_no_name_is_told_without() -> None:
    """Added up by kind."""
    growth = told(RawGrowth(), RawGrowth(2, 3 * MIB, [sample(0x401000), sample(0x402000, 2)]), answers=False)

    assert by_stack(growth) == {(NOT_NAMED,): (2, 3)}


def test_stacks_are_bounded_and_sums_are_not() -> None:
    """Those that added the most are reported."""
    count = MOST_STACKS + 10
    samples = [sample(0x400000 + 16 * number, 1 + number) for number in range(count)]

    growth = told(RawGrowth(), RawGrowth(count, sum(each.bytes for each in samples), samples))

    assert (growth.calls, growth.bytes) == (count, sum(each.bytes for each in samples))
    assert len(growth.stacks) == MOST_REPORTED
    assert growth.stacks[0].bytes == MOST_STACKS * MIB


def test_stacks_are_asked_for_alone() -> None:
    """They stand in the result of the calls; without them nothing is taken of programs."""
    asked, plain = any_pb2.Any(), any_pb2.Any()
    asked.Pack(MemoryRequest(stacks=True))
    plain.Pack(MemoryRequest())
    names, report = cast("Names", Namer()), agent_pb2.ContainerReport()
    report.views["memory"].Pack(MemoryResult(unsized_calls=3))

    with_stacks, without = VIEW.ask(asked, 0), VIEW.ask(plain, 0)
    calls, stacks = with_stacks.collectors(None, names, Owner())
    stacks.take(RawGrowth(), 0, 0)
    stacks.write(report)

    assert (type(calls), type(stacks)) == (MemoryOfContainer, GrowthStacks)
    assert GROWTH in with_stacks.parts
    assert without.parts == (PART,)
    assert len(without.collectors(None, names, Owner())) == 1
    assert memory(report).unsized_calls == 3
    assert memory(report).HasField("growth")
