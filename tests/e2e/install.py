"""The chart, installed by Helm the way the README says."""

import os
from pathlib import Path

import pytest
from kubectl import Namespace, run

ROOT = Path(__file__).parents[2]
SYSTEM = Namespace("kubestrace-system")
_BOTH = ("deployment/kubestrace-operator", "daemonset/kubestrace-agent")


def check_cluster(tests: str, effect: str) -> None:
    """Refuse to run these tests against a cluster that nobody meant. Raises pytest.UsageError."""
    if not os.environ.get("KUBECONFIG"):
        raise pytest.UsageError(f"no KUBECONFIG: run this as `tests/cluster/run -- pytest {tests}`")
    context = run("kubectl", "config", "current-context").strip()
    if context != "kubestrace-rig":
        raise pytest.UsageError(
            f"the current context is '{context}', not the rig's: these tests {effect} their cluster"
        )


def is_installed() -> bool:
    """Tell whether the chart has a release."""
    return SYSTEM.name in run("helm", "list", "--all-namespaces", "--output", "json")


def installed() -> Namespace:
    """Install or upgrade the chart of this tree; every agent is ready afterwards."""
    was_there = is_installed()
    run(
        *("helm", "upgrade", "--install", "kubestrace", str(ROOT / "charts/kubestrace")),
        *("--values", str(ROOT / "charts/kubestrace/ci/rig-values.yaml")),
        *("--namespace", SYSTEM.name, "--create-namespace", "--wait", "--timeout", "3m"),
        timeout_seconds=200,
    )
    if was_there:
        # The images keep their tags while they are being worked on: what runs may be older.
        SYSTEM.kubectl("rollout", "restart", *_BOTH)
    for each in _BOTH:  # Helm does not wait for the last agent: one may be unavailable in an update
        SYSTEM.kubectl("rollout", "status", each, "--timeout=90s")
    return SYSTEM
