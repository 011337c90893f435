"""What the log and the first event say of who asked for what."""

import logging
from typing import Any

import pytest
from operator_fakes import Stage, in_no_time, pod

from kubestrace_operator.kube.session_rows import SessionRow
from kubestrace_operator.sessions import requests
from kubestrace_operator.sessions.controller import Sessions


def body(spec: object, annotations: object = None) -> dict[str, Any]:
    """Return a session's object."""
    return {"metadata": {"annotations": annotations}, "spec": spec}


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"target": {"podName": "a"}}, "30 s of pod a."),
        ({"target": {"selector": {}}, "durationSeconds": 5}, "5 s of all pods."),
        ({"target": {"selector": {"matchLabels": {"b": "2", "a": "1"}}}}, "30 s of pods with a=1, b=2."),
        (
            {"target": {"selector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}}},
            "30 s of pods with a In ['1'].",
        ),
        (
            {"target": {"workload": {"kind": "Job", "name": "j"}}, "profile": "deep"},
            "30 s of Job j and the profile deep.",
        ),
        (
            {"target": {"podName": "a"}, "views": {"network": None, "files": {}, "errors": {"enabled": False}}},
            "30 s of pod a with files, network.",
        ),
    ],
)
def test_a_request_in_words(spec: dict[str, Any], sentence: str) -> None:
    """What, of what, for how long; a view that is off is not asked for."""
    assert requests.read(body(spec), proven=False).sentence() == f"An unverified user asks for {sentence}"


@pytest.mark.parametrize(
    "spec", [None, {}, {"target": 3, "views": [], "durationSeconds": "x"}, {"target": {"workload": 1}}]
)
def test_a_spec_that_cannot_be_served_is_told_all_the_same(spec: object) -> None:
    """The API server may hold any: of an older definition, for instance."""
    assert requests.read(body(spec), proven=True).sentence().startswith("An unverified user asks for ")


@pytest.mark.parametrize(
    ("proven", "person", "requester"), [(True, "jane", "jane"), (False, "an unverified user", None)]
)
def test_a_request_of_a_schedule(proven: bool, person: str, requester: str | None) -> None:
    """The annotation names who created the schedule, not who made the session."""
    made = body({"target": {"podName": "a"}}, {requests.REQUESTED_BY: "jane"})
    owners = [{"kind": "Other", "name": "x", "controller": True}, {"kind": "TraceSchedule", "name": "y"}]
    made["metadata"]["ownerReferences"] = [*owners, {"kind": "TraceSchedule", "name": "nightly", "controller": True}]
    request = requests.read(made, proven=proven)

    assert request.sentence() == f"TraceSchedule nightly (created by {person}) asks for 30 s of pod a."
    assert (request.fields()["schedule"], request.fields()["requester"]) == ("nightly", requester)


def test_a_name_cannot_write_lines_of_its_own() -> None:
    """Users' names come from elsewhere, and annotations of an earlier time from anybody."""
    annotations = {requests.REQUESTED_BY: "jane\nERROR: all is lost\x1b[2J" + "x" * 1000}
    told = requests.read(body({"target": {"podName": "a"}}, annotations), proven=True)

    assert told.requester.startswith("jane\\nERROR: all is lost\\x1b[2J")
    assert len(told.sentence()) < 400


@pytest.mark.parametrize("proven", [True, False])
@in_no_time
async def test_each_session_is_told_once_at_its_start_and_at_its_end(
    proven: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """By an event and by lines with the same fields; nobody is named who is not proven."""
    stage = Stage(pod("a"))
    stage.requesters_proven = proven
    events: list[tuple[str, str]] = []
    sessions = Sessions(stage.dependencies, lambda _, __, reason, message, ___: events.append((reason, message)))
    spec = {"target": {"podName": "a"}, "durationSeconds": 5, "views": {"files": {}}}
    metadata = {"generation": 1, "annotations": {requests.REQUESTED_BY: "jane"}}
    stage.cluster.objects["u1"] = {"metadata": metadata, "spec": spec, "status": {}}
    with caplog.at_level(logging.INFO):
        sessions.see(SessionRow("u1", "shop", "s", "1"))
        await sessions._running["u1"].task

    told = [each for each in caplog.records if hasattr(each, "requester")]
    who = "jane" if proven else None
    assert [each.phase for each in told] == ["Pending", "Succeeded"]
    assert {(each.session, each.uid, each.target, tuple(each.views), each.requester) for each in told} == {
        ("shop/s", "u1", "pod a", ("files",), who)
    }
    assert [reason for reason, _ in events].count("Requested") == 1
    assert ("jane" in events[0][1]) == proven
