"""The objects of a schedule: the sessions that it makes, and which finished ones are too many. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from kubestrace_operator.api import conditions
from kubestrace_operator.kube.schedules import SCHEDULE_UID_LABEL, ScheduleRow
from kubestrace_operator.kube.session_rows import SessionRow
from kubestrace_operator.schedules.pod_events import PodEvent
from kubestrace_operator.schedules.spec import ScheduleSpec
from kubestrace_operator.sessions.requests import REQUESTED_BY

SCHEDULE_LABEL = "kubestrace.io/schedule"
SCHEDULED_AT = "kubestrace.io/scheduled-at"
EVENT, EVENT_POD, EVENT_CONTAINER = (f"kubestrace.io/event{part}" for part in ("", "-pod", "-container"))


def session(row: ScheduleRow, spec: ScheduleSpec, name: str, cause: Mapping[str, str]) -> dict[str, Any]:
    """Return a session; `cause` are annotations that say why it was made."""
    # What the template says of a requester could name anybody.
    annotations = {name: value for name, value in spec.annotations.items() if name != REQUESTED_BY}
    if spec.requester:
        annotations[REQUESTED_BY] = spec.requester
    labels = {**spec.labels, SCHEDULE_LABEL: row.name, SCHEDULE_UID_LABEL: row.uid}
    # Without blockOwnerDeletion: where the API server checks it, that would need a right on all schedules' finalizers.
    owner = {
        "apiVersion": row.api_version,
        "kind": row.kind,
        "name": row.name,
        "uid": row.uid,
        "controller": True,
    }
    return {
        "apiVersion": row.api_version,
        "kind": "TraceSession",
        "metadata": {
            "name": name,
            "namespace": row.namespace,
            "labels": labels,
            "annotations": {**annotations, **cause},
            "ownerReferences": [owner],
        },
        "spec": dict(spec.session_spec),
    }


def slot_name(row: ScheduleRow, slot: datetime) -> str:
    """Return the name of a slot's session, as CronJob names its Jobs: there is one for each slot, whoever makes it."""
    return f"{row.name}-{int(slot.timestamp()) // 60}"


def event_name(row: ScheduleRow, event: PodEvent) -> str:
    """Return the name of an event's session: there is one for each event, whoever makes it."""
    return f"{row.name}-{hashlib.sha256(event.key.encode()).hexdigest()[:10]}"


def slot_cause(slot: datetime) -> dict[str, str]:
    """Return what a session's annotations say of its slot."""
    return {SCHEDULED_AT: conditions.timestamp(slot)}


def event_cause(event: PodEvent) -> dict[str, str]:
    """Return what a session's annotations say of its event."""
    return {EVENT: event.kind, EVENT_POD: event.pod, EVENT_CONTAINER: event.container}


def superfluous(rows: Iterable[SessionRow], spec: ScheduleSpec) -> list[SessionRow]:
    """Return the finished sessions beyond the history limits, those that ended first."""
    finished = sorted(
        (row for row in rows if row.finished and not row.deleting), key=lambda row: (row.completed, row.name)
    )
    succeeded = [row for row in finished if row.phase == conditions.SUCCEEDED]
    failed = [row for row in finished if row.phase != conditions.SUCCEEDED]
    return [
        *succeeded[: max(0, len(succeeded) - spec.successful_history)],
        *failed[: max(0, len(failed) - spec.failed_history)],
    ]
