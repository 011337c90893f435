"""The rights that the chart gives, as a real API server grants them."""

import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from apiserver import Cluster
from rendering import Chart


@pytest.fixture(scope="module")
def installed(api_server: None) -> Iterator[Cluster]:
    """Return a cluster with the accounts and rights of a release in a new namespace, and nothing else of it."""
    cluster = Cluster()
    values = {"fullnameOverride": cluster.namespace}
    manifests = [each for each in Chart(cluster.namespace, cluster.namespace).manifests(**values) if _is_right(each)]
    cluster.ask("create", "namespace", cluster.namespace)
    cluster.ask("create", "-f", "-", document=manifests)
    yield cluster
    cluster.ask("delete", "--wait=false", "-f", "-", document=manifests)
    cluster.ask("delete", "namespace", cluster.namespace, "--wait=false")


def _is_right(manifest: dict[str, Any]) -> bool:
    return manifest["kind"] in {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


def may(cluster: Cluster, account: str, verb: str, what: str, *options: str) -> bool:
    """Ask the API server whether an account of the release may do this; `pods/exec` is the exec of pods."""
    user = f"system:serviceaccount:{cluster.namespace}:{cluster.namespace}-{account}"
    return allowed(cluster, user, verb, what, *options)


def allowed(cluster: Cluster, user: str, verb: str, what: str, *options: str) -> bool:
    """Ask the API server whether a user may do this."""
    resource, _, part = what.partition("/")
    asked = ("auth", "can-i", verb, resource, f"--as={user}", *([f"--subresource={part}"] if part else []))
    return _yes(cluster.run(*asked, *options))


def _yes(done: subprocess.CompletedProcess[str]) -> bool:
    answer = done.stdout.strip()
    assert answer in {"yes", "no"}, done.stderr
    return answer == "yes"


@pytest.mark.parametrize(
    ("verb", "what", "where"),
    [
        ("watch", "tracesessions.kubestrace.io", "--all-namespaces"),
        ("patch", "tracesessions.kubestrace.io", "--namespace=default"),
        ("delete", "tracesessions.kubestrace.io", "--namespace=default"),
        ("create", "tracesessions.kubestrace.io", "--namespace=default"),
        ("watch", "traceschedules.kubestrace.io", "--all-namespaces"),
        ("patch", "traceschedules.kubestrace.io/status", "--namespace=default"),
        ("patch", "tracesessions.kubestrace.io/status", "--namespace=default"),
        ("list", "pods", "--namespace=default"),
        ("watch", "pods", "--namespace=default"),
        ("list", "services", "--namespace=default"),
        ("get", "namespaces", "--namespace=default"),
        ("watch", "namespaces", "--all-namespaces"),
        ("get", "deployments.apps", "--namespace=default"),
        ("get", "statefulsets.apps", "--namespace=default"),
        ("get", "daemonsets.apps", "--namespace=default"),
        ("get", "replicasets.apps", "--namespace=default"),
        ("get", "jobs.batch", "--namespace=default"),
        ("create", "events", "--namespace=default"),
    ],
)
def test_the_operator_may_do_its_work_in_every_namespace(installed: Cluster, verb: str, what: str, where: str) -> None:
    """Sessions, pods, workloads and events of all namespaces."""
    assert may(installed, "operator", verb, what, where)


@pytest.mark.parametrize(
    ("verb", "what", "where"),
    [
        ("create", "traceschedules.kubestrace.io", "--namespace=default"),
        ("patch", "traceschedules.kubestrace.io", "--namespace=default"),
        ("get", "pods", "--namespace=default"),
        ("create", "pods", "--namespace=default"),
        ("delete", "pods", "--namespace=default"),
        ("create", "pods/exec", "--namespace=default"),
        ("get", "pods/log", "--namespace=default"),
        ("patch", "deployments.apps", "--namespace=default"),
        ("get", "secrets", "--namespace=default"),
        ("list", "secrets", "--namespace=default"),
        ("get", "configmaps", "--namespace=default"),
        ("patch", "namespaces", "--namespace=default"),
        ("list", "nodes", "--all-namespaces"),
        ("watch", "customresourcedefinitions.apiextensions.k8s.io", "--all-namespaces"),
        ("create", "serviceaccounts/token", "--namespace=default"),
    ],
)
def test_the_operator_may_do_no_more_there(installed: Cluster, verb: str, what: str, where: str) -> None:
    """It cannot make schedules, touch pods or workloads, or read anybody's Secrets."""
    assert not may(installed, "operator", verb, what, where)


def test_the_operator_keeps_its_own_secrets_and_reads_no_other(installed: Cluster) -> None:
    """By name: its certificates may be read and renewed, the CA only be read, and no list shows the others."""
    name = installed.namespace
    user = f"--as=system:serviceaccount:{name}:{name}-operator"
    granted = {
        (verb, secret): _yes(installed.run("auth", "can-i", verb, f"secrets/{secret}", user))
        for verb in ("get", "patch", "delete")
        for secret in (f"{name}-operator-tls", f"{name}-agent-tls", f"{name}-ca", "somebody-elses")
    }

    assert {each for each, granted_to_it in granted.items() if granted_to_it} == {
        ("get", f"{name}-operator-tls"),
        ("get", f"{name}-agent-tls"),
        ("get", f"{name}-ca"),
        ("patch", f"{name}-operator-tls"),
        ("patch", f"{name}-agent-tls"),
    }
    assert may(installed, "operator", "create", "secrets")
    assert not may(installed, "operator", "list", "secrets")


def test_the_operator_writes_its_own_lease_and_no_other(installed: Cluster) -> None:
    """Leases of its namespace are those of others, too."""
    name = installed.namespace
    leases = "leases.coordination.k8s.io"

    assert all(may(installed, "operator", verb, f"{leases}/{name}-operator") is False for verb in ("delete", "patch"))
    user = f"--as=system:serviceaccount:{name}:{name}-operator"
    for verb in ("get", "update"):
        assert _yes(installed.run("auth", "can-i", verb, f"{leases}/{name}-operator", user))
        assert not _yes(installed.run("auth", "can-i", verb, f"{leases}/somebody-elses", user))
    assert may(installed, "operator", "create", leases)
    assert not may(installed, "operator", "create", leases, "--namespace=default")


@pytest.mark.parametrize("what", ["pods", "tracesessions.kubestrace.io", "secrets", "nodes", "events"])
@pytest.mark.parametrize("verb", ["get", "list", "create", "patch"])
def test_the_agents_account_may_do_nothing(installed: Cluster, verb: str, what: str) -> None:
    """Even with a token, which it has not, the agent's account would get nowhere."""
    assert not may(installed, "agent", verb, what)


@pytest.fixture(scope="module")
def people(installed: Cluster) -> Cluster:
    """Return the cluster with a user for each of its own roles, after it has added ours to them."""
    for role in ("view", "edit", "admin"):
        installed.ask("create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}")
    results = f"--clusterrole={installed.namespace}-results"
    installed.ask("create", "rolebinding", "results", results, "--user=results")
    deadline = time.monotonic() + 20
    while not all(allowed(installed, role, "create", "tracesessions.kubestrace.io") for role in ("edit", "admin")):
        assert time.monotonic() < deadline, "the rights were not added to the cluster's roles"
        time.sleep(0.2)
    return installed


@pytest.mark.parametrize(
    ("role", "verbs"),
    [
        ("view", set()),
        ("results", {"get", "list", "watch"}),
        ("edit", {"get", "list", "watch", "create", "update", "patch", "delete"}),
        ("admin", {"get", "list", "watch", "create", "update", "patch", "delete"}),
    ],
)
def test_people_get_their_rights_by_the_clusters_own_roles(people: Cluster, role: str, verbs: set[str]) -> None:
    """Who may edit a namespace makes sessions there; reading results is a role of its own, which view has not."""
    every = ("get", "list", "watch", "create", "update", "patch", "delete")

    assert {verb for verb in every if allowed(people, role, verb, "tracesessions.kubestrace.io")} == verbs


@pytest.mark.parametrize("role", ["view", "edit", "admin"])
def test_nobody_but_the_operator_writes_a_status(people: Cluster, role: str) -> None:
    """Not even the admin of a namespace can forge a result there."""
    assert not allowed(people, role, "patch", "tracesessions.kubestrace.io/status")
