"""Containers from their first call: init containers and the lives of a crash loop, each exact."""

import base64
import json
import subprocess
from pathlib import Path

import pytest
from kubectl import Document, Namespace, until
from workloads import CALLS_IMAGE, NODES, SHELL_IMAGE, agent_pod, deployment, pod

ENGINE_PROGRAMS = Path(__file__).parents[1] / "kernel" / "engine" / "programs"


def life(folder: Path) -> Document:
    """Return a ConfigMap with a program of 7 known calls, of which one fails; it exits with 3."""
    binary = folder / "life"
    options = ("-O1", "-nostdlib", "-ffreestanding", "-static", "-s")
    subprocess.run(["gcc", *options, "-o", binary, ENGINE_PROGRAMS / "life.c"], check=True, timeout=60)
    data = base64.b64encode(binary.read_bytes()).decode()
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "life"}, "binaryData": {"life": data}}


def looping_pod(name: str, node: str) -> Document:
    """Return a pod whose init container makes 21 getppid and whose container lives for 7 calls, again and again."""
    volume = {"name": "life", "configMap": {"name": "life", "defaultMode": 0o755}}
    mount = {"name": "life", "mountPath": "/life"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "loop"}},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "initContainers": [{"name": "prepare", "image": CALLS_IMAGE, "args": ["getppid=21"]}],
            "containers": [
                {"name": "app", "image": SHELL_IMAGE, "command": ["/life/life", "5"], "volumeMounts": [mount]}
            ],
            "volumes": [volume],
        },
    }


PODS = 50
# What the container of such a pod does in each of its lives.
LIFE = ("container", 3, "Error", 7, 1)


def numbers(row: Document) -> tuple[str, int, str, int, int]:
    """Return what is known of a life: its kind, how it ended, its calls and errors."""
    return row["kind"], row["exitCode"], row["reason"], row["calls"], row["errors"]


def assert_nothing_missed(status: Document) -> None:
    """Fail where anything in a result says that a container, or a part of its calls, was not traced."""
    assert status.get("failures", []) == []
    assert status["trust"]["gaps"] == []
    assert status["trust"]["lostCalls"] == 0
    assert "not traced" not in json.dumps(status).lower()


@pytest.mark.alone
def test_each_life_of_fifty_crash_loops_is_exact(namespace: Namespace, tmp_path: Path) -> None:
    """The session is there before the pods; nothing in it says that they were not traced."""
    namespace.apply(life(tmp_path))
    target = {"selector": {"matchLabels": {"app": "loop"}}, "maxPods": PODS}
    session = namespace.session("lives", target, durationSeconds=75)
    names = [f"loop-{number}" for number in range(PODS)]
    namespace.apply(*(looping_pod(name, NODES[number % 2]) for number, name in enumerate(names)))
    status = session.finished(timeout_seconds=200)

    assert_nothing_missed(status)
    assert status["trust"]["runtimeCalls"] > 0
    # Rows are cut where they have no room; the summary has all.
    calls = {row["name"]: row["calls"] for row in status["summary"]["syscalls"]}
    lives, rest = divmod(calls["getppid"] - PODS * 21, 5)
    assert (rest, calls["exit_group"] - PODS) == (0, lives)
    assert lives >= 3 * PODS
    by_pod: dict[str, list[Document]] = {}
    for row in status["containers"]:
        by_pod.setdefault(row["pod"], []).append(row)
    for rows in by_pod.values():
        for row in rows:
            assert numbers(row)[:3] == ("initContainer", 0, "Completed") or numbers(row) == LIFE
        restarts = [row["restarts"] for row in rows if row["container"] == "app"]
        assert restarts == list(range(len(restarts)))
    finding, *others = status["findings"]
    assert (finding["id"], finding["severity"]) == ("crash-loop", "critical")
    assert (finding["pods"], finding["ofPods"]) == (PODS, PODS)
    # A busy machine may have more to say.
    assert not [each for each in others if each["severity"] == "critical"], others
    assert status["findingIds"].startswith("crash-loop")
    assert status["report"].startswith(f"1. CRITICAL crash-loop: {PODS} containers of {PODS} pods started and ended")


def calls_container(name: str, *arguments: str, **more: object) -> Document:
    """Return a container that makes known calls."""
    return {"name": name, "image": CALLS_IMAGE, "args": list(arguments), **more}


def job(name: str, completions: int) -> Document:
    """Return a Job whose pods make 10 getppid each."""
    spec = {"restartPolicy": "Never", "containers": [calls_container("app", "getppid=10")]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "completions": completions,
            "parallelism": 5,
            "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
        },
    }


def service(name: str) -> Document:
    """Return a Deployment whose 3 pods make 30 getppid each, and stay."""
    made = deployment(name, 3)
    template = made["spec"]["template"]["spec"]
    template["containers"] = [calls_container("app", "--then-pause", "getppid=30")]
    return made


