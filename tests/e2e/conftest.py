"""One cluster and one install for a run, one namespace for a test."""

import fcntl
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kubectl import Namespace, fresh_namespace, run, until

ROOT = Path(__file__).parents[2]
SYSTEM = "kubestrace-system"


def pytest_configure() -> None:
    """Refuse to run against a cluster that nobody meant."""
    if not os.environ.get("KUBECONFIG"):
        raise pytest.UsageError("no KUBECONFIG: run this as `tests/cluster/run -- pytest tests/e2e`")
    context = run("kubectl", "config", "current-context").strip()
    if context != "kubestrace-rig":
        raise pytest.UsageError(f"the current context is '{context}', not the rig's: these tests change their cluster")


@pytest.fixture(scope="session", autouse=True)
def system() -> Namespace:
    """The chart, installed by Helm the way the README says, with every agent ready."""
    run_id = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run_id is None:
        return _installed()
    # Several workers: the first installs, the others wait for it.
    with (Path(tempfile.gettempdir()) / f"kubestrace-e2e-{run_id}").open("a+") as done:
        fcntl.flock(done, fcntl.LOCK_EX)
        if done.seek(0, os.SEEK_END) == 0:
            _installed()
            done.write("installed")
    return Namespace(SYSTEM)


def _installed() -> Namespace:
    made = Namespace(SYSTEM)
    was_there = SYSTEM in run("helm", "list", "--all-namespaces", "--output", "json")
    run(
        *("helm", "upgrade", "--install", "kubestrace", str(ROOT / "charts/kubestrace")),
        *("--values", str(ROOT / "charts/kubestrace/ci/rig-values.yaml")),
        *("--namespace", SYSTEM, "--create-namespace", "--wait", "--timeout", "3m"),
        timeout_seconds=200,
    )
    both = ("deployment/kubestrace-operator", "daemonset/kubestrace-agent")
    if was_there:
        # The images keep their tags while they are being worked on: what runs may be older.
        made.kubectl("rollout", "restart", *both)
    for each in both:  # Helm does not wait for the last agent: one may be unavailable in an update
        made.kubectl("rollout", "status", each, "--timeout=90s")
    return made


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A namespace of the test's own, gone afterwards."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:50].strip("-")
    with fresh_namespace(name) as made:
        yield made


@pytest.fixture(autouse=True)
def _everything_ready(system: Namespace) -> None:
    """Start each test from a whole system: an earlier one may have killed a part of it."""
    until(lambda: _ready(system), "operator and agents are ready", timeout_seconds=120)


def _ready(system: Namespace) -> bool:
    pods = json.loads(system.kubectl("get", "pods", "-o", "json"))["items"]
    return len(pods) >= 3 and all(
        any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", [])) for pod in pods
    )
