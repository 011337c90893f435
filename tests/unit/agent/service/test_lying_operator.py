"""An operator that was taken over, or is broken: whatever it asks for, the agent's own bounds hold."""

import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.protobuf.message import Message

from kubestrace_agent.service import limits, server
from kubestrace_agent.views import registry
from kubestrace_protos.v1 import agent_pb2, agent_pb2_grpc
from kubestrace_protos.v1.views import (
    callers_pb2,
    counters_pb2,
    errors_pb2,
    network_pb2,
    processes_pb2,
    resources_pb2,
    security_pb2,
    slow_calls_pb2,
    timeline_pb2,
)

BOUNDS = limits.Limits()
UID = "12345678-1234-1234-1234-123456789abc"
MS = 1_000_000


def request(**fields: Any) -> agent_pb2.StartTraceRequest:
    """Return a request that is right but for these fields."""
    return agent_pb2.StartTraceRequest(
        **({"session_uid": "s1", "session_name": "shop/s", "duration_milliseconds": 60_000} | fields)
    )


def container(**fields: str) -> agent_pb2.Container:
    """Return a container that is right but for these fields."""
    return agent_pb2.Container(**({"container_id": "app"} | fields))


# What goes beyond each bound of a request, and the reason that is given.
REQUESTS: dict[str, tuple[Callable[[], agent_pb2.StartTraceRequest], str]] = {
    "a duration of more than an hour": (lambda: request(duration_milliseconds=3_600_001), "InvalidDuration"),
    "no end": (lambda: request(duration_milliseconds=0), "InvalidDuration"),
    "the longest duration that there is": (lambda: request(duration_milliseconds=2**32 - 1), "InvalidDuration"),
    "a lease of more than an hour": (lambda: request(lease_seconds=3601), "InvalidLease"),
    "a session that is a path": (lambda: request(session_uid="../../etc"), "InvalidSession"),
    "a session's UID that is too long": (lambda: request(session_uid="a" * 129), "InvalidSession"),
    "a session's name that is too long": (lambda: request(session_name="a" * 400), "RequestTooLarge"),
    "too many containers": (
        lambda: request(containers=[container(container_id=str(n)) for n in range(1025)]),
        "TooManyContainers",
    ),
    "too many pods": (lambda: request(pods=[agent_pb2.Pod(uid=UID)] * 1025), "TooManyContainers"),
    "a pod that is a path": (lambda: request(pods=[agent_pb2.Pod(uid="../..")]), "InvalidContainer"),
    "a pod with too many containers": (
        lambda: request(pods=[agent_pb2.Pod(uid=UID, containers=[""] * 1025)]),
        "RequestTooLarge",
    ),
    "a pod with a long kind": (
        lambda: request(pods=[agent_pb2.Pod(uid=UID, kinds={"a": "b" * 400})]),
        "RequestTooLarge",
    ),
    "too many patterns of calls": (lambda: request(syscalls=["read"] * 129), "InvalidSyscalls"),
    "a pattern of calls that is too long": (lambda: request(syscalls=["/" + "a" * 256]), "InvalidSyscalls"),
    "an expression that grows": (lambda: request(syscalls=["/((((a{50}){50}){50}){50}){50}"]), "InvalidSyscalls"),
    "too many patterns of what is hidden": (lambda: request(redact=["/a*"] * 21), "InvalidRedact"),
    "a pattern of what is hidden that is too long": (lambda: request(redact=["/" + "a" * 256]), "InvalidRedact"),
    "too many views": (lambda: request(views={f"v{n}": any_pb2.Any() for n in range(65)}), "RequestTooLarge"),
    "a view's name that is too long": (lambda: request(views={"v" * 65: any_pb2.Any()}), "RequestTooLarge"),
    "a large request of a view": (
        lambda: request(views={"v": any_pb2.Any(value=b"x" * (1 << 15))}),
        "RequestTooLarge",
    ),
} | {
    f"a {field} that is too long": (
        lambda field=field: request(containers=[container(**{field: "a" * 400})]),
        "RequestTooLarge",
    )  # type: ignore[misc]
    for field in ("pod_uid", "pod_namespace", "pod_name", "container_name", "container_id", "kind")
}

