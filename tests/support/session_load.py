"""Many sessions at one time on the same containers of one real agent, as many users of a cluster make them."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from agent_process import Agent, Container, Stub, Tree, request
from google.protobuf import any_pb2
from view_messages import asking, every_view

from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import processes_pb2, slow_calls_pb2

# As the operator waits (agents/client.py): for the answer to StartTrace, and between two reports.
START_SECONDS = 10.0
SILENCE_SECONDS = 6.0
# Some forty kinds of calls, failures, slow calls, threads that wait, and a child process now and then.
_PROGRAM = """
import os, select, socket, subprocess, sys, threading, time
def wait():
    while True: time.sleep(0.03)
for _ in range(4): threading.Thread(target=wait, daemon=True).start()
near, far = socket.socketpair()
until, rounds = time.monotonic() + {seconds}, 0
while time.monotonic() < until:
    rounds += 1
    for _ in range(50): os.getppid(); os.getuid(); os.getcwd(); os.stat("/"); os.access("/etc", 4)
    for name in ("a", "b", "c", "d"):
        try: os.stat(f"/does/not/{{name}}{{rounds % 20}}")
        except OSError: pass
        try: os.chdir(f"/nor/{{name}}")
        except OSError: pass
    with open("/etc/passwd") as file: file.read()
    with open(f"/proc/{{os.getpid()}}/stat") as file: file.read()
    near.send(b"x" * 100); far.recv(1000)
    select.select([near], [], [], 0.002); select.poll().poll(3)
    os.sched_yield(); os.getpriority(os.PRIO_PROCESS, 0); os.listdir("/etc")
    time.sleep(0.02)
    if rounds % 50 == 0: subprocess.run(["/bin/true"])
"""


def all_views(seconds: float) -> dict[str, any_pb2.Any]:
    """Ask for everything that an agent collects, and for shorter calls than elsewhere."""
    slow = slow_calls_pb2.SlowCallsRequest(threshold_nanoseconds=1_000_000, limit=50, stacks=True)
    return every_view(seconds) | asking(slowCalls=slow, processes=processes_pb2.ProcessesRequest(top=20))


@contextmanager
def busy_cpus() -> Iterator[None]:
    """Keep all CPUs busy."""
    command = [sys.executable, "-S", "-c", "while True: pass"]
    # A session of its own is a group of its own to the scheduler, as a container is.
    burners = [subprocess.Popen(command, start_new_session=True) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait(30)


@contextmanager
def running_in(containers: Sequence[Container], program: str) -> Iterator[None]:
    """Run a program in Python in each container, until the context ends."""
    command = [sys.executable, "-S", "-c", program]
    enter = ["/bin/sh", "-c", 'echo $$ >"$0/cgroup.procs"; exec "$@"']
    callers = [subprocess.Popen([*enter, str(each.cgroup), *command], start_new_session=True) for each in containers]
    try:
        yield
    finally:
        for caller in callers:
            caller.kill()
            caller.wait(30)


@dataclass
class Outcome:
    """What one session's user saw; times in seconds."""

    start_seconds: float = 0.0
    # From the end of the duration, as the agent began it, to the final report.
    final_after_seconds: float | None = None
    longest_silence_seconds: float = 0.0
    reports: int = 0
    bytes: int = 0
    failure: str = ""
    final: agent_pb2.Report | None = field(default=None, repr=False)


async def one_session(
    stub: Stub, number: int, containers: Sequence[Container], seconds: float, interval_seconds: float = 1.0
) -> Outcome:
    """Start a session with all views and watch it to its end, as the operator does: a report in each interval."""
    outcome, begin = Outcome(), time.monotonic()
    asked = request(
        *containers,
        session=f"load-{number}",
        views=all_views(seconds),
        duration_milliseconds=int(seconds * 1000),
    )
    asked.session_name = f"team-{number % 4}/load-{number}"
    try:
        await stub.StartTrace(asked, timeout=START_SECONDS)
        last = started = time.monotonic()
        outcome.start_seconds = started - begin
        interval = int(interval_seconds * 1000)
        stream = stub.WatchTrace(
            agent_pb2.WatchTraceRequest(session_uid=asked.session_uid, interval_milliseconds=interval)
        )
        while outcome.final is None:
            report = await asyncio.wait_for(stream.read(), SILENCE_SECONDS * max(1.0, interval_seconds))
            now = time.monotonic()
            outcome.longest_silence_seconds = max(outcome.longest_silence_seconds, now - last)
            outcome.reports, outcome.bytes, last = outcome.reports + 1, outcome.bytes + report.ByteSize(), now
            if report.final:
                outcome.final, outcome.final_after_seconds = report, now - started - seconds
    except (grpc.aio.AioRpcError, TimeoutError) as error:
        outcome.failure = error.code().name if isinstance(error, grpc.aio.AioRpcError) else "Silence"
    return outcome


async def run(
    agent: Agent, tree: Tree, *, sessions: int, containers: int, seconds: float, apart: float = 0.0
) -> list[Outcome]:
    """Run that many sessions at one time on the same containers, while these work and all CPUs are busy.

    Each begins so many seconds `apart` from the one before it: those that begin together share more work.
    """

    async def later(number: int) -> Outcome:
        await asyncio.sleep(number * apart)
        return await one_session(stub, number, traced, seconds)

    traced = [tree.container() for _ in range(containers)]
    # Calls of many kinds, for longer than the sessions.
    with running_in(traced, _PROGRAM.format(seconds=seconds + 120)), busy_cpus():
        async with agent.connect() as connection:
            stub = Stub(connection)
            return await asyncio.gather(*(later(number) for number in range(sessions)))
