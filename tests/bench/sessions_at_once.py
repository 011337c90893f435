"""How many sessions a node holds at once: 60 with all views on the same containers, from apply to the final status.

Run against a cluster that has the chart:

    tests/cluster/run -- python tests/bench/sessions_at_once.py

Three pods of two containers each make calls without pause. A session is late by the time from its duration's end to its
condition Finished, as a watcher of the API sees it.
"""

import argparse
import statistics
import subprocess
import time
from datetime import datetime
from typing import Any

import yaml
from kubernetes import client, config

GROUP = {"group": "kubestrace.io", "version": "v1alpha1", "plural": "tracesessions"}
VIEWS: dict[str, Any] = {
    "slowCalls": {"thresholdMilliseconds": 1}, "timeline": {}, "cpuTime": {}, "processes": {}, "errors": {},
}  # fmt: skip
PODS = 3
# It forks, fails to open, reads, writes and sleeps.
PROGRAM = "while :; do cat /nope 2>/dev/null; echo x >/tmp/x; cat /tmp/x >/dev/null; sleep 0.02; done"


def main() -> None:
    """Run the sessions and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=60)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--namespace", default="kubestrace-bench")
    parser.add_argument("--image", default="kubestrace-test/busybox:1")
    arguments = parser.parse_args()
    config.load_kube_config()
    with_workload(arguments.namespace, arguments.image)
    began = time.time()
    apply(*(session(number, arguments) for number in range(arguments.sessions)))
    print(f"{arguments.sessions} sessions of {arguments.seconds} s applied in {time.time() - began:.1f} s")
    late = finished(arguments)
    print(f"after the end of its duration: median {statistics.median(late):.2f} s, last {max(late):.2f} s")
    kubectl("delete", "namespace", arguments.namespace, "--wait=false")


def finished(arguments: argparse.Namespace) -> list[float]:
    """Wait for all sessions, report those that are not complete, and return how late each was, in seconds."""
    api, late = client.CustomObjectsApi(), {}
    until = time.time() + arguments.seconds + 180
    while len(late) < arguments.sessions and time.time() < until:
        for each in api.list_namespaced_custom_object(namespace=arguments.namespace, **GROUP)["items"]:
            name, status = each["metadata"]["name"], each.get("status", {})
            if name in late or not status.get("completionTime"):
                continue
            end = datetime.fromisoformat(status["startTime"]).timestamp() + arguments.seconds
            late[name] = datetime.fromisoformat(status["completionTime"]).timestamp() - end
            if not status.get("trust", {}).get("complete"):
                print(name, status["phase"], [c["message"] for c in status["conditions"]][:3])
        time.sleep(0.5)
    print(f"{len(late)} of {arguments.sessions} have ended")
    return list(late.values())


def session(number: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return one TraceSession with every view."""
    return {
        "apiVersion": "kubestrace.io/v1alpha1",
        "kind": "TraceSession",
        "metadata": {"name": f"at-once-{number}", "namespace": arguments.namespace},
        "spec": {
            "target": {"selector": {"matchLabels": {"app": "at-once"}}},
            "durationSeconds": arguments.seconds,
            "views": VIEWS,
        },
    }


def with_workload(namespace: str, image: str) -> None:
    """Make the namespace and its pods anew, and wait until they run."""
    kubectl("delete", "namespace", namespace, "--ignore-not-found", "--timeout=90s")
    kubectl("create", "namespace", namespace)
    kubectl("-n", namespace, "wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    containers = [{"name": name, "image": image, "command": ["sh", "-c", PROGRAM]} for name in ("app", "side")]
    template = {"metadata": {"labels": {"app": "at-once"}}, "spec": {"containers": containers}}
    apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "at-once", "namespace": namespace},
            "spec": {"replicas": PODS, "selector": {"matchLabels": {"app": "at-once"}}, "template": template},
        }
    )
    kubectl("-n", namespace, "rollout", "status", "deployment/at-once", "--timeout=90s")


def apply(*objects: dict[str, Any]) -> None:
    """Apply objects as a person would, in one call."""
    kubectl("apply", "-f", "-", given=yaml.safe_dump_all(objects))


def kubectl(*words: str, given: str | None = None) -> None:
    """Run kubectl; raises CalledProcessError with what it said."""
    subprocess.run(["kubectl", *words], input=given, text=True, check=True, stdout=subprocess.DEVNULL, timeout=180)


if __name__ == "__main__":
    main()
