"""The timeline that a real agent keeps of real containers."""

import asyncio
import time

from agent_process import Agent, Stub, Tree, request
from view_messages import asking, timeline

from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import timeline_pb2

CALLS = 20_000
BUCKET_NS = 500_000_000
VIEWS = asking(timeline=timeline_pb2.TimelineRequest(buckets=120, duration_milliseconds=60_000))


async def test_each_container_has_its_burst_where_it_was(agent: Agent, tree: Tree) -> None:
    """Two containers work one after the other; the buckets of each sum up to its summary, though nobody watches."""
    one, two = tree.container(calls=CALLS), tree.container(calls=2 * CALLS, errors=5)
    worked = {}

    async with agent.connect() as connection:
        stub = Stub(connection)
        started = await stub.StartTrace(request(one, two, views=VIEWS))
        for container in (one, two):
            await asyncio.sleep(1)
            begin = time.time_ns()
            container.work()
            worked[f"containerd://{container.id}"] = begin, time.time_ns(), CALLS if container is one else 2 * CALLS
        await asyncio.sleep(1)
        report = (await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="session-1"))).report

    assert len(report.containers) == 2
    for each in report.containers:
        begin, end, calls = worked[each.state.container.container_id]
        told = timeline(each)
        assert sum(told.calls) == sum(row.calls for row in each.syscalls) >= calls
        assert sum(told.errors) == sum(row.errors for row in each.syscalls)
        spent = sum(told.total_nanoseconds) + sum(told.wait_nanoseconds)
        assert spent == sum(row.total_nanoseconds for row in each.syscalls)
        first, last = ((moment - started.start_time_unix_nanoseconds) // BUCKET_NS for moment in (begin, end))
        counted = dict(zip(told.buckets, told.calls, strict=True))
        assert sum(counted.get(index, 0) for index in range(first - 1, last + 2)) >= calls


async def test_a_second_session_without_the_view_has_none(agent: Agent, tree: Tree) -> None:
    """The view is the session's own: another one on the same container has the same counts and no timeline."""
    container = tree.container(calls=CALLS)

    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(container, session="with", views=VIEWS))
        await stub.StartTrace(request(container, session="without"))
        container.work()
        (without,) = (await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="without"))).report.containers
        (kept,) = (await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="with"))).report.containers

    assert not without.views
    assert sum(timeline(kept).calls) == sum(row.calls for row in kept.syscalls) >= CALLS
