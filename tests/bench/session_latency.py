"""How long a person waits: apply to Tracing on all nodes, and the end of the duration to the final status.

Run against a cluster that has the chart and a workload on each node:

    tests/cluster/run -- python tests/bench/session_latency.py --sessions 50
"""

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from kubernetes import client, config, watch

GROUP = {"group": "kubestrace.io", "version": "v1alpha1", "plural": "tracesessions"}
DURATION_SECONDS = 2
PODS = 4


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--namespace", default="kubestrace-bench")
    parser.add_argument("--image", default="kubestrace-test/busybox:1")
    arguments = parser.parse_args()
    config.load_kube_config()
    with_workload(arguments.namespace, arguments.image)
    api = client.CustomObjectsApi()
    measured = [one_session(api, arguments.namespace, number) for number in range(arguments.sessions)]
    print(f"{len(measured)} sessions of {DURATION_SECONDS} s over {PODS} pods on all nodes, milliseconds")
    for name in ("apply to Tracing", "end of duration to final status"):
        print(row(name, [sample[name] for sample in measured]))


def row(name: str, samples: list[float]) -> str:
    """Return one line with median, 99th percentile and extremes."""
    ordered = sorted(samples)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    figures = {"p50": statistics.median(ordered), "p99": p99, "min": ordered[0], "max": ordered[-1]}
    return f"{name:32}" + "".join(f"  {figure} {value:7.0f}" for figure, value in figures.items())


def with_workload(namespace: str, image: str) -> None:
    """Create the namespace and the pods once, spread over the nodes."""
    labels = {"app": "bench"}
    spread = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}
    pod = {
        "containers": [{"name": "app", "image": image, "command": ["sh", "-c", "while true; do sleep 0.05; done"]}],
        "topologySpreadConstraints": [{**spread, "labelSelector": {"matchLabels": labels}}],
        "terminationGracePeriodSeconds": 0,
    }
    spec = {
        "replicas": PODS,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    documents: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "bench", "namespace": namespace},
            "spec": spec,
        },
    ]
    applied = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    subprocess.run(["kubectl", "apply", "-f", "-"], input=applied, text=True, check=True, timeout=600)
    subprocess.run(["kubectl", "-n", namespace, "rollout", "status", "deployment/bench"], check=True, timeout=600)


def one_session(api: client.CustomObjectsApi, namespace: str, number: int) -> dict[str, float]:
    """Create one session and return its two waits in milliseconds."""
    name = f"bench-{number}"
    body = {
        "apiVersion": "kubestrace.io/v1alpha1",
        "kind": "TraceSession",
        "metadata": {"name": name},
        "spec": {"target": {"selector": {"matchLabels": {"app": "bench"}}}, "durationSeconds": DURATION_SECONDS},
    }
    started = time.time()
    created = api.create_namespaced_custom_object(namespace=namespace, body=body, **GROUP)
    seen = {}
    for now, status in statuses(api, namespace, name, created["metadata"]["resourceVersion"]):
        seen.setdefault(status.get("phase"), now)
        if status.get("completionTime"):
            break
    api.delete_namespaced_custom_object(namespace=namespace, name=name, **GROUP)
    return {
        "apply to Tracing": (seen["Tracing"] - started) * 1000,
        "end of duration to final status": (now - seen["Tracing"] - DURATION_SECONDS) * 1000,
    }


def statuses(
    api: client.CustomObjectsApi, namespace: str, name: str, version: str
) -> Iterator[tuple[float, dict[str, Any]]]:
    """Yield the time and the status of each change of one session."""
    events = watch.Watch().stream(
        api.list_namespaced_custom_object,
        namespace=namespace,
        field_selector=f"metadata.name={name}",
        resource_version=version,
        timeout_seconds=60,
        **GROUP,
    )
    for event in events:
        yield time.time(), event["object"].get("status", {})


if __name__ == "__main__":
    main()
