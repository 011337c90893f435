"""Containers from their first call: init containers and the lives of a crash loop, each exact."""

import base64
import subprocess
from pathlib import Path

from kubectl import Document, Namespace
from workloads import CALLS_IMAGE, NODES, SHELL_IMAGE

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


def test_each_life_of_a_crash_loop_is_exact(namespace: Namespace, tmp_path: Path) -> None:
    """The session is there before the pods; nothing in it says that they were not traced."""
    namespace.apply(life(tmp_path))
    target = {"selector": {"matchLabels": {"app": "loop"}}}
    session = namespace.session("lives", target, durationSeconds=45)
    namespace.apply(looping_pod("loop-1", NODES[0]), looping_pod("loop-2", NODES[1]))
    status = session.finished(timeout_seconds=150)

    for pod in ("loop-1", "loop-2"):
        rows = [row for row in status["containers"] if row["pod"] == pod]
        lives = [row for row in rows if row["container"] == "app"]
        (init,) = (row for row in rows if row["container"] == "prepare")
        assert (init["kind"], init["exitCode"], init["reason"]) == ("initContainer", 0, "Completed")
        assert [row["restarts"] for row in lives] == list(range(len(lives)))
        assert len(lives) >= 3
        assert {(row["kind"], row["exitCode"], row["reason"], row["calls"], row["errors"]) for row in lives} == {
            ("container", 3, "Error", 7, 1)
        }
    calls = {row["name"]: row["calls"] for row in status["summary"]["syscalls"]}
    lives_of_both = sum(row["container"] == "app" for row in status["containers"])
    assert calls["getppid"] == 2 * 21 + 5 * lives_of_both
    assert status.get("failures", []) == []
    assert status["trust"]["gaps"] == []
    assert status["trust"]["runtimeCalls"] > 0
