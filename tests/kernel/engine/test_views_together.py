"""Any views on together: each tells what it tells alone, and all of them the same calls."""

import itertools
import platform
import time
from collections.abc import Iterator

import pytest
from engine_runs import Cgroup, Counts, Runs, agree, asked, counted, session_with, told
from google.protobuf import any_pb2
from view_messages import (
    block_io,
    callers,
    counters,
    cpu_time,
    errors,
    every_view,
    files,
    io_uring,
    locks,
    memory,
    network,
    processes,
    resources,
    security,
    slow_calls,
    timeline,
)

from kubestrace_agent.kernel.counters.tracer import Tracer
from kubestrace_agent.kernel.loader.sources import places
from kubestrace_agent.kernel.maps.layout import CONFIG, chain
from kubestrace_agent.symbols.names import Names
from kubestrace_agent.symbols.naming import Naming
from kubestrace_agent.symbols.roots import Owner
from kubestrace_agent.syscalls import abi_names, names
from kubestrace_agent.traces.session import stop_counting
from kubestrace_agent.traces.shared_counters import Acquired
from kubestrace_agent.views import registry
from kubestrace_agent.views.processes.values import Wants
from kubestrace_protos.v1 import agent_pb2

MS = 1_000_000
NATIVE = abi_names(platform.machine())[0]
FEW_CALLS = {"on_file_call", "on_net_call", "on_dns_call", "on_security_call", "on_memory_call", "on_lock_call"}
THREADS, CALLS, SLEEPS = 3, 2000, 4
# Until none of its calls is lost.
TRIES = 5
ALL = every_view()
SETS = [*itertools.combinations(ALL, 1), *itertools.combinations(ALL, 2), tuple(ALL)]


@pytest.fixture(scope="module")
def tracer(kept_tracer: Tracer) -> Tracer:
    """Count by programs of an earlier start: the other tests of views have some that were just compiled."""
    return kept_tracer


class Traced:
    """A cgroup that one session traces, as the agent does it."""

    def __init__(self, runs: Runs, cgroup: Cgroup, views: dict[str, any_pb2.Any]) -> None:
        self.session = session_with(runs.tracer, views)
        (result,) = self.session.counters.acquire([asked(self.session, cgroup)])
        assert isinstance(result, Acquired)
        assert result.share.missing == []
        state = agent_pb2.ContainerState()
        self.session.containers["c"] = self.session.counted(state, result, time.time_ns())

    def report(self) -> agent_pb2.ContainerReport:
        """End the session."""
        stop_counting([self.session])
        (report,) = self.session.report(agent_pb2.END_REASON_STOPPED, time.time_ns).containers
        return report


@pytest.fixture(params=SETS, ids="+".join)
def traced(request: pytest.FixtureRequest, runs: Runs) -> Iterator[tuple[str, agent_pb2.ContainerReport]]:
    """Run a program with some views on; its words, and the report."""
    for _ in range(TRIES):
        cgroup = runs.cgroup()
        tracing = Traced(runs, cgroup, {name: ALL[name] for name in request.param})
        output = runs.start(cgroup, "everything", *map(str, (THREADS, CALLS, SLEEPS))).finish()
        report = tracing.report()
        assert set(report.views) == set(request.param)
        # A kernel that preempts programs may lose some, and says so.
        if not report.trust.lost_calls:
            break
        assert "on_sys_exit_again" in runs.tracer.fds
    yield output, report
    assert not runs.tracer.attached


def test_each_view_tells_all_of_it(traced: tuple[str, agent_pb2.ContainerReport]) -> None:
    """Whichever others are on: the sums of all views are those of the counts, and these are the program's own."""
    output, report = traced

    assert report.trust.lost_calls == 0
    agree(told(output), counted(list(report.syscalls)))
    assert dict(report.trust.losses) == {}
    for name in report.views:
        CHECKS[name](output, report)


def test_views_of_few_calls_leave_the_others_alone(runs: Runs) -> None:
    """With all views on, the programs that a counted call leads to: none of those that are about other calls."""
    tracing = Traced(runs, runs.cgroup(), ALL)
    programs, number = runs.tracer._programs, {called: number for number, called in names(NATIVE).items()}
    config, chosen = list(programs.maps.view("config", "I")), list(programs.maps.view("call_places", "Q"))
    counted_by, choosy = config[CONFIG.at("chains") + chain("COUNTED")], config[CONFIG.at("choosy")]
    place = places(registry.all_sources())

    def led_to(called: str) -> set[str]:
        mask = counted_by & (chosen[number[called]] | ~choosy)
        return {name for name in FEW_CALLS if mask >> place[name] & 1}

    assert {name for name in FEW_CALLS if (choosy & counted_by) >> place[name] & 1} == FEW_CALLS
    assert led_to("getppid") == set()
    assert led_to("futex") == {"on_lock_call"}
    assert led_to("openat") == {"on_file_call", "on_security_call"}
    assert led_to("recvfrom") == {"on_net_call", "on_dns_call"}
    assert led_to("mmap") == led_to("brk") == {"on_memory_call"}
    tracing.report()


