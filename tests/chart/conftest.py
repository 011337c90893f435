"""`tests/cluster/run -- pytest tests/chart` gives a cluster; any other that KUBECONFIG points to will do as well."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from apiserver import Cluster
from rendering import NAMESPACE, Chart

# What the chart installs.
DEFINITIONS = ("tracesessions.kubestrace.io", "traceschedules.kubestrace.io")


@pytest.fixture(scope="session")
def chart() -> Chart:
    """Return the chart."""
    return Chart()


@pytest.fixture(scope="session")
def api_server(chart: Chart) -> Iterator[None]:
    """Make sure that a cluster answers and serves both kinds as this tree defines them."""
    asked = Cluster("default").run("get", "--raw", "/readyz", "--request-timeout=10s")
    if asked.returncode:
        _no_cluster(asked.stderr)
    kubectl = Cluster("default")
    there_before = {name for name in DEFINITIONS if kubectl.run("get", "crd", name).returncode == 0}
    for name in DEFINITIONS:
        crd = chart.one("CustomResourceDefinition", name)
        # So that a later `helm install` takes the definition over instead of refusing one that it does not own.
        owner = {"meta.helm.sh/release-name": chart.release, "meta.helm.sh/release-namespace": NAMESPACE}
        crd["metadata"]["annotations"] |= owner
        kubectl.ask(
            "apply", "--server-side", "--force-conflicts", "--field-manager=chart-tests", "-f", "-", document=crd
        )
    for name in DEFINITIONS:
        # `kubectl wait` fails on a definition so new that it has no conditions.
        kubectl.ask_until("get", name, "--request-timeout=5s", timeout_seconds=60)
    yield
    for name in DEFINITIONS:
        if name not in there_before:
            # Waited for, so that what comes next does not meet a definition that is going away.
            kubectl.ask("delete", "crd", name, "--timeout=60s")


def _no_cluster(why: str) -> None:
    message = f"no cluster answers (KUBECONFIG={os.environ.get('KUBECONFIG', '')}): {why}"
    if os.environ.get("KUBESTRACE_REQUIRE_CLUSTER"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def cluster(api_server: None) -> Iterator[Cluster]:
    """Return a real cluster with a new namespace, which goes away afterwards."""
    yield from _with_namespace()


@pytest.fixture(scope="session")
def dry_cluster(api_server: None) -> Iterator[Cluster]:
    """Return a real cluster with one namespace for all tests that change nothing in it."""
    yield from _with_namespace()


def _with_namespace() -> Iterator[Cluster]:
    cluster = Cluster()
    cluster.ask("create", "namespace", cluster.namespace)
    yield cluster
    cluster.ask("delete", "namespace", cluster.namespace, "--wait=false")
