"""The rig from outside: its daemons, its nodes' networks, and the processes of kubestrace's pods on it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from install import SYSTEM
from kubectl import Namespace, run, until
from workloads import NODES, RIG, agent_pod, container_id, on_node

_OPERATOR = "app.kubernetes.io/component=operator"


@dataclass(frozen=True)
class Parts:
    """Where kubestrace's processes are before a fault: nobody can be asked while it holds."""

    agents: dict[str, int] = field(default_factory=dict)
    operator: int = 0


@dataclass(frozen=True)
class Place:
    """Where a fault is provoked."""

    node: str
    parts: Parts

    @property
    def agent(self) -> int:
        """PID of the node's agent before the fault."""
        return self.parts.agents[self.node]


def parts() -> Parts:
    """Find the processes of the operator and of the agents."""
    return Parts({node: process(agent_pod(SYSTEM, node)) for node in NODES}, process(operator_pod()))


def operator_pod() -> str:
    """Return the name of the operator's pod; of several that of the one that leads, by its Lease."""
    names = [name.removeprefix("pod/") for name in SYSTEM.kubectl("get", "pods", "-l", _OPERATOR, "-o", "name").split()]
    holders = SYSTEM.kubectl("get", "leases", "-o", "jsonpath={.items[*].spec.holderIdentity}")
    return next((name for name in names if name in holders), names[0])


def process(pod: str, namespace: Namespace = SYSTEM) -> int:
    """Return the PID of the first process of a pod's only container, as the machine numbers it."""

    def found() -> int:
        # The API may name a container that has just been replaced.
        node, container = container_id(namespace, pod)
        tasks = on_node(node, "ctr", "-n", "k8s.io", "tasks", "ls").splitlines()
        return next((int(line.split()[1]) for line in tasks if container in line), 0)

    pid: int = until(found, f"the process of {pod} is there", 30)
    return pid


def daemon(action: str, name: str, *arguments: str) -> None:
    """Kill, start, pause or resume one of the rig's daemons."""
    run(str(RIG / "daemon"), action, name, *arguments, timeout_seconds=60)


@contextmanager
def paused(name: str) -> Iterator[None]:
    """Have one of the rig's daemons stopped for a while."""
    daemon("pause", name)
    try:
        yield
    finally:
        daemon("resume", name)


@contextmanager
def away(name: str) -> Iterator[None]:
    """Kill one of the rig's daemons, and start it again after a while."""
    daemon("kill", name)
    try:
        yield
    finally:
        daemon("start", name)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Have a process stopped for a while."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def partitioned(node: str) -> Iterator[None]:
    """Have a node's network, and that of its pods, lose every packet from and to the outside."""
    rules = (
        ("raw", "PREROUTING", "-i", "eth0", "-j", "DROP"),
        ("mangle", "POSTROUTING", "-o", "eth0", "-j", "DROP"),
    )
    for table, *rule in rules:
        on_node(node, "iptables", "-w", "5", "-t", table, "-I", *rule)
    try:
        yield
    finally:
        for table, *rule in rules:
            on_node(node, "iptables", "-w", "5", "-t", table, "-D", *rule)


def is_running(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def memory_cgroup(pid: int) -> Path:
    """Return the folder of a process's memory cgroup, of either version."""
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines()]
    legacy = [path for _, controllers, path in lines if "memory" in controllers.split(",")]
    if legacy:
        return Path("/sys/fs/cgroup/memory" + legacy[0])
    return Path("/sys/fs/cgroup" + next(path for _, controllers, path in lines if not controllers))


def on_control(*words: str) -> str:
    """Run a command in the network of the control plane."""
    return run(str(RIG / "run"), "--", *words, timeout_seconds=60)
