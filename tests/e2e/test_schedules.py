"""TraceSchedules over a real kubelet: sessions that the clock makes, and what happens to containers."""

import json
from pathlib import Path

from kubectl import Document, Namespace, until
from test_lives import LIFE, assert_nothing_missed, life, looping_pod, numbers
from workloads import NODES, SHELL_IMAGE, busy_pod, pod


def schedule(name: str, seconds: int, **spec: object) -> Document:
    """Return a schedule of sessions of the pods that have its name as label."""
    template = {"spec": {"target": {"selector": {"matchLabels": {"app": name}}}, "durationSeconds": seconds}}
    return {
        "apiVersion": "kubestrace.io/v1alpha1",
        "kind": "TraceSchedule",
        "metadata": {"name": name},
        "spec": {"sessionTemplate": template, **spec},
    }


def sessions(namespace: Namespace, name: str) -> list[Document]:
    """Return what a schedule has made, the oldest first."""
    found = namespace.kubectl("get", "tsess", "-l", f"kubestrace.io/schedule={name}", "-o", "json")
    made: list[Document] = json.loads(found)["items"]
    return sorted(made, key=lambda each: str(each["metadata"]["creationTimestamp"]))


def first_finished(namespace: Namespace, name: str, timeout_seconds: float) -> Document:
    """Wait until a schedule has made a session and the first one has finished; return it."""
    until(lambda: sessions(namespace, name), f"{name} has made a session", timeout_seconds)
    session = str(sessions(namespace, name)[0]["metadata"]["name"])
    namespace.kubectl("wait", f"tsess/{session}", "--for=condition=Finished", "--timeout=120s")
    return namespace.get("tsess", session)


def why(session: Document) -> tuple[str, str, str]:
    """Return the event that a session was made after, its pod and its container."""
    annotations = session["metadata"]["annotations"]
    event, of_pod, container = (annotations[f"kubestrace.io/event{part}"] for part in ("", "-pod", "-container"))
    return event, of_pod, container


def greedy_pod(name: str) -> Document:
    """Return a pod whose container takes memory until the kernel ends it, after 3 s each time."""
    command = ["sh", "-c", "sleep 3; exec tail /dev/zero"]
    limits = {"resources": {"limits": {"memory": "24Mi"}}}
    return pod(name, name, {"name": "greedy", "image": SHELL_IMAGE, "command": command, **limits})


def fading_pod(name: str) -> Document:
    """Return a pod that is ready for some seconds, and then runs on without being ready."""
    command = ["sh", "-c", "touch /ready; sleep 10; rm /ready; exec sleep 600"]
    probe = {"exec": {"command": ["test", "-f", "/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    return pod(name, name, {"name": "app", "image": SHELL_IMAGE, "command": command, "readinessProbe": probe})


def test_what_happens_to_containers_makes_sessions(namespace: Namespace, tmp_path: Path) -> None:
    """Killed for memory, waiting after crashes, not ready any more: each session says why, and has the next lives."""
    # Two lives of the loop at least: kubelet may tell of its wait when that ends, and then they begin 40 s apart.
    seconds = {"killed": 45, "loop": 75, "fading": 5}
    namespace.apply(
        life(tmp_path),
        schedule("killed", seconds["killed"], podEvents=["OOMKilled"], coolDownSeconds=0),
        schedule("loop", seconds["loop"], podEvents=["BackOff"]),
        schedule("fading", seconds["fading"], podEvents=["ProbeFailing"]),
    )
    for name in seconds:
        namespace.kubectl("wait", f"tsched/{name}", "--for=condition=Ready", "--timeout=30s")
    loop = looping_pod("loop-1", NODES[1])
    namespace.apply(greedy_pod("killed"), loop, fading_pod("fading"))
    killed, crashed, faded = (first_finished(namespace, name, 60) for name in seconds)

    assert why(killed) == ("OOMKilled", "killed", "greedy")
    assert why(crashed) == ("BackOff", "loop-1", "app")
    assert why(faded) == ("ProbeFailing", "fading", "app")
    for session in (killed, crashed, faded):
        assert session["status"]["phase"] == "Succeeded"
    assert_nothing_missed(crashed["status"])
    # kubelet restarts at once after a first end, sooner than a session is there; that is told.
    assert {gap["reason"] for gap in killed["status"]["trust"]["gaps"]} <= {"ContainerStartedEarlier"}
    ends = [(row["restarts"], row.get("reason"), row.get("exitCode")) for row in killed["status"]["containers"]]
    assert (1, "OOMKilled", 137) in ends, ends
    # Of the loop the session has lives that began after it was made, each from its first call.
    rows = [row for row in crashed["status"]["containers"] if row["container"] == "app"]
    assert rows
    assert {numbers(row) for row in rows} == {LIFE}
    assert crashed["status"]["findingIds"].startswith("crash-loop")
    # By then its pod has died again, while the session ran: nothing is made beside it, and that is counted.
    status = namespace.get("tsched", "killed")["status"]
    assert status["created"] >= 1
    assert status["skipped"]["sessionActive"] >= 1


def test_every_minute(namespace: Namespace) -> None:
    """Sessions by the clock find the pods that run, and go with their schedule."""
    namespace.apply(busy_pod("shop", "shop", nodeName=NODES[0]))
    namespace.pods_ready("app=shop")
    namespace.apply(schedule("shop", 3, schedule="* * * * *"))
    session = first_finished(namespace, "shop", 75)
    shown = namespace.kubectl("get", "tsched", "shop").splitlines()[1].split()
    namespace.kubectl("delete", "tsched", "shop")

    at = session["metadata"]["annotations"]["kubestrace.io/scheduled-at"]
    assert at.endswith(":00Z")
    assert session["metadata"]["name"].startswith("shop-")
    assert session["status"]["summary"]["calls"] > 0
    assert shown[:2] == ["shop", "*"]
    until(lambda: not sessions(namespace, "shop"), "the sessions are deleted with their schedule", 60)
