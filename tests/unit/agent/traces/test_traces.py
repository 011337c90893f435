"""The life of traces, over a fake tracer."""

import asyncio
import time
from pathlib import Path

import pytest

from kubestrace_agent.containers import resolver
from kubestrace_agent.containers.held_files import HeldFile
from kubestrace_agent.kernel.loader.programs import WalkFailures
from kubestrace_agent.service import limits
from kubestrace_protos.v1 import agent_pb2

TRACING = agent_pb2.ContainerState.PHASE_TRACING
ENDED = agent_pb2.ContainerState.PHASE_ENDED
FAILED = agent_pb2.ContainerState.PHASE_FAILED


def request(*container_ids: str, session: str = "s1", **fields: object) -> agent_pb2.StartTraceRequest:
    """Ask for a trace of a minute."""
    wanted = [agent_pb2.Container(container_id=each, container_name=each) for each in container_ids]
    given = {"duration_milliseconds": 60_000, **fields}
    return agent_pb2.StartTraceRequest(session_uid=session, session_name=f"ns/{session}", containers=wanted, **given)


def calls(report: agent_pb2.Report) -> dict[str, dict[str, int]]:
    """Sum up a report as {container: {syscall: calls}}."""
    return {
        each.state.container.container_id: {counts.name: counts.calls for counts in each.syscalls}
        for each in report.containers
    }


async def eventually(condition) -> None:
    """Wait until something is so, for 3 s."""
    async with asyncio.timeout(3):
        while not condition():  # noqa: ASYNC110 - the fakes have no events to wait for
            await asyncio.sleep(0.01)


async def test_a_trace_counts_from_its_start(make_traces, node, tracer) -> None:
    """What is called after the start is in the report, with the container's pids and times."""
    app = node.run("app")
    traces = make_traces()

    started = await traces.start(request("app"))
    tracer.call(app, times=3)
    report = await traces.stop("s1")

    assert (started.created, started.agent_id, [each.phase for each in started.containers]) == (
        True,
        "agent-1",
        [TRACING],
    )
    assert calls(report) == {"app": {"getppid": 3}}
    state = report.containers[0].state
    assert (state.host_pid, state.pid, state.start_time_unix_nanoseconds > 0) == (4711, 1, True)
    assert (report.final, report.end_reason, report.node) == (True, agent_pb2.END_REASON_STOPPED, "n1")


async def test_what_the_kernel_skipped_on_the_node_is_told_once(make_traces, node, tracer) -> None:
    """Since the trace began, whoever's calls they were: not by container."""
    for name in ("app", "other"):
        node.run(name)
    traces = make_traces()
    tracer.skipped_calls = 4

    await traces.start(request("app", "other"))
    tracer.skipped_calls = 9
    report = await traces.stop("s1")

    assert report.trust.skipped_calls == 5
    assert [each.trust.skipped_calls for each in report.containers] == [0, 0]


async def test_lists_of_tasks_that_could_not_be_read_are_a_gap(make_traces, node, tracer) -> None:
    """Since the trace began: what is missing, how often and why."""
    node.run("app")
    traces = make_traces()
    tracer.walk_failures = WalkFailures(3, "before")

    await traces.start(request("app"))
    tracer.walk_failures = WalkFailures(5, "too many open files")
    report = await traces.stop("s1")

    (gap,) = report.trust.gaps
    assert (gap.node, gap.reason) == ("n1", "TasksNotRead")
    assert gap.message.startswith("the kernel's lists of tasks could not be read 2 times, so that calls")
    assert gap.message.endswith("may be missing: too many open files")


async def test_starting_twice_is_one_trace(make_traces, node, tracer) -> None:
    """The second call with the same session changes nothing and says so."""
    app = node.run("app")
    traces = make_traces()

    first = await traces.start(request("app"))
    tracer.call(app)
    second = await traces.start(request("app"))

    assert (first.created, second.created) == (True, False)
    assert first.start_time_unix_nanoseconds == second.start_time_unix_nanoseconds
    assert len(tracer.slots) == 1
    assert calls(await traces.stop("s1")) == {"app": {"getppid": 1}}


async def test_two_starts_at_the_same_time_are_one_trace(make_traces, node, tracer) -> None:
    """An operator that asks twice at once gets one trace with one slot a container."""
    node.run("app")
    node.delay_seconds = 0.05
    traces = make_traces()

    answers = await asyncio.gather(*(traces.start(request("app")) for _ in range(5)))

    assert sum(each.created for each in answers) == 1
    assert len(tracer.slots) == 1


