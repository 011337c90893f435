"""What threads counted, against what getrusage(2) tells the program itself."""

import time
from pathlib import Path

import pytest
from engine_runs import Runs
from view_messages import counters

from kubestrace_agent.kernel.counters.counts import RawCounts
from kubestrace_agent.views.counters.collector import HardwareCounters, ThreadCounters
from kubestrace_agent.views.counters.hardware import HARDWARE
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
    # It may be preempted between its own first look and ours.
    assert abs(result.involuntary_switches - involuntary) <= AROUND_SWITCHES
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


# PERF_TYPE_SOFTWARE: PERF_COUNT_SW_PAGE_FAULTS and PERF_COUNT_SW_CONTEXT_SWITCHES, which each machine has.
SOFTWARE = {"page-faults": (1, 2), "context-switches": (1, 3)}


def events_open() -> int:
    """Count descriptors of perf events that this process has."""
    paths = Path("/proc/self/fd").iterdir()
    return sum(path.is_symlink() and "perf_event" in str(path.readlink()) for path in paths)


def test_events_of_a_cgroup_are_those_of_getrusage(runs: Runs) -> None:
    """By the code that counts hardware events; one that this machine lacks has a reason, and no descriptor stays."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "faults")
    run.hear()
    events = HardwareCounters(SOFTWARE | HARDWARE)
    events.begin_cgroup(cgroup.path, new=False)
    watched = Watched(runs, runs.trace(cgroup))
    minor, _, voluntary, involuntary = map(int, run.say_and_finish().split()[-4:])
    events.count(RawCounts())
    report = agent_pb2.ContainerReport()
    watched.told()
    watched.collector.write(report)
    events.write(report)
    perf = events_open()
    events.end()
    found = {each.name: each for each in counters(report).hardware}

    assert (perf > 0, events_open()) == (True, 0)
    assert minor <= found["page-faults"].count <= minor + 2 * AROUND_FAULTS
    switches = voluntary + involuntary
    assert switches - 2 * AROUND_SWITCHES <= found["context-switches"].count <= switches + 4 * AROUND_SWITCHES
    assert found["page-faults"].running_nanoseconds > 0
    for name in HARDWARE:
        assert bool(found[name].unavailable) is (found[name].enabled_nanoseconds == 0)


def test_a_process_that_shares_its_cgroup_has_no_events() -> None:
    """All that runs beside it would be counted."""
    events = HardwareCounters(HARDWARE)
    events.begin_cgroup(None, new=False)
    report = agent_pb2.ContainerReport()
    report.views["counters"].Pack(CountersResult())
    events.write(report)

    assert all("shares its cgroup" in each.unavailable for each in counters(report).hardware)
