"""Which containers of which pods a target means, judged from pod objects as the API server gives them.

Traced are all containers of a pod, also its init containers and ephemeral ones, unless the target says otherwise.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubestrace_operator.api.spec import Selector, Target, Workload
from kubestrace_operator.kube.pods import MIRROR_ANNOTATION
from kubestrace_operator.status.progress import Failure
from kubestrace_protos.v1 import agent_pb2

Pod = Mapping[str, Any]
# Kinds of containers, as status.containers has them.
CONTAINER, SIDECAR, INIT, EPHEMERAL = "container", "sidecar", "initContainer", "ephemeralContainer"

# As kubelet writes it; a UID of the API server's has dashes.
_STATIC_UID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class RunningContainer:
    """One life of one container, on the node where it runs."""

    node: str
    # As kubelet and the container runtime have it.
    pod_uid: str
    namespace: str
    pod: str
    container: str
    container_id: str
    restarts: int = 0
    kind: str = ""

    def message(self) -> agent_pb2.Container:
        """Return it as the agents know it."""
        return agent_pb2.Container(
            pod_uid=self.pod_uid,
            pod_namespace=self.namespace,
            pod_name=self.pod,
            container_name=self.container,
            container_id=self.container_id,
            restart_count=self.restarts,
            kind=self.kind,
        )


@dataclass(frozen=True)
class ChosenPod:
    """A pod to trace: what runs in it, and a sentence for each wanted container that does not."""

    uid: str
    name: str
    node: str
    running: tuple[RunningContainer, ...]
    waiting: tuple[str, ...]
    # RunningContainer.pod_uid: another one where the pod is static.
    kubelet_uid: str
    # As the agent of its node is told, which counts its containers from their first call; None: it has no node yet.
    watched: agent_pb2.Pod | None = None


@dataclass(frozen=True)
class Found:
    """What a target means at one moment."""

    pods: tuple[ChosenPod, ...] = ()
    # Names of pods that match and are left out because maxPods is reached: the first of them, and how many there are.
    skipped: tuple[str, ...] = ()
    skipped_count: int = 0
    # Names of pods that match and have none of the wanted containers.
    without_container: tuple[str, ...] = ()
    # Wanted container names that no matching pod has.
    failures: tuple[Failure, ...] = ()
    # Why nothing can be traced, as a reason and as a sentence; empty when something can.
    reason: str = ""
    why_nothing: str = ""

    @property
    def running(self) -> tuple[RunningContainer, ...]:
        """Everything that can be traced now."""
        return tuple(container for pod in self.pods for container in pod.running)


def describe(target: Target) -> str:
    """Return the target in words, as in "no ... runs"."""
    if target.pod_name is not None:
        return f"pod named {target.pod_name}"
    if target.workload is not None:
        return f"pod of {target.workload.kind} {target.workload.name}"
    query = target.selector.query() if target.selector else ""
    return f"pod with the labels {query}" if query else "pod"


def matches(target: Target, pod: Pod, workload_selector: Selector | None) -> bool:
    """Tell whether a target means a pod; `workload_selector` is the spec.selector of the workload that is named."""
    labels = pod["metadata"].get("labels") or {}
    if target.pod_name is not None:
        return _name(pod) == target.pod_name
    if target.selector is not None:
        return target.selector.matches(labels)
    if target.workload is None or (workload_selector is not None and not workload_selector.matches(labels)):
        return False
    return _owned(target.workload, pod)


def _owned(workload: Workload, pod: Pod) -> bool:
    """Tell whether the workload made the pod; other controllers' pods may have the same labels."""
    owner = next((each for each in pod["metadata"].get("ownerReferences") or () if each.get("controller")), None)
    if owner is None:
        return False
    if workload.kind == "Deployment":
        # The deployment controller names a ReplicaSet after its deployment and its pods' template hash.
        template = (pod["metadata"].get("labels") or {}).get("pod-template-hash")
        wanted = ("ReplicaSet", f"{workload.name}-{template}")
    else:
        wanted = (workload.kind, workload.name)
    return (owner["kind"], owner["name"]) == wanted


def chosen_pod(target: Target, pod: Pod) -> ChosenPod:
    """Return what runs of the wanted containers of a pod, and what the others wait for."""
    statuses = _statuses(pod)
    running, waiting = [], []
    for name in wanted(target, pod):
        status = statuses.get(name) or {}
        if "running" in (status.get("state") or {}) and status.get("containerID") and _node(pod):
            running.append(_running(pod, name, status))
        else:
            waiting.append(f"container {name} of pod {_name(pod)} {_state(pod, status)}")
    uid = str(pod["metadata"]["uid"])
    watched = _watched(target, pod) if _node(pod) else None
    return ChosenPod(uid, _name(pod), _node(pod), tuple(running), tuple(waiting), _kubelet_uid(pod), watched)


def _watched(target: Target, pod: Pod) -> agent_pb2.Pod:
    """Return a pod as the agent of its node is told."""
    kinds, names = container_kinds(pod), wanted(target, pod)
    return agent_pb2.Pod(
        uid=_kubelet_uid(pod),
        namespace=pod["metadata"].get("namespace", ""),
        name=_name(pod),
        containers=target.containers or (() if target.ephemeral_containers else names),
        excluded_containers=[name for name in kinds if name not in names],
        kinds=kinds,
    )


