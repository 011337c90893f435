"""Nodes and pods that kwok simulates: nodes renew their leases, pods run as soon as they are there."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "kwok"
_BUILD_SECONDS = 1800
# As kubelet has it: a quarter of it passes between two renewals.
_LEASE_SECONDS = 40
ADDRESS = "kubestrace.io/simulated-address"


@contextmanager
def simulated_nodes(kubeconfig: Path, folder: Path) -> Iterator[None]:
    """Run kwok for all nodes of a cluster."""
    built = subprocess.run([_FOLDER / "build"], check=True, capture_output=True, text=True, timeout=_BUILD_SECONDS)
    command = [built.stdout.strip(), "--kubeconfig", str(kubeconfig), "--config", str(_FOLDER / "stages.yaml")]
    command += ["--manage-all-nodes", f"--node-lease-duration-seconds={_LEASE_SECONDS}"]
    with (folder / "kwok.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield
        finally:
            process.kill()


def node_document(name: str) -> dict[str, Any]:
    """Return a node that nobody but kwok runs."""
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}


def pod_document(name: str, node: str, labels: dict[str, str], address: str) -> dict[str, Any]:
    """Return a pod that kwok runs under an address."""
    container = {
        "name": "app",
        "image": "none",
        "env": [{"name": f"VARIABLE_{n}", "value": "x" * 40} for n in range(20)],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels, "annotations": {ADDRESS: address}},
        "spec": {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 0},
    }
