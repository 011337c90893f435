"""What a real agent tells of CPU time, over the wire."""

import subprocess
from pathlib import Path

import pytest
from agent_process import Agent, Stub, Tree, request
from view_messages import asking, cpu_time

from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import cpu_time_pb2

VIEW = asking(cpuTime=cpu_time_pb2.CpuTimeRequest())


def sleep_in(cgroup: Path, seconds: str) -> None:
    """Run a process in a cgroup that sleeps once."""
    script = 'echo $$ >"$1/cgroup.procs"; exec sleep "$2"'
    subprocess.run(["/bin/sh", "-c", script, "sh", cgroup, seconds], check=True, timeout=200)


async def stopped(stub: Stub, session: str) -> agent_pb2.ContainerReport:
    """End a session; its only container."""
    answer = await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid=session))
    return answer.report.containers[0]


async def test_each_session_has_the_budget_of_its_own_time(agent: Agent, tree: Tree) -> None:
    """One asks at once, one later, one never; the programs are there while any asks."""
    container = tree.container()

    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(container, session="plain"))
        without = agent.attached_programs()
        await stub.StartTrace(request(container, session="early", views=VIEW))
        sleep_in(container.cgroup, "0.2")
        await stub.StartTrace(request(container, session="late", views=VIEW))
        while_asked = agent.attached_programs()
        sleep_in(container.cgroup, "0.1")
        early, late = await stopped(stub, "early"), await stopped(stub, "late")
        after = agent.attached_programs()
        plain = await stopped(stub, "plain")

    slept = [
        next(call.waiting_nanoseconds for call in cpu_time(each).budget.calls if call.name == "clock_nanosleep")
        for each in (early, late)
    ]
    assert (while_asked, after) == (without + 2, without)
    assert slept[0] >= 300_000_000 > slept[1] >= 100_000_000
    for each in (early, late):
        budget = cpu_time(each).budget
        assert abs(budget.other_nanoseconds) <= budget.thread_nanoseconds / 100
        assert each.trust.losses["cpuTime"] == 0
        row = next(row for row in each.syscalls if row.name == "clock_nanosleep")
        used = next(used for used in cpu_time(each).calls if used.name == "clock_nanosleep")
        parts = used.asleep_nanoseconds + used.cpu_nanoseconds + used.runnable_nanoseconds
        assert parts == pytest.approx(row.total_nanoseconds, rel=0.02)
    assert "cpuTime" not in plain.views


async def test_the_budget_of_a_container_that_has_ended_is_kept(agent: Agent, tree: Tree) -> None:
    """Its cgroup is gone, and with it everything in the kernel."""
    container = tree.container()

    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(container, views=VIEW))
        sleep_in(container.cgroup, "1.2")
        container.end()
        async for report in stub.WatchTrace(agent_pb2.WatchTraceRequest(session_uid="session-1")):
            kept = report.containers[0]
            if kept.state.phase == agent_pb2.ContainerState.PHASE_ENDED:
                break
        container.cgroup.rmdir()
        last = await stopped(stub, "session-1")

    assert cpu_time(kept).budget.thread_nanoseconds >= 1_200_000_000
    assert cpu_time(last) == cpu_time(kept)