def _running(pod: Pod, name: str, status: Mapping[str, Any]) -> RunningContainer:
    return RunningContainer(
        node=_node(pod),
        pod_uid=_kubelet_uid(pod),
        namespace=pod["metadata"].get("namespace", ""),
        pod=_name(pod),
        container=name,
        container_id=status["containerID"],
        restarts=status.get("restartCount", 0),
        kind=container_kinds(pod).get(name, ""),
    )


def _state(pod: Pod, status: Mapping[str, Any]) -> str:
    state = status.get("state") or {}
    if "terminated" in state:
        return f"has ended ({_exit(state['terminated'])})"
    if "waiting" in state:
        last = (status.get("lastState") or {}).get("terminated")
        ended = f"; it last ended with {_exit(last)}" if last else ""
        return f"is waiting ({state['waiting'].get('reason') or 'not started'}{ended})"
    return "has not started" if _node(pod) else "has no node yet"


def _exit(ended: Mapping[str, Any]) -> str:
    """Return how a container ended: the runtime's reason and the exit code."""
    code = f"exit code {ended['exitCode']}" if "exitCode" in ended else "unknown exit code"
    return ", ".join(each for each in (ended.get("reason"), code) if each)


def _statuses(pod: Pod) -> dict[str, Mapping[str, Any]]:
    status = pod.get("status") or {}
    lists = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    return {each["name"]: each for name in lists for each in status.get(name) or ()}


def container_kinds(pod: Pod) -> dict[str, str]:
    """Return the kind of each container of a pod by its name: the app's first."""
    spec = pod.get("spec") or {}
    kinds = {each["name"]: CONTAINER for each in spec.get("containers") or ()}
    for each in spec.get("initContainers") or ():
        kinds[each["name"]] = SIDECAR if each.get("restartPolicy") == "Always" else INIT
    return kinds | {each["name"]: EPHEMERAL for each in spec.get("ephemeralContainers") or ()}


def wanted(target: Target, pod: Pod) -> list[str]:
    """Return the names of a pod's containers that a target means."""
    kinds = container_kinds(pod)
    if target.containers:
        return [name for name in kinds if name in target.containers]
    left_out = {INIT} if not target.init_containers else set()
    left_out |= {EPHEMERAL} if not target.ephemeral_containers else set()
    return [name for name, kind in kinds.items() if kind not in left_out]


def unknown_name(name: str, there: Sequence[str]) -> Failure:
    """Return the failure of a wanted container that no matching pod has; `there` are the names that could be wanted."""
    message = f"no matching pod has a container {name!r}; there are {', '.join(there)}"
    return Failure("ContainerNotFound", message, container=name)


def why_nothing(
    target: Target, names: Sequence[str], alive: int, taken: Sequence[ChosenPod], failures: Sequence[Failure]
) -> tuple[str, str]:
    """Return the reason and the sentence for a target of which nothing runs.

    `names` are all pods that match, `alive` is how many of them have not ended, `taken` those to trace.
    """
    if not names:
        return "NoMatchingPods", f"There is no {describe(target)} in this namespace."
    if not alive:
        return "NotRunning", f"Every {describe(target)} has ended: {listed(names)}."
    if not taken and failures:
        return failures[0].reason, f"{_match(alive)}, but {'; '.join(failure.message for failure in failures)}."
    waiting = [sentence for pod in taken for sentence in pod.waiting]
    return "NotRunning", f"{_match(alive)}, but nothing that is wanted runs yet: {listed(waiting, '; ')}."


def _match(pods: int) -> str:
    return "1 pod matches" if pods == 1 else f"{pods} pods match"


def listed(words: Iterable[str], separator: str = ", ", most: int = 5, count: int | None = None) -> str:
    """Return the first few words as a list, with the number of the others; `count` is how many there are in all."""
    words = list(words)
    count = len(words) if count is None else count
    more = f" and {count - most} more" if count > most else ""
    return separator.join(words[:most]) + more


def by_node(containers: Iterable[RunningContainer]) -> dict[str, list[RunningContainer]]:
    """Return containers grouped by the node that runs them."""
    nodes: dict[str, list[RunningContainer]] = {}
    for container in containers:
        nodes.setdefault(container.node, []).append(container)
    return nodes


def has_ended(pod: Pod) -> bool:
    """Tell whether a pod has ended for good."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def _name(pod: Pod) -> str:
    return str(pod["metadata"]["name"])


def _kubelet_uid(pod: Pod) -> str:
    """Return the UID that kubelet and the container runtime know a pod by.

    Of a static pod that is the hash of its manifest, which the API server's image of the pod carries as an annotation;
    the image has a UID of its own. Only a hash is taken from there, as users can set annotations of their pods.
    """
    annotations = pod["metadata"].get("annotations") or {}
    mirrored = str(annotations.get(MIRROR_ANNOTATION) or "")
    return mirrored if _STATIC_UID.fullmatch(mirrored) else str(pod["metadata"]["uid"])


def _node(pod: Pod) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "")


def watched_by_node(pods: Iterable[ChosenPod]) -> dict[str, list[agent_pb2.Pod]]:
    """Return the pods that have a node, by their nodes, as the agents there are told."""
    nodes: dict[str, list[agent_pb2.Pod]] = {}
    for pod in pods:
        if pod.watched is not None:
            nodes.setdefault(pod.node, []).append(pod.watched)
    return nodes
