"""Who asked for what: as an API server proves it, and where it is found; and what a ResourceQuota refuses."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from lab import Document, Lab, Namespace, document, eventually
from rendering import Chart

from kubestrace_operator.kube.schedules import ScheduleRow
from kubestrace_operator.schedules import objects
from kubestrace_operator.schedules.spec import parse
from kubestrace_operator.sessions import requests

REQUESTED_BY = "kubestrace.io/requested-by"
RULES = [
    {"apiGroups": ["kubestrace.io"], "resources": ["tracesessions", "traceschedules"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]},
]


class Policies:
    """The chart's policies about requesters, in force in one namespace."""

    def __init__(self, namespace: Namespace, **values: Any) -> None:
        self.namespace = namespace
        name = namespace.namespace
        of_chart = Chart(name, name).manifests(fullnameOverride=name, **values)
        self._documents = [
            each
            for each in of_chart
            if "AdmissionPolicy" in each["kind"] and each["metadata"]["name"].endswith("-requesters")
        ]
        for each in self._documents:
            if each["kind"].endswith("Binding"):
                names = {"matchLabels": {"kubernetes.io/metadata.name": name}}
                each["spec"]["matchResources"] = {"namespaceSelector": names}

    @property
    def operator(self) -> str:
        """The name of the operator's account, as the chart has it here."""
        return f"system:serviceaccount:{self.namespace.namespace}:{self.namespace.namespace}-operator"

    def install(self) -> None:
        """Create the policies and wait until they are enforced; let jane and joe trace."""
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "tracing"}}
        self.namespace.ask("create", "-f", "-", document={**role, "rules": RULES})
        users = [f"--user={user}" for user in ("jane", "joe", self.operator)]
        self.namespace.ask("create", "rolebinding", "tracing", "--role=tracing", *users)
        self.namespace.ask("create", "-f", "-", document=self._documents)
        assert eventually(lambda: not self.create("jane", "probe", "joe", "--dry-run=server")[0], 90), "not enforced"
        if any(each["kind"] == "MutatingAdmissionPolicy" for each in self._documents):
            dry = ("--dry-run=server", "-o", "json")
            assert eventually(lambda: REQUESTED_BY in self.create("jane", "probe", "", *dry)[1], 90), "not enforced"

    def create(self, user: str, name: str, claimed: str, *options: str) -> tuple[bool, str]:
        """Create a session as a user, who claims to be somebody; return whether that was allowed, and what was said."""
        session = document(name, 1)
        if claimed:
            session["metadata"]["annotations"] = {REQUESTED_BY: claimed}
        done = self.namespace.run("create", f"--as={user}", *options, "-f", "-", document=session)
        return done.returncode == 0, done.stdout + done.stderr

    def remove(self) -> None:
        """Delete the policies."""
        self.namespace.run("delete", "--wait=false", "-f", "-", document=self._documents)


@pytest.fixture
def policies(namespace: Namespace) -> Iterator[Policies]:
    """Return the policies that only refuse."""
    made = Policies(namespace)
    made.install()
    yield made
    made.remove()


def event(namespace: Namespace, session: str, reason: str) -> Document | None:
    """Return a session's event of a reason, if there is one."""
    events = json.loads(namespace.ask("get", "events", "-o", "json"))["items"]
    found = [each for each in events if (each["involvedObject"]["name"], each["reason"]) == (session, reason)]
    return found[0] if found else None


def lines(lab: Lab, uid: str) -> list[Document]:
    """Return what the operator has logged of a request, as JSON."""
    found = (json.loads(line) for line in lab.log().splitlines() if line.startswith("{") and uid in line)
    return [each for each in found if "requester" in each]


