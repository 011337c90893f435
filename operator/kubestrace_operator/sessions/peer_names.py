"""The names of addresses, from pods and Services of a session's own namespace: no other is read for it. Pure."""

from collections.abc import Iterator, Mapping

from kubestrace_operator.kube.pods import Pod, PodChanges
from kubestrace_operator.views.view import PeerName

_HASH = "pod-template-hash"
# Addresses of pods that came and went: a session of an hour beside a busy CronJob sees many.
MAX_ADDRESSES = 20_000


class PeerNames:
    """Whose addresses are, as pods come and go."""

    def __init__(self) -> None:
        # By address, the pods that have had it by UID, as they are shared with all who follow the namespace.
        self._pods: dict[str, dict[str, Pod]] = {}
        # By address.
        self.services: Mapping[str, str] = {}

    def update(self, changes: PodChanges) -> None:
        """Take over pods that changed; those that are gone have had their addresses in the session."""
        for uid, pod in changes.items():
            for address in _addresses(pod) if pod is not None else ():
                if address in self._pods or len(self._pods) < MAX_ADDRESSES:
                    self._pods.setdefault(address, {})[uid] = pod  # type: ignore[assignment]

    def names(self) -> dict[str, PeerName]:
        """Return the name of each address. One that several pods have had has only what they have in common."""
        found = {address: _common([_name(pod) for pod in pods.values()]) for address, pods in self._pods.items()}
        services = {address: PeerName("", "", name) for address, name in self.services.items()}
        return {address: name for address, name in found.items() if name.pod or name.workload} | services


def _addresses(pod: Pod) -> Iterator[str]:
    """Yield a pod's own addresses; one with hostNetwork has the node's."""
    if pod["spec"].get("hostNetwork"):
        return
    status = pod["status"]
    yield from status.get("podIPs") or filter(None, [status.get("podIP")])


def _name(pod: Pod) -> PeerName:
    metadata = pod["metadata"]
    owner: Mapping[str, str] | None = next(iter(metadata["ownerReferences"]), None)
    if owner is None:
        return PeerName(metadata["name"], "")
    kind, name, template = owner["kind"], owner["name"], metadata["labels"].get(_HASH)
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
        kind, name = "Deployment", name.removesuffix(f"-{template}")
    return PeerName(metadata["name"], f"{kind}/{name}")


def _common(names: list[PeerName]) -> PeerName:
    pods, workloads = {name.pod for name in names}, {name.workload for name in names}
    return PeerName(pods.pop() if len(pods) == 1 else "", workloads.pop() if len(workloads) == 1 else "")
