"""A cluster for tests: a real API server with its controllers, the operator as a process, simulated agents.

It is the one of tests/scale, run in a thread, so that tests read from top to bottom and ask by kubectl.
"""

import asyncio
import json
import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import cluster as scale_cluster
from apiserver import Cluster as Kubectl
from real_apiserver import free_ports, tools
from simulated_agents import when

_Answer = TypeVar("_Answer")
Document = dict[str, Any]
# Of the controllers that the API server does not have in itself.
_CONTROLLERS = (
    "namespace-controller,garbage-collector-controller,clusterrole-aggregation-controller,resourcequota-controller"
)
# As later versions of Kubernetes have it without being asked.
_MUTATING_POLICIES = (
    "--feature-gates=MutatingAdmissionPolicy=true",
    "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
)
_NODE = "node-1"


class Lab:
    """What a test does in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._context = scale_cluster.cluster(folder, *_MUTATING_POLICIES)
        self.scale: scale_cluster.Cluster

    def do(self, work: Coroutine[Any, Any, _Answer], seconds: float = 120) -> _Answer:
        """Run something in the cluster's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    @contextmanager
    def running(self) -> Iterator["Lab"]:
        """Run everything; it ends with the context."""
        # Beside another cluster of this kind on the same machine.
        scale_cluster.AGENT_PORT, scale_cluster.HEALTH_PORT, scale_cluster.METRICS_PORT = free_ports(3)
        self._thread.start()
        self.scale = self.do(self._context.__aenter__())
        os.environ["KUBECONFIG"] = str(self._folder / "kubeconfig")
        controllers = self._start_controllers()
        try:
            self.start_operator()
            self.do(self.scale.serve_agents())
            yield self
        finally:
            controllers.kill()
            controllers.wait(30)
            self.do(self._context.__aexit__(None, None, None))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(30)

    def _start_controllers(self) -> subprocess.Popen[bytes]:
        command = [tools() / "kube-controller-manager", "--kubeconfig", self._folder / "kubeconfig"]
        command += ["--controllers", _CONTROLLERS, "--leader-elect=false", "--secure-port=0"]
        log = (self._folder / "controllers.log").open("wb")
        return subprocess.Popen(command, stdout=log, stderr=log)

    # The operator.

    def start_operator(self) -> None:
        """Start the operator's process, and wait until it serves sessions."""
        self.scale.start_operator()
        if not eventually(self._ready, 60):
            raise RuntimeError(f"the operator is not ready: {self.log()[-2000:]}")

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{scale_cluster.HEALTH_PORT}/readyz", timeout=5):
                return True
        except OSError:
            return False

    def kill_operator(self) -> None:
        """Kill the operator as a crash does."""
        self.scale.stop_operator(signal.SIGKILL)

    def metrics(self) -> dict[str, float]:
        """Return what the operator measures of itself, by name and labels."""
        url = f"http://127.0.0.1:{scale_cluster.METRICS_PORT}/metrics"
        with urllib.request.urlopen(url, timeout=10) as response:
            lines = response.read().decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

    @property
    def operator_runs(self) -> bool:
        """Whether the operator's process is there."""
        return self.scale.operator is not None and self.scale.operator.poll() is None

    def log(self) -> str:
        """Return what the operator has logged."""
        return (self._folder / "operator.log").read_text()

    def audited(self, resource: str, verb: str = "create") -> list[Document]:
        """Return what the API server's audit log has of sessions that were created, or of schedules."""
        events = (json.loads(line) for line in self.scale.server.audit_log.read_text().splitlines())
        return [
            each for each in events if (each["verb"], each.get("objectRef", {}).get("resource")) == (verb, resource)
        ]

    # Agents.

    def told(self, uid: str, what: str, within_seconds: float = 90) -> bool:
        """Wait until an agent was told to start ("started") or stop ("stopped") a trace; return whether it was."""
        return eventually(lambda: when(self.scale.agents, uid, what) is not None, within_seconds)

    def stopped_after(self, uid: str, begun: float) -> float:
        """Return how many seconds after a moment the first agent was told to stop a trace."""
        stopped = when(self.scale.agents, uid, "stopped")
        assert stopped is not None, f"no agent was told to stop {uid}"
        return stopped - begun

    def heard_of(self, uid: str) -> bool:
        """Return whether any agent has heard of a trace."""
        return when(self.scale.agents, uid, "started") is not None

    def nodes(self) -> dict[str, str]:
        """Return what kubectl shows of the nodes' states."""
        found: dict[str, str] = self._config_map().get("data") or {}
        return found

    def nodes_version(self) -> str:
        """Return the version of the nodes' states: it changes with each write."""
        return str(self._config_map()["metadata"]["resourceVersion"])

    def _config_map(self) -> Document:
        got = Kubectl(scale_cluster.SYSTEM).ask("get", "configmap", scale_cluster.NODES, "-o", "json")
        return dict(json.loads(got))

    def set_agent(self, number: int, *, ready: bool) -> None:
        """Have kubelet say whether an agent's pod is ready."""
        pod = f"pod/{self.scale.agents[number].node}"
        body = {"status": {"conditions": [{"type": "Ready", "status": str(ready)}]}}
        patch = ("patch", pod, "--subresource=status", "--type=merge", "--patch-file=/dev/stdin")
        Kubectl(scale_cluster.SYSTEM).ask(*patch, document=body)

    def remove_agent(self, number: int) -> None:
        """Take away an agent's pod, as happens when its node goes."""
        Kubectl(scale_cluster.SYSTEM).ask("delete", "pod", self.scale.agents[number].node, "--force", "--wait=false")

    def add_agent(self, number: int) -> None:
        """Make an agent's pod."""
        self.do(self.scale.add_agent_pod(number + 1, self.scale.agents[number]))


