"""Who made the calls that added 1 MiB or more, against a program that knows which of its functions did."""

import time

from engine_runs import Runs
from view_messages import memory

from kubestrace_agent.symbols.names import Names
from kubestrace_agent.symbols.naming import Naming
from kubestrace_agent.views.memory.collector import MemoryOfContainer
from kubestrace_agent.views.memory.growth import NOT_NAMED, GrowthStacks
from kubestrace_agent.views.memory.growth_kernel import STACKS_AT_ONCE, STACKS_PER_SECOND
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views.memory_pb2 import MemoryGrowth

MIB = 1 << 20
# Function -> the kind of its calls, how many, and what they added, as programs/growth.c makes them.
GROWN = {
    "leak": ("mmap anonymous private", 10, 10 * MIB),
    "share": ("mmap anonymous shared", 1, 3 * MIB),
    "by_break": ("brk up", 1, 2 * MIB),
    "larger": ("mremap larger", 1, 5 * MIB),
    "arena": ("mmap anonymous private", 1, 16 * MIB),
}


class Watched:
    """A container with the view and its stacks, collected as a session does."""

    def __init__(self, runs: Runs, slot: int) -> None:
        self.runs, self.slot = runs, slot
        self.collectors = [MemoryOfContainer(), GrowthStacks(Names(Naming()))]
        for collector in self.collectors:
            collector.begin(time.monotonic_ns(), 0)
            runs.tracer.enable(collector.part, slot, True)
        self.read()

    def read(self) -> None:
        """Take what there is."""
        for collector in self.collectors:
            told = self.runs.tracer.read(collector.part).get(self.slot)
            collector.take(told, self.runs.tracer.lost(collector.part, self.slot), 0)

    def growth(self) -> MemoryGrowth:
        """Give the result once all stacks are named."""
        self.read()
        for _ in range(100):
            report = agent_pb2.ContainerReport()
            for collector in self.collectors:
                collector.write(report)
            result = memory(report)
            assert result.flows
            if NOT_NAMED not in result.growth.functions:
                break
            time.sleep(0.1)
        return result.growth


def watched(runs: Runs, *words: str) -> MemoryGrowth:
    """Run the program, reading as the agent does, and give what was told."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "growth", *words)
    run.hear()
    watching = Watched(runs, runs.trace(cgroup))
    run.stdin.write(b"x")
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        watching.read()
        time.sleep(0.05)
    run.hear()
    result = watching.growth()
    run.say_and_finish()
    return result


def test_each_function_is_told_with_what_it_added(runs: Runs) -> None:
    """Exactly; small ones, addresses alone, failures and what is given back are not among them."""
    result = watched(runs)

    found = {}
    for stack in result.stacks:
        names = [result.functions[each].partition(" ")[0] for each in stack.functions]
        (own,) = GROWN.keys() & set(names)
        assert "main" in names[names.index(own) :]
        found[own] = stack.kind, stack.calls, stack.bytes
    assert found == GROWN
    assert result.calls == sum(calls for _, calls, _ in GROWN.values())
    assert result.bytes == sum(bytes_ for _, _, bytes_ in GROWN.values())


def test_of_a_flood_all_is_counted_and_a_bounded_number_of_stacks_is_taken(runs: Runs) -> None:
    """What has no stack is in the sums alone."""
    result = watched(runs, "churn")

    assert (result.calls, result.bytes) == (5000, 5000 * MIB)
    (stack,) = result.stacks
    assert 1 <= stack.calls <= STACKS_AT_ONCE + 3 * STACKS_PER_SECOND
    assert any(each.startswith("churn") for each in result.functions)
