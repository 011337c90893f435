"""The faults: each is a context that provokes one on a node, and takes it back.

None asks the API server for what it needs first: some of them have taken it away. What a fault leaves broken that
nobody would repair in a real cluster (a daemon that is away), it repairs itself.
"""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import clocks
import control_plane
import tls_secrets
from kubectl import until
from rig import SYSTEM, Place, away, is_running, memory_cgroup, operator_pod, partitioned, paused, stopped
from schedule import Bounds

# What an agent has left when somebody else begins to fill its memory.
_ROOM_BYTES = 16 << 20
# Whole hours: invariants.py reads times by what they have beyond these.
_MOVED_SECONDS = 3 * 3600
_OPERATOR = "kubestrace-operator"
_AGENTS = "kubestrace-agent"


@contextmanager
def nothing(place: Place) -> Iterator[None]:
    """No fault: whatever fails here fails always."""
    yield


@contextmanager
def agent_killed(place: Place) -> Iterator[None]:
    """SIGKILL to the agent; kubelet starts it again."""
    os.kill(place.agent, signal.SIGKILL)
    yield


@contextmanager
def agent_stopped(place: Place) -> Iterator[None]:
    """SIGSTOP to the agent: it answers nobody, and its programs go on counting."""
    with stopped(place.agent):
        yield


@contextmanager
def agent_deleted(place: Place) -> Iterator[None]:
    """Its pod is deleted, and replaced by the DaemonSet."""
    _delete("agent", f"--field-selector=spec.nodeName={place.node}")
    yield


@contextmanager
def agent_out_of_memory(place: Place) -> Iterator[None]:
    """Somebody else fills the agent's memory cgroup until the kernel kills the agent."""
    folder = memory_cgroup(place.agent)
    legacy = (folder / "memory.limit_in_bytes").exists()
    limit = folder / ("memory.limit_in_bytes" if legacy else "memory.max")
    usual = limit.read_text(encoding="ascii")
    used = int((folder / ("memory.usage_in_bytes" if legacy else "memory.current")).read_text(encoding="ascii"))
    limit.write_text(str(used + _ROOM_BYTES), encoding="ascii")
    try:
        # More than the limit, and than what the kernel can take back. The agent's oom_score_adj is the greater one.
        enter = f"open({str(folder / 'cgroup.procs')!r}, 'w').write('0')"
        fill = f"{enter}; kept = bytearray(b'1') * {used + 4 * _ROOM_BYTES}"
        subprocess.run([sys.executable, "-c", fill], timeout=60, check=False, capture_output=True)
        until(lambda: not is_running(place.agent), "the kernel has killed the agent", 20)
        yield
    finally:
        with suppress(OSError):  # the cgroup went with the container
            limit.write_text(usual, encoding="ascii")