class Namespace(Kubectl):
    """A namespace with one pod that runs, and sessions in it."""

    def create(self) -> None:
        """Make the namespace and its pod."""
        self.ask("create", "namespace", self.namespace)
        pod = scale_cluster.pod_document("shop-1", _NODE, {"app": "shop"})
        pod["spec"]["automountServiceAccountToken"] = False
        self.ask("create", "-f", "-", document=pod)
        status = {"status": scale_cluster.pod_status(f"{self.namespace}-1")}
        patch = ("patch", "pod/shop-1", "--subresource=status", "--type=merge", "--patch-file=/dev/stdin")
        self.ask(*patch, document=status)

    def session(self, name: str, seconds: int = 3600, app: str = "shop", **spec: Any) -> str:
        """Create a session of the pods with a label; return its UID."""
        return str(self.created(document(name, seconds, app, **spec))["metadata"]["uid"])

    def created(self, session: Document, *options: str) -> Document:
        """Create an object and return it."""
        return self._json("create", "-o", "json", "-f", "-", *options, document=session)

    def get(self, name: str) -> Document:
        """Return a session's object."""
        return self._json("get", "tsess", name, "-o", "json")

    def exists(self, name: str) -> bool:
        """Return whether there is a session of this name."""
        return bool(self.ask("get", "tsess", name, "--ignore-not-found", "-o", "name"))

    def set(self, name: str, **spec: Any) -> None:
        """Change a session's spec."""
        self.ask("patch", "tsess", name, "--type=merge", "--patch-file=/dev/stdin", document={"spec": spec})

    def reach(self, name: str, phase: str, seconds: int = 20) -> Document:
        """Wait until a session has a phase, as kubectl waits; return its status."""
        self.ask("wait", f"tsess/{name}", f"--for=jsonpath={{.status.phase}}={phase}", f"--timeout={seconds}s")
        status: Document = self.get(name)["status"]
        return status

    def condition(self, name: str, kind: str) -> Document:
        """Return a condition of a session."""
        (found,) = (each for each in self.get(name)["status"]["conditions"] if each["type"] == kind)
        return dict(found)

    def _json(self, *arguments: str, document: object = None) -> Document:
        found: Document = json.loads(self.ask(*arguments, document=document))
        return found


def document(name: str, seconds: int = 3600, app: str = "shop", **spec: Any) -> Document:
    """Return a session of the pods with a label."""
    target = {"selector": {"matchLabels": {"app": app}}}
    return {
        "apiVersion": "kubestrace.io/v1alpha1",
        "kind": "TraceSession",
        "metadata": {"name": name},
        "spec": {"target": target, "durationSeconds": seconds, **spec},
    }


def eventually(true: Callable[[], bool], within_seconds: float) -> bool:
    """Return whether something becomes true in time."""
    deadline = time.monotonic() + within_seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
