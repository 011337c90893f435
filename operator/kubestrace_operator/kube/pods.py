"""Pod objects cut down to what is read of them: a whole one is some ten kilobytes, this is less than one."""

from collections.abc import Mapping
from typing import Any

_METADATA = ("name", "namespace", "uid", "labels", "ownerReferences", "creationTimestamp", "deletionTimestamp")
_CONTAINER = ("name", "restartPolicy")
_STATUS = ("name", "containerID", "restartCount", "state")


def trimmed(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a pod that targets.py and directory.py read."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    return {
        "metadata": _only(pod["metadata"], _METADATA),
        "spec": {
            "nodeName": spec.get("nodeName"),
            "containers": [_only(each, _CONTAINER) for each in spec.get("containers") or ()],
            "initContainers": [_only(each, _CONTAINER) for each in spec.get("initContainers") or ()],
            "ephemeralContainers": [_only(each, _CONTAINER) for each in spec.get("ephemeralContainers") or ()],
        },
        "status": {
            "phase": status.get("phase"),
            "podIP": status.get("podIP"),
            "ready": any(
                each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ()
            ),
            "containerStatuses": [_only(each, _STATUS) for each in status.get("containerStatuses") or ()],
            "initContainerStatuses": [_only(each, _STATUS) for each in status.get("initContainerStatuses") or ()],
        },
    }


def applied(known: dict[str, dict[str, Any]], event: Mapping[str, Any]) -> bool:
    """Apply a watch's event to the pods that are known, by UID; tell whether anything that is read changed."""
    if event["type"] == "BOOKMARK":
        return False
    uid = event["object"]["metadata"]["uid"]
    if event["type"] == "DELETED":
        return known.pop(uid, None) is not None
    changed = trimmed(event["object"])
    if known.get(uid) == changed:
        return False
    known[uid] = changed
    return True


def _only(document: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: document[name] for name in names if name in document}