async def test_containers_are_added_to_a_running_trace(make_traces, node, tracer) -> None:
    """Another call with more containers adds them and removes none; the end stays where it was."""
    node.run("a")
    traces = make_traces()
    await traces.start(request("a", duration_milliseconds=300))

    b = node.run("b")
    answer = await traces.start(request("b", duration_milliseconds=60_000))
    tracer.call(b)
    reports = [report async for report in traces.watch("s1")]

    assert [each.container.container_id for each in answer.containers] == ["a", "b"]
    assert calls(reports[-1]) == {"a": {}, "b": {"getppid": 1}}
    assert reports[-1].end_reason == agent_pb2.END_REASON_COMPLETED


async def test_a_trace_ends_at_its_time(make_traces, node, tracer) -> None:
    """The final report comes within tens of milliseconds after the duration, not at the next tick."""
    node.run("app")
    traces = make_traces()

    begin = time.monotonic()
    await traces.start(request("app", duration_milliseconds=300))
    reports = [report async for report in traces.watch("s1", 60_000)]
    took = time.monotonic() - begin

    assert [report.final for report in reports] == [False, True]
    assert reports[-1].end_reason == agent_pb2.END_REASON_COMPLETED
    # Not with the next report, which would come after a minute.
    assert 0.3 <= took < 30
    assert tracer.slots == {}


async def test_the_first_report_comes_at_once(make_traces, node, tracer) -> None:
    """A watcher need not wait for the interval to see what is there."""
    app = node.run("app")
    traces = make_traces()
    await traces.start(request("app"))
    tracer.call(app)

    begin = time.monotonic()
    report = await anext(traces.watch("s1", 60_000))

    assert time.monotonic() - begin < 0.9
    assert (report.final, calls(report)) == (False, {"app": {"getppid": 1}})


async def test_reports_come_at_the_interval_and_are_numbered(make_traces, node) -> None:
    """Each report is later than the one before it and has a higher number."""
    node.run("app")
    traces = make_traces()
    await traces.start(request("app", duration_milliseconds=1000))

    reports = [report async for report in traces.watch("s1", 100)]

    assert 7 <= len(reports) <= 12
    assert [each.sequence for each in reports] == sorted({each.sequence for each in reports})
    assert [each.time_unix_nanoseconds for each in reports] == sorted({each.time_unix_nanoseconds for each in reports})


async def test_sessions_share_a_container(make_traces, node, tracer) -> None:
    """Two sessions use one slot, each sees what was called since its own start, and the last one gives it back."""
    app = node.run("app")
    traces = make_traces()

    await traces.start(request("app", session="one"))
    tracer.call(app, times=10)
    await traces.start(request("app", session="two"))
    tracer.call(app, times=5)
    assert len(tracer.slots) == 1
    one = await traces.stop("one")
    tracer.call(app, times=1)
    two = await traces.stop("two")

    assert (calls(one), calls(two)) == ({"app": {"getppid": 15}}, {"app": {"getppid": 6}})
    assert tracer.slots == {}


async def test_sessions_that_share_a_container_see_their_own_syscalls(make_traces, node, tracer) -> None:
    """The container counts what any session wants, and a report holds what its own session asked for."""
    app = node.run("app")
    traces = make_traces()

    await traces.start(request("app", session="reads", syscalls=["read"]))
    tracer.call(app)  # wanted by nobody yet
    await traces.start(request("app", session="all"))
    tracer.call(app)
    for_all = await traces.stop("all")
    tracer.call(app)  # wanted by nobody any more
    for_reads = await traces.stop("reads")

    assert (calls(for_all), calls(for_reads)) == ({"app": {"getppid": 1}}, {"app": {}})


async def test_a_container_that_ends_keeps_its_counts(make_traces, node, tracer) -> None:
    """When its last process is gone it is marked as ended, its slot is free, and its counts stay."""
    app = node.run("app")
    traces = make_traces()
    await traces.start(request("app"))
    await anext(traces.watch("s1"))

    tracer.call(app, times=7)
    node.end("app")
    await eventually(lambda: not tracer.slots)
    report = await traces.stop("s1")

    assert calls(report) == {"app": {"getppid": 7}}
    state = report.containers[0].state
    assert (state.phase, state.end_time_unix_nanoseconds >= state.start_time_unix_nanoseconds) == (ENDED, True)


