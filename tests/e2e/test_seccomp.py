"""A profile that is made of a session, on a node: kubelet's localhostProfile lets the program run, and nothing more."""

import json
import os
from collections.abc import Iterator

import pytest
from kubectl import Document, Namespace, run, until
from workloads import NODES, RIG, SHELL_IMAGE, on_node, pod

NODE = NODES[0]
FOLDER = "/var/lib/kubelet/seccomp"
# What the session sees, and what is tried under its profile. Making a folder is in neither.
WORK = "cat /proc/self/status >/dev/null; ls / >/dev/null; echo worked"


@pytest.fixture
def profile_name() -> Iterator[str]:
    """Name a profile's file on the node; it is removed afterwards."""
    name = f"kubestrace-test-{os.getpid()}.json"
    yield name
    on_node(NODE, "rm", "-f", f"{FOLDER}/{name}")


def shell_pod(name: str, script: str, profile: str = "") -> Document:
    """Return a pod that runs a script once."""
    container: Document = {"name": "app", "image": SHELL_IMAGE, "command": ["sh", "-c", script]}
    if profile:
        container["securityContext"] = {"seccompProfile": {"type": "Localhost", "localhostProfile": profile}}
    return pod(name, name, container, nodeName=NODE, restartPolicy="Never")


def ended(namespace: Namespace, name: str) -> tuple[str, str]:
    """Return a pod's phase at its end and what it printed."""

    def phase() -> str:
        found: str = namespace.get("pod", name)["status"].get("phase", "")
        return found if found in {"Succeeded", "Failed"} else ""

    return until(phase, f"{name} has ended"), namespace.kubectl("logs", name)


def test_a_pod_runs_under_the_profile_of_its_session_and_a_call_outside_is_denied(
    namespace: Namespace, profile_name: str
) -> None:
    """From the first call on, as the session was there before the pod."""
    session = namespace.session("starts", {"selector": {"matchLabels": {"app": "seen"}}}, durationSeconds=15)
    namespace.apply(shell_pod("seen", WORK))
    assert ended(namespace, "seen") == ("Succeeded", "worked\n")
    status = session.finished()
    assert [row.get("fromStart") for row in status["containers"]] == [True]
    assert "execve" in status["summary"]["syscallNames"]
    assert status["summary"]["lastNewCallTime"] < status["completionTime"]

    text = run("kubestrace", "seccomp", "starts", "-n", namespace.name)
    assert json.loads(text)["architectures"] == [f"SCMP_ARCH_{os.uname().machine.upper()}"]
    script = f"mkdir -p {FOLDER} && cat > {FOLDER}/{profile_name}"
    run(str(RIG / "node-exec"), NODE, "--", "sh", "-c", script, given=text)

    namespace.apply(
        shell_pod("allowed", WORK, profile_name),
        shell_pod("outside", f"{WORK}; mkdir /tmp/made 2>&1; true", profile_name),
        shell_pod("free", "mkdir /tmp/made && echo made"),
    )
    assert ended(namespace, "allowed") == ("Succeeded", "worked\n")
    assert ended(namespace, "free") == ("Succeeded", "made\n")
    phase, said = ended(namespace, "outside")
    assert (phase, said) == (
        "Succeeded",
        "worked\nmkdir: can't create directory '/tmp/made': Operation not permitted\n",
    )