def many_kinds(name: str) -> Document:
    """Return a pod with a sidecar, init containers, and containers that are killed for memory or cannot start."""
    probe = {"exec": {"command": ["/calls", "read1=1"]}, "periodSeconds": 1, "timeoutSeconds": 10}
    app = calls_container("app", "--then-pause", "getppid=7", livenessProbe=probe | {"failureThreshold": 30})
    limits = {"resources": {"limits": {"memory": "24Mi"}}}
    made = pod(name, name, app, restartPolicy="OnFailure")
    made["spec"]["initContainers"] = [
        calls_container("sidecar", "--then-pause", "getppid=5", restartPolicy="Always"),
        calls_container("prepare", "getppid=21"),
    ]
    made["spec"]["containers"] += [
        {"name": "greedy", "image": SHELL_IMAGE, "command": ["tail", "/dev/zero"], **limits},
        {"name": "absent", "image": SHELL_IMAGE, "command": ["/no/such/program"]},
    ]
    return made


def getppids(status: Document) -> int:
    """Return how many a session counted."""
    return int(next((row["calls"] for row in status["summary"]["syscalls"] if row["name"] == "getppid"), 0))


def names(status: Document) -> set[str]:
    """Return the names of the containers of a session."""
    return {row["container"] for row in status["containers"]}


def test_every_kind_of_container_from_its_first_call(namespace: Namespace) -> None:
    """Of Jobs, rollouts, sidecars, init and ephemeral containers, one that is killed for memory; as targets choose."""
    sessions = {
        name: namespace.session(name, {"selector": {"matchLabels": {"app": app}}, **more}, durationSeconds=45)
        for name, app, more in (
            ("job", "batch", {}),
            ("rollout", "web", {}),
            ("all", "kinds", {}),
            ("chosen", "kinds", {"containers": ["app"]}),
            ("main", "kinds", {"initContainers": False, "ephemeralContainers": False}),
        )
    }
    namespace.apply(job("batch", 20), service("web"), many_kinds("kinds"))
    namespace.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    namespace.kubectl("rollout", "restart", "deployment/web")
    namespace.kubectl("wait", "pod/kinds", "--for=condition=Initialized", "--timeout=60s")
    debug = ("debug", "kinds", "--image", CALLS_IMAGE, "-c", "looking", "--attach=false", "--arguments-only")
    namespace.kubectl(*debug, "--", "getppid=9")
    found = {name: session.finished(timeout_seconds=150) for name, session in sessions.items()}

    for status in found.values():
        assert_nothing_missed(status)
    assert getppids(found["job"]) == 20 * 10
    assert [(row["exitCode"], row["reason"]) for row in found["job"]["containers"]] == 20 * [(0, "Completed")]
    assert getppids(found["rollout"]) == 2 * 3 * 30
    assert getppids(found["all"]) == 5 + 21 + 7 + 9
    kinds = {(row["container"], row["kind"]) for row in found["all"]["containers"]}
    assert kinds == {
        ("app", "container"),
        ("greedy", "container"),
        ("absent", "container"),
        ("prepare", "initContainer"),
        ("sidecar", "sidecar"),
        ("looking", "ephemeralContainer"),
    }
    ends = {(row["container"], row.get("reason"), row.get("exitCode")) for row in found["all"]["containers"]}
    assert {("greedy", "OOMKilled", 137), ("absent", "StartError", 128), ("looking", "Completed", 0)} <= ends
    # Probes are no lives, and what they do is their container's.
    (app,) = (row for row in found["all"]["containers"] if row["container"] == "app")
    assert app["calls"] > 7
    assert (getppids(found["chosen"]), names(found["chosen"])) == (7, {"app"})
    assert (getppids(found["main"]), names(found["main"])) == (5 + 7, {"app", "greedy", "absent", "sidecar"})


@pytest.mark.alone
def test_lives_while_the_agent_restarts(namespace: Namespace, system: Namespace, tmp_path: Path) -> None:
    """A gap, and never a wrong number."""
    namespace.apply(life(tmp_path))
    session = namespace.session("gap", {"selector": {"matchLabels": {"app": "loop"}}}, durationSeconds=40)
    namespace.apply(looping_pod("loop", NODES[1]))
    until(lambda: session.status.get("phase") == "Tracing", "the session traces")
    system.kubectl("delete", "pod", agent_pod(system, NODES[1]), "--grace-period=0", "--force")
    status = session.finished(timeout_seconds=150)

    assert "AgentRestarted" in {gap["reason"] for gap in status["trust"]["gaps"]}
    lives = [row for row in status["containers"] if row["container"] == "app"]
    assert lives
    assert all(row["calls"] <= 7 and row["errors"] <= 1 for row in lives)
    assert 7 in {row["calls"] for row in lives}


def test_a_container_that_ran_before_tells_how_it_ended(namespace: Namespace) -> None:
    """Its end is told as that of lives which were counted from their first call."""
    namespace.apply(
        pod("slow", "slow", calls_container("app", "--sleep-first", "12", "getppid=3"), restartPolicy="Never")
    )
    namespace.pods_ready("app=slow")
    status = namespace.session("ran", {"podName": "slow"}, durationSeconds=20).finished(timeout_seconds=60)

    (row,) = status["containers"]
    assert (row["exitCode"], row["reason"], getppids(status)) == (0, "Completed", 3)