async def test_a_container_that_is_not_found_is_reported(make_traces, node) -> None:
    """It is in every report as failed, with the reason, and the others are traced."""
    node.run("app")
    traces = make_traces()

    started = await traces.start(request("app", "gone"))
    report = await traces.stop("s1")

    assert [each.phase for each in started.containers] == [TRACING, FAILED]
    failed = report.containers[1].state
    assert (failed.reason, failed.message) == ("ContainerNotFound", "no gone here")


@pytest.mark.parametrize("problem", [ValueError("invalid literal for int()"), PermissionError(13, "odd \udcff")])
async def test_a_container_that_cannot_be_looked_up_spoils_no_other(make_traces, node, monkeypatch, problem) -> None:
    """Whatever goes wrong with one is told as its own failure, and the others are traced."""
    node.run("app")
    traces = make_traces()
    resolve = node.resolve

    async def stumble(container: agent_pb2.Container) -> resolver.Resolved:
        if container.container_id == "odd":
            raise problem
        return await resolve(container)

    monkeypatch.setattr(node, "resolve", stumble)
    started = await traces.start(request("app", "odd"))

    states = {each.container.container_id: each for each in started.containers}
    assert (states["app"].phase, states["odd"].phase, states["odd"].reason) == (TRACING, FAILED, "LookupFailed")
    assert type(problem).__name__ in states["odd"].message


async def test_a_container_that_cannot_be_counted_spoils_no_other(make_traces, node, tracer, monkeypatch) -> None:
    """Not even with a cgroup whose name is no text."""
    node.run("app")
    odd = node.run("\udcff")
    traces = make_traces()
    reserve = tracer.reserve_container

    def stumble(cgroup: Path, **wanted: object) -> int:
        if cgroup == odd:
            raise ValueError("no such number")
        return reserve(cgroup, **wanted)

    async def resolve(container: agent_pb2.Container) -> resolver.Resolved:
        cgroup = odd if container.container_id == "odd" else node.root / "app"
        return resolver.Resolved(cgroup, cgroup.stat().st_ino)

    monkeypatch.setattr(tracer, "reserve_container", stumble)
    monkeypatch.setattr(node, "resolve", resolve)
    started = await traces.start(request("app", "odd"))

    states = {each.container.container_id: each for each in started.containers}
    assert (states["app"].phase, states["odd"].phase, states["odd"].reason) == (TRACING, FAILED, "TracerFailed")
    assert states["odd"].message.endswith("/\\xff: no such number")


async def test_a_container_that_failed_is_sought_again_when_asked_for_again(make_traces, node) -> None:
    """A retry by the operator is worth something."""
    traces = make_traces()
    await traces.start(request("app"))

    node.run("app")
    answer = await traces.start(request("app"))

    assert [each.phase for each in answer.containers] == [TRACING]


async def test_a_full_node_fails_the_containers_beyond_its_bound(make_traces, node, tracer) -> None:
    """Those that fit are traced, the rest say NodeFull."""
    tracer.max_containers = 1
    node.run("a")
    node.run("b")
    traces = make_traces()

    started = await traces.start(request("a", "b"))

    assert sorted((each.phase, each.reason) for each in started.containers) == [(TRACING, ""), (FAILED, "NodeFull")]


async def test_a_container_that_joins_late_has_a_gap(make_traces, node) -> None:
    """A container that started during the session, before it was added, says how long it went uncounted."""
    node.run("a")
    traces = make_traces()
    await traces.start(request("a"))

    node.run("b")
    node.started_ns["b"] = time.time_ns()
    await asyncio.sleep(0.05)
    await traces.start(request("b"))
    report = await traces.stop("s1")

    (gap,) = report.trust.gaps
    assert (gap.reason, gap.node, gap.container.container_id) == ("ContainerStartedEarlier", "n1", "b")
    assert gap.start_time_unix_nanoseconds == node.started_ns["b"]
    assert gap.end_time_unix_nanoseconds == report.containers[1].state.start_time_unix_nanoseconds
    assert list(report.containers[1].trust.gaps) == [gap]


async def test_the_gap_of_an_older_container_begins_with_the_trace(make_traces, node) -> None:
    """A container that ran before the session but was added later was not counted since the session began."""
    node.run("a")
    node.run("b")
    node.started_ns["b"] = 1
    traces = make_traces()
    started = await traces.start(request("a"))

    await traces.start(request("b"))
    report = await traces.stop("s1")

    assert [gap.start_time_unix_nanoseconds for gap in report.trust.gaps] == [started.start_time_unix_nanoseconds]


