"""TraceSchedules, judged by a real API server with its garbage collector, kubectl and the real operator."""

import json
import time
from typing import Any

import pytest
from lab import Document, Lab, Namespace, eventually

ONCE_A_YEAR = "0 0 1 1 *"


def schedule(name: str, seconds: int = 1, **spec: Any) -> Document:
    """Return a schedule of sessions of the shop's pod."""
    template = {"spec": {"target": {"selector": {"matchLabels": {"app": "shop"}}}, "durationSeconds": seconds}}
    return {
        "apiVersion": "kubestrace.io/v1alpha1",
        "kind": "TraceSchedule",
        "metadata": {"name": name},
        "spec": {"sessionTemplate": template, **spec},
    }


class Schedules:
    """The schedules of a namespace."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self._restarts = 0

    def create(self, name: str, seconds: int = 1, **spec: Any) -> Document:
        """Create a schedule and wait until the operator has seen it."""
        made = self.namespace.created(schedule(name, seconds, **spec))
        self.wait(name, "observedGeneration", 1)
        return made

    def status(self, name: str) -> Document:
        """Return a schedule's status."""
        found = json.loads(self.namespace.ask("get", "tsched", name, "-o", "json"))
        return dict(found["status"])

    def wait(self, name: str, field: str, value: object, seconds: float = 90) -> Document:
        """Wait until a field of the status has a value; return the status."""
        assert eventually(lambda: self.status(name).get(field) == value, seconds), self.status(name)
        return self.status(name)

    def sessions(self) -> list[Document]:
        """Return the namespace's sessions, those that were made first first."""
        found = json.loads(self.namespace.ask("get", "tsess", "-o", "json"))["items"]
        return sorted(found, key=lambda each: each["metadata"]["creationTimestamp"])

    def put_back(self, name: str, hours: int) -> None:
        """Let the operator believe that it last looked at the schedule so long ago."""
        then = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - hours * 3600))
        patch = json.dumps({"status": {"observedScheduleTime": then}})
        self.namespace.ask("patch", "tsched", name, "--subresource=status", "--type=merge", "-p", patch)

    def set_ready(self, *, ready: bool) -> None:
        """Write the pod's status as kubelet does when a readiness probe fails or passes again."""
        pod = json.loads(self.namespace.ask("get", "pod", "shop-1", "-o", "json"))
        (container,) = pod["status"]["containerStatuses"]
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        kinds = ("Ready", "ContainersReady")
        conditions = [{"type": kind, "status": str(ready), "lastTransitionTime": now} for kind in kinds]
        status = {"containerStatuses": [container | {"ready": ready}], "conditions": conditions}
        patch = ("patch", "pod/shop-1", "--subresource=status", "--type=merge", "--patch-file=/dev/stdin")
        self.namespace.ask(*patch, document={"status": status})

    def restart_container(self, reason: str = "Error") -> None:
        """Write the pod's status as kubelet does when its container runs again."""
        pod = json.loads(self.namespace.ask("get", "pod", "shop-1", "-o", "json"))
        (container,) = pod["status"]["containerStatuses"]
        ended = {"exitCode": 137, "reason": reason, "startedAt": None, "finishedAt": None}
        container |= {"restartCount": container["restartCount"] + 1, "lastState": {"terminated": ended}}
        patch = ("patch", "pod/shop-1", "--subresource=status", "--type=merge", "--patch-file=/dev/stdin")
        self.namespace.ask(*patch, document={"status": {"containerStatuses": [container]}})


@pytest.fixture
def schedules(namespace: Namespace) -> Schedules:
    """Return the schedules of a new namespace."""
    return Schedules(namespace)


