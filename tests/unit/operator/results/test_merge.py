"""Adding reports up: in any order, from any number of nodes and agents."""

import itertools

from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from kubestrace_operator.results import merge
from kubestrace_operator.results.merge import SyscallKey
from kubestrace_operator.views import cpu_time
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import (
    cpu_time_pb2,
    errors_pb2,
    processes_pb2,
    slow_calls_limits,
    slow_calls_pb2,
    timeline_pb2,
)

PHASES = agent_pb2.ContainerState.Phase.values()
COUNTS = st.integers(min_value=0, max_value=2**40)
SMALL = st.integers(0, 2**20)


@st.composite
def views(draw: st.DrawFn) -> dict[str, Message]:
    """Return the results of some views of a container."""
    slow = slow_calls_pb2.SlowCallsResult()
    for nanoseconds in draw(st.lists(st.integers(0, 9), max_size=3)):
        slow.calls.add(name="fsync", nanoseconds=nanoseconds, wait=draw(st.booleans()))
    processes = processes_pb2.ProcessesResult(seen=draw(COUNTS))
    for calls in draw(st.lists(st.integers(0, 9), max_size=3)):
        processes.processes.add(host_pid=calls, sums=processes_pb2.CallSums(calls=calls, errors=1))
    processes.others.calls = draw(COUNTS)
    cpu = cpu_time_pb2.CpuTimeResult()
    cpu.budget.thread_nanoseconds = draw(COUNTS)
    cpu.budget.calls.add(name="read", kernel_nanoseconds=draw(COUNTS))
    cpu.calls.add(name="read", cpu_nanoseconds=draw(COUNTS), runnable_nanoseconds=draw(COUNTS))
    errors = errors_pb2.ErrorsResult()
    kind = errors.kinds.add(syscall="read", errno=draw(st.sampled_from(["ENOENT", "EINTR"])))
    kind.first_time_unix_nanoseconds, kind.last_time_unix_nanoseconds = draw(COUNTS), draw(COUNTS)
    for time in draw(st.lists(st.integers(0, 5), max_size=3)):
        kind.samples.add(time_unix_nanoseconds=time, arguments=draw(st.sampled_from("abc")), alike=1)
    timeline = timeline_pb2.TimelineResult(late_snapshots=draw(st.integers(0, 3)))
    for index in sorted(draw(st.sets(st.integers(0, 5), max_size=3))):
        columns = (timeline.calls, timeline.errors, timeline.total_nanoseconds, timeline.wait_nanoseconds)
        for column in (timeline.buckets, *columns):
            column.append(index)
    all_views = {"slowCalls": slow, "processes": processes, "cpuTime": cpu, "errors": errors, "timeline": timeline}
    return {name: all_views[name] for name in draw(st.sets(st.sampled_from(sorted(all_views))))}


@st.composite
def reports(draw: st.DrawFn) -> agent_pb2.Report:
    """Return a report as any of few agents on few nodes might send it."""
    report = agent_pb2.Report(
        node=draw(st.sampled_from(["n1", "n2"])), agent_id=draw(st.sampled_from("ab")), sequence=draw(COUNTS)
    )
    for _ in range(draw(st.integers(0, 2))):
        container = report.containers.add()
        container.state.container.container_id = draw(st.sampled_from("xyz"))
        container.state.phase = draw(st.sampled_from(PHASES))
        container.state.start_time_unix_nanoseconds = draw(st.integers(0, 3))
        for name in draw(st.lists(st.sampled_from(["read", "futex", "openat"]), max_size=3)):
            counts = container.syscalls.add(name=name, wait=name == "futex", abi=draw(st.sampled_from(["", "i386"])))
            counts.calls = counts.timed = counts.total_nanoseconds = counts.max_nanoseconds = draw(COUNTS)
            counts.latency.buckets.append(draw(st.integers(0, 319)))
            counts.latency.counts.append(counts.calls)
            counts.bytes, counts.zero_results = draw(COUNTS), draw(COUNTS)
            counts.errnos.add(name=draw(st.sampled_from(["ENOENT", "EINTR"])), count=draw(COUNTS))
        for name, message in draw(views()).items():
            container.views[name].Pack(message)
        for age in draw(st.lists(st.integers(0, 9), max_size=2)):
            container.unreturned.add(name="fsync", age_nanoseconds=age, wait=draw(st.booleans()))
        container.trust.unreturned_calls = draw(COUNTS)
    for name in draw(st.lists(st.sampled_from(["slowCalls", "cpuTime", "processCalls", "errorSamples"]), max_size=3)):
        report.trust.losses[name] = draw(COUNTS)
    report.trust.lost_calls = draw(COUNTS)
    report.trust.skipped_calls = draw(COUNTS)
    report.trust.io_uring = draw(st.booleans())
    for pid in draw(st.lists(st.integers(1, 3), max_size=2)):
        report.trust.ring_users.add(host_pid=pid, process=f"p{pid}", polled=draw(st.booleans()), rings=draw(SMALL))
    report.trust.other_ring_users = draw(SMALL)
    report.trust.rings = draw(SMALL)
    report.trust.agent_cpu_millicores = draw(st.integers(0, 1000))
    return report


