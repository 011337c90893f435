"""One schedule over time, against an API server that fails as they do."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from operator_fakes import BEGIN, in_no_time, now

from kubestrace_operator import metrics
from kubestrace_operator.api import applied
from kubestrace_operator.api.conditions import timestamp
from kubestrace_operator.api.spec import InvalidSpecError
from kubestrace_operator.kube.errors import ClusterError, ConflictError, ForbiddenError, NotFoundError
from kubestrace_operator.kube.schedules import ScheduleRow
from kubestrace_operator.kube.session_rows import SessionRow
from kubestrace_operator.schedules import objects
from kubestrace_operator.schedules.interfaces import Surroundings
from kubestrace_operator.schedules.pod_events import PodEvent
from kubestrace_operator.schedules.schedule import Schedule
from kubestrace_operator.schedules.spec import parse
from kubestrace_operator.sessions.admission import refusal
from kubestrace_operator.sessions.requests import REQUESTED_BY


def body(**spec: Any) -> dict[str, Any]:
    """Return a schedule's object."""
    template = {"spec": {"target": {"selector": {}}}, "metadata": {"labels": {"team": "shop"}}}
    return {
        "metadata": {
            "name": "nightly",
            "namespace": "shop",
            "uid": "uid-1",
            "generation": 1,
            "creationTimestamp": timestamp(BEGIN),
        },
        "spec": {"sessionTemplate": template, **spec},
    }


class World:
    """An API server with sessions that never end by themselves."""

    def __init__(self) -> None:
        self.sessions_made: dict[str, dict[str, Any]] = {}
        self.phases: dict[str, str] = {}
        self.statuses: list[Mapping[str, Any]] = []
        self.events: list[str] = []
        self.labels: dict[str, str] = {}
        # Raised by the next creations, before or after the session is there.
        self.before: list[ClusterError] = []
        self.after: list[ClusterError] = []

    async def sessions(self, row: ScheduleRow) -> list[SessionRow]:
        """Return the rows of all."""
        return [
            SessionRow(
                uid=name,
                namespace=row.namespace,
                name=name,
                resource_version="1",
                phase=self.phases.get(name, "Tracing"),
                completed=timestamp(now()) if name in self.phases else "",
                created=made["created"],
                schedule_uid=row.uid,
            )
            for name, made in self.sessions_made.items()
        ]

    async def create_session(self, made: Mapping[str, Any]) -> None:
        """Create a session."""
        name = made["metadata"]["name"]
        if self.before:
            raise self.before.pop()
        if name in self.sessions_made:
            raise ConflictError("there")
        self.sessions_made[name] = {**made, "created": timestamp(now())}
        if self.after:
            raise self.after.pop()

    async def delete_session(self, row: SessionRow) -> None:
        """Delete a session."""
        if self.sessions_made.pop(row.name, None) is None:
            raise NotFoundError("gone")

    async def write_status(self, row: ScheduleRow, status: Mapping[str, Any]) -> None:
        """Keep the status."""
        self.statuses.append(status)

    async def pods(self, namespace: str, *, failing: object = None) -> AsyncIterator[Any]:
        """Yield nothing, for ever."""
        await asyncio.sleep(1e9)
        yield {}

    async def workload_selector(self, namespace: str, workload: object) -> None:
        """Return that there is none."""

    async def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Return the labels."""
        return self.labels

    def post(self, row: ScheduleRow, kind: str, reason: str, message: str, key: str) -> None:
        """Note an event."""
        self.events.append(reason)

    @property
    def status(self) -> Mapping[str, Any]:
        """The last status."""
        return self.statuses[-1]

    def schedule(self, **spec: Any) -> tuple[Schedule, asyncio.Task[None]]:
        """Serve a schedule."""
        return self.serve(body(**spec))

    def serve(self, given: dict[str, Any]) -> tuple[Schedule, asyncio.Task[None]]:
        """Serve an object."""

        def may_trace(namespace: str, labels: Mapping[str, str]) -> str:
            return refusal(namespace, labels, only_enabled=False)

        schedule = Schedule(given, Surroundings(self, self, self.post, may_trace, now))
        return schedule, asyncio.create_task(schedule.run())


def event(number: int = 0) -> list[PodEvent]:
    """Return an event."""
    return [PodEvent("Restarted", "shop-1", "app", f"key-{number}")]


@pytest.mark.parametrize(("creator", "annotations"), [("jane", {"a": "b", REQUESTED_BY: "jane"}), ("", {"a": "b"})])
def test_a_session_has_the_requester_of_its_schedule(creator: str, annotations: dict[str, str]) -> None:
    """Whoever changes the template cannot name another one there."""
    given = body(schedule="@daily")
    given["metadata"]["annotations"] = {REQUESTED_BY: creator} if creator else {}
    given["spec"]["sessionTemplate"]["metadata"]["annotations"] = {"a": "b", REQUESTED_BY: "joe"}

    made = objects.session(ScheduleRow.of(given), parse(given), "nightly-1", {})

    assert made["metadata"]["annotations"] == annotations


@in_no_time
async def test_each_slot_makes_one_session() -> None:
    """Named after its minute, owned, labelled, annotated, with the template's spec."""
    world = World()
    _, task = world.schedule(schedule="0 * * * *", concurrencyPolicy="Allow")
    await asyncio.sleep(3 * 3600 + 60)
    task.cancel()

    minutes = int(BEGIN.timestamp()) // 60
    assert list(world.sessions_made) == [f"nightly-{minutes + 60 * hour}" for hour in (1, 2, 3)]
    made = next(iter(world.sessions_made.values()))
    assert made["metadata"]["ownerReferences"][0]["uid"] == "uid-1"
    assert made["metadata"]["labels"] == {
        "team": "shop",
        "kubestrace.io/schedule": "nightly",
        "kubestrace.io/schedule-uid": "uid-1",
    }
    assert made["metadata"]["annotations"] == {"kubestrace.io/scheduled-at": "2026-01-01T01:00:00Z"}
    assert made["spec"] == {"target": {"selector": {}}}
    assert world.status["lastScheduleTime"] == "2026-01-01T03:00:00Z"
    assert world.status["nextScheduleTime"] == "2026-01-01T04:00:00Z"
    assert (world.status["created"], world.status["activeCount"]) == (3, 3)