def test_an_event_of_a_pod_makes_a_session_that_is_owned_by_the_schedule(schedules: Schedules) -> None:
    """It says why it was made, traces what the template says, and goes with its schedule."""
    made = schedules.create("crash", podEvents=["OOMKilled", "Restarted"])
    # The operator knows the pod before it restarts.
    time.sleep(2)
    schedules.restart_container("OOMKilled")
    status = schedules.wait("crash", "created", 1)
    schedules.wait("crash", "activeCount", 0)
    (session,) = schedules.sessions()
    metadata = session["metadata"]
    schedules.namespace.ask("delete", "tsched", "crash")

    assert metadata["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert metadata["labels"]["kubestrace.io/schedule"] == "crash"
    assert metadata["annotations"]["kubestrace.io/event"] == "OOMKilled"
    assert metadata["annotations"]["kubestrace.io/event-pod"] == "shop-1"
    assert session["status"]["phase"] == "Succeeded"
    # The restart that the kill led to came within the cool-down.
    assert status["skipped"]["coolDown"] == 1
    assert eventually(lambda: not schedules.sessions(), 90)


def test_a_probe_that_fails_again_makes_another_session(schedules: Schedules) -> None:
    """In the same life of its container, and while the session of the first time is still there."""
    schedules.create("probe", podEvents=["ProbeFailing"], coolDownSeconds=0)
    time.sleep(2)
    for number in (1, 2):
        schedules.set_ready(ready=False)
        schedules.wait("probe", "created", number)
        schedules.wait("probe", "activeCount", 0)
        schedules.set_ready(ready=True)
        time.sleep(1)

    assert len(schedules.sessions()) == 2


def test_a_slot_that_was_missed_is_made_up_for_by_the_next_operator(lab: Lab, schedules: Schedules) -> None:
    """The last of them, once; the others are counted."""
    schedules.create("hourly", schedule="0 * * * *")
    lab.kill_operator()
    schedules.put_back("hourly", 5)
    lab.start_operator()
    status = schedules.wait("hourly", "created", 1)
    schedules.wait("hourly", "activeCount", 0)
    lab.kill_operator()
    lab.start_operator()
    time.sleep(3)
    after = schedules.status("hourly")

    assert status["skipped"]["missed"] == 4
    assert status["lastScheduleTime"].endswith(":00:00Z")
    assert after["created"] == 1
    assert after["lastSuccessfulTime"]
    assert len(schedules.sessions()) == 1


def test_an_operator_that_forgot_makes_no_second_session_of_a_slot(lab: Lab, schedules: Schedules) -> None:
    """It was killed between the session and the status: the session's name is the slot's."""
    schedules.create("hourly", schedule="0 * * * *")
    for _ in range(2):
        lab.kill_operator()
        schedules.put_back("hourly", 2)
        lab.start_operator()
        assert eventually(lambda: len(schedules.sessions()) == 1, 90)
        time.sleep(2)

    assert len(schedules.sessions()) == 1


def test_the_history_is_limited(schedules: Schedules) -> None:
    """Of those that succeeded one is kept."""
    limits = {"successfulSessionsHistoryLimit": 1, "coolDownSeconds": 0, "concurrencyPolicy": "Allow"}
    schedules.create("crash", podEvents=["Restarted"], **limits)
    time.sleep(2)
    for number in range(1, 4):
        schedules.restart_container()
        schedules.wait("crash", "created", number)
        schedules.wait("crash", "activeCount", 0)

    assert eventually(lambda: len(schedules.sessions()) == 1, 90)


def test_the_hourly_cap_and_what_is_skipped(schedules: Schedules) -> None:
    """The status, an event and kubectl say so."""
    schedules.create("crash", podEvents=["Restarted"], maxSessionsPerHour=1, coolDownSeconds=0)
    time.sleep(2)
    schedules.restart_container()
    schedules.wait("crash", "created", 1)
    schedules.wait("crash", "activeCount", 0)
    schedules.restart_container()
    status = schedules.wait("crash", "skippedCount", 1)
    events = eventually(lambda: "HourlyCap" in schedules.namespace.ask("get", "events"), 90)

    assert status["lastSkip"]["reason"] == "HourlyCap"
    assert events
    assert len(schedules.sessions()) == 1


def test_replace_ends_the_session_that_runs(schedules: Schedules) -> None:
    """And makes another one."""
    schedules.create("crash", 600, podEvents=["Restarted"], concurrencyPolicy="Replace", coolDownSeconds=0)
    time.sleep(2)
    names = []
    for number in (1, 2):
        schedules.restart_container()
        schedules.wait("crash", "created", number)
        names.append(schedules.status("crash")["active"][-1]["name"])

    assert names[0] != names[1]
    assert eventually(lambda: [each["metadata"]["name"] for each in schedules.sessions()] == names[1:], 90)


def test_a_closed_namespace_and_a_suspended_schedule(lab: Lab, schedules: Schedules) -> None:
    """Neither makes sessions; the status says why, and the schedule goes on when it may."""
    schedules.namespace.ask("label", "namespace", schedules.namespace.namespace, "kubestrace.io/tracing=disabled")
    schedules.create("crash", podEvents=["Restarted"], coolDownSeconds=0)
    time.sleep(2)
    schedules.restart_container()
    closed = schedules.wait("crash", "skippedCount", 1)
    schedules.namespace.ask("label", "namespace", schedules.namespace.namespace, "kubestrace.io/tracing-")
    patch = ("patch", "tsched", "crash", "--type=merge", "-p")
    schedules.namespace.ask(*patch, json.dumps({"spec": {"suspend": True}}))
    schedules.wait("crash", "observedGeneration", 2)
    schedules.restart_container()
    time.sleep(2)
    suspended = schedules.status("crash")

    assert closed["skipped"]["namespaceClosed"] == 1
    (ready,) = closed["conditions"]
    assert (ready["status"], ready["reason"]) == ("False", "SessionRefused")
    assert suspended["created"] == 0
    assert suspended["conditions"][0]["reason"] == "ScheduleSuspended"


def test_a_schedule_that_cannot_be_served_says_so(schedules: Schedules) -> None:
    """The API server cannot judge an expression; GitOps tools see it as failed."""
    status = schedules.create("wrong", schedule="61 * * * *")["metadata"] and schedules.status("wrong")
    by_kind = {each["type"]: each for each in status["conditions"]}

    assert {kind: each["status"] for kind, each in by_kind.items()} == {"Ready": "False", "Stalled": "True"}
    assert "bad minute" in by_kind["Ready"]["message"]


def test_kubectl_shows_a_schedule(schedules: Schedules) -> None:
    """Its columns, and its events when it is described."""
    schedules.create("nightly", schedule=ONCE_A_YEAR, timeZone="Europe/Berlin", podEvents=["BackOff"])
    header, line = schedules.namespace.ask("get", "tsched", "-o", "wide").splitlines()

    assert header.split()[:7] == ["NAME", "SCHEDULE", "EVENTS", "SUSPEND", "ACTIVE", "CREATED", "SKIPPED"]
    assert line.startswith("nightly")
    assert ONCE_A_YEAR in line
    assert "Europe/Berlin" in line
