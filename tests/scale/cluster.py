"""A cluster to measure in: a real API server, the operator as a process, simulated agents, pods without nodes."""

import asyncio
import base64
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from real_apiserver import ROOT, ApiServer, api_server, environment
from simulated_agents import SimulatedAgent

SYSTEM, NAMESPACE = "kubestrace-system", "shop"
SESSIONS = f"/apis/kubestrace.io/v1alpha1/namespaces/{NAMESPACE}/tracesessions"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
AGENT_PORT, HEALTH_PORT, METRICS_PORT = 19640, 18080, 18081
_WRITERS = 40
_MERGE = "application/merge-patch+json"

Document = dict[str, Any]


class Cluster:
    """What the measuring scripts do in it."""

    def __init__(self, server: ApiServer, session: aiohttp.ClientSession, folder: Path) -> None:
        self.agents = [SimulatedAgent(f"node-{number}") for number in (1, 2)]
        self.operator: subprocess.Popen[bytes] | None = None
        self._server = server
        self._session = session
        self._folder = folder

    async def send(
        self, method: str, path: str, body: Any = None, kind: str = "application/json", accept: str = "application/json"
    ) -> Document:
        """Send a request. Raises RuntimeError."""
        headers = {"Content-Type": kind, "Accept": accept}
        async with self._session.request(method, self._server.url + path, json=body, headers=headers) as response:
            if response.status == 429:
                await asyncio.sleep(1)
                return await self.send(method, path, body, kind, accept)
            if response.status >= 300:
                raise RuntimeError(f"{method} {path}: {response.status} {await response.text()}")
            answer: Document = await response.json()
            return answer

    async def create(self, path: str, body: Document, status: Document | None = None) -> Document:
        """Create an object, or take the one that an earlier run left, and write its status."""
        try:
            made = await self.send("POST", path, body)
        except RuntimeError:
            made = await self.send("GET", f"{path}/{body['metadata']['name']}")
        if status is not None:
            await self.send("PATCH", f"{path}/{body['metadata']['name']}/status", {"status": status}, _MERGE)
        return made

    async def install(self) -> None:
        """Install the CRD and make the namespaces and the agents' pods."""
        (crd,) = (each for each in self._chart() if each["kind"] == "CustomResourceDefinition")
        definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        await self.create(definitions, crd)
        # That of an earlier run may be an older one.
        await self.send("PATCH", f"{definitions}/{crd['metadata']['name']}", {"spec": crd["spec"]}, _MERGE)
        for name in (SYSTEM, NAMESPACE):
            await self.create("/api/v1/namespaces", {"metadata": {"name": name}})
        await until(self._served, "the CRD is served", 30)
        for number, agent in enumerate(self.agents, 1):
            pod = pod_document(agent.node, agent.node, {"app": "agent"})
            await self.create(f"/api/v1/namespaces/{SYSTEM}/pods", pod, pod_status(agent.node, f"127.0.0.{number}"))

    def _chart(self) -> Iterable[Document]:
        # Builds Kubernetes where that was not done yet.
        built = subprocess.run([ROOT / "scripts/tools"], check=True, capture_output=True, text=True, timeout=1800)
        command = [f"{built.stdout.strip()}/helm", "template", "kubestrace", str(ROOT / "charts/kubestrace")]
        values = ["--set", "agent.image.repository=none/agent,operator.image.repository=none/operator"]
        done = subprocess.run([*command, *values], check=True, capture_output=True, text=True, timeout=60)
        return (each for each in yaml.safe_load_all(done.stdout) if each)

    async def _served(self) -> bool:
        try:
            await self.send("GET", f"{SESSIONS}?limit=1")
        except RuntimeError:
            return False
        return True

    def start_operator(self) -> float:
        """Start the operator; return when."""
        variables = {
            **environment(self._server),
            "KUBESTRACE_NAMESPACE": SYSTEM,
            "KUBESTRACE_AGENT_SELECTOR": "app=agent",
            "KUBESTRACE_AGENT_PORT": str(AGENT_PORT),
            "KUBESTRACE_LIVENESS": f"127.0.0.1:{HEALTH_PORT}",
            "KUBESTRACE_METRICS": f"127.0.0.1:{METRICS_PORT}",
        }
        log = (self._folder / "operator.log").open("ab")
        begun = time.monotonic()
        self.operator = subprocess.Popen(
            [sys.executable, "-m", "kubestrace_operator"], env=variables, stdout=log, stderr=log
        )
        return begun

    def stop_operator(self, how: int = signal.SIGTERM) -> None:
        """End the operator."""
        if self.operator is not None:
            self.operator.send_signal(how)
            self.operator.wait(30)
            self.operator = None

    async def serve_agents(self) -> None:
        """Let the agents listen, with the certificates that the operator made."""
        secret = f"/api/v1/namespaces/{SYSTEM}/secrets/kubestrace-agent-tls"

        async def there() -> bool:
            try:
                await self.send("GET", secret)
            except RuntimeError:
                return False
            return True

        await until(there, "the agents have certificates", 30)
        data = {name: base64.b64decode(each) for name, each in (await self.send("GET", secret))["data"].items()}
        for number, agent in enumerate(self.agents, 1):
            await agent.serve(f"127.0.0.{number}:{AGENT_PORT}", data["tls.crt"], data["tls.key"], data["ca.crt"])

    async def session(self, name: str, seconds: int = 3600, **spec: Any) -> str:
        """Create a session; return its UID."""
        spec = {"target": {"selector": {"matchLabels": {"app": "shop"}}}, "durationSeconds": seconds, **spec}
        return str((await self.create(SESSIONS, session_document(name, spec)))["metadata"]["uid"])

    async def phase(self, name: str) -> str:
        """Return a session's phase, empty as long as it has none."""
        return str((await self.send("GET", f"{SESSIONS}/{name}"))["status"].get("phase", ""))

    async def until_phase(self, name: str, phases: tuple[str, ...] = ("Tracing",), seconds: float = 120) -> float:
        """Wait for a phase; return when it was there."""

        async def reached() -> bool:
            return await self.phase(name) in phases

        await until(reached, f"{name} is {' or '.join(phases)}", seconds)
        return time.monotonic()

    def memory(self) -> tuple[float, float]:
        """Return the operator's memory and its peak, MiB."""
        assert self.operator is not None
        lines = Path(f"/proc/{self.operator.pid}/status").read_text().splitlines()
        values = {
            line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))
        }
        return values["VmRSS"], values["VmHWM"]

    def cpu_seconds(self) -> float:
        """Return the CPU time that the operator has used."""
        assert self.operator is not None
        fields = Path(f"/proc/{self.operator.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[Cluster]:
    """Run everything but the operator; whatever runs ends with the context."""
    with api_server(folder) as server:
        connector = aiohttp.TCPConnector(limit=_WRITERS, ssl=ssl._create_unverified_context())  # noqa: S323
        headers = {"Authorization": f"Bearer {server.token}"}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            made = Cluster(server, session, folder)
            try:
                await made.install()
                yield made
            finally:
                made.stop_operator()
                for agent in made.agents:
                    await agent.close()


def session_document(name: str, spec: Document) -> Document:
    """Return a TraceSession."""
    return {
        "apiVersion": "kubestrace.io/v1alpha1",
        "kind": "TraceSession",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


def pod_document(name: str, node: str, labels: dict[str, str]) -> Document:
    """Return a pod that is on a node already."""
    container = {
        "name": "app",
        "image": "none",
        "env": [{"name": f"VARIABLE_{n}", "value": "x" * 40} for n in range(20)],
    }
    spec = {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def pod_status(name: str, address: str = "10.0.0.1") -> Document:
    """Return the status of a pod that runs."""
    started = "2026-01-01T00:00:00Z"
    running = {
        "name": "app",
        "image": "none",
        "imageID": "none",
        "containerID": f"containerd://{name}".ljust(77, "0"),
        "ready": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": started}},
    }
    return {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": started,
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [running],
    }


async def until(true: Callable[[], Coroutine[Any, Any, bool]], what: str, seconds: float) -> None:
    """Wait until something is true, looking 50 times a second."""
    deadline = time.monotonic() + seconds
    while not await true():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {seconds:.0f} s in vain until {what}")
        await asyncio.sleep(0.02)


async def at_once(works: Iterable[Coroutine[Any, Any, Any]], most: int = _WRITERS) -> None:
    """Do many things, so many at a time."""
    turns = asyncio.Semaphore(most)

    async def take_turn(work: Coroutine[Any, Any, Any]) -> None:
        async with turns:
            await work

    await asyncio.gather(*map(take_turn, works))
