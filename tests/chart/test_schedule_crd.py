"""TraceSchedule as a real API server serves it: what it refuses, what it fills in, what it keeps."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from apiserver import Cluster

from kubestrace_operator.kube.session_rows import SessionRow
from kubestrace_operator.schedules import status
from kubestrace_operator.schedules.decision import Skip, State

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def schedule(name: str = "nightly", template: Any = None, **spec: Any) -> dict[str, Any]:
    """Return a schedule."""
    template = {"target": {"podName": "nowhere"}} if template is None else template
    return {
        "apiVersion": "kubestrace.io/v1alpha1",
        "kind": "TraceSchedule",
        "metadata": {"name": name},
        "spec": {"sessionTemplate": {"spec": template}, **spec},
    }


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (schedule(), "a schedule needs schedule, podEvents or both"),
        (schedule(podEvents=["BackOff"], timeZone="UTC"), "timeZone says nothing without schedule"),
        (schedule(schedule="CRON_TZ=UTC 0 3 * * *"), "schedule cannot name a time zone; use timeZone"),
        (schedule(podEvents=["Deleted"]), 'Unsupported value: "Deleted"'),
        (schedule(schedule="@daily", concurrencyPolicy="Maybe"), 'Unsupported value: "Maybe"'),
        (schedule(schedule="@daily", maxSessionsPerHour=61), "less than or equal to 60"),
        (schedule("n" * 53, schedule="@daily"), "has at most 52 characters"),
        (
            schedule(schedule="@daily", template={"target": {}}),
            "target needs exactly one of podName, selector and workload",
        ),
        (
            schedule(schedule="@daily", template={"target": {"podName": "x"}, "cancel": True}),
            'unknown field "spec.session',
        ),
        (
            schedule(schedule="@daily", template={"target": {"podName": "x"}, "suspend": True}),
            'unknown field "spec.session',
        ),
    ],
)
def test_what_is_refused(dry_cluster: Cluster, document: dict[str, Any], complaint: str) -> None:
    """In words that say what to do."""
    refusal = dry_cluster.refusal("create", "--validate=strict", "--dry-run=server", "-f", "-", document=document)

    assert complaint in refusal


def test_what_is_filled_in(dry_cluster: Cluster) -> None:
    """The defaults, and a status that says that nobody has seen it yet."""
    made = dry_cluster.ask("create", "-o", "json", "--dry-run=server", "-f", "-", document=schedule(schedule="@daily"))
    spec = json.loads(made)["spec"]

    assert spec.pop("sessionTemplate") == {"spec": {"target": {"podName": "nowhere"}, "durationSeconds": 30}}
    assert spec == {
        "schedule": "@daily",
        "suspend": False,
        "concurrencyPolicy": "Forbid",
        "coolDownSeconds": 300,
        "maxSessionsPerHour": 12,
        "successfulSessionsHistoryLimit": 3,
        "failedSessionsHistoryLimit": 1,
    }


def test_all_of_it_may_change(cluster: Cluster) -> None:
    """Also what cannot change in a session."""
    cluster.ask("create", "-f", "-", document=schedule(schedule="@daily"))
    other = schedule(template={"target": {"selector": {}}, "views": {"files": {}}}, podEvents=["BackOff"])

    cluster.ask("replace", "--validate=strict", "-f", "-", document=other)


def test_no_field_of_a_status_is_lost(cluster: Cluster) -> None:
    """The API server keeps everything that the operator writes."""
    cluster.ask("create", "-f", "-", document=schedule(schedule="@daily"))
    record = status.Record(
        State(NOON, NOON, NOON, {"nightly-1": NOON}),
        NOON,
        "2026-11-28T12:00:00Z",
        7,
        Counter({"Missed": 2}),
        schedule="x",
    )
    record.skip(Skip("HourlyCap", "Too many."), NOON)
    rows = [SessionRow("uid", "shop", "nightly-1", "1")]
    standing = status.Standing(False, "InvalidSpec", "It is wrong.", stalled=True)
    document = status.document(record, rows, standing, generation=1, following=NOON, now=NOON)
    patch = ("patch", "tsched", "nightly", "--subresource=status", "--type=merge", "-o", "json", "-p")

    kept = json.loads(cluster.ask(*patch, json.dumps({"status": document})))["status"]

    assert kept == document
    read = status.read({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "status": kept})
    assert read == record