def test_nobody_asks_in_the_name_of_another(policies: Policies) -> None:
    """Whoever names somebody names himself, at the creation and for ever; who names nobody is let in unnamed."""
    namespace = policies.namespace
    lied, refusal = policies.create("jane", "lie", "joe")
    by_operator, _ = policies.create(policies.operator, "of-a-schedule", "joe")
    own, _ = policies.create("jane", "own", "jane")
    unnamed, _ = policies.create("jane", "unnamed", "")
    changes = [f"{REQUESTED_BY}=joe", f"{REQUESTED_BY}-"]

    # The operator copies annotations of a schedule's template, whose author may have written any.
    assert (lied, by_operator, own, unnamed) == (False, False, True, True)
    assert "it must be jane or be left out" in refusal
    for change in changes:
        assert "cannot change" in namespace.refusal("annotate", "tsess", "own", "--overwrite", change, "--as=joe")
    for user in ("joe", "jane"):
        said = namespace.refusal("annotate", "tsess", "unnamed", f"{REQUESTED_BY}={user}", f"--as={user}")
        assert "cannot change after creation" in said
    namespace.ask("annotate", "tsess", "own", "team=shop", "--as=joe")


def test_a_requester_can_be_required(namespace: Namespace) -> None:
    """Then a session without the annotation is refused, with what to write."""
    required = Policies(namespace, admission={"requireRequester": True})
    required.install()
    try:
        unnamed, refusal = required.create("jane", "unnamed", "")
        named, _ = required.create("jane", "named", "jane")
        of_schedule, _ = required.create(required.operator, "of-a-schedule", "")
    finally:
        required.remove()

    assert (unnamed, named, of_schedule) == (False, True, True)
    assert "set the annotation kubestrace.io/requested-by to jane" in refusal


def test_an_api_server_that_changes_objects_writes_it_itself(namespace: Namespace) -> None:
    """Nobody needs to know of the annotation; one that is false is still refused, and `replace` does not lose it."""
    mutating = Policies(namespace, admission={"requireRequester": True, "writeRequester": "v1beta1"})
    mutating.install()
    try:
        created, said = mutating.create("jane", "plain", "")
        noted, _ = mutating.create("jane", "noted", "jane")
        lied, _ = mutating.create("jane", "lie", "joe")
        session = namespace.get("plain")
        del session["metadata"]["annotations"], session["metadata"]["resourceVersion"]
        namespace.ask("replace", "--as=joe", "-f", "-", document=session)
        other = document("other", 1)
        other["metadata"]["annotations"] = {"team": "shop"}
        namespace.ask("create", "--as=joe", "-f", "-", document=other)
    finally:
        mutating.remove()

    assert (created, noted, lied) == (True, True, False), said
    assert namespace.get("plain")["metadata"]["annotations"][REQUESTED_BY] == "jane"
    assert namespace.get("other")["metadata"]["annotations"] == {"team": "shop", REQUESTED_BY: "joe"}


