"""What a TraceSession goes through, judged by a real API server, kubectl and the real operator."""

import json
import time
from typing import Any

import monitored
import pytest
from lab import Lab, Namespace, document, eventually

from kubestrace_protos.v1 import agent_pb2


def test_a_generated_name_and_kubectl_wait(namespace: Namespace) -> None:
    """A pipeline creates sessions without names and waits for their end."""
    session = document("", 1)
    session["metadata"] = {"generateName": "nightly-"}

    names = [namespace.created(session)["metadata"]["name"] for _ in range(2)]
    for name in names:
        namespace.ask("wait", f"tsess/{name}", "--for=condition=Finished", "--timeout=90s")

    assert names[0] != names[1]
    assert all(name.startswith("nightly-") for name in names)
    assert {namespace.get(name)["status"]["phase"] for name in names} == {"Succeeded"}


# suspend.


def test_a_suspended_session_attaches_nothing_until_it_is_resumed(lab: Lab, namespace: Namespace) -> None:
    """No agent hears of it; then it runs for its whole duration."""
    uid = namespace.session("held", 1, suspend=True)
    namespace.reach("held", "Suspended")
    time.sleep(2)
    before = lab.heard_of(uid)

    namespace.set("held", suspend=False)
    status = namespace.reach("held", "Succeeded")

    assert not before
    assert lab.heard_of(uid)
    assert "suspensions" not in status


def test_suspending_a_running_session(lab: Lab, namespace: Namespace) -> None:
    """As with a Job what runs ends and its counts are dropped; resumed, it begins anew under another name."""
    uid = namespace.session("held")
    namespace.reach("held", "Tracing")
    namespace.set("held", suspend=True)
    held = namespace.reach("held", "Suspended")
    stopped = lab.told(uid, "stopped")

    namespace.set("held", suspend=False)
    status = namespace.reach("held", "Tracing")

    assert stopped
    assert held.keys().isdisjoint({"startTime", "summary", "containers", "trust"})
    assert status["suspensions"] == 1
    assert lab.told(f"{uid}.1", "started")


def test_a_suspended_session_outlives_the_operator(lab: Lab, namespace: Namespace) -> None:
    """Another operator leaves it alone, and starts it when it is told."""
    uid = namespace.session("held", 1, suspend=True)
    namespace.reach("held", "Suspended")
    lab.kill_operator()
    lab.start_operator()
    time.sleep(3)
    before = lab.heard_of(uid), namespace.get("held")["status"]["phase"]

    namespace.set("held", suspend=False)
    namespace.reach("held", "Succeeded")

    assert before == (False, "Suspended")


# Whom the operator refuses, and who waits.


def test_a_namespace_that_is_closed_to_tracing(lab: Lab, namespace: Namespace) -> None:
    """Whoever made the session: no agent hears of it; once the namespace is open again, another one runs."""
    namespace.ask("label", "namespace", namespace.namespace, "kubestrace.io/tracing=disabled")
    uid = namespace.session("refused", 1)
    namespace.reach("refused", "Failed")
    finished = namespace.condition("refused", "Finished")
    namespace.ask("label", "namespace", namespace.namespace, "kubestrace.io/tracing-")
    namespace.session("later", 1)
    namespace.reach("later", "Succeeded")

    assert finished["reason"] == "NotAuthorized"
    assert "kubestrace.io/tracing=disabled" in finished["message"]
    assert not lab.heard_of(uid)


@pytest.mark.parametrize("some", [False, True], ids=["watched", "looked at"])
def test_a_namespace_that_is_closed_while_a_session_waits(
    lab: Lab, namespace: Namespace, monkeypatch: pytest.MonkeyPatch, some: bool
) -> None:
    """It ends before its pods come, also where the operator may not watch namespaces; one that runs goes on."""
    if some:
        monkeypatch.setenv("KUBESTRACE_WATCH_NAMESPACES", namespace.namespace)
        lab.kill_operator()
        lab.start_operator()
    try:
        namespace.session("runs")
        namespace.reach("runs", "Tracing")
        uid = namespace.session("waits", app="later")
        namespace.reach("waits", "Pending")
        namespace.ask("label", "namespace", namespace.namespace, "kubestrace.io/tracing=disabled")
        namespace.reach("waits", "Failed")
        namespace.ask("label", "pod", "shop-1", "app=later", "--overwrite")
        finished = namespace.condition("waits", "Finished")
        phase = namespace.get("runs")["status"]["phase"]
    finally:
        if some:
            monkeypatch.undo()
            lab.kill_operator()
            lab.start_operator()

    assert finished["reason"] == "NotAuthorized"
    assert phase == "Tracing"
    assert not lab.heard_of(uid)


