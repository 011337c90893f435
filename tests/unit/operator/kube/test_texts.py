"""What is kept of an answer keeps nothing else of it: one text of each object would keep the memory of thousands."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kubestrace_operator.kube.namespaces import NamespaceTable
from kubestrace_operator.kube.pods import trimmed
from kubestrace_operator.kube.session_rows import SessionTable

# Numbers of which there is only one anyway.
SMALL = range(-5, 257)
TIME = "2026-01-01T00:00:00Z"


def parts(value: Any) -> Iterator[Any]:
    """Yield the texts and numbers in a value, however deep."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from (*parts(key), *parts(each))
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from parts(each)
    elif isinstance(value, str) or (isinstance(value, int) and value not in SMALL):
        yield value


def of(document: Any, kept: Any) -> list[Any]:
    """Return which parts of what is kept are the answer's own objects; of texts of a letter there is only one."""
    given = {id(each) for each in parts(document)}
    return [each for each in parts(kept) if id(each) in given and (not isinstance(each, str) or len(each) > 1)]


def columns(*names: str) -> list[dict[str, str]]:
    """Return the definitions of columns."""
    return [{"name": name} for name in names]


def session() -> tuple[Any, Any]:
    """Return a table of a session, and what is kept of it."""
    metadata = {"uid": "uid-1", "namespace": "shop", "name": "nightly-1", "resourceVersion": "1234567890"}
    metadata: dict[str, Any] = metadata | {
        "creationTimestamp": TIME,
        "generation": 1000,
        "finalizers": ["kubestrace.io/finalizer"],
    }
    metadata |= {"ownerReferences": [{"kind": "TraceSchedule", "controller": True, "uid": "uid-of-schedule"}]}
    table = {
        "columnDefinitions": columns("Phase", "Completed", "TTL", "Container-Seconds"),
        "rows": [{"cells": ["Succeeded", TIME, 86_400, 1234], "object": {"metadata": metadata}}],
    }
    document = json.loads(json.dumps(table))
    (kept,) = [row for _, row in SessionTable().items(document)]
    return document, [getattr(kept, name) for name in kept.__slots__]


def pod() -> tuple[Any, Any]:
    """Return a pod with all that is kept of one, and this."""
    metadata = {"name": "shop-1", "namespace": "shop", "uid": "uid-1", "labels": {"app": "shop"}}
    metadata |= {"creationTimestamp": TIME, "deletionTimestamp": TIME}
    owner = {"kind": "ReplicaSet", "name": "shop", "controller": True}
    mirror = {"kubernetes.io/config.mirror": "uid-of-kubelet"}
    ended = {"reason": "OOMKilled", "exitCode": 1000, "signal": 1000}
    status = {"name": "app", "containerID": "containerd://0123", "restartCount": 1000}
    status |= {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": ended}}
    document = json.loads(
        json.dumps(
            {
                "metadata": {**metadata, "ownerReferences": [owner], "annotations": mirror},
                "spec": {"nodeName": "node-1", "containers": [{"name": "app", "restartPolicy": "Always"}]},
                "status": {
                    "phase": "Running",
                    "podIP": "10.0.0.1",
                    "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
                    "containerStatuses": [status],
                    "conditions": [{"type": "ContainersReady", "status": "False", "lastTransitionTime": TIME}],
                },
            }
        )
    )
    return document, trimmed(document)


def namespace() -> tuple[Any, Any]:
    """Return a table of a namespace, and what is kept of it."""
    labels = {"kubestrace.io/tracing": "disabled"}
    metadata = {"uid": "uid-1", "name": "shop", "deletionTimestamp": TIME, "labels": labels}
    document = json.loads(json.dumps({"rows": [{"object": {"metadata": metadata}}]}))
    return document, list(NamespaceTable().items(document))


@pytest.mark.parametrize("make", [session, pod, namespace])
def test_nothing_of_an_answer_is_kept_as_it_came(make: Any) -> None:
    """Each text and number is a copy, or one that all share."""
    document, kept = make()

    assert list(parts(kept))
    assert of(document, kept) == []
