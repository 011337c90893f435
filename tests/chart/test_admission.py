"""Who may create a TraceSession: the chart's ValidatingAdmissionPolicy, as a real API server enforces it."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from apiserver import Cluster
from rendering import Chart

POLICY_KINDS = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
# What a user of each name may do in the namespace, beside writing sessions.
USERS: dict[str, list[dict[str, Any]]] = {
    "tracer": [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}],
    "writer": [],
    "viewer-of-pods": [{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list", "create"]}],
    "one-pod": [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"], "resourceNames": ["mine"]}],
}
SESSIONS = {"apiGroups": ["kubestrace.io"], "resources": ["tracesessions", "traceschedules"], "verbs": ["*"]}


class Guarded(Cluster):
    """A namespace under the policy."""

    def as_user(self, user: str, verb: str, document: object, *options: str) -> tuple[bool, str]:
        """Do something as a user; return whether it was allowed, and what was said."""
        done = self.run(verb, *options, f"--as={user}", "-f", "-", document=document)
        return done.returncode == 0, done.stderr

    def install(self, **values: Any) -> None:
        """Install the policy for this namespace alone, and the users; wait until it is enforced."""
        self.ask("create", "namespace", self.namespace)
        for user, rules in USERS.items():
            role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": user}}
            self.ask("create", "-f", "-", document={**role, "rules": [SESSIONS, *rules]})
            self.ask("create", "rolebinding", user, f"--role={user}", f"--user={user}")
        self.ask("create", "-f", "-", document=self.policy(**values))
        deadline = time.monotonic() + 30
        probes = session("probe"), schedule("probe")
        while any(self.as_user("writer", "create", probe, "--dry-run=server")[0] for probe in probes):
            assert time.monotonic() < deadline, "the policy is not enforced"
            time.sleep(0.2)

    def policy(self, **values: Any) -> list[dict[str, Any]]:
        """Return the policy and its binding, which is narrowed to this namespace: others run tests beside."""
        release = Chart(self.namespace, self.namespace)
        manifests = release.manifests(fullnameOverride=self.namespace, **values)
        found = [each for each in manifests if each["kind"] in POLICY_KINDS]
        names = {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}}
        for each in found:
            if each["kind"] == "ValidatingAdmissionPolicyBinding":
                each["spec"]["matchResources"] = {"namespaceSelector": names}
        return found

    def label(self, value: str) -> None:
        """Close or open the namespace; an empty value takes the label away."""
        self.ask(
            "label", "namespace", self.namespace, "--overwrite", f"kubestrace.io/tracing{f'={value}' if value else '-'}"
        )

    def remove(self) -> None:
        """Remove everything."""
        self.run("delete", "--wait=false", "-f", "-", document=self.policy())
        self.run("delete", "namespace", self.namespace, "--wait=false")


def session(name: str, **spec: Any) -> dict[str, Any]:
    """Return a session of all pods, or of what the spec says."""
    kind = {"apiVersion": "kubestrace.io/v1alpha1", "kind": "TraceSession", "metadata": {"name": name}}
    return {**kind, "spec": {"target": {"selector": {}}, **spec}}


def schedule(name: str, target: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """Return a schedule of sessions of all pods, or of a target."""
    template = {"spec": {"target": target or {"selector": {}}}}
    kind = {"apiVersion": "kubestrace.io/v1alpha1", "kind": "TraceSchedule", "metadata": {"name": name}}
    return {**kind, "spec": {"schedule": "0 3 * * *", "sessionTemplate": template, **spec}}


@pytest.fixture(scope="module")
def guarded(api_server: None) -> Iterator[Guarded]:
    """Return a namespace under the policy of the default values."""
    namespace = Guarded()
    namespace.install()
    yield namespace
    namespace.remove()


@pytest.fixture(scope="module")
def to_be_opened(api_server: None) -> Iterator[Guarded]:
    """Return a namespace under the policy that namespaces must be opened."""
    namespace = Guarded()
    namespace.install(tracing={"namespaces": "if-enabled"})
    yield namespace
    namespace.remove()


@pytest.mark.parametrize(
    ("user", "target", "allowed"),
    [
        ("tracer", {"selector": {}}, True),
        ("tracer", {"podName": "any"}, True),
        ("tracer", {"workload": {"kind": "Deployment", "name": "web"}}, True),
        ("writer", {"selector": {}}, False),
        ("writer", {"podName": "any"}, False),
        ("viewer-of-pods", {"selector": {}}, False),
        ("one-pod", {"podName": "mine"}, True),
        ("one-pod", {"podName": "another"}, False),
        ("one-pod", {"selector": {}}, False),
    ],
)
def test_who_may_run_commands_in_pods_may_trace_them(
    guarded: Guarded, user: str, target: dict[str, Any], allowed: bool
) -> None:
    """All of them may write TraceSessions: that alone is not enough."""
    done, said = guarded.as_user(user, "create", session("tried", target=target), "--dry-run=server")

    assert done == allowed, said
    assert allowed or f"{user} must be allowed to create pods/exec in namespace {guarded.namespace}" in said


def test_the_right_must_be_in_the_sessions_own_namespace(guarded: Guarded, cluster: Cluster) -> None:
    """Exec elsewhere opens nothing here."""
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "exec"}}
    cluster.ask("create", "-f", "-", document={**role, "rules": USERS["tracer"]})
    cluster.ask("create", "rolebinding", "exec", "--role=exec", "--user=writer")

    assert not guarded.as_user("writer", "create", session("tried"), "--dry-run=server")[0]


def test_views_need_no_more_and_cannot_be_added_later(guarded: Guarded) -> None:
    """Views are part of what is checked at the creation; nobody adds one afterwards."""
    guarded.ask("create", "-f", "-", document=session("plain"))
    with_paths = session("plain", views={"files": {}, "network": {}})

    added, said = guarded.as_user("writer", "replace", with_paths)
    created, refusal = guarded.as_user("writer", "create", {**with_paths, "metadata": {"name": "other"}})
    allowed, _ = guarded.as_user("tracer", "create", {**with_paths, "metadata": {"name": "other"}}, "--dry-run=server")

    assert (added, created, allowed) == (False, False, True)
    assert "views cannot change after creation" in said
    assert "must be allowed to create pods/exec" in refusal


@pytest.mark.parametrize("kind", ["tsess", "tsched"])
def test_views_cannot_be_added_by_kubectls_annotation(guarded: Guarded, kind: str) -> None:
    """The operator reads there what `kubectl apply` drops: views that are null. Others may write something else."""
    documents = {"tsess": session("applied", suspend=True), "tsched": schedule("applied")}
    guarded.ask("create", "-f", "-", document=documents[kind])
    annotate = ("annotate", kind, "applied", "--overwrite")
    spec = {"views": {"files": None}}
    null = json.dumps({"spec": spec if kind == "tsess" else {"sessionTemplate": {"spec": spec}}})
    name = "kubectl.kubernetes.io/last-applied-configuration"

    refusal = guarded.refusal(*annotate, f"{name}={null}", "--as=writer")
    guarded.ask(*annotate, f'{name}={{"spec":{{}}}}', "note=null", "--as=writer")
    guarded.ask(*annotate, f"{name}={null}", "--as=tracer")
    guarded.ask(*annotate, "note=other", "--as=writer")
    guarded.ask(*annotate, f"{name}-", "--as=writer")

    assert "writer must be allowed to create pods/exec" in refusal


def test_who_may_not_trace_may_end_a_session_and_not_resume_one(guarded: Guarded) -> None:
    """Less tracing needs no right in the pods."""
    guarded.ask("create", "-f", "-", document=session("held", suspend=True))
    guarded.ask("create", "-f", "-", document=session("runs"))
    patch = ("patch", "tsess", "--type=merge", "--as=writer")

    assert "must be allowed to create pods/exec" in guarded.refusal(*patch, "held", "-p", '{"spec":{"suspend":false}}')
    guarded.ask(*patch, "held", "-p", '{"spec":{"ttlSecondsAfterFinished":5}}')
    guarded.ask(*patch, "runs", "-p", '{"spec":{"suspend":true}}')
    guarded.ask(*patch, "runs", "-p", '{"spec":{"cancel":true}}')
    guarded.ask("label", "tsess", "runs", "team=shop", "--as=writer")
    guarded.ask("patch", "tsess", "held", "--type=merge", "-p", '{"spec":{"suspend":false}}', "--as=tracer")
    guarded.ask("delete", "tsess", "runs", "--as=writer")


def test_a_closed_namespace_is_closed_to_everybody(guarded: Guarded) -> None:
    """Even to who may run commands there, and to the administrator; opened again, it is open."""
    guarded.label("disabled")
    refused = _until_refused(guarded, "tracer")
    administrator = guarded.refusal("create", "--dry-run=server", "-f", "-", document=session("tried"))
    guarded.label("")
    _until_allowed(guarded, "tracer")

    assert "is closed to tracing" in refused
    assert "is closed to tracing" in administrator


def test_a_namespace_that_must_be_opened(to_be_opened: Guarded) -> None:
    """With `tracing.namespaces: if-enabled` only the label opens one, to those who may run commands there."""
    before = to_be_opened.as_user("tracer", "create", session("tried"), "--dry-run=server")
    to_be_opened.label("enabled")
    _until_allowed(to_be_opened, "tracer")
    writer = to_be_opened.as_user("writer", "create", session("tried"), "--dry-run=server")
    to_be_opened.label("disabled")
    refused = _until_refused(to_be_opened, "tracer")

    assert before[0] is False
    assert "lacks the label kubestrace.io/tracing=enabled" in before[1]
    assert writer[0] is False
    assert "is closed to tracing" in refused


def test_the_operator_goes_on_with_sessions_in_a_closed_namespace(guarded: Guarded) -> None:
    """Its finalizer, the status and the deletion are not held up by the policy."""
    guarded.ask("create", "-f", "-", document=session("left"))
    name = f"{guarded.namespace}-operator"
    release = Chart(guarded.namespace, guarded.namespace).manifests(fullnameOverride=guarded.namespace)
    rights = [
        each
        for each in release
        if each["kind"] in {"ClusterRole", "ClusterRoleBinding"} and each["metadata"]["name"] == name
    ]
    guarded.ask("create", "-f", "-", document=rights)
    guarded.label("disabled")
    _until_refused(guarded, "tracer")
    operator = f"--as=system:serviceaccount:{name.removesuffix('-operator')}:{name}"
    finalizer = '{"metadata":{"finalizers":["kubestrace.io/finalizer"]}}'

    try:
        guarded.ask("patch", "tsess", "left", "--type=merge", "-p", finalizer, operator)
        guarded.ask("patch", "tsess", "left", "--type=merge", "-p", '{"metadata":{"finalizers":[]}}', operator)
        guarded.ask("delete", "tsess", "left", operator)
    finally:
        guarded.ask("delete", "-f", "-", document=rights)
        guarded.label("")
        _until_allowed(guarded, "tracer")


def _until_refused(guarded: Guarded, user: str) -> str:
    """Wait until the policy has seen the namespace's label; return what it says."""
    deadline = time.monotonic() + 20
    while True:
        done, said = guarded.as_user(user, "create", session("tried"), "--dry-run=server")
        if not done:
            return said
        assert time.monotonic() < deadline, "it is not refused"
        time.sleep(0.2)


