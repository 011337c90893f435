"""Pods for the tests, and what can be done to them and to the nodes from outside."""

import contextlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubectl import Document, Namespace, run, until

RIG = Path(__file__).parents[1] / "cluster"
NODES = ("node-1", "node-2")
CALLS_IMAGE = "kubestrace-test/workload:1"
SHELL_IMAGE = "kubestrace-test/busybox:1"


def python_image() -> str:
    """Return an image with Python, which is on the nodes: the operator's own."""
    chart = (Path(__file__).parents[2] / "charts/kubestrace/Chart.yaml").read_text(encoding="utf-8")
    version = next(line.split()[1].strip('"') for line in chart.splitlines() if line.startswith("appVersion:"))
    return f"localhost/kubestrace/operator:{version}"


def calls_pod(name: str, node: str, app: str, *calls: str, **metadata: Any) -> Document:
    """Return a pod that makes known calls once it gets SIGUSR1, and then stays."""
    container = {"name": "app", "image": CALLS_IMAGE, "args": ["--wait", "--then-pause", *calls]}
    return pod(name, app, container, nodeName=node, **metadata)


def busy_pod(name: str, app: str, **spec: Any) -> Document:
    """Return a pod whose shell makes some calls every 50 ms."""
    command = ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.05; cat /no/such/file 2>/dev/null; done"]
    return pod(name, app, {"name": "app", "image": SHELL_IMAGE, "command": command}, **spec)


def pod(name: str, app: str, container: Document, **spec: Any) -> Document:
    """Return a pod of one container."""
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}}, "spec": spec}


def deployment(name: str, replicas: int) -> Document:
    """Return a Deployment of busy pods."""
    template = busy_pod(name, name)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": template["spec"]},
        },
    }


@contextmanager
def static_pod(node: str, manifest: Document) -> Iterator[None]:
    """Have a node's kubelet run a pod from a file, as the control plane's pods are run."""
    path = f"/var/lib/kubelet/manifests/{manifest['metadata']['name']}.json"
    # Written beside and moved: kubelet reads a file as soon as it is there.
    script = f"cat >{path}.new && mv {path}.new {path}"
    run(str(RIG / "node-exec"), node, "--", "sh", "-c", script, given=json.dumps(manifest))
    try:
        yield
    finally:
        on_node(node, "rm", path)


def container_id(namespace: Namespace, pod_name: str) -> tuple[str, str]:
    """Return the node and the bare id of a pod's only container."""
    found = namespace.get("pod", pod_name)
    return found["spec"]["nodeName"], found["status"]["containerStatuses"][0]["containerID"].removeprefix(
        "containerd://"
    )


def signal(namespace: Namespace, pod_name: str, name: str) -> None:
    """Send a signal to a container's first process from the node, with nothing run inside the container."""
    node, container = container_id(namespace, pod_name)
    on_node(node, "ctr", "-n", "k8s.io", "tasks", "kill", "--signal", name, container)


def on_node(node: str, *words: str) -> str:
    """Run a command with the mounts and the network of a node."""
    return run(str(RIG / "node-exec"), node, "--", *words)


def report(namespace: Namespace, pod_name: str) -> Document:
    """Wait for the line in which a calls pod says what it did."""
    text = until(lambda: namespace.kubectl("logs", pod_name).strip(), f"{pod_name} has made its calls")
    counted: Document = json.loads(text)
    return counted


def agent_pod(system: Namespace, node: str) -> str:
    """Return the name of the agent's pod on a node."""
    return system.kubectl(
        *("get", "pods", "-l", "app.kubernetes.io/component=agent", "-o", "name"),
        *("--field-selector", f"spec.nodeName={node}"),
    ).strip().removeprefix("pod/")  # fmt: skip


def attached_programs(system: Namespace, node: str) -> int:
    """Count the raw tracepoints that the agent's process on a node holds open: a link is attached while it is."""
    _, container = container_id(system, agent_pod(system, node))
    line = next(line for line in on_node(node, "ctr", "-n", "k8s.io", "tasks", "ls").splitlines() if container in line)
    pid = line.split()[1]
    found = 0
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            found += "link_type:\traw_tracepoint" in path.read_text()
    return found