@given(st.lists(reports(), max_size=4))
def test_the_order_of_adding_does_not_matter(some: list[agent_pb2.Report]) -> None:
    """Any order gives the same sum, whatever was already added together."""
    parts = [merge.merge([report]) for report in some]
    whole = merge.add(parts)

    for order in itertools.permutations(parts):
        assert merge.add(order) == whole
    assert merge.add([merge.add(parts[:2]), merge.add(parts[2:])]) == whole


def cpu_time_of(container: agent_pb2.ContainerReport) -> cpu_time_pb2.CpuTimeResult:
    """Return the result of that view, empty where there is none."""
    found = cpu_time_pb2.CpuTimeResult()
    if "cpuTime" in container.views:
        container.views["cpuTime"].Unpack(found)
    return found


@given(st.lists(reports(), max_size=5))
def test_nothing_is_lost_in_a_sum(some: list[agent_pb2.Report]) -> None:
    """Totals are those of the latest report of each agent, counted by hand."""
    latest = merge.latest(some).values()

    merged = merge.merge(some)

    assert merged.calls == sum(row.calls for r in latest for c in r.containers for row in c.syscalls)
    assert sum(sum(row.latency.values()) for row in merged.syscalls.values()) == merged.calls
    assert merged.total_ns + merged.wait_ns == merged.calls
    counts = [counts for report in latest for container in report.containers for counts in container.syscalls]
    assert sum(row.bytes for row in merged.syscalls.values()) == sum(each.bytes for each in counts)
    assert sum(row.zero_results for row in merged.syscalls.values()) == sum(each.zero_results for each in counts)
    rows = [row for report in latest for container in report.containers for row in cpu_time_of(container).calls]
    part = merged.views.get("cpuTime", cpu_time.Part())
    assert sum(part.cpu_ns.values()) == sum(row.cpu_nanoseconds for row in rows)
    assert sum(part.runnable_ns.values()) == sum(row.runnable_nanoseconds for row in rows)
    for name, count in merged.trust.losses.items():
        assert count == sum(report.trust.losses[name] for report in latest if name in report.trust.losses)
    assert merged.trust.lost_calls == sum(report.trust.lost_calls for report in latest)
    assert merged.trust.skipped_calls == sum(report.trust.skipped_calls for report in latest)


def test_a_later_report_replaces_an_earlier_one() -> None:
    """Reports are snapshots: of one agent only the latest counts, whenever it comes."""
    early, late = (
        agent_pb2.Report(node="n1", agent_id="a", sequence=sequence, containers=[container(calls=calls)])
        for sequence, calls in ((1, 5), (2, 9))
    )

    assert merge.merge([late, early]).calls == merge.merge([early, late]).calls == 9


