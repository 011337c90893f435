"""Which containers of which pods a target means, judged from pod objects as the API server gives them.

Traced are a pod's app containers and its sidecars (init containers that restart always). Init containers, which end
before the app starts, and ephemeral containers, which are a person's own debugging, are not.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubestrace_operator.api.spec import Selector, Target, Workload
from kubestrace_operator.status.progress import Failure
from kubestrace_protos.v1 import agent_pb2

Pod = Mapping[str, Any]


@dataclass(frozen=True)
class RunningContainer:
    """One life of one container, on the node where it runs."""

    node: str
    pod_uid: str
    namespace: str
    pod: str
    container: str
    container_id: str
    restarts: int = 0

    def message(self) -> agent_pb2.Container:
        """Return it as the agents know it."""
        return agent_pb2.Container(
            pod_uid=self.pod_uid,
            pod_namespace=self.namespace,
            pod_name=self.pod,
            container_name=self.container,
            container_id=self.container_id,
            restart_count=self.restarts,
        )


@dataclass(frozen=True)
class ChosenPod:
    """A pod to trace: what runs in it, and a sentence for each wanted container that does not."""

    uid: str
    name: str
    node: str
    running: tuple[RunningContainer, ...]
    waiting: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What a target means at one moment."""

    pods: tuple[ChosenPod, ...] = ()
    # Names of pods that match and are left out because maxPods is reached.
    skipped: tuple[str, ...] = ()
    # Names of pods that match and have none of the wanted containers.
    without_container: tuple[str, ...] = ()
    # Wanted container names that no matching pod has.
    failures: tuple[Failure, ...] = ()
    # Why nothing can be traced; empty when something can.
    why_nothing: str = ""

    @property
    def running(self) -> tuple[RunningContainer, ...]:
        """Everything that can be traced now."""
        return tuple(container for pod in self.pods for container in pod.running)


def find(
    target: Target,
    pods: Iterable[Pod],
    *,
    workload_selector: Selector | None = None,
    chosen: Collection[str] = (),
) -> Found:
    """Return what `target` means among the pods of its namespace.

    Pods that have ended are no candidates. Of more than maxPods the oldest are taken, but pods whose UID is in
    `chosen`, being traced already, keep their place. `workload_selector` is the spec.selector of the workload that is
    named.
    """
    matching = [pod for pod in pods if _matches(target, pod, workload_selector)]
    alive = [pod for pod in matching if not _ended(pod)]
    suitable = [pod for pod in alive if _wanted(target, pod)]
    suitable.sort(key=lambda pod: (_uid(pod) not in chosen, _created(pod), _name(pod)))
    taken = tuple(_chosen(target, pod) for pod in suitable[: target.max_pods])
    failures = _unknown_names(target, alive)
    return Found(
        pods=taken,
        skipped=tuple(_name(pod) for pod in suitable[target.max_pods :]),
        without_container=tuple(_name(pod) for pod in alive if not _wanted(target, pod)),
        failures=failures,
        why_nothing="" if any(pod.running for pod in taken) else _why(target, matching, alive, taken, failures),
    )


def describe(target: Target) -> str:
    """Return the target in words, as in "no ... runs"."""
    if target.pod_name is not None:
        return f"pod named {target.pod_name}"
    if target.workload is not None:
        return f"pod of {target.workload.kind} {target.workload.name}"
    query = target.selector.query() if target.selector else ""
    return f"pod with the labels {query}" if query else "pod"


def _matches(target: Target, pod: Pod, workload_selector: Selector | None) -> bool:
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


def _chosen(target: Target, pod: Pod) -> ChosenPod:
    statuses = _statuses(pod)
    running, waiting = [], []
    for name in _wanted(target, pod):
        status = statuses.get(name) or {}
        if "running" in (status.get("state") or {}) and status.get("containerID") and _node(pod):
            running.append(_running(pod, name, status))
        else:
            waiting.append(f"container {name} of pod {_name(pod)} {_state(pod, status)}")
    return ChosenPod(_uid(pod), _name(pod), _node(pod), tuple(running), tuple(waiting))