@pytest.mark.parametrize("there", [False, True])
@in_no_time
async def test_a_creation_that_failed_is_tried_again(there: bool) -> None:
    """Whether or not the session was made: there is one in the end."""
    world = World()
    (world.after if there else world.before).append(ClusterError("no answer"))
    _, task = world.schedule(schedule="0 * * * *")
    await asyncio.sleep(3700)
    task.cancel()

    assert len(world.sessions_made) == 1
    assert world.status["created"] == 1


@in_no_time
async def test_an_event_whose_session_was_made_without_an_answer() -> None:
    """It is not made twice, counted once, and the cool-down runs."""
    world = World()
    world.after.append(ClusterError("no answer"))
    schedule, task = world.schedule(podEvents=["Restarted"], concurrencyPolicy="Allow")
    schedule.happened(event(1))
    await asyncio.sleep(60)
    schedule.happened(event(2))
    await asyncio.sleep(60)
    task.cancel()

    assert (len(world.sessions_made), world.status["created"]) == (1, 1)
    assert world.status["skipped"]["coolDown"] == 1


def value(name: str, **labels: str) -> float:
    """Return what a metric says now."""
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


@in_no_time
async def test_metrics_count_what_schedules_made_and_left_out() -> None:
    """By cause and reason; a storm of events is counted whole."""
    made = {cause: value("kubestrace_schedule_sessions_total", cause=cause) for cause in ("Time", "Restarted")}
    skipped = value("kubestrace_schedule_skipped_total", reason="CoolDown")
    world = World()
    schedule, task = world.schedule(schedule="0 * * * *", podEvents=["Restarted"], concurrencyPolicy="Allow")
    schedule.happened([each for number in range(250) for each in event(number)])
    await asyncio.sleep(3700)
    task.cancel()

    for cause, before in made.items():
        assert value("kubestrace_schedule_sessions_total", cause=cause) == before + 1
    assert value("kubestrace_schedule_skipped_total", reason="CoolDown") == skipped + 249
    assert world.status["skipped"]["coolDown"] == 249


@in_no_time
async def test_a_refused_session_is_counted_and_said() -> None:
    """By a quota, say; the next slot is tried, and what went wrong is gone when it succeeds."""
    world = World()
    world.before.append(ForbiddenError("exceeded quota"))
    _, task = world.schedule(schedule="0 * * * *")
    await asyncio.sleep(3700)
    refused = world.status
    await asyncio.sleep(3600)
    task.cancel()

    assert refused["skipped"]["refused"] == 1
    assert refused["conditions"][0]["reason"] == "SessionRefused"
    assert "exceeded quota" in refused["conditions"][0]["message"]
    assert world.status["conditions"][0]["reason"] == "Active"
    assert world.events == ["Refused", "SessionCreated"]


