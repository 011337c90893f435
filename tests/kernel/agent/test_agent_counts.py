"""What a real agent counts of processes in cgroups of their own."""

import time
from collections.abc import Callable
from pathlib import Path

from agent_process import Agent, Stub, Tree, counts, request, wait_until

from kubestrace_protos.v1 import agent_pb2

CALLS, ERRORS = 1234, 56


async def test_counts_are_exact_and_the_neighbour_is_not_in_them(agent: Agent, tree: Tree) -> None:
    """Each container has exactly its own calls and errors, one in a nested cgroup too; nobody else's are there."""
    one = tree.container(calls=CALLS, errors=ERRORS)
    two = tree.container(calls=10 * CALLS, errors=1, nested="init.scope")
    neighbour = tree.container(calls=CALLS, errors=ERRORS)

    async with agent.connect() as connection:
        stub = Stub(connection)
        started = await stub.StartTrace(request(one, two, syscalls=["getppid", "chdir"]))
        for container in (one, two, neighbour):
            container.work()
        report = (await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="session-1"))).report

    assert [each.phase for each in started.containers] == [agent_pb2.ContainerState.PHASE_TRACING] * 2
    assert len(report.containers) == 2
    assert counts(report, one) == {"getppid": (CALLS, 0), "chdir": (ERRORS, ERRORS)}
    assert counts(report, two) == {"getppid": (10 * CALLS, 0), "chdir": (1, 1)}
    (first,) = (each for each in report.containers if each.state.container.container_id.endswith(one.id))
    (chdir,) = (each for each in first.syscalls if each.name == "chdir")
    assert [(each.name, each.count) for each in chdir.errnos] == [("ENOENT", ERRORS)]
    assert (report.trust.lost_calls, list(report.trust.gaps)) == (0, [])


async def test_both_pids_are_shown(agent: Agent, tree: Tree) -> None:
    """The container's first process is known by the host's number; here it shares the namespace, so both agree."""
    container = tree.container()

    async with agent.connect() as connection:
        (state,) = (await Stub(connection).StartTrace(request(container))).containers

    assert (state.host_pid, state.pid) == (container.process.pid, container.process.pid)


async def test_sessions_that_overlap_each_count_from_their_own_start(agent: Agent, tree: Tree) -> None:
    """One container, two sessions, two baselines."""
    container = tree.container(calls=100)

    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(container, session="one"))
        container.work()
        await stub.StartTrace(request(container, session="two", syscalls=["getppid"]))
        container.work()
        two = (await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="two"))).report
        container.work()
        one = (await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="one"))).report

    assert counts(two, container) == {"getppid": (100, 0)}
    assert counts(one, container)["getppid"] == (300, 0)


async def test_a_container_that_ends_keeps_its_counts(agent: Agent, tree: Tree) -> None:
    """Its last process is gone: ended, at a time, with everything that it did."""
    container = tree.container(calls=CALLS)

    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(container))
        watch = aiter(stub.WatchTrace(agent_pb2.WatchTraceRequest(session_uid="session-1")))
        await anext(watch)
        container.work()
        container.end()
        ended_ns = time.time_ns()
        async for report in watch:
            if report.containers[0].state.phase == agent_pb2.ContainerState.PHASE_ENDED:
                break

    assert counts(report, container)["getppid"] == (CALLS, 0)
    assert counts(report, container)["exit_group"] == (1, 0)
    assert 0 <= report.containers[0].state.end_time_unix_nanoseconds - ended_ns < 2.5e9


async def test_the_final_report_comes_at_the_end_of_the_duration(agent: Agent, tree: Tree) -> None:
    """A watcher has one at once and that one at the deadline, not with the next tick; the programs are detached.

    A busy machine may hold either up: one of a few sessions is in time.
    """
    took: list[tuple[float, float]] = []

    async with agent.connect() as connection:
        stub = Stub(connection)
        while not (took and took[-1][0] < 0.5 and took[-1][1] < 0.95) and len(took) < 10:
            container, session = tree.container(calls=CALLS), f"session-{len(took)}"
            begin = time.monotonic()
            await stub.StartTrace(request(container, session=session, duration_milliseconds=700))
            attached = agent.attached_programs()
            watch = aiter(stub.WatchTrace(agent_pb2.WatchTraceRequest(session_uid=session)))
            first = await anext(watch)
            first_after = time.monotonic() - begin
            container.work()
            async for report in watch:
                last = report
            took.append((first_after, time.monotonic() - begin))

    assert not first.final
    assert (last.final, last.end_reason) == (True, agent_pb2.END_REASON_COMPLETED)
    assert took[-1][0] < 0.5, took
    assert 0.7 <= took[-1][1] < 0.95, took  # the tick of a second would be later
    assert counts(last, container)["getppid"] == (CALLS, 0)
    assert attached > 0
    wait_until(lambda: agent.attached_programs() == 0)


async def test_a_container_that_is_not_there_is_named(agent: Agent, tree: Tree) -> None:
    """It fails with a reason; a container of another pod than asked for does too."""
    container = tree.container()
    gone, foreign = request(container), request(container)
    gone.containers[0].container_id = "containerd://" + "0" * 64
    foreign.containers[0].pod_uid = "00000000-0000-4000-8000-000000000000"

    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(gone)
        states = (await stub.StartTrace(foreign)).containers

    assert [(each.phase, each.reason) for each in states] == [
        (agent_pb2.ContainerState.PHASE_FAILED, "ContainerNotFound")
    ] * 2
    assert agent.attached_programs() == 0


async def test_the_charts_capabilities_are_enough(
    start_agent: Callable[..., Agent], tree: Tree, tmp_path: Path
) -> None:
    """Root without any other power counts exactly, and sees the container's process; compiled or kept programs."""
    within = ["setpriv", "--bounding-set=-all,+bpf,+perfmon", "--inh-caps=-all", "--no-new-privs"]
    programs = tmp_path / "programs"
    start_agent(within=within, KUBESTRACE_PROGRAMS_DIR=str(programs)).end()
    agent = start_agent(within=within, KUBESTRACE_PROGRAMS_DIR=str(programs))
    assert f"programs that an earlier start compiled are loaded from {programs}" in agent.log
    container = tree.container(calls=CALLS)

    async with agent.connect() as connection:
        stub = Stub(connection)
        (state,) = (await stub.StartTrace(request(container))).containers
        container.work()
        report = (await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="session-1"))).report

    assert (state.phase, state.host_pid) == (agent_pb2.ContainerState.PHASE_TRACING, container.process.pid)
    assert counts(report, container)["getppid"] == (CALLS, 0)


async def test_a_node_that_is_a_container_itself_is_counted(
    start_agent: Callable[..., Agent], tree: Tree, tmp_path: Path
) -> None:
    """As in kind: of the cgroup tree only a part is mounted, whose depth nobody tells; nested cgroups count too."""
    mount = tmp_path / "cgroup"
    mount.mkdir()
    bind = f'mount --bind {tree.root} {mount} && exec "$@"'
    agent = start_agent(within=["unshare", "--mount", "sh", "-c", bind, "sh"], KUBESTRACE_CGROUP_ROOT=str(mount))
    container = tree.container(calls=CALLS, nested="init.scope")
    neighbour = tree.container(calls=CALLS)

    async with agent.connect() as connection:
        stub = Stub(connection)
        (state,) = (await stub.StartTrace(request(container))).containers
        container.work()
        neighbour.work()
        report = (await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="session-1"))).report

    assert (state.phase, state.host_pid) == (agent_pb2.ContainerState.PHASE_TRACING, container.process.pid)
    assert counts(report, container)["getppid"] == (CALLS, 0)
