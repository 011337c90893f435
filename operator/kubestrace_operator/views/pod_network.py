"""What the kernel counts for the network namespaces of pods: added up, and as the status has it. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kubestrace_protos.v1.network_counters import COUNTERS, LEVELS

# Pods that a status lists.
MAX_PODS = 20
# Of a pod's counters, those that tell of something lost, in words.
_LOST = {
    "listenOverflows": "connections dropped as a listener's queue was full",
    "backlogDrops": "segments dropped as a socket's backlog was full",
    "abortedForMemory": "connections ended as memory was short",
    "udpReceiveBufferErrors": "datagrams dropped as a socket's buffer was full",
}


class PodKey(NamedTuple):
    """A pod, and where it ran."""

    node: str
    pod: str


@dataclass
class Pod:
    """What the kernel counted for a pod's network namespace."""

    host_network: bool = False
    # By the kernel's names.
    counters: dict[str, int] = field(default_factory=dict)
    # By ours.
    levels: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, counters: Mapping[str, int], sockets: Mapping[str, int], *, host_network: bool) -> "Pod":
        """Return what the wire carries."""
        levels = {name: sum(sockets.get(line, 0) for line in lines) for name, lines in LEVELS.items()}
        return cls(host_network, dict(counters), levels)

    def add(self, more: "Pod") -> None:
        """Add what came before or after."""
        for name, count in more.counters.items():
            self.counters[name] = self.counters.get(name, 0) + count
        self._raise_levels(more)

    def raise_to(self, other: "Pod") -> None:
        """Take what another container of the pod has more of: they share the counters, and one began earlier."""
        for name, count in other.counters.items():
            self.counters[name] = max(self.counters.get(name, 0), count)
        self._raise_levels(other)

    def _raise_levels(self, other: "Pod") -> None:
        self.host_network |= other.host_network
        for name, level in other.levels.items():
            self.levels[name] = max(self.levels.get(name, 0), level)

    def document(self, key: PodKey) -> Mapping[str, Any]:
        """Return it as the status has it; what a kernel does not count is left out."""
        counters = {name: self.counters[of] for name, of in COUNTERS.items() if of in self.counters}
        return {"pod": key.pod, "node": key.node, "nodeNetwork": self.host_network, **self.levels, **counters}


def losses(pods: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each thing that was lost in a pod's network namespace."""
    for pod in pods:
        where = f"pod {pod['pod']}" if pod["pod"] else "its network namespace"
        if pod["nodeNetwork"]:
            where = f"{where} (in the node's network)" if pod["pod"] else "the node"
        yield from (f"{where}: {pod[name]} {words}" for name, words in _LOST.items() if pod.get(name))