def _until_allowed(guarded: Guarded, user: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        done, said = guarded.as_user(user, "create", session("tried"), "--dry-run=server")
        if done:
            return
        assert time.monotonic() < deadline, said
        time.sleep(0.2)


# Schedules: no way round.


@pytest.mark.parametrize(
    ("user", "target", "allowed"),
    [
        ("tracer", {"selector": {}}, True),
        ("writer", {"selector": {}}, False),
        ("viewer-of-pods", {"podName": "any"}, False),
        ("one-pod", {"podName": "mine"}, True),
        ("one-pod", {"selector": {}}, False),
    ],
)
def test_a_schedule_needs_the_right_that_its_sessions_need(
    guarded: Guarded, user: str, target: dict[str, Any], allowed: bool
) -> None:
    """The operator makes the sessions, and has no such right itself."""
    done, said = guarded.as_user(user, "create", schedule("tried", target), "--dry-run=server")

    assert done == allowed, said
    assert allowed or f"{user} must be allowed to create pods/exec in namespace {guarded.namespace}" in said


def test_who_may_not_trace_may_suspend_a_schedule_and_do_nothing_else_with_it(guarded: Guarded) -> None:
    """Less tracing needs no right in the pods; another template does even while it is suspended."""
    guarded.ask("create", "-f", "-", document=schedule("nightly"))
    others = (
        schedule("nightly", {"podName": "other"}, suspend=True),
        schedule("nightly", schedule="* * * * *"),
        schedule("nightly", podEvents=["Restarted"]),
        # What would hold once somebody else resumes it.
        schedule("nightly", schedule="* * * * *", suspend=True),
        schedule("nightly", timeZone="Europe/Berlin", suspend=True),
        schedule("nightly", podEvents=["Restarted"], suspend=True),
        schedule("nightly", maxSessionsPerHour=60, suspend=True),
        schedule("nightly", startingDeadlineSeconds=60, suspend=True),
    )
    allowed = [guarded.as_user("writer", "replace", each, "--dry-run=server")[0] for each in others]
    suspended, said = guarded.as_user("writer", "replace", schedule("nightly", suspend=True))
    resumed, _ = guarded.as_user("writer", "replace", schedule("nightly"))

    assert not any(allowed)
    assert suspended, said
    assert not resumed
    assert guarded.as_user("tracer", "replace", schedule("nightly"))[0]


def test_a_closed_namespace_takes_no_schedule(guarded: Guarded) -> None:
    """Whoever asks."""
    guarded.label("disabled")
    try:
        done, said = guarded.as_user("tracer", "create", schedule("tried"), "--dry-run=server")
    finally:
        guarded.label("")

    assert not done
    assert "is closed to tracing" in said


def test_the_operator_makes_sessions_of_schedules_only(guarded: Guarded) -> None:
    """Its account has no right in the pods, so a session without a schedule is refused, and so is anybody else's."""
    owner = {
        "apiVersion": "kubestrace.io/v1alpha1",
        "kind": "TraceSchedule",
        "name": "nightly",
        "uid": "1",
        "controller": True,
    }
    owned = session("owned")
    owned["metadata"]["ownerReferences"] = [owner]
    operator = f"system:serviceaccount:{guarded.namespace}:{guarded.namespace}-operator"
    guarded.ask("create", "rolebinding", "operator", "--role=writer", f"--user={operator}")

    assert guarded.as_user(operator, "create", owned, "--dry-run=server")[0]
    assert not guarded.as_user(operator, "create", session("free"), "--dry-run=server")[0]
    assert not guarded.as_user("writer", "create", owned, "--dry-run=server")[0]