@contextmanager
def agent_out_of_files(place: Place) -> Iterator[None]:
    """No more files can be opened by the agent than it has open."""
    fds = len(list(Path(f"/proc/{place.agent}/fd").iterdir()))
    soft, hard = resource.prlimit(place.agent, resource.RLIMIT_NOFILE)
    # The soft limit alone: only a further capability could raise the hard one again.
    resource.prlimit(place.agent, resource.RLIMIT_NOFILE, (fds, hard))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(place.agent, resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def operator_killed(place: Place) -> Iterator[None]:
    """SIGKILL to the operator that leads; kubelet starts it again."""
    os.kill(place.parts.operator, signal.SIGKILL)
    yield


@contextmanager
def operator_stopped(place: Place) -> Iterator[None]:
    """SIGSTOP to the operator that leads, for as long as its liveness probe bears; then it wakes."""
    with stopped(place.parts.operator):
        yield


@contextmanager
def operator_deleted(place: Place) -> Iterator[None]:
    """Its pod is deleted without notice, all of them where there are several."""
    _delete("operator", "--grace-period=0", "--force")
    yield


@contextmanager
def leader_lost(place: Place) -> Iterator[None]:
    """The pod of the operator that leads is deleted without notice; another one takes over, or a new one begins."""
    SYSTEM.kubectl("delete", "pod", operator_pod(), "--grace-period=0", "--force", "--wait=false")
    yield


@contextmanager
def operator_away(place: Place) -> Iterator[None]:
    """No operator for a while."""
    replicas = SYSTEM.get("deployment", _OPERATOR)["spec"]["replicas"]
    SYSTEM.kubectl("scale", f"deployment/{_OPERATOR}", "--replicas=0")
    try:
        yield
    finally:
        SYSTEM.kubectl("scale", f"deployment/{_OPERATOR}", f"--replicas={replicas}")


@contextmanager
def rolling_update(place: Place) -> Iterator[None]:
    """Operator and agents are replaced at a time."""
    SYSTEM.kubectl("rollout", "restart", f"deployment/{_OPERATOR}", f"daemonset/{_AGENTS}")
    yield


@contextmanager
def container_runtime_killed(place: Place) -> Iterator[None]:
    """SIGKILL to a node's containerd: its containers go on, its socket is a new one."""
    with away(f"{place.node}-containerd"):
        yield


@contextmanager
def container_runtime_stopped(place: Place) -> Iterator[None]:
    """SIGSTOP to a node's containerd: its socket takes connections and answers nobody."""
    with paused(f"{place.node}-containerd"):
        yield


@contextmanager
def kubelet_killed(place: Place) -> Iterator[None]:
    """SIGKILL to a node's kubelet."""
    with away(f"{place.node}-kubelet"):
        yield


@contextmanager
def kubelet_stopped(place: Place) -> Iterator[None]:
    """SIGSTOP to a node's kubelet."""
    with paused(f"{place.node}-kubelet"):
        yield


@contextmanager
def node_partitioned(place: Place) -> Iterator[None]:
    """A rule in the node's network namespace drops every packet from and to the outside."""
    with partitioned(place.node):
        yield


@contextmanager
def agent_clock_ahead(place: Place) -> Iterator[None]:
    """The agent's time of day is three hours ahead for a while."""
    with clocks.moved(place.agent, _MOVED_SECONDS):
        yield


@contextmanager
def agent_clock_behind(place: Place) -> Iterator[None]:
    """The agent's time of day is three hours behind for a while."""
    with clocks.moved(place.agent, -_MOVED_SECONDS):
        yield


@contextmanager
def operator_clock_ahead(place: Place) -> Iterator[None]:
    """The time of day of the operator that leads is three hours ahead for a while."""
    with clocks.moved(place.parts.operator, _MOVED_SECONDS):
        yield


@contextmanager
def operator_clock_behind(place: Place) -> Iterator[None]:
    """The time of day of the operator that leads is three hours behind for a while."""
    with clocks.moved(place.parts.operator, -_MOVED_SECONDS):
        yield


@contextmanager
def certificate_renewed(place: Place) -> Iterator[None]:
    """The agents' and the operator's certificates are deleted, and a new operator makes others."""
    SYSTEM.kubectl("delete", "secret", *tls_secrets.LEAVES, "--ignore-not-found")
    _delete("operator")
    yield


@contextmanager
def certificate_expired(place: Place) -> Iterator[None]:
    """A new operator finds agents whose certificate has expired: it makes another, which they see a minute later."""
    tls_secrets.expire_agents()
    try:
        until(lambda: tls_secrets.are_mounted(place.parts.agents.values()), "agents have the expired certificate", 150)
        _delete("operator")
        yield
    finally:
        until(tls_secrets.are_renewed, "the operator renews the certificate", 60)
        until(lambda: tls_secrets.are_mounted(place.parts.agents.values()), "agents have the new certificate", 150)


def _delete(component: str, *words: str) -> None:
    selector = f"app.kubernetes.io/component={component}"
    SYSTEM.kubectl("delete", "pod", "-l", selector, "--wait=false", *words)


@dataclass(frozen=True)
class Fault:
    """A fault and how long it may hold, in seconds."""

    provoke: Callable[[Place], AbstractContextManager[None]]
    least_seconds: float = 0.0
    most_seconds: float = 0.0
    # The chance that it holds already when the sessions are created; 0 where they could not be.
    at_start: float = 0.25

    @property
    def name(self) -> str:
        """As the tables have it."""
        return self.provoke.__name__.replace("_", " ")

    @property
    def bounds(self) -> Bounds:
        """What the schedule has to know."""
        return Bounds(self.name, self.least_seconds, self.most_seconds, self.at_start)


FAULTS = (
    Fault(nothing, 0, 2),
    Fault(agent_killed),
    Fault(agent_stopped, 1, 8),
    Fault(agent_deleted),
    Fault(agent_out_of_memory),
    Fault(agent_out_of_files, 2, 8),
    Fault(operator_killed),
    Fault(operator_stopped, 2, 60),
    Fault(operator_deleted),
    Fault(leader_lost),
    Fault(operator_away, 2, 20),
    Fault(rolling_update),
    Fault(control_plane.api_server_killed, 2, 15, at_start=0),
    Fault(control_plane.api_server_stopped, 2, 10, at_start=0),
    Fault(control_plane.etcd_killed, 1, 8, at_start=0),
    Fault(control_plane.etcd_full, 3, 10, at_start=0),
    Fault(container_runtime_killed, 0, 5),
    Fault(container_runtime_stopped, 2, 8),
    Fault(kubelet_killed, 0, 8),
    Fault(kubelet_stopped, 2, 8),
    Fault(node_partitioned, 2, 20),
    Fault(agent_clock_ahead, 1, 20),
    Fault(agent_clock_behind, 1, 20),
    Fault(operator_clock_ahead, 1, 20),
    Fault(operator_clock_behind, 1, 20),
    Fault(certificate_renewed),
    Fault(certificate_expired, 1, 2, at_start=1),
)
BY_NAME = {fault.name: fault for fault in FAULTS}