def _running(pod: Pod, name: str, status: Mapping[str, Any]) -> RunningContainer:
    return RunningContainer(
        node=_node(pod),
        pod_uid=_uid(pod),
        namespace=pod["metadata"].get("namespace", ""),
        pod=_name(pod),
        container=name,
        container_id=status["containerID"],
        restarts=status.get("restartCount", 0),
    )


def _state(pod: Pod, status: Mapping[str, Any]) -> str:
    state = status.get("state") or {}
    if "terminated" in state:
        ended = state["terminated"]
        return f"has ended ({ended.get('reason') or 'exit code'} {ended.get('exitCode', '')})".replace(" )", ")")
    if "waiting" in state:
        return f"is waiting ({state['waiting'].get('reason') or 'not started'})"
    return "has not started" if _node(pod) else "has no node yet"


def _statuses(pod: Pod) -> dict[str, Mapping[str, Any]]:
    status = pod.get("status") or {}
    both = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return {each["name"]: each for each in both}


def _names(pod: Pod) -> list[str]:
    """Return the names of a pod's app containers and sidecars."""
    spec = pod.get("spec") or {}
    sidecars = [each["name"] for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
    return [each["name"] for each in spec.get("containers") or ()] + sidecars


def _wanted(target: Target, pod: Pod) -> list[str]:
    return [name for name in _names(pod) if not target.containers or name in target.containers]


def _unknown_names(target: Target, pods: Sequence[Pod]) -> tuple[Failure, ...]:
    there = sorted({name for pod in pods for name in _names(pod)})
    if not pods:
        return ()
    return tuple(
        Failure(
            "ContainerNotFound",
            f"no matching pod has a container {name!r} that can be traced; there are {', '.join(there)}"
            + _other_kind(name, pods),
            container=name,
        )
        for name in target.containers
        if name not in there
    )


def _other_kind(name: str, pods: Sequence[Pod]) -> str:
    for kind, words in (("initContainers", "an init container"), ("ephemeralContainers", "an ephemeral container")):
        if any(each["name"] == name for pod in pods for each in (pod.get("spec") or {}).get(kind) or ()):
            return f" ({name} is {words}: those are not traced)"
    return ""


def _why(
    target: Target,
    matching: Sequence[Pod],
    alive: Sequence[Pod],
    taken: Sequence[ChosenPod],
    failures: Sequence[Failure],
) -> str:
    if not matching:
        return f"There is no {describe(target)} in this namespace."
    if not alive:
        return f"Every {describe(target)} has ended: {listed(_name(pod) for pod in matching)}."
    if not taken and failures:
        return f"{_match(alive)}, but {'; '.join(failure.message for failure in failures)}."
    waiting = [sentence for pod in taken for sentence in pod.waiting]
    return f"{_match(alive)}, but nothing that is wanted runs yet: {listed(waiting, '; ')}."


def _match(pods: Sequence[Pod]) -> str:
    return "1 pod matches" if len(pods) == 1 else f"{len(pods)} pods match"


def listed(words: Iterable[str], separator: str = ", ", most: int = 5) -> str:
    """Return the first few words as a list, with the number of the others."""
    words = list(words)
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return separator.join(words[:most]) + more


def by_node(containers: Iterable[RunningContainer]) -> dict[str, list[RunningContainer]]:
    """Return containers grouped by the node that runs them."""
    nodes: dict[str, list[RunningContainer]] = {}
    for container in containers:
        nodes.setdefault(container.node, []).append(container)
    return nodes


def _ended(pod: Pod) -> bool:
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def _name(pod: Pod) -> str:
    return str(pod["metadata"]["name"])


def _uid(pod: Pod) -> str:
    return str(pod["metadata"]["uid"])


def _created(pod: Pod) -> str:
    return str(pod["metadata"].get("creationTimestamp") or "")


def _node(pod: Pod) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "")
