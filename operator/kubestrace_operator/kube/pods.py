"""Pod objects cut down to what is read of them: a whole one is some ten kilobytes, this is about two."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubestrace_operator.kube.texts import own, own_number, shared

Pod = Mapping[str, Any]
# By UID; None: the pod is gone.
PodChanges = Mapping[str, Pod | None]

# On the API server's image of a static pod: the UID that kubelet gives the pod itself.
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
_TERMINATED = ("reason", "exitCode", "signal")


def trimmed(pod: Mapping[str, Any]) -> Pod:
    """Return the part of a pod that sessions and the agents' directory read."""
    metadata, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    return {
        "metadata": {
            "name": own(metadata["name"]),
            "namespace": shared(metadata.get("namespace", "")),
            "uid": own(metadata["uid"]),
            "labels": {shared(key): shared(value) for key, value in (metadata.get("labels") or {}).items()},
            "ownerReferences": _controller(metadata.get("ownerReferences") or ()),
            "creationTimestamp": _own(metadata.get("creationTimestamp")),
            "deletionTimestamp": _own(metadata.get("deletionTimestamp")),
            **_mirrored(metadata.get("annotations") or {}),
        },
        "spec": {
            "nodeName": shared(spec.get("nodeName") or ""),
            **({"hostNetwork": True} if spec.get("hostNetwork") else {}),
            "containers": _names(spec.get("containers") or ()),
            "initContainers": _names(spec.get("initContainers") or ()),
            "ephemeralContainers": _names(spec.get("ephemeralContainers") or ()),
        },
        "status": {
            "phase": shared(status.get("phase") or ""),
            "podIP": _own(status.get("podIP")),
            **_further_addresses(status.get("podIPs") or ()),
            "ready": any(
                each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ()
            ),
            **_ready_changed(status.get("conditions") or ()),
            "containerStatuses": _statuses(status.get("containerStatuses") or ()),
            "initContainerStatuses": _statuses(status.get("initContainerStatuses") or ()),
            "ephemeralContainerStatuses": _statuses(status.get("ephemeralContainerStatuses") or ()),
        },
    }


def apply(known: dict[str, Pod], changes: PodChanges) -> None:
    """Apply changes to the pods that are known, by UID."""
    for uid, pod in changes.items():
        if pod is None:
            known.pop(uid, None)
        else:
            known[uid] = pod


def _own(text: str | None) -> str | None:
    return text if text is None else own(text)


def _kept(value: str | int) -> str | int:
    return shared(value) if isinstance(value, str) else own_number(value)


def _mirrored(annotations: Mapping[str, str]) -> dict[str, Any]:
    """Keep the UID of a static pod, where this is the API server's image of one."""
    uid = annotations.get(MIRROR_ANNOTATION)
    return {"annotations": {MIRROR_ANNOTATION: own(uid)}} if uid else {}


def _further_addresses(addresses: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Keep all addresses of a pod that has one of each family."""
    return {"podIPs": [own(each["ip"]) for each in addresses]} if len(addresses) > 1 else {}


def _ready_changed(conditions: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Keep when the pod's containers last became ready, or ceased to be: of a single one no time is told."""
    times = [each.get("lastTransitionTime") for each in conditions if each["type"] == "ContainersReady"]
    return {"containersReadyChanged": own(times[0])} if times and times[0] else {}


def _controller(owners: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"kind": shared(each["kind"]), "name": shared(each["name"]), "controller": True}
        for each in owners
        if each.get("controller")
    ]


def _names(containers: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [{key: shared(each[key]) for key in ("name", "restartPolicy") if each.get(key)} for each in containers]


def _statuses(statuses: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "name": shared(each["name"]),
            "containerID": _own(each.get("containerID")),
            "restartCount": own_number(each.get("restartCount", 0)),
            "ready": bool(each.get("ready")),
            "state": _state(each.get("state") or {}),
            "lastState": _state(each.get("lastState") or {}),
        }
        for each in statuses
    ]


def _state(state: Mapping[str, Any]) -> dict[str, Any]:
    if "running" in state:
        return {"running": {}}
    if "waiting" in state:
        return {"waiting": {"reason": shared((state["waiting"] or {}).get("reason") or "")}}
    if "terminated" in state:
        ended = state["terminated"] or {}
        return {"terminated": {key: _kept(ended[key]) for key in _TERMINATED if ended.get(key) not in {None, ""}}}
    return {}