# What goes beyond each bound of a view: what is asked for, and the reason that is given.
VIEWS: dict[str, tuple[str, Message, str]] = {
    "slow calls of less than a millisecond": (
        "slowCalls",
        slow_calls_pb2.SlowCallsRequest(threshold_nanoseconds=MS - 1, limit=1),
        "InvalidSlowCalls",
    ),
    "slow calls without a threshold": ("slowCalls", slow_calls_pb2.SlowCallsRequest(limit=1), "InvalidSlowCalls"),
    "too many slow calls": (
        "slowCalls",
        slow_calls_pb2.SlowCallsRequest(threshold_nanoseconds=MS, limit=201),
        "InvalidSlowCalls",
    ),
    "too many samples": ("errors", errors_pb2.ErrorsRequest(samples=11), "InvalidErrors"),
    "too many processes": ("processes", processes_pb2.ProcessesRequest(top=101), "InvalidProcesses"),
    "too many threads": ("processes", processes_pb2.ProcessesRequest(top=1, threads=101), "InvalidProcesses"),
    "too many stacks a second": ("callers", callers_pb2.CallersRequest(per_second=1001), "InvalidCallers"),
    "no stacks": ("callers", callers_pb2.CallersRequest(per_second=0), "InvalidCallers"),
    "events that there are not": (
        "counters",
        counters_pb2.CountersRequest(events=["no-such-event"]),
        "InvalidCounters",
    ),
    "too many buckets": (
        "timeline",
        timeline_pb2.TimelineRequest(buckets=241, duration_milliseconds=3_600_000),
        "InvalidTimeline",
    ),
    "buckets that are too short": (
        "timeline",
        timeline_pb2.TimelineRequest(buckets=240, duration_milliseconds=23_999),
        "InvalidTimeline",
    ),
    "buckets of more than an hour": (
        "timeline",
        timeline_pb2.TimelineRequest(buckets=1, duration_milliseconds=2**32 - 1),
        "InvalidTimeline",
    ),
    "too many buckets of resources": (
        "resources",
        resources_pb2.ResourcesRequest(buckets=241, duration_milliseconds=3_600_000),
        "InvalidResources",
    ),
    "too many sensitive paths": (
        "security",
        security_pb2.SecurityRequest(sensitive_paths=["/a"] * 51),
        "InvalidSecurity",
    ),
    "a sensitive path that is too long": (
        "security",
        security_pb2.SecurityRequest(sensitive_paths=["/" + "a" * 256]),
        "InvalidSecurity",
    ),
    "another view's request": ("errors", network_pb2.NetworkRequest(), "InvalidView"),
}
# Views whose requests have no number and no text in them, so that there is nothing to bound.
UNBOUNDED = {"cpuTime", "files", "blockIO", "ioUring", "locks", "memory", "network"}


@pytest.mark.parametrize(("make", "reason"), REQUESTS.values(), ids=REQUESTS.keys())
async def test_no_request_goes_beyond_the_agents_bounds(
    make_traces: Any, make: Callable[[], agent_pb2.StartTraceRequest], reason: str
) -> None:
    """It is refused at once, with its reason, and leaves nothing behind."""
    traces = make_traces()
    begun = time.process_time()

    with pytest.raises(limits.TraceError) as raised:
        await traces.start(make())

    assert raised.value.reason == reason
    assert traces.list() == []
    # No measure of speed: without the bounds some of these take minutes.
    assert time.process_time() - begun < 30


@pytest.mark.parametrize(("view", "asked", "reason"), VIEWS.values(), ids=VIEWS.keys())
async def test_no_view_is_asked_for_more_than_it_may_give(
    make_traces: Any, view: str, asked: Message, reason: str
) -> None:
    """The bounds of the TraceSession's schema are the agent's own, too."""
    traces = make_traces()
    wrong = request()
    wrong.views[view].Pack(asked)

    with pytest.raises(limits.InvalidRequestError) as raised:
        await traces.start(wrong)

    assert raised.value.reason == reason
    assert traces.list() == []


def test_each_number_and_text_of_a_views_request_has_a_bound() -> None:
    """A new view, or a new field of one, needs its lie above."""
    lied_about = {view for view, _, _ in VIEWS.values()}

    assert lied_about | UNBOUNDED == set(registry.views())
    for view, asked, _ in VIEWS.values():
        fields = {field.name for field in asked.DESCRIPTOR.fields if field.type != field.TYPE_BOOL}
        lies = {
            field.name
            for name, each, _ in VIEWS.values()
            if name == view and each.DESCRIPTOR == asked.DESCRIPTOR
            for field, _ in each.ListFields()
        }
        # How much of the session had gone moves the buckets and makes none.
        assert fields - lies <= {"elapsed_milliseconds"}, view


async def test_sessions_are_bounded_whatever_names_they_have(make_traces: Any) -> None:
    """Neither one namespace nor a thousand of them make more traces than the agent has places."""
    traces = make_traces()
    refused = 0
    for number in range(200):
        try:
            await traces.start(
                request(session_uid=f"s{number}", session_name=f"n{number}/s", duration_milliseconds=1000)
            )
        except limits.LimitReachedError:
            refused += 1

    assert len(traces.list()) == BOUNDS.max_traces
    assert refused == 200 - BOUNDS.max_traces


async def test_containers_are_bounded_over_all_requests_of_a_trace(make_traces: Any, node: Any) -> None:
    """Asking again and again does not go around the bound; what was refused does not stay."""
    traces = make_traces()
    for begin in range(0, 2000, 250):
        names = [container(container_id=f"c{number}") for number in range(begin, begin + 250)]
        try:
            await traces.start(request(containers=names))
        except limits.LimitReachedError:
            break

    (listed,) = traces.list()
    assert begin == 1000
    assert listed.containers == 1000


async def test_a_refusal_is_no_longer_than_a_header(make_traces: Any) -> None:
    """A message that quotes the request would not arrive: the caller would not learn what is wrong."""
    listener = server.Server(server.AgentService(make_traces(), agent_pb2.DescribeResponse()), insecure=True)
    wrong = request()
    wrong.views["counters"].Pack(counters_pb2.CountersRequest(events=[f"event-{number}" for number in range(2000)]))
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{await listener.start('127.0.0.1:0')}") as plain:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await agent_pb2_grpc.AgentStub(plain).StartTrace(wrong, timeout=20)
    finally:
        await listener.stop(0)

    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert ("kubestrace-reason", "InvalidCounters") in list(raised.value.trailing_metadata())


async def test_describe_takes_no_more_patterns_than_a_session_has(make_traces: Any) -> None:
    """A search for the nearest name takes a millisecond: a megabyte of wrong names would hold up all traces."""
    problems = make_traces().syscall_problems([f"opennat{number}" for number in range(100_000)])

    assert problems == ["100000 syscall patterns are given, and 128 may be."]
