"""The view timeline: adding up nodes, its document, its size."""

import json
from datetime import UTC, datetime, timedelta

from kubestrace_operator.api import conditions
from kubestrace_operator.api.conditions import Outcome
from kubestrace_operator.api.spec import TraceSpec, parse
from kubestrace_operator.results import merge
from kubestrace_operator.status import builder
from kubestrace_operator.status.progress import Progress
from kubestrace_operator.views import registry
from kubestrace_operator.views.timeline import Settings, chart
from kubestrace_operator.views.view import Bars, Span
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import timeline_pb2

START = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
ON = {"timeline": Settings(60)}
DONE = Progress(
    Outcome(conditions.SUCCEEDED, "Completed", "Traced."),
    start=START,
    completion=START + timedelta(seconds=30),
    views=ON,
    duration_seconds=30,
)


def report(node: str, calls: dict[int, int], *, agent: str = "a", pods: int = 1) -> agent_pb2.Report:
    """Return a node's report: as many pods, each with these calls by bucket."""
    made = agent_pb2.Report(node=node, agent_id=agent)
    for number in range(pods):
        each = made.containers.add()
        container = each.state.container
        container.pod_name, container.container_name = f"{node}-{number:03}", "app"
        container.pod_uid = container.container_id = container.pod_name
        each.state.phase = agent_pb2.ContainerState.PHASE_ENDED
        total = sum(calls.values())
        each.syscalls.add(name="read", calls=total, timed=total, total_nanoseconds=5 * total)
        times = [5 * count for count in calls.values()]
        each.views["timeline"].Pack(
            timeline_pb2.TimelineResult(
                buckets=calls,
                calls=calls.values(),
                errors=[0] * len(calls),
                total_nanoseconds=times,
                wait_nanoseconds=[0] * len(calls),
                late_snapshots=1,
            )
        )
    return made


def shown(*reports: agent_pb2.Report, progress: Progress = DONE, **options: int | None) -> dict:
    """Return the status of these reports."""
    return builder.status(merge.merge(reports), progress, now=START + timedelta(seconds=30), **options)


def test_nodes_are_added_bucket_by_bucket() -> None:
    """One node was there from the beginning, the other joined in the middle: both count in the session's buckets."""
    timeline = shown(report("n1", {0: 10, 30: 5, 59: 1}), report("n2", {30: 7, 31: 2}))["timeline"]

    assert len(timeline["calls"]) == 60
    assert {index: count for index, count in enumerate(timeline["calls"]) if count} == {0: 10, 30: 12, 31: 2, 59: 1}
    assert timeline["totalNanoseconds"][30] == 60
    assert (timeline["bucketNanoseconds"], timeline["lateSnapshots"]) == (500_000_000, 1)
    assert [(row["pod"], sum(row["calls"])) for row in timeline["containers"]] == [("n1-000", 16), ("n2-000", 9)]


def test_agents_of_one_node_are_added() -> None:
    """What an agent had counted before it was restarted stays; the time between is empty."""
    timeline = shown(report("n1", {0: 10, 1: 5}), report("n1", {40: 7}, agent="b"))["timeline"]

    assert (sum(timeline["calls"]), timeline["calls"][40], timeline["calls"][20]) == (22, 7, 0)
    assert len(timeline["containers"]) == 1


def requested(spec: TraceSpec, elapsed_milliseconds: int) -> timeline_pb2.TimelineRequest:
    """Return what an agent is asked for so long after the start."""
    message = timeline_pb2.TimelineRequest()
    packed = registry.requests(spec.views, Span(1000 * spec.duration_seconds, elapsed_milliseconds))
    assert packed["timeline"].Unpack(message)
    return message