def container(calls: int = 1, **row: object) -> agent_pb2.ContainerReport:
    """Return a container's report with one row."""
    counts = agent_pb2.SyscallCounts(name="read", calls=calls, **row)  # type: ignore[arg-type]
    state = agent_pb2.ContainerState(
        container=agent_pb2.Container(container_id="x", pod_name="p", container_name="app"),
        phase=agent_pb2.ContainerState.PHASE_TRACING,
    )
    return agent_pb2.ContainerReport(state=state, syscalls=[counts])


def test_two_agents_of_one_node_are_added() -> None:
    """An agent that was restarted counts on where the first had stopped: one container, both its counts."""
    first = agent_pb2.Report(node="n1", agent_id="a", containers=[container(calls=5)])
    second = agent_pb2.Report(node="n1", agent_id="b", containers=[container(calls=4)])

    merged = merge.merge([first, second])

    assert [row.calls for row in merged.containers.values()] == [9]


def test_a_call_under_way_is_not_counted_by_two_agents() -> None:
    """What the first agent saw last is what the second one still sees, or has ended."""
    first, second = (agent_pb2.Report(node="n1", agent_id=agent, containers=[container()]) for agent in "ab")
    for start, report in enumerate((first, second)):
        report.containers[0].state.start_time_unix_nanoseconds = start
        report.containers[0].trust.unreturned_calls = 1
        report.containers[0].unreturned.add(name="read", age_nanoseconds=start)

    for merged in (merge.merge([first, second]), merge.merge([second, first])):
        assert merged.unreturned_calls == 1
        assert [row.call.age_nanoseconds for row in merged.unreturned] == [1]


def test_abis_are_kept_apart() -> None:
    """The same name under another ABI is another call."""
    report = agent_pb2.Report(containers=[container(calls=1), container(calls=2, abi="i386")])

    assert set(merge.merge([report]).syscalls) == {SyscallKey("read"), SyscallKey("read", "i386")}


def test_waits_are_summed_apart() -> None:
    """Time in calls that waited is not time in calls that work."""
    work, wait = container(total_nanoseconds=7), container(total_nanoseconds=11)
    wait.syscalls[0].name, wait.syscalls[0].wait = "futex", True

    merged = merge.merge([agent_pb2.Report(containers=[work, wait])])

    assert (merged.total_ns, merged.wait_ns) == (7, 11)


def test_two_rows_of_one_call_stay_two() -> None:
    """Reads that waited and reads that worked are added up over containers, never with each other."""
    reports = [
        agent_pb2.Report(node=node, containers=[container(calls=1), container(calls=10, wait=True)])
        for node in ("n1", "n2")
    ]

    merged = merge.merge(reports)

    assert {key: row.calls for key, row in merged.syscalls.items()} == {
        SyscallKey("read"): 2,
        SyscallKey("read", wait=True): 20,
    }
    assert merged.calls == 22


def test_the_agents_cost_is_that_of_the_dearest_node() -> None:
    """Agents of one node ran one after the other; each node's use is kept, none is added."""
    merged = merge.merge(
        agent_pb2.Report(node=node, agent_id=agent, trust=agent_pb2.Trust(agent_cpu_millicores=cpu))
        for node, agent, cpu in (("n1", "a", 4), ("n1", "b", 6), ("n2", "c", 5))
    )

    assert merged.trust.agent_cpu_millicores == {"n1": 6, "n2": 5}


def test_the_slowest_calls_of_all_containers_are_kept() -> None:
    """As many as any session may show: those that work by length, then those that wait."""
    reports = [agent_pb2.Report(node=node, agent_id=node, sequence=1) for node in ("n1", "n2")]
    for report in reports:
        found = slow_calls_pb2.SlowCallsResult()
        for ns in range(150):
            found.calls.add(name="fsync", nanoseconds=ns)
            found.calls.add(name="futex", nanoseconds=1000, wait=True)
        report.containers.add().views["slowCalls"].Pack(found)

    slow = merge.merge(reports).views["slowCalls"]

    assert len(slow) == slow_calls_limits.MAX_LIMIT
    assert [row.call.nanoseconds for row in slow[:4]] == [149, 149, 148, 148]
    assert {row.node for row in slow} == {"n1", "n2"}
    assert not any(row.call.wait for row in slow)
