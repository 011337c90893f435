"""docs/how-to/uninstall.md: the command for the worst case does what it says."""

import json
import re
import subprocess

from apiserver import Cluster
from rendering import ROOT

PAGE = ROOT / "docs" / "how-to" / "uninstall.md"


def test_a_session_that_waits_for_an_operator_that_is_gone_can_be_freed(cluster: Cluster) -> None:
    """The page's loop takes the finalizers away, and the sessions go."""
    (loop,) = re.findall(r"```sh\n(kubectl get tracesessions.*?)```", PAGE.read_text(), re.DOTALL)
    # Not in the whole cluster, which may have sessions of others.
    loop = loop.replace("--all-namespaces", f"--namespace {cluster.namespace}")
    for name in ("one", "two"):
        metadata = {"name": name, "finalizers": ["example.com/nobody"]}
        kind = {"apiVersion": "kubestrace.io/v1alpha1", "kind": "TraceSession"}
        cluster.ask("create", "-f", "-", document={**kind, "metadata": metadata, "spec": {"target": {"podName": "x"}}})
    cluster.ask("delete", "tracesessions", "--all", "--wait=false")
    before = json.loads(cluster.ask("get", "tracesessions", "-o", "json"))["items"]

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", loop], capture_output=True, text=True, check=False, timeout=60
    )

    assert len(before) == 2
    assert done.returncode == 0, done.stderr
    assert cluster.ask("get", "tracesessions", "-o", "name") == ""