@pytest.mark.parametrize("hours", [3, -3])
@pytest.mark.parametrize("just_before", [True, False])
async def test_a_clock_that_is_set_changes_no_gap(make_traces, node, hours: int, just_before: bool) -> None:
    """A container that joins a session after that misses what the session had lasted: no hours, and not nothing."""
    node.run("a")
    node.run("b")
    node.started_ns["b"] = time.time_ns() if just_before else 1
    step_ns = [0]
    traces = make_traces(clock_ns=lambda: time.time_ns() + step_ns[0])
    await traces.start(request("a"))
    step_ns[0] = hours * 3600 * 10**9
    await traces.start(request("b"))
    report = await traces.stop("s1")

    (gap,) = report.trust.gaps
    lasted_ns = gap.end_time_unix_nanoseconds - gap.start_time_unix_nanoseconds
    assert gap.reason == "ContainerStartedEarlier"
    assert "after the session began" in gap.message
    assert 0 < lasted_ns < 3600 * 10**9


async def test_a_node_that_begins_late_has_gaps(make_traces, node) -> None:
    """The session had gone on for 5 s elsewhere: a container that ran all the time misses them, a new one its own."""
    node.run("a")
    node.run("b")
    node.started_ns |= {"a": 1, "b": time.time_ns() - 2_000_000_000}
    traces = make_traces()

    started = await traces.start(request("a", "b", elapsed_milliseconds=5000))
    report = await traces.stop("s1")

    begins = {gap.container.container_id: gap.start_time_unix_nanoseconds for gap in report.trust.gaps}
    assert begins == {"a": started.start_time_unix_nanoseconds - 5_000_000_000, "b": node.started_ns["b"]}
    assert "after the session began" in report.containers[0].trust.gaps[0].message


async def test_running_containers_have_no_gap_at_the_start(make_traces, node) -> None:
    """That a container is older than the session is no hole in the session."""
    node.run("a")
    node.started_ns["a"] = 1
    traces = make_traces()

    await traces.start(request("a"))

    assert not (await traces.stop("s1")).trust.gaps


async def test_a_trace_that_nobody_watches_ends_with_its_lease(make_traces, node, tracer) -> None:
    """Neither watched nor called, it ends by itself and keeps its report."""
    node.run("app")
    traces = make_traces()
    await traces.start(request("app", lease_seconds=1))

    await eventually(lambda: not tracer.slots)
    report = await traces.stop("s1")

    assert report.end_reason == agent_pb2.END_REASON_LEASE_EXPIRED


async def test_a_watcher_holds_the_lease(make_traces, node, tracer) -> None:
    """While somebody watches it does not expire; once they are gone it does."""
    node.run("app")
    traces = make_traces()
    await traces.start(request("app", lease_seconds=1))
    watcher = traces.watch("s1")
    await anext(watcher)

    await asyncio.sleep(2.2)
    assert len(tracer.slots) == 1
    await watcher.aclose()
    await eventually(lambda: not tracer.slots)

    assert (await traces.stop("s1")).end_reason == agent_pb2.END_REASON_LEASE_EXPIRED


async def test_shutdown_sends_final_reports_to_watchers(make_traces, node, tracer) -> None:
    """A watcher gets everything counted so far, marked as the agent's end, and no new trace is taken."""
    app = node.run("app")
    traces = make_traces()
    await traces.start(request("app"))
    watcher = traces.watch("s1")
    await anext(watcher)

    tracer.call(app, times=4)
    await traces.shutdown()
    report = await anext(watcher)

    assert (report.final, report.end_reason) == (True, agent_pb2.END_REASON_AGENT_SHUTDOWN)
    assert calls(report) == {"app": {"getppid": 4}}
    assert (tracer.slots, tracer.closed) == ({}, True)
    with pytest.raises(limits.ShuttingDownError):
        await traces.start(request("app", session="s2"))


async def test_an_ended_trace_answers_with_the_report_that_it_kept(make_traces, node) -> None:
    """Stop, watch and start again give the same final report; nothing runs again."""
    node.run("app")
    traces = make_traces()
    await traces.start(request("app"))

    final = await traces.stop("s1")
    started = await traces.start(request("app"))

    assert await traces.stop("s1") == final
    assert [report async for report in traces.watch("s1")] == [final]
    assert (started.created, [each.phase for each in started.containers]) == (False, [TRACING])
    assert [(each.session_uid, each.ended, each.containers) for each in traces.list()] == [("s1", True, 1)]


