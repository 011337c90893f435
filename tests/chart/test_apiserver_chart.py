"""What the chart renders, judged by a real API server."""

import json
import re
from pathlib import Path

import pytest
import yaml
from apiserver import Cluster
from rendering import CHART, Chart

CI_VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
# Not a part of Kubernetes: what the API server here does not know it cannot judge.
FOREIGN_GROUPS = ("cert-manager.io/", "monitoring.coreos.com/")
NAMESPACES = re.compile(r'"namespace": "[^"]*"')


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_the_api_server_takes_every_object(dry_cluster: Cluster, values: Path) -> None:
    """No object has a field that the API server does not know, or one that it refuses."""
    # Under another release's name, so that an install that is there already is left out of the matter.
    manifests = Chart("trial").manifests(**yaml.safe_load(values.read_text()))
    known = [each for each in manifests if not each["apiVersion"].startswith(FOREIGN_GROUPS)]
    in_one_namespace = json.loads(NAMESPACES.sub(f'"namespace": "{dry_cluster.namespace}"', json.dumps(known)))

    printed = dry_cluster.ask("apply", "--dry-run=server", "--validate=strict", "-f", "-", document=in_one_namespace)

    assert printed.count("(server dry run)") == len(known)


def test_a_field_that_no_object_has_is_noticed(dry_cluster: Cluster) -> None:
    """The check above would see a misspelt field."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "x"}, "automountToken": False}

    complaint = dry_cluster.refusal("apply", "--dry-run=server", "--validate=strict", "-f", "-", document=account)

    assert 'unknown field "automountToken"' in complaint


def _pod(chart: Chart, kind: str, component: str) -> dict[str, object]:
    """Return the pod of a workload, without the account that only a whole release has."""
    template = chart.one(kind, component)["spec"]["template"]
    spec = {**template["spec"], "serviceAccountName": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": component}, "spec": spec}


@pytest.mark.parametrize(
    ("level", "component", "admitted"),
    [
        ("restricted", "operator", True),
        ("privileged", "agent", True),
        ("baseline", "agent", False),
    ],
)
def test_pod_security_admits_what_the_documentation_says(
    cluster: Cluster, chart: Chart, level: str, component: str, admitted: bool
) -> None:
    """The strictest level admits the operator; the agents need the level privileged, and nothing less will do."""
    cluster.ask("label", "namespace", cluster.namespace, f"pod-security.kubernetes.io/enforce={level}")
    cluster.ask("wait", "--for=create", "serviceaccount/default", "--timeout=30s")
    pod = _pod(chart, {"operator": "Deployment", "agent": "DaemonSet"}[component], component)

    done = cluster.run("create", "--dry-run=server", "-f", "-", document=pod)

    assert (done.returncode == 0) == admitted, done.stderr
    assert admitted or f'violates PodSecurity "{level}:latest"' in done.stderr
