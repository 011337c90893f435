"""When each session's status said what, as a client sees it who watches; and what the operator used meanwhile."""

import asyncio
import json
import os
import time
import urllib.request
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cluster as cluster_module
from cluster import Cluster
from fleet import ALL_SESSIONS, TABLE

FINISHED = ("Succeeded", "Failed", "Cancelled")
_SAMPLE_SECONDS = 0.5


@dataclass
class Phases:
    """The moments (time.time) at which sessions were seen in their phases, by name."""

    seen: defaultdict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))

    def at(self, name: str, phases: Iterable[str]) -> float | None:
        """Return when a session was first seen in one of the phases."""
        return min((when for phase, when in self.seen[name].items() if phase in phases), default=None)

    async def all_in(self, names: Iterable[str], phases: tuple[str, ...], seconds: float) -> None:
        """Wait until all are or were in one of the phases. Raises RuntimeError."""
        missing = set(names)
        deadline = time.monotonic() + seconds
        while missing := {name for name in missing if self.at(name, phases) is None}:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(missing)} sessions are not {' or '.join(phases)} after {seconds:.0f} s")
            await asyncio.sleep(0.1)


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do some work meanwhile. Raises what it has failed with by the end."""
    task = asyncio.create_task(work)
    try:
        yield
        if task.done():
            await task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def watched_phases(scale: Cluster) -> AsyncIterator[Phases]:
    """Watch all sessions."""
    phases = Phases()
    listed = await scale.send("GET", f"{ALL_SESSIONS}?limit=1", accept=TABLE)
    async with beside(_watch(scale, listed["metadata"]["resourceVersion"], phases)):
        yield phases


async def _watch(scale: Cluster, version: str, phases: Phases) -> None:
    path = f"{ALL_SESSIONS}?watch=true&resourceVersion={version}&includeObject=None"
    column = 0
    async with scale.stream(path, TABLE) as response:
        async for line in response.content:
            now = time.time()
            event = json.loads(line)
            for index, each in enumerate(event["object"].get("columnDefinitions") or ()):
                column = index if each["name"] == "Phase" else column
            for row in event["object"].get("rows") or ():
                phases.seen[row["cells"][0]].setdefault(str(row["cells"][column] or ""), now)


@dataclass
class Usage:
    """What the operator used."""

    # MiB.
    most_memory: float = 0.0
    # Requests that write, by method and resource.
    writes: dict[str, int] = field(default_factory=dict)
    # CPU seconds of all processes of the run, by program; `client` is the one that creates the sessions.
    cpu_of: dict[str, float] = field(default_factory=dict)
    load: list[float] = field(default_factory=list)

    @property
    def cpu_seconds(self) -> float:
        """Those of the operator."""
        return self.cpu_of["operator"]


@asynccontextmanager
async def operator_usage(scale: Cluster) -> AsyncIterator[Usage]:
    """Measure the operator, which must not be restarted meanwhile."""
    usage, used, writes = Usage(), _cpu_of_all(scale), await asyncio.to_thread(operator_writes)
    task = asyncio.create_task(_sample(scale, usage))
    try:
        yield usage
    finally:
        task.cancel()
        now = await asyncio.to_thread(operator_writes)
        usage.writes = {name: count - writes.get(name, 0) for name, count in now.items() if count > writes.get(name, 0)}
        usage.cpu_of = {name: round(seconds - used.get(name, 0), 1) for name, seconds in _cpu_of_all(scale).items()}
        usage.load = [round(each, 1) for each in os.getloadavg()]


def _cpu_of_all(scale: Cluster) -> dict[str, float]:
    """Return the CPU seconds of this process and of those that it has started, by program."""
    assert scale.operator is not None
    own = {os.getpid(): "client", scale.operator.pid: "operator"}
    found: dict[str, float] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            pid, _, rest = path.read_text().partition(" (")
            program, _, numbers = rest.rpartition(") ")
            fields = numbers.split()
            if int(pid) in own or int(fields[1]) == os.getpid():
                # The only other Python is the agents' process.
                name = own.get(int(pid), "agents" if program.startswith("python") else program)
                found[name] = found.get(name, 0) + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


async def _sample(scale: Cluster, usage: Usage) -> None:
    while True:
        usage.most_memory = max(usage.most_memory, scale.memory()[0])
        await asyncio.sleep(_SAMPLE_SECONDS)


def operator_metrics() -> dict[str, float]:
    """Return what the operator measures of itself, by name and labels."""
    url = f"http://127.0.0.1:{cluster_module.METRICS_PORT}/metrics"
    with urllib.request.urlopen(url, timeout=30) as response:
        lines = response.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def operator_writes() -> dict[str, int]:
    """Return the operator's requests that write, by method and resource, since its start.

    Without those that renew its Lease every 2 s, whatever there is to do.
    """
    counts: defaultdict[str, int] = defaultdict(int)
    for name, value in operator_metrics().items():
        if name.startswith("kubestrace_api_requests_total{"):
            labels = dict(each.split("=") for each in name[name.index("{") + 1 : -1].replace('"', "").split(","))
            if labels["method"] != "GET" and labels["resource"] != "leases":
                counts[f"{labels['method']} {labels['resource']}"] += int(value)
    return dict(counts)


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value below which a share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