async def test_kept_reports_are_bounded_in_number_and_time(make_traces, node) -> None:
    """The oldest goes first, and all go after a while."""
    traces = make_traces(max_kept=2, keep_seconds=0.2)
    for session in ("s1", "s2", "s3"):
        await traces.start(request(session=session))
        await traces.stop(session)

    assert [each.session_uid for each in traces.list()] == ["s2", "s3"]
    await eventually(lambda: not traces.list())
    with pytest.raises(limits.TraceNotFoundError):
        await traces.stop("s3")


async def test_a_caller_that_goes_away_leaves_no_trace_without_end(make_traces, node, tracer) -> None:
    """A start that is cancelled half way still makes a trace that ends in time."""
    node.run("app")
    node.delay_seconds = 0.1
    traces = make_traces()

    starting = asyncio.create_task(traces.start(request("app", duration_milliseconds=200)))
    await asyncio.sleep(0.05)
    starting.cancel()
    await eventually(lambda: any(each.ended for each in traces.list()))

    assert tracer.slots == {}


async def test_a_trace_ends_even_if_its_counts_cannot_be_read(make_traces, node, tracer) -> None:
    """The final report then has no counts and a gap that says why; the containers are given back."""
    node.run("app")
    traces = make_traces()
    await traces.start(request("app"))

    tracer.broken = True
    report = await traces.stop("s1")

    assert (report.final, [gap.reason for gap in report.trust.gaps]) == (True, ["ReportFailed"])
    assert tracer.slots == {}


async def test_a_lease_ends_even_if_counts_cannot_be_read(make_traces, node, tracer) -> None:
    """What is wrong with the counters does not keep a trace alive."""
    node.run("app")
    traces = make_traces()
    await traces.start(request("app", lease_seconds=1))

    tracer.broken = True
    await eventually(lambda: not tracer.slots)

    assert (await traces.stop("s1")).end_reason == agent_pb2.END_REASON_LEASE_EXPIRED


async def test_the_number_of_traces_is_bounded(make_traces) -> None:
    """The one beyond the bound is refused, and gets its turn once another has ended."""
    traces = make_traces(max_traces=1)
    await traces.start(request())

    with pytest.raises(limits.LimitReachedError, match="1 traces run on node n1"):
        await traces.start(request(session="s2"))
    await traces.stop("s1")

    assert (await traces.start(request(session="s2"))).created


async def test_no_namespace_takes_a_node_from_the_others(make_traces) -> None:
    """It may have two thirds of the places that the others leave; what it does not take is theirs."""
    traces = make_traces(max_traces=12)

    def of(namespace: str, number: int) -> agent_pb2.StartTraceRequest:
        asked = request(session=f"{namespace}-{number}")
        asked.session_name = f"{namespace}/{number}"
        return asked

    async def fill(namespace: str) -> tuple[int, str]:
        """Start sessions until one is refused: how many there are, and why no more."""
        for number in range(20):
            try:
                await traces.start(of(namespace, number))
            except limits.LimitReachedError as error:
                return number, error.reason
        raise AssertionError("nothing was refused")

    assert await fill("greedy") == (8, "TooManyTracesOfNamespace")
    assert await fill("second") == (2, "TooManyTracesOfNamespace")
    assert await fill("third") == (1, "TooManyTracesOfNamespace")
    assert await fill("fourth") == (1, "TooManyTraces")
    await traces.stop("greedy-0")
    assert (await traces.start(of("fifth", 0))).created


async def test_a_container_that_cannot_be_read_goes_on(make_traces, node, tracer, monkeypatch) -> None:
    """With too many open files it is not taken for ended: it is counted, and a gap says what is not known."""
    app = node.run("app")
    traces = make_traces()
    await traces.start(request("app"))

    def unreadable(_: HeldFile[bool]) -> bool:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(HeldFile, "value", unreadable)
        await anext(traces.watch("s1"))
        await asyncio.sleep(0.06)
        await anext(traces.watch("s1"))
    tracer.call(app, times=3)
    report = await traces.stop("s1")

    assert calls(report) == {"app": {"getppid": 3}}
    (gap,) = report.trust.gaps
    assert (gap.reason, "Too many open files" in gap.message) == ("ContainerStateUnknown", True)
    assert gap.start_time_unix_nanoseconds <= gap.end_time_unix_nanoseconds


