"""What a real agent tells of processes, over the wire."""

import asyncio
import subprocess
import sys
from pathlib import Path

from agent_process import Agent, Stub, Tree, request
from view_messages import asking, processes

from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import processes_pb2

VIEWS = asking(processes=processes_pb2.ProcessesRequest(top=5))


def fail_in(cgroup: Path) -> None:
    """Run a process in a cgroup that misses a file."""
    script = 'echo $$ >"$1/cgroup.procs"; exec cat /nowhere/at/all 2>/dev/null'
    subprocess.run(["/bin/sh", "-c", script, "sh", cgroup], check=False, timeout=200)


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

    before, process = sorted(processes(asks).processes, key=lambda each: each.image)
    assert after == without
    assert (before.command, before.end) == ("/bin/sh", "executed /usr/bin/cat")
    assert (process.command, process.exit_code, process.execs_seen) == ("cat", 1, 1)
    assert before.sums.calls + process.sums.calls == sum(row.calls for row in asks.syscalls)
    assert before.sums.errors + process.sums.errors == sum(row.errors for row in asks.syscalls)
    assert not plain.views


BUSY = "import os\nopen(sys.argv[1], 'w').write('0')\nprint(flush=True)\nwhile True: os.getppid()"


async def test_a_busy_container_has_the_calls_of_its_processes(agent: Agent, tree: Tree) -> None:
    """It makes calls as the trace begins and as it ends: each is in both, or in none."""
    container = tree.container()
    words = [sys.executable, "-c", f"import sys\n{BUSY}", container.cgroup / "cgroup.procs"]

    busy = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE)
    assert busy.stdout
    await busy.stdout.readline()
    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(container, session="busy", views=VIEWS))
        await asyncio.sleep(0.5)
        told = (await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="busy"))).report.containers[0]
    busy.kill()
    await busy.wait()

    (process,) = processes(told).processes
    assert process.sums.calls == sum(row.calls for row in told.syscalls) > 10_000
    assert told.trust.losses["processCalls"] == 0
