"""What a real agent tells of slow calls, over the wire."""

import subprocess
import time
from pathlib import Path

from agent_process import Agent, Stub, Tree, request
from view_messages import asking, slow_calls

from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import slow_calls_pb2

VIEW = asking(slowCalls=slow_calls_pb2.SlowCallsRequest(threshold_nanoseconds=20_000_000, limit=5))


def sleep_in(cgroup: Path, seconds: str) -> None:
    """Run a process in a cgroup that sleeps once."""
    script = 'echo $$ >"$1/cgroup.procs"; exec sleep "$2"'
    subprocess.run(["/bin/sh", "-c", script, "sh", cgroup, seconds], check=True, timeout=200)


async def test_slow_calls_are_in_the_report_of_who_asked(agent: Agent, tree: Tree) -> None:
    """One session asks and one does not; what is attached for it goes with it."""
    container = tree.container()

    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(container, session="plain"))
        without = agent.attached_programs()
        await stub.StartTrace(request(container, session="slow", views=VIEW))
        while_asked = agent.attached_programs()
        before = time.time_ns()
        sleep_in(container.cgroup, "0.05")
        slow = (await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="slow"))).report.containers[0]
        after = agent.attached_programs()
        plain = (await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="plain"))).report.containers[0]

    (slept,) = (call for call in slow_calls(slow) if call.name == "clock_nanosleep")
    # The counting goes on with the view's program; the one at a tracepoint sees programs that are executed.
    assert (while_asked, after) == (without + 1, without)
    assert 50_000_000 <= slept.nanoseconds < 500_000_000
    assert before <= slept.start_time_unix_nanoseconds <= time.time_ns()
    assert (slept.thread, slept.wait, slept.errno) == ("sleep", True, "")
    assert slow.trust.losses["slowCalls"] == 0
    assert not plain.views
