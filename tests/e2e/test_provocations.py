"""The security view in pods: what few programs have a reason to do, and what people, probes and package managers do."""

from collections.abc import Iterator

import pytest
from kubectl import Document, Namespace, fresh_namespace, until
from workloads import NODES, pod, python_image

PROVOKE = """
import ctypes, os, socket, time
while not os.path.exists("/tmp/go"): time.sleep(0.1)
def child(run):
    if os.fork() == 0:
        try: run()
        finally: os._exit(1)
    os.wait()
def memory():
    payload = os.memfd_create("payload")
    os.write(payload, open("/bin/true", "rb").read())
    os.execve(f"/proc/self/fd/{payload}", ["payload"], {})
def shell():
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    server.close()
    os.dup2(client.fileno(), 0)
    os.execv("/bin/sh", ["sh", "-c", "true"])
open("/etc/shadow").close()
child(memory)
child(shell)
sleeper = os.fork()
if sleeper == 0: time.sleep(5), os._exit(0)
assert ctypes.CDLL(None).ptrace(16, sleeper, 0, 0) == 0
os.kill(sleeper, 9)
print("done", flush=True)
time.sleep(600)
"""


def python_pod(name: str, node: str, command: list[str], **container: object) -> Document:
    """Return a pod of root's, as Falco's rules meet them."""
    image = {"image": python_image(), "imagePullPolicy": "Never", "securityContext": {"runAsUser": 0}}
    return pod(name, name, {"name": "app", "command": command, **image, **container}, nodeName=node)


@pytest.fixture(scope="module")
def statuses() -> Iterator[dict[str, Document]]:
    """The sessions of a pod that provokes, and of one that people and kubelet look at."""
    with fresh_namespace("provocations") as namespace:
        probe = {"exec": {"command": ["sh", "-c", "true"]}, "periodSeconds": 1, "timeoutSeconds": 10}
        namespace.apply(
            python_pod("provoking", NODES[0], ["python3", "-c", PROVOKE]),
            python_pod("innocent", NODES[1], ["sleep", "600"], livenessProbe=probe | {"failureThreshold": 30}),
        )
        namespace.kubectl("wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s")
        sessions = {
            name: namespace.session(name, {"podName": name}, durationSeconds=15, profile="Security").tracing()
            for name in ("provoking", "innocent")
        }
        namespace.kubectl("exec", "provoking", "--", "touch", "/tmp/go")  # noqa: S108 - in the pod
        namespace.kubectl("exec", "innocent", "--", "sh", "-c", "id; ls /")
        namespace.kubectl("exec", "innocent", "--", "dpkg", "-l")
        until(lambda: _done(namespace), "all was provoked")
        yield {name: session.finished() for name, session in sessions.items()}


def _done(namespace: Namespace) -> bool:
    return namespace.kubectl("logs", "provoking").strip() == "done"


def found(status: Document) -> dict[str, str]:
    """Return findings with their severities."""
    return {each["id"]: each["severity"] for each in status["findings"]}


def test_provocations_are_findings(statuses: dict[str, Document]) -> None:
    """Each by its rule, and the page says what they are worth."""
    status = statuses["provoking"]

    assert status["trust"]["gaps"] == []
    expected = {"reverse-shell": "critical", "exec-from-memory": "warning", "sensitive-read": "warning"}
    assert found(status).items() >= (expected | {"ptrace": "warning"}).items()
    assert "nothing was prevented" in " ".join(status["report"].split())


def test_what_people_probes_and_package_managers_do_is_information(statuses: dict[str, Document]) -> None:
    """By kubectl exec and kubelet, each of them executes shells."""
    status = statuses["innocent"]

    assert status["trust"]["gaps"] == []
    assert status["security"]["executions"] > 0
    assert set(found(status).values()) <= {"info"}
