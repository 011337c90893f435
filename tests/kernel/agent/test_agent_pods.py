"""Containers of pods that a real agent is told before they exist: each life whole, and its own."""

import asyncio
import secrets
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from agent_process import Agent, Stub, Tree, request, wait_until
from engine_runs import PROGRAMS, compiled
from view_messages import asking, cpu_time, errors, every_view, processes, resources, timeline

from kubestrace_protos.cri.v1 import api_pb2, api_pb2_grpc
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import resources_pb2, timeline_pb2

# Those of `life 5`: 7 calls, one of which fails.
SEVEN = {"getppid": (5, 0), "openat": (1, 1), "exit_group": (1, 0)}
VIEWS = every_view()


class Pod:
    """A pod's cgroup as kubelet makes it, with containers as a runtime starts them."""

    def __init__(self, tree: Tree, programs: Path) -> None:
        self.uid = str(uuid.uuid4())
        self.programs = programs
        self.path = tree.root / "kubepods" / "besteffort" / f"pod{self.uid}"

    def message(self, **fields: list[str]) -> agent_pb2.Pod:
        """Name it as the operator does."""
        return agent_pb2.Pod(uid=self.uid, namespace="test", name="pod", **fields)

    def live(self, count: int = 5, found: str = "") -> str:
        """Run a container from its first call to its last, and remove it; its ID."""
        found = found or secrets.token_hex(32)
        cgroup = self.path / found
        cgroup.mkdir(parents=True)
        command = [self.programs / "runtime", "w", cgroup, self.programs / "life", str(count)]
        assert subprocess.run(command, check=False, timeout=200).returncode == 3
        cgroup.rmdir()
        return found

    async def crash(self) -> str:
        """As live, and let the agent get ready for the next one, as kubelet's pause between restarts does."""
        found = self.live()
        await asyncio.sleep(0.5)
        return found


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the runtime and the program of known calls."""
    folder = tmp_path_factory.mktemp("programs")
    made = [compiled(PROGRAMS / f"{name}.c", folder / name) for name in ("runtime", "life")]
    return made[0].parent


@pytest.fixture
def pods(tree: Tree, start_agent: Callable[..., Agent], programs: Path) -> tuple[Agent, Callable[[], Pod]]:
    """Give an agent that knows where pods stand, and what makes them."""
    (tree.root / "kubepods").mkdir()
    return start_agent(), lambda: Pod(tree, programs)


class Runtime(api_pb2_grpc.RuntimeServiceServicer):
    """A container runtime that knows some containers of a pod, and that they have ended."""

    def __init__(self) -> None:
        self.known: dict[str, api_pb2.ContainerStatusResponse] = {}

    def knows(self, name: str, attempt: int, exit_code: int) -> str:
        """Have a container, and return its ID."""
        found = secrets.token_hex(32)
        status = api_pb2.ContainerStatus(
            metadata=api_pb2.ContainerMetadata(name=name, attempt=attempt),
            state=api_pb2.CONTAINER_EXITED,
            exit_code=exit_code,
            reason="Error" if exit_code else "Completed",
            finished_at=1_800_000_000_000_000_000,
        )
        self.known[found] = api_pb2.ContainerStatusResponse(status=status)
        return found

    async def ContainerStatus(  # noqa: N802
        self, request: api_pb2.ContainerStatusRequest, context: grpc.aio.ServicerContext
    ) -> api_pb2.ContainerStatusResponse:
        """Answer from what is known."""
        if request.container_id not in self.known:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such container")
        return self.known[request.container_id]


def by_id(report: agent_pb2.Report) -> dict[str, agent_pb2.ContainerReport]:
    """Return a report's containers by their IDs."""
    return {each.state.container.container_id: each for each in report.containers}


def calls(container: agent_pb2.ContainerReport) -> dict[str, tuple[int, int]]:
    """Return the calls and errors of a container."""
    return {each.name: (each.calls, each.errors) for each in container.syscalls}


async def stop(stub: Stub, session: str = "session-1") -> agent_pb2.Report:
    """End a session."""
    return (await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid=session))).report


