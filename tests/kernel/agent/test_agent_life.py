"""How traces of a real agent end, and how the agent does."""

import asyncio
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from agent_process import Agent, Stub, Tree, counts, request, wait_until

from kubestrace_protos.v1 import agent_pb2

Start = Callable[..., Agent]
STOP = agent_pb2.StopTraceRequest(session_uid="session-1")
WATCH = agent_pb2.WatchTraceRequest(session_uid="session-1")


async def test_starting_again_changes_nothing(agent: Agent, tree: Tree) -> None:
    """An operator that lost the answer asks again and gets the same trace."""
    container = tree.container(calls=10)

    async with agent.connect() as connection:
        stub = Stub(connection)
        first = await stub.StartTrace(request(container))
        container.work()
        second = await stub.StartTrace(request(container))
        report = (await stub.StopTrace(STOP)).report

    assert (first.created, second.created) == (True, False)
    assert first.start_time_unix_nanoseconds == second.start_time_unix_nanoseconds
    assert counts(report, container)["getppid"] == (10, 0)


async def test_a_full_agent_takes_another_session_when_one_has_ended(start_agent: Start, tree: Tree) -> None:
    """KUBESTRACE_MAX_TRACES bounds the sessions that are counted at one time."""
    container = tree.container()
    agent = start_agent(KUBESTRACE_MAX_TRACES="1")

    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(container))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.StartTrace(request(container, session="session-2"))
        await stub.StopTrace(STOP)
        second = await stub.StartTrace(request(container, session="session-2"))

    assert ("kubestrace-reason", "TooManyTraces") in list(refused.value.trailing_metadata() or ())
    assert second.created


async def test_a_trace_without_its_operator_ends_by_itself(agent: Agent, tree: Tree) -> None:
    """After the lease the programs are detached; the report is kept for an operator that comes back."""
    container = tree.container(calls=10)

    async with agent.connect() as connection:
        await Stub(connection).StartTrace(request(container, lease_seconds=1))
    container.work()
    await asyncio.to_thread(wait_until, lambda: agent.attached_programs() == 0, 4)

    async with agent.connect() as connection:
        (report,) = [each async for each in Stub(connection).WatchTrace(WATCH)]
    assert report.end_reason == agent_pb2.END_REASON_LEASE_EXPIRED
    assert counts(report, container)["getppid"] == (10, 0)


async def test_a_watcher_holds_the_lease_until_it_hangs_up(agent: Agent, tree: Tree) -> None:
    """The trace outlives its lease while somebody watches, and not for long after."""
    container = tree.container()
    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(container, lease_seconds=1))
        watch = aiter(stub.WatchTrace(WATCH))
        await anext(watch)
        await asyncio.sleep(2.5)
        assert agent.attached_programs() > 0

    await asyncio.to_thread(wait_until, lambda: agent.attached_programs() == 0, 4)


async def test_sigterm_gives_final_reports_and_ends_soon(agent: Agent, tree: Tree) -> None:
    """A watcher gets everything counted, marked as the agent's end, and it exits with 0 within kubelet's 30 s."""
    container = tree.container(calls=10)

    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(container))
        watch = aiter(stub.WatchTrace(WATCH))
        await anext(watch)
        container.work()
        begin = time.monotonic()
        agent.process.send_signal(signal.SIGTERM)
        async for report in watch:
            last = report

    assert (last.final, last.end_reason) == (True, agent_pb2.END_REASON_AGENT_SHUTDOWN)
    assert counts(last, container)["getppid"] == (10, 0)
    assert await asyncio.to_thread(agent.process.wait, 30) == 0
    assert time.monotonic() - begin < 30


