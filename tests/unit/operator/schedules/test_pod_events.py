"""What happens to a pod, by two sights of it."""

from typing import Any

import pytest

from kubestrace_operator.kube.pods import trimmed
from kubestrace_operator.schedules.pod_events import KINDS, PodEvents

RUNNING = {"running": {"startedAt": "2026-11-28T12:00:00Z"}}
ENDED = {"terminated": {"exitCode": 3, "reason": "Error"}}
KILLED = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff"}}
CREATING = {"waiting": {"reason": "ContainerCreating"}}
PULLING = {"waiting": {"reason": "ImagePullBackOff"}}


def pod(
    state: dict[str, Any], restarts: int = 0, *, last: Any = None, ready: bool = True, at: str = "", **metadata: Any
) -> Any:
    """Return a pod with one container, as the cache keeps it; its readiness changed at a minute."""
    ready_changed = {"type": "ContainersReady", "status": str(ready), "lastTransitionTime": f"2026-11-28T12:{at}:00Z"}
    status = {"name": "app", "state": state, "lastState": last or {}, "restartCount": restarts, "ready": ready}
    return trimmed(
        {
            "metadata": {"name": "shop-1", "namespace": "shop", "uid": "uid-1", **metadata},
            "spec": {"containers": [{"name": "app"}]},
            "status": {"containerStatuses": [status], "conditions": [ready_changed] if at else []},
        }
    )


def seen(*pods: Any) -> list[list[str]]:
    """Return what each sight of the pod told."""
    events = PodEvents(KINDS)
    return [[event.kind for event in events.see(each, ["app"])] for each in pods]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (pod(RUNNING), pod(RUNNING), []),
        (pod(RUNNING), pod(RUNNING, 1, last=ENDED), ["Restarted"]),
        (pod(RUNNING), pod(ENDED), []),
        (pod(RUNNING), pod(KILLED), ["OOMKilled"]),
        (pod(RUNNING), pod(RUNNING, 1, last=KILLED), ["OOMKilled", "Restarted"]),
        # It was told when it was killed.
        (pod(KILLED), pod(BACK_OFF, last=KILLED), ["BackOff"]),
        (pod(KILLED), pod(RUNNING, 1, last=KILLED), ["Restarted"]),
        (pod(RUNNING), pod(RUNNING, ready=False), ["ProbeFailing"]),
        # A new life is not ready at once.
        (pod(RUNNING), pod(RUNNING, 1, last=ENDED, ready=False), ["Restarted"]),
        (pod(CREATING, ready=False), pod(RUNNING, ready=False), []),
        (pod(RUNNING, 1), pod(BACK_OFF, 1, last=ENDED), ["BackOff"]),
        (pod(BACK_OFF, 1, last=ENDED), pod(BACK_OFF, 1, last=ENDED), []),
        (pod(BACK_OFF, 1, last=ENDED), pod(BACK_OFF, 2, last=ENDED), ["BackOff", "Restarted"]),
        (pod(CREATING), pod(PULLING), []),
        # A rollout ends pods as meant.
        (pod(RUNNING), pod(RUNNING, ready=False, deletionTimestamp="2026-11-28T12:00:00Z"), []),
    ],
)
def test_what_changes_is_told_once(before: Any, now: Any, expected: list[str]) -> None:
    """Each happening when it is seen first."""
    assert seen(before, now, now)[1:] == [expected, []]


def test_the_first_sight_tells_what_a_pod_is_in() -> None:
    """Not what it went through: that may be old."""
    assert seen(pod(RUNNING, 7, last=KILLED)) == [[]]
    assert seen(pod(BACK_OFF, 7, last=ENDED)) == [["BackOff"]]


def test_only_what_is_asked_for_is_told() -> None:
    """Of the kinds, and of the containers."""
    events = PodEvents(["OOMKilled"])
    events.see(pod(RUNNING), ["app"])

    assert [each.kind for each in events.see(pod(RUNNING, 1, last=KILLED), ["app"])] == ["OOMKilled"]
    assert events.see(pod(KILLED, 1), ["sidecar"]) == []


def test_the_same_happening_has_the_same_key_for_every_operator() -> None:
    """Two that overlap make one session of it."""
    one, other = PodEvents(KINDS), PodEvents(KINDS)
    one.see(pod(RUNNING, 1), ["app"])
    one.see(pod(BACK_OFF, 1, last=ENDED), ["app"])
    again = one.see(pod(BACK_OFF, 2, last=ENDED), ["app"])

    (first,) = PodEvents(KINDS).see(pod(BACK_OFF, 2, last=ENDED), ["app"])
    other.see(pod(BACK_OFF, 2, last=ENDED), ["app"])
    assert first.key in {each.key for each in again}
    assert len({each.key for each in again}) == len(again)


def test_a_probe_that_fails_again_is_another_event() -> None:
    """Also in the same life; whoever saw the same one fail has the same key."""
    events, other = PodEvents(KINDS), PodEvents(KINDS)
    keys = []
    for at, ready in (("00", True), ("01", False), ("02", True), ("03", False)):
        keys += [each.key for each in events.see(pod(RUNNING, ready=ready, at=at), ["app"])]
    other.see(pod(RUNNING, at="02"), ["app"])
    (again,) = other.see(pod(RUNNING, ready=False, at="03"), ["app"])

    assert len(set(keys)) == 2
    assert again.key == keys[1]