def test_sessions_of_a_namespace_wait_for_their_turn(
    lab: Lab, namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at a time, also after the operator has restarted; the others say for what they wait."""
    monkeypatch.setenv("KUBESTRACE_SESSIONS_PER_NAMESPACE", "1")
    lab.kill_operator()
    lab.start_operator()
    namespace.session("first")
    namespace.reach("first", "Tracing")
    uid = namespace.session("second", 1)
    namespace.reach("second", "Pending")
    lab.kill_operator()
    lab.start_operator()
    # Longer than it would wait for pods.
    time.sleep(4)
    waiting, heard = namespace.condition("second", "Finished"), lab.heard_of(uid)
    namespace.set("first", cancel=True)
    namespace.reach("second", "Succeeded")
    monkeypatch.undo()
    lab.kill_operator()
    lab.start_operator()

    assert (waiting["status"], waiting["reason"]) == ("False", "TooManySessionsOfNamespace")
    assert not heard


# What the operator measures of itself.


def test_metrics_of_a_session(lab: Lab, namespace: Namespace) -> None:
    """While it runs, when it has ended, and what it asked of the API server."""
    finished = 'kubestrace_sessions_finished_total{phase="Cancelled",reason="Cancelled"}'
    before = lab.metrics()
    namespace.session("measured")
    namespace.reach("measured", "Tracing")
    during = lab.metrics()
    namespace.set("measured", cancel=True)
    namespace.reach("measured", "Cancelled")
    after = lab.metrics()

    assert during['kubestrace_sessions{phase="Tracing",reason="Tracing"}'] >= 1
    assert during['kubestrace_agents{state="ready",version="unknown"}'] == len(lab.scale.agents)
    assert after[finished] == before.get(finished, 0) + 1
    assert after['kubestrace_api_requests_total{code="200",method="PATCH",resource="tracesessions/status"}'] > 1
    wanted = {name for name in monitored.asked() if not monitored.of_agents(name)}
    assert wanted <= {name.partition("{")[0] for name in during | after} | {"kubestrace_watch_restarts_total"}
    assert after["process_resident_memory_bytes"] > 1e7
    assert after["process_cpu_seconds_total"] > 0


# What each node can trace.


def states(lab: Lab) -> dict[str, dict[str, Any]]:
    """Return the nodes of the ConfigMap."""
    return dict(json.loads(lab.nodes().get("nodes.json", '{"nodes": {}}'))["nodes"])


def test_what_each_node_can_trace(lab: Lab) -> None:
    """One object, written only when something has changed, over restarts of operator and agents."""
    blind = agent_pb2.DescribeResponse(reason="NoBTF", message="The kernel has no BTF.", kernel_release="5.4.0")
    assert eventually(lambda: {each.get("traces") for each in states(lab).values()} == {"yes"}, 90)
    assert states(lab).keys() == {agent.node for agent in lab.scale.agents}
    version = lab.nodes_version()
    lab.kill_operator()
    lab.start_operator()
    time.sleep(12)
    unchanged = lab.nodes_version()

    # Its agent starts anew on another kernel.
    lab.scale.agents[1].description = blind
    lab.set_agent(1, ready=False)
    waiting = eventually(lambda: states(lab)["node-2"].get("reason") == "AgentNotReady", 90)
    since = states(lab)["node-2"]["since"]
    lab.set_agent(1, ready=True)
    cannot = eventually(lambda: states(lab)["node-2"]["traces"] == "no", 90)
    table = lab.nodes()["nodes"]
    lab.scale.agents[1].description = None
    lab.set_agent(1, ready=False)
    assert eventually(lambda: states(lab)["node-2"]["traces"] == "unknown", 90)
    lab.set_agent(1, ready=True)

    assert unchanged == version
    assert waiting
    assert since.endswith("Z")
    assert cannot
    assert " ".join(table.splitlines()[1].split()) == "node-2 no - 5.4.0 - - NoBTF: The kernel has no BTF."
    assert eventually(lambda: states(lab)["node-2"]["traces"] == "yes", 90)


def test_a_node_that_is_gone_is_in_no_row(lab: Lab) -> None:
    """As soon as its agent's pod is gone; another one that comes is asked."""
    lab.remove_agent(1)
    gone = eventually(lambda: "node-2" not in states(lab), 90)
    lab.add_agent(1)

    assert gone
    assert eventually(lambda: states(lab).get("node-2", {}).get("traces") == "yes", 90)


# ttlSecondsAfterFinished.


@pytest.mark.parametrize("ttl", [0, 2])
def test_a_finished_session_is_deleted_once(lab: Lab, namespace: Namespace, ttl: int) -> None:
    """The seconds after its end; with 0 at once."""
    namespace.session("brief", 1, ttlSecondsAfterFinished=ttl)
    namespace.ask("wait", "tsess/brief", "--for=delete", f"--timeout={ttl + 15}s")
    time.sleep(1)

    assert lab.log().count(f"{namespace.namespace}/brief: deleted {ttl} s after it had finished") == 1


def test_without_a_ttl_and_while_it_runs_nothing_is_deleted(namespace: Namespace) -> None:
    """The TTL counts from the end, not from the creation."""
    namespace.session("kept", 1)
    namespace.session("long", ttlSecondsAfterFinished=0)
    namespace.reach("kept", "Succeeded")
    namespace.reach("long", "Tracing")
    time.sleep(3)

    assert namespace.exists("kept")
    assert namespace.exists("long")


def test_a_ttl_that_passes_while_no_operator_is_there(lab: Lab, namespace: Namespace) -> None:
    """The next operator deletes what is due, and what is not due stays."""
    namespace.session("due", 1, ttlSecondsAfterFinished=3)
    namespace.session("later", 1, ttlSecondsAfterFinished=3600)
    for name in ("due", "later"):
        namespace.reach(name, "Succeeded")
    lab.kill_operator()
    time.sleep(4)
    meanwhile = namespace.exists("due")
    lab.start_operator()
    namespace.ask("wait", "tsess/due", "--for=delete", "--timeout=90s")

    assert meanwhile
    assert namespace.exists("later")


def test_a_ttl_given_after_the_end(namespace: Namespace) -> None:
    """It may be changed at any time; one that is taken away keeps the session."""
    namespace.session("first", 1)
    namespace.session("second", 1, ttlSecondsAfterFinished=5)
    namespace.reach("first", "Succeeded")
    namespace.set("second", ttlSecondsAfterFinished=None)
    namespace.set("first", ttlSecondsAfterFinished=1)
    namespace.ask("wait", "tsess/first", "--for=delete", "--timeout=90s")
    namespace.reach("second", "Succeeded")
    time.sleep(6)

    assert namespace.exists("second")


@pytest.mark.parametrize("ttl", [-1, 2**31, 1.5, "1h"])
def test_a_ttl_has_bounds(namespace: Namespace, ttl: object) -> None:
    """The API server refuses what is no number of seconds."""
    refusal = namespace.refusal("create", "-f", "-", document=document("odd", ttlSecondsAfterFinished=ttl))

    assert "spec.ttlSecondsAfterFinished" in refusal


# Other managers of the same object.


def test_server_side_apply_beside_the_operator(namespace: Namespace) -> None:
    """Who applies again takes away neither the finalizer nor the status, and another manager owns its own fields."""
    apply = ("apply", "--server-side", "-f", "-")
    namespace.ask(*apply, "--field-manager=gitops", document=document("shared"))
    namespace.reach("shared", "Tracing")
    labelled = document("shared")
    labelled = {**labelled, "metadata": {"name": "shared", "labels": {"team": "shop"}}}
    del labelled["spec"]
    namespace.ask(*apply, "--field-manager=labels", document=labelled)
    namespace.ask(*apply, "--field-manager=gitops", document=document("shared"))
    found = namespace.get("shared")
    other = namespace.refusal(*apply, "--field-manager=other", document=document("shared", suspend=True, seconds=5))
    namespace.ask(*apply, "--field-manager=gitops", document=document("shared", cancel=True))
    ended = namespace.reach("shared", "Cancelled")
    namespace.ask(*apply, "--field-manager=gitops", document=document("shared", cancel=True))

    managers = {each["manager"] for each in namespace.get("shared")["metadata"].get("managedFields", [])}
    assert found["metadata"]["labels"] == {"team": "shop"}
    assert found["metadata"]["finalizers"] == ["kubestrace.io/finalizer"]
    assert found["status"]["phase"] == "Tracing"
    assert 'conflict with "gitops"' in other or "cannot change after creation" in other
    assert ended["phase"] == namespace.get("shared")["status"]["phase"]
    assert managers <= {"gitops", "labels", "kubestrace-operator"}


def test_a_field_that_is_not_served_is_refused_or_pruned(namespace: Namespace) -> None:
    """A strict client such as kubectl is refused; for any other nothing of the field is kept."""
    session = document("odd", 1, followThePods=True)

    refusal = namespace.refusal("create", "-f", "-", document=session)
    namespace.ask("create", "--validate=ignore", "-f", "-", document=session)

    assert 'unknown field "spec.followThePods"' in refusal
    assert "followThePods" not in namespace.get("odd")["spec"]


def test_a_finished_session_stays_finished(namespace: Namespace) -> None:
    """A status from before its end that reaches the API server late is refused; other fields can be amended."""
    namespace.session("done", 1)
    status = namespace.reach("done", "Succeeded")
    patch = ("patch", "tsess/done", "--subresource=status", "--type=merge", "--patch-file=/dev/stdin")

    refusals = [
        namespace.refusal(*patch, document={"status": {"phase": phase}}) for phase in ("Tracing", "Failed", None)
    ]
    namespace.ask(*patch, document={"status": {**status, "observedGeneration": 7}})

    assert all("a finished session stays as it has finished" in each for each in refusals)
    assert namespace.get("done")["status"]["observedGeneration"] == 7


# Deletion.

PHASES = {
    "Pending": {"app": "nobody"},
    "Suspended": {"suspend": True},
    "Tracing": {},
    "Succeeded": {"seconds": 1},
    "Failed": {"seconds": 1, "app": "nobody"},
    "Cancelled": {"cancel": True},
}


@pytest.mark.parametrize("phase", PHASES)
def test_deletion_in_every_phase(lab: Lab, namespace: Namespace, phase: str) -> None:
    """It is gone within seconds, without a finalizer that nobody takes away, and its traces have ended."""
    uid = namespace.session("doomed", **PHASES[phase])
    namespace.reach("doomed", phase)
    heard = lab.heard_of(uid)

    begun = time.monotonic()
    namespace.ask("delete", "tsess", "doomed", "--timeout=90s")

    assert time.monotonic() - begun < 5
    assert phase != "Tracing" or (heard and lab.told(uid, "stopped"))


@pytest.mark.parametrize("phase", ["Tracing", "Suspended", "Pending"])
def test_deletion_while_no_operator_is_there(lab: Lab, namespace: Namespace, phase: str) -> None:
    """The finalizer holds it until an operator has ended its traces."""
    uid = namespace.session("doomed", **PHASES[phase])
    namespace.reach("doomed", phase)
    lab.kill_operator()
    namespace.ask("delete", "tsess", "doomed", "--wait=false")
    time.sleep(0.5)
    held = namespace.exists("doomed")
    lab.start_operator()
    namespace.ask("wait", "tsess/doomed", "--for=delete", "--timeout=90s")

    assert held
    assert phase != "Tracing" or lab.told(uid, "stopped")


def test_a_session_that_is_deleted_as_soon_as_it_is_made(lab: Lab, namespace: Namespace) -> None:
    """Whatever the operator had begun, nothing is left."""
    uids = []
    for number in range(5):
        uids.append(namespace.session(f"brief-{number}"))
        namespace.ask("delete", "tsess", f"brief-{number}", "--timeout=90s")

    assert all(not lab.heard_of(uid) or lab.told(uid, "stopped") for uid in uids)


def test_deleting_the_namespace_amid_a_trace(lab: Lab, namespace: Namespace) -> None:
    """The traces end at once, and the namespace goes as soon as Kubernetes begins to look for what is in it."""
    uids = [namespace.session(f"doomed-{number}") for number in range(10)]
    for number in range(10):
        namespace.reach(f"doomed-{number}", "Tracing")

    begun = time.monotonic()
    # Kubernetes begins to delete what is in a namespace after 5 s, and looks again after 5 s more when it has found a
    # finalizer.
    namespace.ask("delete", "namespace", namespace.namespace, "--timeout=90s")
    gone = time.monotonic() - begun

    assert max(lab.stopped_after(uid, begun) for uid in uids) < 5
    assert gone < 10
    assert lab.operator_runs
