"""Measures the gap that a session has while its nodes' agents are replaced, with two strategies of the DaemonSet.

Needs a cluster with kubestrace and the tests' images: `tests/cluster/run -- python3 tests/bench/agent_update.py`.
Prints a line of JSON for each strategy: the seconds of each node's gap, as the session's status tells them, and those
from the command to the last new agent.
"""

import json
import subprocess
import time
from datetime import datetime
from typing import Any

SYSTEM, NAMESPACE, DAEMONSET = "kubestrace-system", "agent-update", "daemonset/kubestrace-agent"
STRATEGIES = {
    "one away": {"maxSurge": 0, "maxUnavailable": 1},
    "new beside old": {"maxSurge": 1, "maxUnavailable": 0},
}
_LOOP = "while true; do sleep 0.02; done"


def main() -> None:
    """Measure each strategy; the DaemonSet keeps the last."""
    kubectl("create", "namespace", NAMESPACE)
    try:
        nodes = kubectl("get", "nodes", "-o", "name").split()
        for node in (name.removeprefix("node/") for name in nodes):
            kubectl("create", "-f", "-", document=pod(node))
        kubectl("-n", NAMESPACE, "wait", "pods", "--all", "--for=condition=Ready", "--timeout=60s")
        for number, (name, strategy) in enumerate(STRATEGIES.items()):
            print(json.dumps({"strategy": name, **measured(f"update-{number}", strategy)}), flush=True)
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def measured(session: str, strategy: dict[str, int]) -> dict[str, Any]:
    """Replace all agents amid a session; return its gaps."""
    rolling = {"spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": strategy}}}
    kubectl("-n", SYSTEM, "patch", DAEMONSET, "--type=merge", "--patch-file=/dev/stdin", document=rolling)
    kubectl("create", "-f", "-", document=session_document(session))
    kubectl("-n", NAMESPACE, "wait", f"tsess/{session}", "--for=jsonpath={.status.phase}=Tracing", "--timeout=30s")
    time.sleep(3)
    begun = time.monotonic()
    kubectl("-n", SYSTEM, "rollout", "restart", DAEMONSET)
    kubectl("-n", SYSTEM, "rollout", "status", DAEMONSET, "--timeout=300s")
    took = time.monotonic() - begun
    time.sleep(5)
    kubectl("-n", NAMESPACE, "patch", f"tsess/{session}", "--type=merge", "--patch", '{"spec":{"cancel":true}}')
    kubectl("-n", NAMESPACE, "wait", f"tsess/{session}", "--for=condition=Finished", "--timeout=60s")
    found = json.loads(kubectl("-n", NAMESPACE, "get", "tsess", session, "-o", "json"))["status"]["trust"]["gaps"]
    gaps = [{"node": gap["node"], "reason": gap["reason"], "seconds": seconds(gap)} for gap in found]
    return {"gaps": gaps, "rollout_seconds": round(took, 1)}


def seconds(gap: dict[str, str]) -> float:
    """Return how long a gap is."""
    begin, end = (datetime.fromisoformat(gap[name]) for name in ("startTime", "endTime"))
    return round((end - begin).total_seconds(), 3)


def pod(node: str) -> dict[str, Any]:
    """Return a pod on a node that makes calls."""
    container = {"name": "app", "image": "kubestrace-test/busybox:1", "command": ["sh", "-c", _LOOP]}
    metadata = {"name": node, "namespace": NAMESPACE, "labels": {"app": "loop"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"nodeName": node, "containers": [container]},
    }


def session_document(name: str) -> dict[str, Any]:
    """Return a session over all of these pods."""
    spec = {"target": {"selector": {"matchLabels": {"app": "loop"}}}, "durationSeconds": 900}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "kubestrace.io/v1alpha1", "kind": "TraceSession", "metadata": metadata, "spec": spec}


def kubectl(*arguments: str, document: object = None) -> str:
    """Run kubectl; return what it prints."""
    given = json.dumps(document) if document is not None else None
    done = subprocess.run(
        ["kubectl", *arguments], input=given, check=True, stdout=subprocess.PIPE, text=True, timeout=310
    )
    return done.stdout


if __name__ == "__main__":
    main()