def test_each_request_says_how_much_of_the_session_has_gone() -> None:
    """An agent that is asked late gets the same buckets, and where the session stands in them."""
    spec = parse({"target": {"podName": "a"}, "durationSeconds": 30, "views": {"timeline": {"buckets": 15}}})

    early, late = requested(spec, 0), requested(spec, 12_345)

    assert (early.buckets, early.duration_milliseconds) == (15, 30_000)
    assert (early.elapsed_milliseconds, late.elapsed_milliseconds) == (0, 12_345)


def test_without_the_view_nothing_is_asked_and_nothing_is_shown() -> None:
    """A view that is off is not in the request and not in the status."""
    spec = parse({"target": {"podName": "a"}})

    assert "timeline" not in registry.requests(spec.views, Span(30_000, 3000))
    assert "timeline" not in builder.status(merge.merge([]), Progress(DONE.outcome, start=START), now=START)


def test_buckets_that_have_not_begun_are_not_shown() -> None:
    """While a session runs its lists grow; the bucket that has begun is the last."""
    running = Progress(Outcome(conditions.TRACING, "Tracing", ""), start=START, views=ON, duration_seconds=30)

    document = builder.status(merge.merge([]), running, now=START + timedelta(seconds=10.2))

    assert document["timeline"]["calls"] == [0] * 21


def test_the_containers_are_cut_first() -> None:
    """200 containers: the whole stays below 64 KiB with its totals, some of the containers' own rows are left out."""
    calls = {index: 1_000_000 + index for index in range(60)}
    reports = [report(f"n{number}", calls, pods=20) for number in range(10)]

    document = shown(*reports)

    assert builder.size(document) <= 64 * 1024
    assert document["truncated"] is True
    assert len(document["containers"]) == 200
    assert 0 < len(document["timeline"]["containers"]) < 200
    assert sum(document["timeline"]["calls"]) == document["summary"]["calls"]


def test_the_longest_timeline_fits() -> None:
    """240 buckets of large numbers leave room for the rest."""
    calls = {index: 10**10 + index for index in range(240)}

    document = shown(
        report("n1", calls),
        progress=Progress(DONE.outcome, start=START, views={"timeline": Settings(240)}, duration_seconds=3600),
    )

    assert len(json.dumps(document["timeline"])) < 24 * 1024
    assert len(document["timeline"]["calls"]) == 240


def test_everything_is_shown_without_a_limit() -> None:
    """Local mode cuts nothing."""
    calls = {index: 1_000_000 + index for index in range(60)}

    document = shown(*(report(f"n{number}", calls, pods=20) for number in range(10)), limit_bytes=None)

    assert len(document["timeline"]["containers"]) == 200
    assert document["truncated"] is False


def test_the_chart_has_a_line_for_each_series() -> None:
    """Each line has its own maximum; what is zero is empty, what is not is seen however small it is."""
    series = {
        "calls": [0, 1, 500, 1000],
        "errors": [0, 0, 0, 0],
        "totalNanoseconds": [0, 8, 4, 1],
        "waitNanoseconds": [10**9, 0, 0, 0],
    }

    assert chart(series, 500_000_000) == (
        "       0 2.0s\n"
        " calls | ▁▄█| at most 1000 in 500.0ms\n"
        "errors |    | none\n"
        "  work | █▄▁| at most 8ns in 500.0ms\n"
        "  wait |█   | at most 1.0s in 500.0ms\n"
    )


def test_the_chart_has_a_line_for_what_other_views_have_by_time() -> None:
    """In their own words, below the calls; buckets that have not begun are not shown."""
    series = {name: [0, 1] for name in ("calls", "errors", "totalNanoseconds", "waitNanoseconds")}
    lines = chart(
        series,
        10**9,
        [Bars("capped", {0: 4, 1: 8, 2: 99}, str, what="throttled"), Bars("memory", {1: 5}, str, level=True)],
    ).splitlines()

    assert lines[-3:] == [
        "  wait | █| at most 1ns in 1.0s",
        "capped |▄█| throttled at most 8 in 1.0s",
        "memory | █| at most 5",
    ]
