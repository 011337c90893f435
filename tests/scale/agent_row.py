"""The row of the scale table about one real agent: 64 sessions on 200 containers, with all views. Needs root."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import session_load
from agent_process import Agent, Container, Stub, Tree
from authority import Authority

SESSIONS, CONTAINERS = 64, 200
_SECONDS = 45
# As the operator asks for them in a session of this length.
_INTERVAL_SECONDS = 3.0
# After the last start, and before the first end.
_MARGIN_SECONDS = 5.0
# A small service: some thirty kinds of calls, a hundred and fifty a second, and failures.
_PROGRAM = """
import os, select, socket, sys, threading, time
near, far = socket.socketpair()
while True:
    for _ in range(10): os.getppid(); os.getuid(); os.getcwd(); os.stat("/"); os.access("/etc", 4)
    for name in ("a", "b", "c"):
        try: os.stat(f"/does/not/{name}")
        except OSError: pass
    with open("/etc/passwd") as file: file.read()
    near.send(b"x" * 100); far.recv(1000)
    select.select([near], [], [], 0.002); select.poll().poll(3)
    os.sched_yield(); os.getpriority(os.PRIO_PROCESS, 0); os.listdir("/etc")
    time.sleep(0.5)
"""


def measure() -> dict[str, Any]:
    """Run the sessions; return what they cost the agent, and how late their reports were."""
    with tempfile.TemporaryDirectory() as folder:
        agent, tree = Agent(Path(folder), Authority()).ready(), Tree()
        try:
            containers = [tree.container() for _ in range(CONTAINERS)]
            with session_load.running_in(containers, _PROGRAM):
                return asyncio.run(_measure(agent, containers))
        finally:
            agent.end()
            tree.remove()


async def _measure(agent: Agent, containers: Sequence[Container]) -> dict[str, Any]:
    async with agent.connect() as connection:
        stub, begun = Stub(connection), time.monotonic()
        running = [
            asyncio.create_task(
                session_load.one_session(stub, number, containers[number::SESSIONS], _SECONDS, _INTERVAL_SECONDS)
            )
            for number in range(SESSIONS)
        ]
        await asyncio.sleep(_MARGIN_SECONDS)
        cpu, since = agent.cpu_seconds(), time.monotonic()
        await asyncio.sleep(max(0.0, begun + _SECONDS - _MARGIN_SECONDS - since))
        share = (agent.cpu_seconds() - cpu) / (time.monotonic() - since)
        load, memory = os.getloadavg(), agent.rss_mebibytes()
        outcomes = await asyncio.gather(*running)
    finals = [each.final_after_seconds for each in outcomes if each.final_after_seconds is not None]
    reports = sum(each.reports for each in outcomes)
    return {
        "sessions": SESSIONS,
        "containers": CONTAINERS,
        "core_percent": round(100 * share, 1),
        "late_seconds": round(max(each.longest_silence_seconds for each in outcomes) - _INTERVAL_SECONDS, 2),
        "final_longest_seconds": round(max(finals), 2) if finals else None,
        "start_longest_seconds": round(max(each.start_seconds for each in outcomes), 2),
        "failed": SESSIONS - len(finals),
        "reports": reports,
        "kibibytes_a_report": round(sum(each.bytes for each in outcomes) / 1024 / max(1, reports), 1),
        "memory_mib": round(memory),
        "load": [round(each, 1) for each in load],
    }
