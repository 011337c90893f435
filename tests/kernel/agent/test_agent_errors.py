"""What a real agent tells of errors, over the wire."""

import subprocess
from pathlib import Path

from agent_process import Agent, Stub, Tree, request
from view_messages import asking, errors

from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import errors_pb2

VIEWS = asking(errors=errors_pb2.ErrorsRequest(samples=10))


def fail_in(cgroup: Path) -> None:
    """Run a process in a cgroup that misses a file."""
    script = 'echo $$ >"$1/cgroup.procs"; exec cat /nowhere/at/all 2>/dev/null'
    subprocess.run(["/bin/sh", "-c", script, "sh", cgroup], check=False, timeout=200)


async def test_who_asks_is_told(agent: Agent, tree: Tree) -> None:
    """One session asks and one does not; nothing more is attached for the first one."""
    container = tree.container()

    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(container, session="plain"))
        without = agent.attached_programs()
        await stub.StartTrace(request(container, session="asks", views=VIEWS))
        while_asked = agent.attached_programs()
        fail_in(container.cgroup)
        asks = (await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="asks"))).report.containers[0]
        plain = (await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="plain"))).report.containers[0]

    missing = errors(asks)["openat", "ENOENT"]
    assert while_asked == without
    assert any('"/nowhere/at/all"' in sample.arguments for sample in missing.samples)
    assert asks.trust.losses["errorSamples"] == 0
    assert not plain.views
