"""What a person waits for while thousands of finished sessions lie in the cluster.

    python tests/scale/finished_sessions.py [--sessions 10000] [--folder DIR]

A real API server and etcd, the operator as a process, simulated agents. Each finished session has a status of 27 KiB,
written with many connections; a folder that is given is kept, and its sessions serve the next run. Root and the rig are
not needed.
"""

import argparse
import asyncio
import json
import signal
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cluster import PODS, SESSIONS, Cluster, at_once, cluster, pod_document, pod_status, session_document, until
from simulated_agents import when

_TERMINAL = {"type": "Finished", "status": "True", "reason": "Completed", "message": "Traced.", "observedGeneration": 1}
_DELETED_AT_ONCE = 1200
MERGE = "application/merge-patch+json"
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def say(line: str) -> None:
    """Print at once."""
    print(line, flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kubestrace-scale-") as made:
        asyncio.run(measure(arguments.folder or Path(made), arguments.sessions))


async def measure(folder: Path, count: int) -> None:
    """Make the sessions and measure."""
    async with cluster(folder) as scale:
        await scale.create(PODS, pod_document("shop-1", "node-1", {"app": "shop"}), pod_status("shop-1"))
        begun = time.monotonic()
        known = {
            each["metadata"]["name"]
            for each in (await scale.send("GET", f"{SESSIONS}?resourceVersion=0", accept=METADATA))["items"]
        }
        names = [name for name in (f"finished-{number}" for number in range(count)) if name not in known]
        await at_once(make_finished(scale, name) for name in names)
        size = len(json.dumps(finished_status()))
        say(f"{count} finished sessions of {size} bytes, {len(names)} of them made in {time.monotonic() - begun:.0f} s")
        await forget(scale, known)
        scale.start_operator()
        await scale.serve_agents()
        await scale.session("first")
        await scale.until_phase("first")
        await restarts(scale)
        await running(scale, "while nothing else happens")
        await while_deleting(scale, count)
        rss, peak = scale.memory()
        say(f"operator: {rss:.0f} MiB, peak {peak:.0f} MiB, {scale.cpu_seconds():.1f} s of CPU since its start")


async def forget(scale: Cluster, names: Iterable[str]) -> None:
    """Remove the sessions that an earlier run measured."""
    for path in (f"{SESSIONS}/{name}" for name in names if not name.startswith("finished-")):
        await scale.send("PATCH", path, {"metadata": {"finalizers": None}}, MERGE)
        await scale.send("DELETE", path)


def finished_status() -> dict[str, Any]:
    """Return a status as long as a usual one of a busy pod."""
    time_ = "2026-01-01T00:00:30.000000Z"
    row = {
        "calls": 123456,
        "errors": 12,
        "totalNanoseconds": 1234567890,
        "p99Nanoseconds": 123456,
        "maxNanoseconds": 99,
    }
    return {
        "observedGeneration": 1,
        "phase": "Succeeded",
        "startTime": time_,
        "completionTime": time_,
        "conditions": [{**_TERMINAL, "lastTransitionTime": "2026-01-01T00:00:30Z"}],
        "table": "x" * 12_000,
        "summary": {"calls": 1, "errors": 1, "syscalls": [{"name": f"call_{n}", **row} for n in range(110)]},
        "trust": {"complete": True, "gaps": []},
    }


async def make_finished(scale: Cluster, name: str) -> None:
    """Create a session that has ended."""
    document = session_document(name, {"target": {"podName": "none"}})
    await scale.create(SESSIONS, document, finished_status())


async def restarts(scale: Cluster) -> None:
    """Kill the operator while sessions run; a new session waits for the next operator, and a running one is deleted."""
    for how in ("new session", "deleted session", "session that ran"):
        name = f"restart-{how.replace(' ', '-')}"
        uid = await scale.session(f"{name}-before")
        await scale.until_phase(f"{name}-before")
        scale.stop_operator(signal.SIGKILL)
        if how == "new session":
            await scale.session(name)
        elif how == "deleted session":
            await scale.send("DELETE", f"{SESSIONS}/{name}-before")
        begun = scale.start_operator()
        if how == "new session":
            waited = await scale.until_phase(name) - begun
        elif how == "deleted session":
            waited = await told(scale, uid, "stopped") - begun
        else:
            await scale.send("PATCH", f"{SESSIONS}/{name}-before", {"spec": {"cancel": True}}, MERGE)
            waited = await scale.until_phase(f"{name}-before", ("Cancelled",)) - begun
        say(f"start of the operator's process to {OUTCOMES[how]}: {waited:.2f} s")


OUTCOMES = {
    "new session": "Tracing of a session made meanwhile",
    "deleted session": "StopTrace of a session deleted meanwhile",
    "session that ran": "the end of a running session that was cancelled meanwhile",
}


async def running(scale: Cluster, circumstances: str, prefix: str = "quiet") -> None:
    """Create and delete sessions one after the other."""
    tracing, stopping = [], []
    for number in range(5):
        name = f"{prefix}-{number}"
        uid = await scale.session(name)
        # The API server's own time to take a request is not the operator's.
        begun = time.monotonic()
        tracing.append(await scale.until_phase(name) - begun)
        await scale.send("DELETE", f"{SESSIONS}/{name}")
        begun = time.monotonic()
        stopping.append(max(0.0, await told(scale, uid, "stopped") - begun))
    created, deleted = (", ".join(f"{each:.2f}" for each in sorted(seconds)) for seconds in (tracing, stopping))
    say(f"{circumstances}: created to Tracing {created} s, deleted to StopTrace {deleted} s")


async def while_deleting(scale: Cluster, count: int) -> None:
    """Do the same while finished sessions are deleted."""
    begun = time.monotonic()
    count = min(count, _DELETED_AT_ONCE)
    paths = [f"{SESSIONS}/finished-{number}" for number in range(count)]
    deleting = asyncio.create_task(at_once((scale.send("DELETE", path) for path in paths), most=10))
    await running(scale, f"while {count} finished sessions are deleted", "busy")
    await deleting
    say(f"({count} deletions took {time.monotonic() - begun:.0f} s)")


async def told(scale: Cluster, uid: str, what: str) -> float:
    """Wait until an agent was told something of a session; return when."""

    async def done() -> bool:
        return when(scale.agents, uid, what) is not None

    await until(done, f"an agent has {what} the trace", 120)
    found = when(scale.agents, uid, what)
    assert found is not None
    return found


if __name__ == "__main__":
    main()
