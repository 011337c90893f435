"""What a real agent tells of processes and errors, over the wire."""

import subprocess
from pathlib import Path

from agent_process import Agent, Stub, Tree, request

from kubestrace_protos.v1 import agent_pb2

VIEWS = agent_pb2.Views(processes=agent_pb2.ProcessesView(top=5), errors=agent_pb2.ErrorsView(samples=10))


def fail_in(cgroup: Path) -> None:
    """Run a process in a cgroup that misses a file."""
    script = 'echo $$ >"$1/cgroup.procs"; exec cat /nowhere/at/all 2>/dev/null'
    subprocess.run(["/bin/sh", "-c", script, "sh", cgroup], check=False)


async def test_who_asks_is_told(agent: Agent, tree: Tree) -> None:
    """One session asks and one does not; with the end of the first its programs are gone."""
    container = tree.container()

    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(container, session="plain"))
        without = agent.attached_programs()
        await stub.StartTrace(request(container, session="asks", views=VIEWS))
        fail_in(container.cgroup)
        asks = (await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="asks"))).report.containers[0]
        after = agent.attached_programs()
        plain = (await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="plain"))).report.containers[0]

    (process,) = asks.processes.processes
    (missing,) = [
        errno for row in asks.syscalls for errno in row.errnos if (row.name, errno.name) == ("openat", "ENOENT")
    ]
    assert after == without
    assert (process.command, process.exit_code, process.execs_seen) == ("cat", 1, 1)
    assert process.sums.calls == sum(row.calls for row in asks.syscalls)
    assert process.sums.errors == sum(row.errors for row in asks.syscalls)
    assert any('"/nowhere/at/all"' in sample.arguments for sample in missing.samples)
    assert not plain.HasField("processes")
    assert not any(errno.samples for row in plain.syscalls for errno in row.errnos)
