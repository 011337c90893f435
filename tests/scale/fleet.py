"""The cluster of the scale table: hundreds of kwok nodes, each with a simulated agent, and thousands of kwok pods."""

import asyncio
import base64
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cluster as cluster_module
from agents_process import address, node_name
from cluster import SYSTEM, Cluster, at_once, session_document, until
from real_apiserver import free_ports
from simulated_nodes import node_document, pod_document, simulated_nodes

# Each namespace has so many groups of as many pods, of which a session traces one.
GROUP_PODS = 5
NAMESPACES = tuple(f"team-{number}" for number in range(20))
WIDE = "wide"
_ANSWER_SECONDS = 60
_TAKEN_OVER_SECONDS = 120
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
ALL_SESSIONS = "/apis/kubestrace.io/v1alpha1/tracesessions"
_LINE_BYTES = 1 << 24


@dataclass(frozen=True)
class Size:
    """How much there is."""

    agents: int
    pods: int
    sessions: int


# What the goals mean.
WHOLE = Size(agents=500, pods=5000, sessions=1000)


class Fleet:
    """What the rows of the table do in it."""

    def __init__(self, scale: Cluster, size: Size) -> None:
        self.scale = scale
        self.size = size
        self._process: asyncio.subprocess.Process | None = None

    async def make(self) -> float:
        """Make nodes, agents' pods and pods; return the seconds that it took."""
        begun = time.monotonic()
        lists = await self._pod_lists()
        await at_once(self.scale.create("/api/v1/nodes", node_document(node_name(n))) for n in range(self.size.agents))
        await until(lambda: self._taken_over(lists), "kwok has taken over all nodes", _TAKEN_OVER_SECONDS)
        for name in NAMESPACES:
            await self.scale.create("/api/v1/namespaces", {"metadata": {"name": name}})
        await at_once(self._agent(number) for number in range(self.size.agents))
        await at_once(self._pod(number) for number in range(self.size.pods))
        # What one session traces on all nodes.
        await self.scale.create("/api/v1/namespaces", {"metadata": {"name": WIDE}})
        await at_once(self._wide_pod(number) for number in range(self.size.agents))
        await until(self._all_run, "all pods run", 300)
        return time.monotonic() - begun

    async def _pod_lists(self) -> int:
        return await self.scale.requests("LIST", "pods")

    async def _taken_over(self, lists_before: int) -> bool:
        """Tell whether kwok has listed the pods of each node, as it does once for each.

        The API server reads all pods of etcd for each such list: among thousands of pods that takes half a core for
        minutes, beside what is measured.
        """
        await asyncio.sleep(0.5)
        return await self._pod_lists() - lists_before >= self.size.agents

    async def _agent(self, number: int) -> None:
        pod = pod_document(f"agent-{number}", node_name(number), {"app": "agent"}, address(number))
        await self.scale.create(f"/api/v1/namespaces/{SYSTEM}/pods", pod)

    async def _pod(self, number: int) -> None:
        group = number // GROUP_PODS
        labels = {"app": "shop", "group": str(group)}
        own = f"10.0.{number // 250}.{number % 250}"
        pod = pod_document(f"pod-{number}", node_name(number % self.size.agents), labels, own)
        await self.scale.create(f"/api/v1/namespaces/{namespace(group)}/pods", pod)

    async def _wide_pod(self, number: int) -> None:
        pod = pod_document(f"wide-{number}", node_name(number), {"app": "wide"}, "10.0.0.1")
        await self.scale.create(f"/api/v1/namespaces/{WIDE}/pods", pod)

    async def _all_run(self) -> bool:
        query = "fieldSelector=status.phase!=Running&limit=1"
        listed = await self.scale.send("GET", f"/api/v1/pods?{query}", accept=TABLE)
        await asyncio.sleep(0.5)
        return not listed.get("rows")

    async def start_agents(self) -> None:
        """Let the agents listen, with the certificates of the operator that runs."""
        tls = {name: base64.b64encode(each).decode() for name, each in (await self.scale.certificates()).items()}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).parent / "agents_process.py"),
            str(self.size.agents),
            str(cluster_module.AGENT_PORT),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
        )
        await self._ask(json.dumps(tls))

    async def stop_agents(self) -> None:
        """End the agents' process."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def watching(self) -> dict[str, list[float]]:
        """Return when each open stream of each session was opened (time.monotonic), by UID."""
        found: dict[str, list[float]] = await self._ask("watching")
        return found

    async def counted(self) -> dict[str, int]:
        """Return the calls in the final reports of each session, by UID: what its result must have."""
        found: dict[str, int] = await self._ask("counted")
        return found

    async def _ask(self, line: str) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line.encode() + b"\n")
        async with asyncio.timeout(_ANSWER_SECONDS):
            return json.loads(await self._process.stdout.readline())

    # Sessions.

    async def session(self, name: str, group: int, seconds: int) -> str:
        """Create a session of a group of pods; return its UID."""
        target = {"selector": {"matchLabels": {"group": str(group)}}}
        return await self._create(namespace(group), name, {"target": target, "durationSeconds": seconds})

    async def wide_session(self, name: str, seconds: int) -> str:
        """Create a session of a pod on every node; return its UID."""
        target = {"selector": {"matchLabels": {"app": "wide"}}, "maxPods": self.size.agents}
        return await self._create(WIDE, name, {"target": target, "durationSeconds": seconds})

    async def _create(self, where: str, name: str, spec: dict[str, Any]) -> str:
        document = session_document(name, spec)
        document["metadata"]["namespace"] = where
        return str((await self.scale.create(sessions_path(where), document))["metadata"]["uid"])

    async def statuses(self) -> dict[str, dict[str, Any]]:
        """Return the statuses of all sessions, by UID."""
        found = {}
        for where in (*NAMESPACES, WIDE):
            listed = await self.scale.send("GET", sessions_path(where))
            found |= {each["metadata"]["uid"]: each.get("status") or {} for each in listed["items"]}
        return found

    async def delete_sessions(self) -> None:
        """Delete all sessions: each row begins without those of another."""
        for where in (*NAMESPACES, WIDE):
            await self.scale.send("DELETE", sessions_path(where))

        async def gone() -> bool:
            await asyncio.sleep(0.2)
            return not (await self.scale.send("GET", f"{ALL_SESSIONS}?limit=1", accept=TABLE)).get("rows")

        await until(gone, "all sessions are deleted", 120)


def namespace(group: int) -> str:
    """Return the namespace of a group of pods."""
    return NAMESPACES[group % len(NAMESPACES)]


def sessions_path(where: str) -> str:
    """Return the path of a namespace's sessions."""
    return f"/apis/kubestrace.io/v1alpha1/namespaces/{where}/tracesessions"


@asynccontextmanager
async def fleet(folder: Path, size: Size) -> AsyncIterator[Fleet]:
    """Run the API server, kwok and the agents' process; the operator is started by `ready`."""
    # Beside another cluster of this kind on the same machine.
    (cluster_module.AGENT_PORT, cluster_module.HEALTH_PORT, cluster_module.METRICS_PORT) = free_ports(3)
    async with cluster_module.cluster(folder, agents=[]) as scale:
        with simulated_nodes(folder / "kubeconfig", folder):
            made = Fleet(scale, size)
            try:
                yield made
            finally:
                await made.stop_agents()