def own(output: str) -> Counts:
    """What the program counted itself."""
    return told(output)


def sums(report: agent_pb2.ContainerReport) -> tuple[int, int, int]:
    """Calls, errors and nanoseconds of the counts."""
    rows = report.syscalls
    return sum(row.calls for row in rows), sum(row.errors for row in rows), sum(row.total_nanoseconds for row in rows)


def check_processes(output: str, report: agent_pb2.ContainerReport) -> None:
    """All processes together are the counts; each has its own calls."""
    result = processes(report)
    parts = [*(each.sums for each in result.processes), result.others]
    expected = {int(pid): int(calls) for _, pid, calls in (line.split() for line in output.splitlines()[:2])}
    # The one that came from here was this program before.
    programs = [each for each in result.processes if not each.end.startswith("executed ")]
    found = {each.host_pid: {row.name: row.calls for row in each.syscalls} for each in programs}

    assert sums(report) == (
        sum(each.calls for each in parts),
        sum(each.errors for each in parts),
        sum(each.total_nanoseconds + each.wait_nanoseconds for each in parts),
    )
    assert {pid: found[pid]["getppid"] for pid in expected} == expected
    assert sorted(each.exit_code for each in programs) == [0, 7]


def check_timeline(_: str, report: agent_pb2.ContainerReport) -> None:
    """All buckets together are the counts."""
    result = timeline(report)

    spent = sum(result.total_nanoseconds) + sum(result.wait_nanoseconds)
    assert sums(report) == (sum(result.calls), sum(result.errors), spent)


