"""What the operator holds and does while thousands of pods that sessions follow are rolled out.

    python tests/scale/rollout.py [--pods 5000] [--sessions 20] [--folder DIR]

A real API server and etcd, the operator as a process, simulated agents; the pods are objects without nodes. All pods
match all sessions, of which each traces 50 at a time. A rollout makes each pod's successor, lets it run, and deletes
the pod.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from cluster import PODS, Cluster, at_once, cluster, pod_document, pod_status
from simulated_agents import SimulatedAgent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=5000)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kubestrace-scale-") as made:
        asyncio.run(measure(arguments.folder or Path(made), arguments.pods, arguments.sessions))


async def measure(folder: Path, pods: int, sessions: int) -> None:
    """Make the pods, trace and roll out."""
    async with cluster(folder) as scale:
        # What is measured is the operator's work with pods.
        scale.agents[:] = [SimulatedAgent(agent.node, rows=2) for agent in scale.agents]
        begun = time.monotonic()
        await at_once(run_pod(scale, f"old-{number}", number) for number in range(pods))
        say(f"{pods} pods made in {time.monotonic() - begun:.0f} s")
        scale.start_operator()
        await scale.serve_agents()
        say(f"operator without sessions: {scale.memory()[0]:.0f} MiB")
        begun = time.monotonic()
        target = {"selector": {"matchLabels": {"app": "shop"}}, "maxPods": 50}
        await scale.session("first", target=target)
        say(f"the first session is Tracing after {await scale.until_phase('first') - begun:.2f} s")
        for number in range(1, sessions):
            await scale.session(f"session-{number}", target=target)
        begun = time.monotonic()
        await scale.session("last", target=target)
        say(f"one more after {await scale.until_phase('last') - begun:.2f} s")
        say(f"operator with {sessions + 1} sessions: {scale.memory()[0]:.0f} MiB")
        begun, used = time.monotonic(), scale.cpu_seconds()
        await at_once(roll(scale, number) for number in range(pods))
        seconds = time.monotonic() - begun
        rss, peak = scale.memory()
        say(f"{pods} pods rolled out in {seconds:.0f} s: {rss:.0f} MiB, peak {peak:.0f} MiB,")
        say(f"{scale.cpu_seconds() - used:.1f} s of CPU of the operator")


async def run_pod(scale: Cluster, name: str, number: int) -> None:
    """Create a pod and let it run."""
    labels = {"app": "shop", "pod-template-hash": name.partition("-")[0]}
    document = pod_document(name, f"node-{number % 2 + 1}", labels)
    await scale.create(PODS, document, pod_status(name))


async def roll(scale: Cluster, number: int) -> None:
    """Replace a pod."""
    await run_pod(scale, f"new-{number}", number)
    await scale.send("DELETE", f"{PODS}/old-{number}?gracePeriodSeconds=0")


def say(line: str) -> None:
    """Print at once."""
    print(line, flush=True)


if __name__ == "__main__":
    main()
