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
from prometheus_client.parser import text_string_to_metric_families
from real_apiserver import ROOT, ApiServer, api_server, environment, tools
from simulated_agents import SimulatedAgent

SYSTEM, NAMESPACE = "kubestrace-system", "shop"
# As the chart makes it.
NODES = "kubestrace-nodes"
SESSIONS = f"/apis/kubestrace.io/v1alpha1/namespaces/{NAMESPACE}/tracesessions"
SCHEDULES = f"/apis/kubestrace.io/v1alpha1/namespaces/{NAMESPACE}/traceschedules"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
AGENT_PORT, HEALTH_PORT, METRICS_PORT = 19640, 18080, 18081
_WRITERS = 40
_MERGE = "application/merge-patch+json"

Document = dict[str, Any]


class Cluster:
    """What the measuring scripts do in it."""

    def __init__(
        self, server: ApiServer, session: aiohttp.ClientSession, folder: Path, agents: list[SimulatedAgent]
    ) -> None:
        self.agents = agents
        self.folder = folder
        # Another checkout whose operator is measured.
        self.operator_of: Path | None = None
        self.operator: subprocess.Popen[bytes] | None = None
        self.server = server
        self._session = session

    async def send(
        self, method: str, path: str, body: Any = None, kind: str = "application/json", accept: str = "application/json"
    ) -> Document:
        """Send a request. Raises RuntimeError."""
        headers = {"Content-Type": kind, "Accept": accept}
        async with self._session.request(method, self.server.url + path, json=body, headers=headers) as response:
            if response.status == 429:
                await asyncio.sleep(1)
                return await self.send(method, path, body, kind, accept)
            if response.status >= 300:
                raise RuntimeError(f"{method} {path}: {response.status} {await response.text()}")
            answer: Document = await response.json()
            return answer

    async def requests(self, verb: str, resource: str) -> int:
        """Return how often the API server was asked so, as its metrics say."""
        headers = {"Accept": "text/plain"}
        async with self._session.get(self.server.url + "/metrics", headers=headers) as response:
            families = text_string_to_metric_families(await response.text())
        wanted = {"verb": verb, "resource": resource}
        samples = (each for family in families if family.name == "apiserver_request" for each in family.samples)
        return sum(int(each.value) for each in samples if wanted.items() <= each.labels.items())

    def stream(self, path: str, accept: str) -> Any:
        """Return a request whose answer is read line by line, however long that takes."""
        waits = aiohttp.ClientTimeout(total=None, sock_read=300)
        return self._session.get(self.server.url + path, headers={"Accept": accept}, timeout=waits)

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
        """Install the CRDs and make the namespaces and the agents' pods."""
        definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        for crd in (each for each in self._chart() if each["kind"] == "CustomResourceDefinition"):
            await self.create(definitions, crd)
            # That of an earlier run may be an older one.
            await self.send("PATCH", f"{definitions}/{crd['metadata']['name']}", {"spec": crd["spec"]}, _MERGE)
        for name in (SYSTEM, NAMESPACE):
            await self.create("/api/v1/namespaces", {"metadata": {"name": name}})
        await self.create(f"/api/v1/namespaces/{SYSTEM}/configmaps", {"metadata": {"name": NODES}})
        await until(self._served, "the CRD is served", 30)
        for number, agent in enumerate(self.agents, 1):
            await self.add_agent_pod(number, agent)

    async def add_agent_pod(self, number: int, agent: SimulatedAgent) -> None:
        """Make the pod of an agent, ready at its address."""
        pod = pod_document(agent.node, agent.node, {"app": "agent"})
        await self.create(f"/api/v1/namespaces/{SYSTEM}/pods", pod, pod_status(agent.node, f"127.0.0.{number}"))

    def _chart(self) -> Iterable[Document]:
        command = [tools() / "helm", "template", "kubestrace", str(ROOT / "charts/kubestrace")]
        values = ["--set", "agent.image.repository=none/agent,operator.image.repository=none/operator"]
        done = subprocess.run([*command, *values], check=True, capture_output=True, text=True, timeout=60)
        return (each for each in yaml.safe_load_all(done.stdout) if each)

    async def _served(self) -> bool:
        try:
            for path in (SESSIONS, SCHEDULES):
                await self.send("GET", f"{path}?limit=1")
        except RuntimeError:
            return False
        return True

    def operator_environment(self, health_port: int, metrics_port: int) -> dict[str, str]:
        """Return the environment of an operator's process."""
        return {
            **environment(self.server),
            "KUBESTRACE_NAMESPACE": SYSTEM,
            # A restarted container leads again at once.
            "KUBESTRACE_IDENTITY": "operator-1",
            "KUBESTRACE_AGENT_SELECTOR": "app=agent",
            "KUBESTRACE_AGENT_PORT": str(AGENT_PORT),
            "KUBESTRACE_NODES_CONFIG_MAP": NODES,
            "KUBESTRACE_LIVENESS": f"127.0.0.1:{health_port}",
            "KUBESTRACE_METRICS": f"127.0.0.1:{metrics_port}",
        }

    def start_operator(self) -> float:
        """Start the operator; return when."""
        variables = self.operator_environment(HEALTH_PORT, METRICS_PORT)
        if self.operator_of is not None:
            variables["PYTHONPATH"] = f"{self.operator_of / 'operator'}:{self.operator_of / 'protos'}"
        log = (self.folder / "operator.log").open("ab")
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

    async def certificates(self) -> dict[str, bytes]:
        """Wait for the certificates that the operator makes for agents; return them by their names in the Secret."""
        secret = f"/api/v1/namespaces/{SYSTEM}/secrets/kubestrace-agent-tls"

        async def there() -> bool:
            try:
                await self.send("GET", secret)
            except RuntimeError:
                return False
            return True

        await until(there, "the agents have certificates", 30)
        return {name: base64.b64decode(each) for name, each in (await self.send("GET", secret))["data"].items()}

    async def serve_agents(self) -> None:
        """Let the agents listen."""
        data = await self.certificates()
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
async def cluster(folder: Path, *options: str, agents: list[SimulatedAgent] | None = None) -> AsyncIterator[Cluster]:
    """Run everything but the operator; whatever runs ends with the context.

    Without `agents` there are two. `options` are the API server's.
    """
    with api_server(folder, *options) as server:
        connector = aiohttp.TCPConnector(limit=_WRITERS, ssl=ssl._create_unverified_context())  # noqa: S323
        headers = {"Authorization": f"Bearer {server.token}"}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            if agents is None:
                agents = [SimulatedAgent(f"node-{number}") for number in (1, 2)]
            made = Cluster(server, session, folder, agents)
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