def check_errors(output: str, report: agent_pb2.ContainerReport) -> None:
    """Each errno that was counted has its times and a sample."""
    kinds = errors(report)
    counts = {(row.name, errno.name): errno.count for row in report.syscalls for errno in row.errnos}

    assert kinds.keys() == counts.keys()
    assert counts["rmdir", "ENOTDIR"] == own(output)["rmdir", ""][1]
    assert counts["openat", "ENOENT"] >= 2 * THREADS * (CALLS // 10)
    for each in kinds.values():
        assert 0 < each.first_time_unix_nanoseconds <= each.last_time_unix_nanoseconds
    assert '"/proc/self/exe/below"' in [sample.arguments for sample in kinds["rmdir", "ENOTDIR"].samples]


def check_slow_calls(output: str, report: agent_pb2.ContainerReport) -> None:
    """Each sleep is told, with its stack, and with what it used of a CPU where that is known."""
    slept = [call for call in slow_calls(report) if call.name == "clock_nanosleep"]

    assert len(slept) == own(output)["clock_nanosleep", ""][0]
    assert all(call.kernel_stack for call in slept)
    assert {call.HasField("cpu_nanoseconds") for call in slept} == {"cpuTime" in report.views}
    for call in slept:
        assert call.cpu_nanoseconds + call.runnable_nanoseconds < call.nanoseconds


def check_cpu_time(_: str, report: agent_pb2.ContainerReport) -> None:
    """The parts of the threads' time add up, and so do those of each row's calls."""
    result = cpu_time(report)
    used = {(each.name, each.abi, each.wait): each for each in result.calls}
    slept = used["clock_nanosleep", "", True]

    assert abs(result.budget.other_nanoseconds) <= result.budget.thread_nanoseconds / 100
    assert len(used) == len(report.syscalls)
    # Whoever is preempted on the way to sleep sleeps for the rest of it: the whole is the nap.
    assert slept.asleep_nanoseconds > slept.cpu_nanoseconds
    assert (
        slept.asleep_nanoseconds + slept.cpu_nanoseconds + slept.runnable_nanoseconds >= 2 * THREADS * SLEEPS * 19 * MS
    )
    for row in report.syscalls:
        if row.timed == row.calls:
            parts = used[row.name, row.abi, row.wait]
            all_ns = parts.cpu_nanoseconds + parts.runnable_nanoseconds + parts.asleep_nanoseconds
            # A thread that is preempted between the counting and the view may run for a moment on the wrong side.
            assert all_ns == pytest.approx(row.total_nanoseconds, rel=0.02, abs=MS), row.name


def check_block_io(_: str, report: agent_pb2.ContainerReport) -> None:
    """The program leaves the disk alone: what it is told of is what its libraries were read from, or the node's."""
    assert all(row.count and row.attribution != "process" for row in block_io(report))


def check_io_uring(_: str, report: agent_pb2.ContainerReport) -> None:
    """The program has no ring."""
    assert not io_uring(report).rows


def check_locks(_: str, report: agent_pb2.ContainerReport) -> None:
    """Its waits are those of the counts, or were too many for it and are added up."""
    told_of = locks(report)
    counted_waits = [row for row in report.syscalls if row.name == "futex" and row.wait]
    waits = sum(row.waits for row in told_of.locks) + told_of.other_waits
    waited_ns = sum(row.total_nanoseconds for row in told_of.locks) + told_of.other_nanoseconds
    assert waits == sum(row.calls for row in counted_waits)
    assert waited_ns == sum(row.total_nanoseconds for row in counted_waits)


def check_files(_: str, report: agent_pb2.ContainerReport) -> None:
    """Calls of both ways to name a file are there; whether all are says the report."""
    assert not report.trust.losses.get("filePaths")
    assert all(row.path.startswith(("/", "anon_inode")) for row in files(report).paths)


def check_network(_: str, report: agent_pb2.ContainerReport) -> None:
    """The program talks to nobody."""
    result = network(report)
    assert not result.peers
    assert not result.passed_sockets


def check_callers(output: str, report: agent_pb2.ContainerReport) -> None:
    """Calls are chosen, and none of a kind that was not counted."""
    rows = callers(report).rows
    assert rows
    counts = {name for name, _ in told(output)} | {each.name for each in report.syscalls}
    assert {row.name for row in rows} <= counts


def check_security(_: str, report: agent_pb2.ContainerReport) -> None:
    """The program does nothing of interest."""
    result = security(report)
    assert not result.matches
    assert not result.execs


def check_resources(_: str, report: agent_pb2.ContainerReport) -> None:
    """The CPU time that its cgroup counted."""
    assert resources(report).grown["cpu.usageNanoseconds"] > 0


def check_counters(_: str, report: agent_pb2.ContainerReport) -> None:
    """Each sleep of each thread, and each thread's end, is a switch."""
    result = counters(report)
    assert result.voluntary_switches >= 2 * THREADS * SLEEPS
    assert result.minor_faults > 0
    assert result.cpu_nanoseconds > 0


def check_memory(_: str, report: agent_pb2.ContainerReport) -> None:
    """The calls of its kinds are those of the counts."""
    flows = {each.kind: each.calls for each in memory(report).flows}
    calls: dict[str, int] = {}
    for row in report.syscalls:
        calls[row.name] = calls.get(row.name, 0) + row.calls
    for name in ("mmap", "munmap", "brk", "mprotect", "madvise"):
        assert sum(count for kind, count in flows.items() if kind.startswith(name)) == calls.get(name, 0), name


CHECKS = {
    "files": check_files,
    "memory": check_memory,
    "resources": check_resources,
    "counters": check_counters,
    "blockIO": check_block_io,
    "cpuTime": check_cpu_time,
    "slowCalls": check_slow_calls,
    "processes": check_processes,
    "errors": check_errors,
    "network": check_network,
    "timeline": check_timeline,
    "ioUring": check_io_uring,
    "locks": check_locks,
    "callers": check_callers,
    "security": check_security,
}


def test_views_that_come_and_go_leave_the_others_as_they_are(runs: Runs) -> None:
    """All but one are taken away and put back in turn while a program works: the one loses no call of it."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    requests = registry.requests({name: ALL[name] for name in ALL if name != "processes"})
    others = [each for each in requests.collectors(None, Names(Naming()), Owner()) if each.part != "slow_stacks"]
    assert len(others) >= 2
    runs.tracer.enable("processes", slot, Wants())

    work = runs.start(cgroup, "everything", "2", "200000", "1")
    for each in itertools.islice(itertools.cycle(others), 30):
        runs.tracer.enable(each.part, slot, each.wanted)
        time.sleep(0.005)
        runs.tracer.enable(each.part, slot, None)
    output = work.finish()
    difference = runs.since(slot)
    read = runs.tracer.read("processes")[slot]

    agree(own(output), counted(difference.syscalls), runs.may_lose(difference))
    assert runs.tracer.lost("processes", slot) == 0
    told_calls = sum(used.calls for thread in read.threads for used in thread.used)
    assert told_calls == sum(row.calls for row in difference.syscalls)