async def test_a_crash_loop_gives_each_life_a_row(pods: tuple[Agent, Callable[[], Pod]]) -> None:
    """Every life is exact, with all views, and what the runtime did stands beside."""
    agent, make = pods
    pod = make()

    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(pods=[pod.message()], views=VIEWS))
        lives = [await pod.crash() for _ in range(6)]
        report = await stop(stub)

    found = by_id(report)
    assert {name: calls(each) for name, each in found.items()} == dict.fromkeys(lives, SEVEN)
    assert {each.state.phase for each in found.values()} == {agent_pb2.ContainerState.PHASE_ENDED}
    assert {each.state.container.pod_uid for each in found.values()} == {pod.uid}
    assert all(
        each.state.host_pid > each.state.pid > 0 or each.state.host_pid == each.state.pid > 0 for each in found.values()
    )
    assert report.trust.runtime_calls >= 6 * 100
    assert (report.trust.lost_calls, list(report.trust.gaps)) == (0, [])
    for each in found.values():
        assert list(errors(each)) == [("openat", "ENOENT")]
        (process,) = processes(each).processes
        assert process.command.endswith("/life")
        assert {call.name: (call.calls, call.errors) for call in process.syscalls} == SEVEN
        assert [each.command for each in process.execs] == [process.command]
        assert (sum(timeline(each).calls), sum(timeline(each).errors)) == (7, 1)
        assert cpu_time(each).budget.thread_nanoseconds > 0


async def test_a_life_has_the_numbers_of_its_cgroup(pods: tuple[Agent, Callable[[], Pod]]) -> None:
    """From its creation until its end, though the cgroup was removed before anybody asked."""
    agent, make = pods
    pod = make()
    cgroup = pod.path / secrets.token_hex(32)

    async with agent.connect() as connection:
        stub = Stub(connection)
        views = asking(resources=resources_pb2.ResourcesRequest())
        await stub.StartTrace(request(pods=[pod.message()], views=views))
        cgroup.mkdir(parents=True)
        command = [pod.programs / "runtime", "w", cgroup, "/bin/sh", "-c", "sleep 1; exec sleep 1"]
        process = await asyncio.create_subprocess_exec(*command)
        async with asyncio.timeout(60):
            await process.wait()
        # A runtime hears of the end, deletes the task and then removes the cgroup.
        await asyncio.sleep(0.05)
        cgroup.rmdir()
        (life,) = (await stop(stub)).containers

    told = resources(life)
    assert told.grown["cpu.usageNanoseconds"] > 0
    assert told.covered_nanoseconds > 1_000_000_000
    assert not told.ended_unread


async def test_lives_that_come_faster_than_slots_are_told(pods: tuple[Agent, Callable[[], Pod]]) -> None:
    """Each is whole, or has a gap and no number."""
    agent, make = pods
    pod = make()

    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(pods=[pod.message()]))
        lives = [pod.live() for _ in range(12)]
        report = await stop(stub)

    found = by_id(report)
    missed = {gap.container.container_id for gap in report.trust.gaps}
    assert {gap.reason for gap in report.trust.gaps} <= {"ContainerNotCounted", "ContainerStartedEarlier"}
    assert found.keys() == set(lives)
    assert {name: calls(found[name]) for name in lives if name not in missed} == {
        name: SEVEN for name in lives if name not in missed
    }
    # Those that were attached to have a part of their calls, and none of the runtime's.
    parts = [calls(found[name]) for name in missed]
    assert [part for part in parts if any(counts > SEVEN.get(name, (0, 0)) for name, counts in part.items())] == []
    assert len(missed) <= 9


async def test_sessions_share_the_lives_of_a_pod(pods: tuple[Agent, Callable[[], Pod]]) -> None:
    """One that comes later has those that come later; one that ends takes nothing from the other."""
    agent, make = pods
    pod = make()

    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(session="early", pods=[pod.message()], views=VIEWS))
        first = await pod.crash()
        await stub.StartTrace(request(session="late", pods=[pod.message()], syscalls=["getppid"]))
        both = await pod.crash()
        early = await stop(stub, "early")
        last = await pod.crash()
        late = await stop(stub, "late")

    assert {name: calls(each) for name, each in by_id(early).items()} == {first: SEVEN, both: SEVEN}
    assert {name: calls(each) for name, each in by_id(late).items()} == {
        key: {"getppid": SEVEN["getppid"]} for key in (both, last)
    }
    assert [*early.trust.gaps, *late.trust.gaps] == []
    wait_until(lambda: agent.attached_programs() == 0)