@pytest.mark.parametrize(("sent", "accepted"), [(b"\x3a\x00", True), (b"\x3a\x02\x2a\x00", False)])
def test_an_earlier_operator_may_ask_for_no_views(sent: bytes, *, accepted: bool) -> None:
    """It sends its field of views, 7, in every request: empty without views. One with views is not taken in silence."""
    asked = agent_pb2.StartTraceRequest(session_uid="s1", session_name="shop/s1", duration_milliseconds=1000)
    asked.MergeFromString(sent)

    if accepted:
        limits.check_start(asked, limits.Limits())
    else:
        with pytest.raises(limits.InvalidRequestError, match=r"does not know \(7\)"):
            limits.check_start(asked, limits.Limits())


async def test_a_request_of_another_version_is_refused(make_traces, node) -> None:
    """What this agent does not know it cannot do, and says so."""
    node.run("app")
    newer = agent_pb2.StartTraceRequest.FromString(request("app").SerializeToString() + bytes([0x82, 0x06, 1, 1]))

    with pytest.raises(limits.InvalidRequestError, match=r"does not know \(96\)"):
        await make_traces().start(newer)


async def test_calls_in_flight_at_attach_are_kept_for_those_who_need_them(make_traces, node, tracer) -> None:
    """When a session ends, what only it needed is let go of."""
    node.run("app")
    traces = make_traces()
    await traces.start(request("app", session="old"))
    (slot,) = tracer.slots
    tracer.attach_end = 7
    await traces.start(request("app", session="new"))

    await traces.stop("old")

    assert tracer.trimmed == {slot: 7}


async def test_containers_of_one_trace_are_bounded(make_traces, node) -> None:
    """Adding beyond the bound is refused, and the trace goes on with what it has."""
    node.run("a")
    traces = make_traces(max_containers=1)
    await traces.start(request("a"))

    with pytest.raises(limits.LimitReachedError):
        await traces.start(request("b"))

    assert list(calls(await traces.stop("s1"))) == ["a"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (request(duration_milliseconds=0), "InvalidDuration"),
        (request(duration_milliseconds=3_600_001), "InvalidDuration"),
        (request(lease_seconds=3601), "InvalidLease"),
        (request(session=""), "InvalidSession"),
        (request(session="../x"), "InvalidSession"),
        (request(""), "InvalidContainer"),
        (request(syscalls=["opennat"]), "InvalidSyscalls"),
    ],
)
async def test_a_request_out_of_bounds_is_refused(make_traces, wrong, reason: str) -> None:
    """Each bound has its reason, and nothing starts."""
    traces = make_traces()

    with pytest.raises(limits.InvalidRequestError) as raised:
        await traces.start(wrong)

    assert raised.value.reason == reason
    assert traces.list() == []


@pytest.mark.parametrize("interval", [1, 99, 60_001])
async def test_an_interval_out_of_bounds_is_refused(make_traces, interval: int) -> None:
    """Neither a flood nor a standstill can be asked for."""
    traces = make_traces()
    await traces.start(request())

    with pytest.raises(limits.InvalidRequestError):
        await anext(traces.watch("s1", interval))


async def test_a_node_that_cannot_trace_says_why(make_traces) -> None:
    """The reason found at start-up is the reason of the refusal."""
    traces = make_traces(can_trace=False)

    with pytest.raises(limits.CannotTraceError, match="too old") as raised:
        await traces.start(request())

    assert raised.value.reason == "UnsupportedKernel"


async def test_nothing_wakes_an_idle_agent(make_traces, node, tracer) -> None:
    """After the last trace has ended no counters are read any more."""
    node.run("app")
    traces = make_traces()
    await traces.start(request("app"))
    await traces.stop("s1")

    await asyncio.sleep(1.1)
    before = tracer.epoch
    tasks = asyncio.all_tasks() - {asyncio.current_task()}

    assert (tracer.epoch, tasks) == (before, set())


async def test_a_trace_stopped_while_it_starts_leaves_nothing_behind(make_traces, node, tracer) -> None:
    """The container found after the stop is not counted, and nobody wakes for a trace that has ended."""
    node.run("app")
    node.delay_seconds = 0.2
    traces = make_traces()
    before = asyncio.all_tasks()

    starting = asyncio.create_task(traces.start(request("app")))
    await asyncio.sleep(0.05)
    await traces.stop("s1")
    started = await starting

    assert (started.created, len(started.containers)) == (True, 0)
    assert tracer.slots == {}
    assert asyncio.all_tasks() == before