@in_no_time
async def test_events_and_their_cool_down_outlive_the_operator() -> None:
    """Another one reads when an event last made a session."""
    world = World()
    schedule, task = world.schedule(podEvents=["Restarted"], coolDownSeconds=600, concurrencyPolicy="Allow")
    schedule.happened(event(1))
    await asyncio.sleep(60)
    task.cancel()
    again, task = world.serve({**body(podEvents=["Restarted"], coolDownSeconds=600), "status": world.status})
    again.happened(event(2))
    await asyncio.sleep(60)
    task.cancel()

    (name,) = world.sessions_made
    assert world.sessions_made[name]["metadata"]["annotations"]["kubestrace.io/event"] == "Restarted"
    assert world.status["skipped"]["coolDown"] == 1


@in_no_time
async def test_the_cap_counts_sessions_of_an_operator_that_wrote_no_status() -> None:
    """It was killed in between: the sessions themselves say when they were made."""
    world = World()
    spec = {"podEvents": ["Restarted"], "coolDownSeconds": 0, "maxSessionsPerHour": 1, "concurrencyPolicy": "Allow"}
    schedule, task = world.schedule(**spec)
    schedule.happened(event(1))
    await asyncio.sleep(10)
    task.cancel()
    again, task = world.schedule(**spec)
    again.happened(event(2))
    await asyncio.sleep(10)
    task.cancel()

    assert len(world.sessions_made) == 1
    assert world.status["skipped"]["hourlyCap"] == 1


@in_no_time
async def test_another_expression_makes_up_for_nothing() -> None:
    """Its slots from before the change were nobody's."""
    world = World()
    schedule, task = world.schedule(schedule="0 0 1 2 *")
    await asyncio.sleep(5 * 3600)
    changed = body(schedule="0 * * * *")
    changed["metadata"]["generation"] = 2
    schedule.change(changed)
    await asyncio.sleep(1800)
    before = len(world.sessions_made)
    await asyncio.sleep(3600)
    task.cancel()

    assert (before, len(world.sessions_made)) == (0, 1)
    assert world.status["skippedCount"] == 0


@in_no_time
async def test_the_history_limits() -> None:
    """Those that ended first go; failed and succeeded ones have a limit each."""
    world = World()
    _, task = world.schedule(
        schedule="0 * * * *", concurrencyPolicy="Allow", successfulSessionsHistoryLimit=2, failedSessionsHistoryLimit=0
    )
    await asyncio.sleep(60)
    for hour in range(6):
        await asyncio.sleep(3600)
        name = list(world.sessions_made)[-1]
        world.phases[name] = "Failed" if hour == 4 else "Succeeded"
    await asyncio.sleep(120)
    task.cancel()

    assert len(world.sessions_made) == 2
    assert world.status["lastSuccessfulTime"]


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({}, "spec.schedule is missing"),
        ({"schedule": "x"}, "five fields"),
        ({"timeZone": "UTC", "podEvents": ["BackOff"]}, "spec.timeZone says nothing"),
        ({"podEvents": ["Deleted"]}, "spec.podEvents has 'Deleted'"),
        ({"schedule": "@daily", "concurrencyPolicy": "Maybe"}, "spec.concurrencyPolicy is 'Maybe'"),
        ({"schedule": "@daily", "sessionTemplate": {"spec": {}}}, "spec.sessionTemplate.spec.target"),
    ],
)
def test_what_is_wrong_with_a_spec(spec: dict[str, Any], complaint: str) -> None:
    """Each in a sentence with its path."""
    with pytest.raises(InvalidSpecError, match=complaint):
        parse(body(**spec))


def test_a_view_that_kubectl_dropped_from_the_template_is_there() -> None:
    """`errors:` is null; client-side apply takes nulls away and keeps them in its annotation."""
    given = body(schedule="@daily")
    dropped = {"spec": {"sessionTemplate": {"spec": {"views": {"errors": None}}}}}
    given["metadata"]["annotations"] = {applied.ANNOTATION: json.dumps(dropped)}

    assert parse(given).session_spec["views"] == {"errors": None}


@in_no_time
async def test_a_schedule_remembers_no_session_for_ever() -> None:
    """Those of the last hour count for the cap; of the others only those that are there are known."""
    world = World()
    schedule, task = world.schedule(schedule="* * * * *", concurrencyPolicy="Replace", maxSessionsPerHour=60)
    await asyncio.sleep(5 * 3600)
    task.cancel()

    assert world.status["created"] >= 290
    assert len(schedule._counted) <= 62
