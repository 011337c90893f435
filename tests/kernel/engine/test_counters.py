"""What threads counted, against what getrusage(2) tells the program itself."""

import time

import pytest
from engine_runs import Runs
from view_messages import counters

from kubestrace_agent.views.counters.collector import ThreadCounters
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views.counters_pb2 import CountersResult

# As programs/faults.c has them: of the program and of its child.
PAGES, SLEEPS = 2 * 3 * 1000, 2 * 3 * 20
# From the first reading until the program looks, and from its last look until the last reading: writing, ending.
AROUND_FAULTS, AROUND_SWITCHES = 60, 10


class Watched:
    """A container with the view, collected as a session does."""

    def __init__(self, runs: Runs, slot: int) -> None:
        self.runs, self.slot = runs, slot
        self.collector = ThreadCounters()
        self.collector.begin(time.monotonic_ns(), 0)
        runs.tracer.enable("counters", slot, True)
        self.read()

    def read(self) -> None:
        """Take what there is."""
        told = self.runs.tracer.read("counters").get(self.slot)
        self.collector.take(told, self.runs.tracer.lost("counters", self.slot), 0)

    def told(self) -> CountersResult:
        """Give what was counted."""
        self.read()
        report = agent_pb2.ContainerReport()
        self.collector.write(report)
        assert not report.trust.losses
        return counters(report)


@pytest.mark.parametrize("by_process", [False, True])
def test_faults_and_switches_are_those_of_getrusage(runs: Runs, by_process: bool) -> None:
    """Of threads and of a child that have ended, in a container and where a process is followed."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "faults")
    run.hear()
    slot = runs.tracer.add_process(run.process.pid, wanted=None) if by_process else runs.trace(cgroup)
    if by_process:
        runs.slots.append(slot)
    watched = Watched(runs, slot)
    minor, major, voluntary, involuntary = map(int, run.say_and_finish().split()[-4:])
    result = watched.told()

    assert minor >= PAGES
    assert voluntary >= SLEEPS
    assert minor <= result.minor_faults <= minor + AROUND_FAULTS
    assert major <= result.major_faults <= major + AROUND_FAULTS
    assert voluntary <= result.voluntary_switches <= voluntary + AROUND_SWITCHES
    assert involuntary <= result.involuntary_switches <= involuntary + AROUND_SWITCHES
    assert result.cpu_nanoseconds > 0


def test_what_lived_before_is_not_counted_and_what_lives_is(runs: Runs) -> None:
    """A container that does nothing has nothing, whatever it did before."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "faults")
    run.hear()
    watched = Watched(runs, runs.trace(cgroup))

    assert watched.told().minor_faults == 0
    assert watched.told().voluntary_switches == 0
    run.say_and_finish()


def test_another_container_has_nothing_of_it(runs: Runs) -> None:
    """Each its own; the program is detached when the last has gone."""
    busy, idle = runs.cgroup(), runs.cgroup()
    run, other = runs.start(busy, "faults"), runs.start(idle, "faults")
    run.hear()
    other.hear()
    watched, quiet = Watched(runs, runs.trace(busy)), Watched(runs, runs.trace(idle))
    run.say_and_finish()

    assert watched.told().minor_faults >= PAGES
    assert quiet.told().minor_faults == 0
    other.say_and_finish()