async def test_an_agent_that_was_killed_comes_back_as_another(start_agent: Start, tree: Tree) -> None:
    """It has a new id and knows nothing of the session, so the operator can tell that there is a hole."""
    container = tree.container(calls=10)
    first = start_agent()
    async with first.connect() as connection:
        before = await Stub(connection).StartTrace(request(container))
    first.end(signal.SIGKILL)

    second = start_agent()
    async with second.connect() as connection:
        stub = Stub(connection)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.WatchTrace(WATCH).read()
        after = await stub.StartTrace(request(container))
        container.work()
        report = (await stub.StopTrace(STOP)).report

    assert raised.value.code() == grpc.StatusCode.NOT_FOUND
    assert (after.created, before.agent_id != after.agent_id) == (True, True)
    assert counts(report, container)["getppid"] == (10, 0)


async def test_a_node_with_cgroup_v1_alone_says_so(start_agent: Start, tmp_path: Path) -> None:
    """It serves, says why it cannot trace, and refuses with that reason."""
    (tmp_path / "cgroup" / "memory").mkdir(parents=True)
    agent = start_agent(KUBESTRACE_CGROUP_ROOT=str(tmp_path / "cgroup"))

    async with agent.connect() as connection:
        stub = Stub(connection)
        description = await stub.Describe(agent_pb2.DescribeRequest())
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.StartTrace(request())

    assert (description.can_trace, description.reason) == (False, "UnsupportedCgroups")
    assert description.cgroup_mode == agent_pb2.CGROUP_MODE_LEGACY
    assert raised.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert ("kubestrace-reason", "UnsupportedCgroups") in list(raised.value.trailing_metadata())


async def test_a_node_that_refuses_bpf_says_so(start_agent: Start) -> None:
    """Without the capabilities the agent serves, says what it lacks, and refuses with that reason."""
    agent = start_agent(within=["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"])

    async with agent.connect() as connection:
        stub = Stub(connection)
        description = await stub.Describe(agent_pb2.DescribeRequest())
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.StartTrace(request())

    assert (description.can_trace, description.reason != "") == (False, True)
    assert "capabilities BPF and PERFMON" in description.message
    assert raised.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert raised.value.details() == description.message


def test_health_is_told_in_both_ways(agent: Agent) -> None:
    """By HTTP for kubelet, and by `kubestrace-agent --health` for people; both see the agent's end."""
    url = f"http://127.0.0.1:{agent.port('health')}/healthz"
    ask = [sys.executable, "-m", "kubestrace_agent", "--health", "--health-socket", str(agent.socket)]

    with urllib.request.urlopen(url, timeout=200) as answer:
        assert answer.status == 200
    assert subprocess.run(ask, timeout=200, check=False).returncode == 0

    agent.end()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=200)
    assert subprocess.run(ask, timeout=200, check=False).returncode == 1


def test_an_agent_without_certificates_waits_for_them(tmp_path: Path, start_agent: Start) -> None:
    """It is alive but not ready until the operator has made the Secret, and then serves without a restart."""
    agent = start_agent()
    agent.end()
    (tmp_path / "tls").rename(tmp_path / "later")
    (tmp_path / "tls").mkdir()
    waiting = Agent(tmp_path, agent.authority)
    try:
        wait_until(lambda: "waiting for certificates" in waiting.log)
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"http://127.0.0.1:{waiting.port('health')}/healthz", timeout=200)

        (tmp_path / "tls").rmdir()
        (tmp_path / "later").rename(tmp_path / "tls")

        waiting.ready()
    finally:
        waiting.end()


async def test_an_idle_agent_costs_next_to_nothing(agent: Agent, tree: Tree) -> None:
    """After a trace, with kubelet's probes: no program attached, few wake-ups, under 120 MiB.

    Wake-ups, not CPU time: a busy machine makes each of them cost a multiple.
    """
    container = tree.container(calls=10)
    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(container))
        await stub.StopTrace(STOP)
    url = f"http://127.0.0.1:{agent.port('health')}/healthz"

    before = agent.wake_ups()
    for _ in range(2):  # kubelet asks for readiness each 10 s and for liveness each 20 s
        await asyncio.sleep(5)
        await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=200).close())
    woken = agent.wake_ups() - before

    print(f"idle: woken {woken} times in 10 s, {agent.rss_mebibytes():.1f} MiB")
    assert agent.attached_programs() == 0
    assert woken < 200
    assert agent.rss_mebibytes() < 120