def test_the_operator_tells_who_asked_for_what(lab: Lab, policies: Policies, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an event and in a line of JSON at the start; at the end with what came of it."""
    lab.scale.stop_operator()
    monkeypatch.setenv("KUBESTRACE_REQUESTERS_PROVEN", "true")
    monkeypatch.setenv("KUBESTRACE_LOG_FORMAT", "json")
    lab.start_operator()
    namespace = policies.namespace
    try:
        assert policies.create("jane", "asked", "jane")[0]
        assert policies.create("jane", "unnamed", "")[0]
        uid = namespace.get("asked")["metadata"]["uid"]
        for name in ("asked", "unnamed"):
            namespace.reach(name, "Succeeded")
        assert eventually(lambda: event(namespace, "unnamed", "Requested") is not None, 90)
        requested, unnamed = (event(namespace, name, "Requested") for name in ("asked", "unnamed"))
        assert eventually(lambda: len(lines(lab, uid)) == 2, 90)
        begun, ended = lines(lab, uid)
        reason = namespace.condition("asked", "Finished")["reason"]
    finally:
        lab.scale.stop_operator()
        monkeypatch.undo()
        lab.start_operator()

    assert requested is not None
    assert requested["message"] == "jane asks for 1 s of pods with app=shop."
    assert unnamed is not None
    assert unnamed["message"].startswith("An unverified user asks for 1 s")
    for line in (begun, ended):
        assert line["session"] == f"{namespace.namespace}/asked"
        assert (line["requester"], line["target"], line["views"]) == ("jane", "pods with app=shop", [])
        assert (line["durationSeconds"], line["uid"]) == (1, uid)
    assert (begun["phase"], ended["phase"], ended["reason"]) == ("Pending", "Succeeded", reason)


def test_without_the_policy_nobody_is_named(lab: Lab, namespace: Namespace) -> None:
    """An annotation that anybody may have written proves nothing."""
    session = document("claimed", 1)
    session["metadata"]["annotations"] = {REQUESTED_BY: "jane"}
    namespace.created(session)
    assert eventually(lambda: event(namespace, "claimed", "Requested") is not None, 90)

    found = event(namespace, "claimed", "Requested")

    assert found is not None
    assert "jane" not in found["message"]


def test_a_session_of_a_schedule_names_who_created_that(policies: Policies) -> None:
    """The operator copies the name, and no other: not one that stands in the template."""
    namespace = policies.namespace
    template = {"metadata": {"annotations": {REQUESTED_BY: "joe", "team": "shop"}}, "spec": document("", 1)["spec"]}
    schedule = {
        "apiVersion": "kubestrace.io/v1alpha1",
        "kind": "TraceSchedule",
        "metadata": {"name": "nightly", "annotations": {REQUESTED_BY: "jane"}},
        "spec": {"schedule": "0 0 1 1 *", "sessionTemplate": template},
    }
    made = namespace.created(schedule, "--as=jane")
    spec = parse(made)
    session = objects.session(ScheduleRow.of(made), spec, "nightly-1", {})
    create = ("create", "--dry-run=server", f"--as={policies.operator}", "-f", "-")

    refusal = namespace.refusal("create", "--dry-run=server", "--as=joe", "-f", "-", document=session)
    namespace.ask(*create, document=session)
    read = requests.read(session, proven=True)

    assert "it must be joe or be left out" in refusal
    assert session["metadata"]["annotations"] == {"team": "shop", REQUESTED_BY: "jane"}
    assert read.sentence().startswith("TraceSchedule nightly (created by jane) asks for 1 s")


def test_a_session_that_is_deleted_leaves_its_end(lab: Lab, namespace: Namespace) -> None:
    """Its events outlive it."""
    namespace.session("short-lived")
    namespace.reach("short-lived", "Tracing")
    namespace.ask("delete", "tsess", "short-lived")
    assert eventually(lambda: event(namespace, "short-lived", "Deleted") is not None, 90)

    found = event(namespace, "short-lived", "Deleted")

    assert found is not None
    assert found["message"] == "Deleted as Tracing (Tracing), requested by an unverified user."


def asked(entry: Document) -> dict[str, set[str]]:
    """Return what an entry of the audit log has of what was asked for."""
    told = (key.partition("-requesters/") for key in entry["annotations"])
    return {key: set(entry["annotations"][f"{policy}{mark}{key}"].split(", ")) for policy, mark, key in told if mark}


def test_the_audit_log_has_the_user_and_what_was_asked_for(lab: Lab, policies: Policies) -> None:
    """Also at the level at which it has no objects. What comes from a map is in no order: CEL has none to give."""
    namespace = policies.namespace
    name = namespace.namespace
    sessions = {
        "by-label": {},
        "by-name": {
            "target": {"podName": "shop-1"},
            "profile": "Storage",
            "views": {"files": {}, "network": {"top": 5}},
        },
        "by-kind": {"target": {"workload": {"kind": "Deployment", "name": "web"}}},
        "all": {"target": {"selector": {}}},
    }
    for each, spec in sessions.items():
        made = document(each, 1)
        made["spec"] |= spec
        namespace.ask("create", "--as=jane", "-f", "-", document=made)

    def told() -> dict[str, Document]:
        of_here = [each for each in lab.audited("tracesessions") if each["objectRef"]["namespace"] == name]
        return {each["objectRef"]["name"]: each for each in of_here if each["objectRef"].get("name") in sessions}

    assert eventually(lambda: len(told()) == len(sessions), 90)
    found = {session: asked(each) for session, each in told().items()}
    assert {each["impersonatedUser"]["username"] for each in told().values()} == {"jane"}
    assert found == {
        "by-label": {"target": {"pods with app=shop"}, "duration": {"1 s"}},
        "by-name": {
            "target": {"pod shop-1"},
            "profile": {"Storage"},
            "views": {"files", "network"},
            "duration": {"1 s"},
        },
        "by-kind": {"target": {"Deployment web"}, "duration": {"1 s"}},
        "all": {"target": {"pods by selector"}, "duration": {"1 s"}},
    }


def test_the_audit_log_has_who_made_or_changed_a_schedule(lab: Lab, policies: Policies) -> None:
    """It asks for all sessions that it makes; a label asks for nothing."""
    namespace = policies.namespace
    template = {"spec": document("", 1, profile="Storage")["spec"]}
    schedule = {"apiVersion": "kubestrace.io/v1alpha1", "kind": "TraceSchedule", "metadata": {"name": "nightly"}}
    schedule["spec"] = {"schedule": "0 0 1 1 *", "sessionTemplate": template}
    namespace.ask("create", "--as=jane", "-f", "-", document=schedule)
    changed = {"spec": {"sessionTemplate": {"spec": {"views": {"files": {}}}}}}
    patch = ("patch", "tsched", "nightly", "--type=merge", "--as=joe", "--patch-file=/dev/stdin")
    namespace.ask(*patch, document=changed)
    namespace.ask(*patch, document={"metadata": {"labels": {"team": "shop"}}})

    def told() -> list[tuple[str, dict[str, set[str]]]]:
        entries = lab.audited("traceschedules") + lab.audited("traceschedules", "patch")
        of_people = [each for each in entries if "subresource" not in each["objectRef"] and "impersonatedUser" in each]
        of_here = [each for each in of_people if each["objectRef"]["namespace"] == namespace.namespace]
        return [(each["impersonatedUser"]["username"], asked(each)) for each in of_here]

    assert eventually(lambda: len(told()) == 3, 90)
    plain = {"target": {"pods with app=shop"}, "profile": {"Storage"}, "duration": {"1 s"}}
    assert told() == [("jane", plain), ("joe", {**plain, "views": {"files"}}), ("joe", {})]


def test_a_resource_quota_bounds_the_sessions_that_exist(lab: Lab, namespace: Namespace) -> None:
    """Finished ones too; deleting one makes room."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "sessions"}}
    hard = {"count/tracesessions.kubestrace.io": "2"}
    namespace.ask("create", "-f", "-", document={**quota, "spec": {"hard": hard}})
    assert eventually(lambda: "used" in namespace.ask("get", "resourcequota", "sessions", "-o", "yaml"), 60)
    for name in ("one", "two"):
        namespace.session(name, 1)
    refusal = namespace.refusal("create", "-f", "-", document=document("three", 1))
    namespace.reach("one", "Succeeded")
    still = namespace.refusal("create", "-f", "-", document=document("three", 1))
    namespace.ask("delete", "tsess", "one")
    deadline = time.monotonic() + 60
    while namespace.run("create", "-f", "-", document=document("three", 1)).returncode:
        assert time.monotonic() < deadline, "a deleted session still counts"
        time.sleep(0.5)

    for said in (refusal, still):
        assert "exceeded quota: sessions" in said
        assert "count/tracesessions.kubestrace.io=2" in said


def test_container_seconds_of_a_namespace_are_bounded(
    lab: Lab, namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session ends when they are used, others wait; and the next operator knows from the status."""
    lab.scale.stop_operator()
    monkeypatch.setenv("KUBESTRACE_CONTAINER_SECONDS_PER_HOUR", "4")
    lab.start_operator()
    try:
        namespace.session("long")
        status = namespace.reach("long", "Succeeded", 30)
        reason = namespace.condition("long", "Finished")["reason"]
        lab.kill_operator()
        lab.start_operator()
        uid = namespace.session("next", 1)
        namespace.reach("next", "Pending")
        assert eventually(lambda: namespace.condition("next", "Finished")["reason"] == "ContainerSecondsUsed", 90), (
            namespace.get("next")
        )
        heard = lab.heard_of(uid)
    finally:
        lab.scale.stop_operator()
        monkeypatch.undo()
        lab.start_operator()

    assert reason == "ContainerSecondsUsed"
    assert 4 <= status["containerSeconds"] <= 10
    assert not heard
