"""How long many sessions that end at the same time wait for their final statuses, as far as that is the operator's.

    python tests/scale/many_sessions.py [--sessions 60] [--seconds 20] [--rows 150] [--folder DIR]

A real API server and etcd, the operator as a process, simulated agents, which answer at once: what real ones need comes
on top. All sessions trace the same six containers of three pods; a report has so many rows for each container.
"""

import argparse
import asyncio
import tempfile
import time
from datetime import datetime
from pathlib import Path

from cluster import PODS, SESSIONS, Cluster, at_once, cluster, pod_document, pod_status
from simulated_agents import SimulatedAgent

_TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
_FINISHED = ("Succeeded", "Failed", "Cancelled")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=60)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=150)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kubestrace-scale-") as made:
        asyncio.run(measure(arguments.folder or Path(made), arguments))


async def measure(folder: Path, arguments: argparse.Namespace) -> None:
    """Run the sessions and print when each had its end."""
    async with cluster(folder) as scale:
        scale.agents[:] = [SimulatedAgent(agent.node, arguments.rows, watches_pods=True) for agent in scale.agents]
        for number in range(6):
            name = f"shop-{number}"
            await scale.create(PODS, pod_document(name, f"node-{number % 2 + 1}", {"app": "shop"}), pod_status(name))
        scale.start_operator()
        await scale.serve_agents()
        await scale.session("first", 1)
        await scale.until_phase("first", _FINISHED)
        used, names = scale.cpu_seconds(), [f"many-{number}" for number in range(arguments.sessions)]
        await at_once(scale.session(name, arguments.seconds) for name in names)
        lags, incomplete = await ends(scale, names, arguments.seconds)
        rss, peak = scale.memory()
        print(f"{len(names)} sessions of {arguments.seconds} s: {incomplete} not complete; final status after the end:")
        print(f"median {sorted(lags)[len(lags) // 2]:.2f} s, last {max(lags):.2f} s;")
        print(f"operator: {scale.cpu_seconds() - used:.1f} s of CPU, {rss:.0f} MiB, peak {peak:.0f} MiB")


async def ends(scale: Cluster, names: list[str], seconds: int) -> tuple[list[float], int]:
    """Wait for all ends; return how late each final status was there, and how many results are not complete."""
    seen: dict[str, float] = {}
    deadline = time.monotonic() + 10 * seconds
    await asyncio.sleep(seconds / 2)
    while len(seen) < len(names) and time.monotonic() < deadline:
        table = await scale.send("GET", f"{SESSIONS}?resourceVersion=0", accept=_TABLE)
        phases = {row["cells"][0]: row["cells"][1] for row in table["rows"]}
        seen |= {name: time.time() for name in names if name not in seen and phases[name] in _FINISHED}
        await asyncio.sleep(0.2)
    if len(seen) < len(names):
        raise RuntimeError(f"{len(names) - len(seen)} sessions did not end")
    statuses = [(await scale.send("GET", f"{SESSIONS}/{name}"))["status"] for name in names]
    starts = [datetime.fromisoformat(status["startTime"]).timestamp() for status in statuses]
    lags = [seen[name] - start - seconds for name, start in zip(names, starts, strict=True)]
    return lags, sum(not status["trust"]["complete"] for status in statuses)


if __name__ == "__main__":
    main()