async def test_a_container_that_the_operator_names_too_is_one_row(pods: tuple[Agent, Callable[[], Pod]]) -> None:
    """It has the operator's name for it, and is counted from its first call all the same."""
    agent, make = pods
    pod = make()

    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(pods=[pod.message()]))
        life = pod.live()
        named = agent_pb2.Container(
            pod_uid=pod.uid, container_name="app", container_id=f"containerd://{life}", restart_count=4
        )
        await stub.StartTrace(
            agent_pb2.StartTraceRequest(
                session_uid="session-1", session_name="test/session-1", containers=[named], duration_milliseconds=60_000
            )
        )
        report = await stop(stub)

    (found,) = report.containers
    assert (found.state.container.container_name, found.state.container.restart_count) == ("app", 4)
    assert calls(found) == SEVEN
    assert list(report.trust.gaps) == []


async def test_pods_that_have_gone_make_room_for_others(pods: tuple[Agent, Callable[[], Pod]]) -> None:
    """A rollout of many pods: each is counted, and what the runtime did in them is kept."""
    agent, make = pods

    async with agent.connect() as connection:
        stub = Stub(connection)
        lives = []
        for _ in range(8):
            pod = make()
            await stub.StartTrace(request(pods=[pod.message()]))
            lives.append(await pod.crash())
            pod.path.rmdir()
        await asyncio.sleep(0.5)
        last = make()
        await stub.StartTrace(request(pods=[last.message()]))
        report = await stop(stub)

    assert {name: calls(each) for name, each in by_id(report).items()} == dict.fromkeys(lives, SEVEN)
    assert report.trust.runtime_calls >= 8 * 100
    assert list(report.trust.gaps) == []


async def test_the_time_of_a_trace_begins_with_its_first_container(pods: tuple[Agent, Callable[[], Pod]]) -> None:
    """Before that it waits, however long its duration is."""
    agent, make = pods
    pod = make()
    short = asking(timeline=timeline_pb2.TimelineRequest(buckets=7, duration_milliseconds=700))

    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(pods=[pod.message()], duration_milliseconds=700, views=short))
        await asyncio.sleep(1.5)
        first = pod.live()
        reports = [report async for report in stub.WatchTrace(agent_pb2.WatchTraceRequest(session_uid="session-1"))]

    assert {name: calls(each) for name, each in by_id(reports[-1]).items()} == {first: SEVEN}
    assert reports[-1].end_reason == agent_pb2.END_REASON_COMPLETED
    assert sum(timeline(reports[-1].containers[0]).calls) == 7
    assert timeline(reports[-1].containers[0]).duration_milliseconds == 700
    spent = reports[-1].time_unix_nanoseconds - reports[-1].start_time_unix_nanoseconds
    assert spent >= 0.6e9


async def test_what_the_runtime_says_of_each_life(
    tree: Tree, start_agent: Callable[..., Agent], programs: Path, tmp_path: Path
) -> None:
    """Names, restarts and ends are its; what the session does not want, and the sandbox, have no row."""
    runtime, server, socket = Runtime(), grpc.aio.server(), tmp_path / "cri.sock"
    api_pb2_grpc.add_RuntimeServiceServicer_to_server(runtime, server)
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    (tree.root / "kubepods").mkdir()
    agent, pod = start_agent(KUBESTRACE_CRI_SOCKET=str(socket)), Pod(tree, programs)
    kinds = {"prepare": "initContainer", "app": "container", "debug": "ephemeralContainer"}

    try:
        async with agent.connect() as connection:
            stub = Stub(connection)
            told = agent_pb2.Pod(uid=pod.uid, namespace="test", name="pod", excluded_containers=["debug"], kinds=kinds)
            await stub.StartTrace(request(pods=[told]))
            lives = [
                runtime.knows(*each) for each in (("prepare", 0, 0), ("app", 0, 3), ("app", 1, 3), ("debug", 0, 0))
            ]
            for found in ("0" * 64, *lives):
                pod.live(found=found)
                await asyncio.sleep(0.5)
            report = await stop(stub)
    finally:
        await server.stop(0)

    rows = by_id(report)
    assert rows.keys() == set(lives[:3])
    states = [rows[found].state for found in lives[:3]]
    assert [(each.container.container_name, each.container.kind, each.container.restart_count) for each in states] == [
        ("prepare", "initContainer", 0),
        ("app", "container", 0),
        ("app", "container", 1),
    ]
    assert [(each.exit_code, each.exit_reason) for each in states] == [(0, "Completed"), (3, "Error"), (3, "Error")]
    assert all(each.HasField("exit_code") and each.finish_time_unix_nanoseconds for each in states)
    assert all(calls(rows[found]) == SEVEN for found in lives[:3])
    assert list(report.trust.gaps) == []
