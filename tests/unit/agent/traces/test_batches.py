"""What many ask for at one time is done in one go."""

import asyncio
import threading
import time
from collections.abc import Iterable

import pytest
from view_messages import asking

from kubestrace_agent.containers import resolver
from kubestrace_agent.containers.shared_lookups import SharedLookups
from kubestrace_agent.kernel.counters.counts import RawCounts
from kubestrace_agent.traces import registry
from kubestrace_agent.traces.batches import Batches
from kubestrace_agent.traces.pace import Pace, until_next
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import slow_calls_pb2

SLOW = asking(slowCalls=slow_calls_pb2.SlowCallsRequest(threshold_nanoseconds=1_000_000, limit=5))
NAMES = ("a", "b", "c", "d")


def request(session: str) -> agent_pb2.StartTraceRequest:
    """Ask for a trace of all four containers with a view."""
    return agent_pb2.StartTraceRequest(
        session_uid=session,
        session_name=f"ns/{session}",
        containers=[agent_pb2.Container(container_id=name) for name in NAMES],
        duration_milliseconds=60_000,
        views=SLOW,
    )


class Work:
    """Notes what is done together; the first time waits until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Event()

    async def __call__(self, items: list[int]) -> list[int | Exception]:
        """Double numbers; none below zero, and none at all with a hundred among them."""
        self.batches.append(items)
        if len(self.batches) == 1:
            await self.go.wait()
        if 100 in items:
            raise OSError("nothing goes")
        return [2 * item if item >= 0 else ValueError(item) for item in items]


async def test_what_comes_meanwhile_is_done_together() -> None:
    """Each caller gets its own result, and its own error alone."""
    work = Work()
    batches: Batches[int, int] = Batches(work)

    asked = [asyncio.create_task(batches.ask(number)) for number in (1, 2, -3, 4)]
    await asyncio.sleep(0)
    later = [asyncio.create_task(batches.ask(number)) for number in (5, 6)]
    await asyncio.sleep(0.01)
    work.go.set()
    results = await asyncio.gather(*asked, *later, return_exceptions=True)

    assert [item for batch in work.batches for item in batch] == [1, 2, -3, 4, 5, 6]
    assert len(work.batches) <= 2
    assert results[:2] == [2, 4]
    assert isinstance(results[2], ValueError)
    assert results[3:] == [8, 10, 12]


async def test_a_caller_that_goes_away_takes_nobody_with_it() -> None:
    """Its item is done; the others have their results, and so have those who ask later."""
    work = Work()
    batches: Batches[int, int] = Batches(work)
    first, second = (asyncio.create_task(batches.ask(number)) for number in (1, 2))
    await asyncio.sleep(0.01)

    first.cancel()
    await asyncio.sleep(0.01)
    work.go.set()

    assert await second == 4
    assert await batches.ask(3) == 6


async def test_work_that_fails_as_a_whole_fails_for_all_of_it_alone() -> None:
    """The next batch is none the worse."""
    work = Work()
    work.go.set()
    batches: Batches[int, int] = Batches(work)

    with pytest.raises(OSError, match="nothing goes"):
        await batches.ask(100)

    assert await batches.ask(1) == 2


async def test_many_sessions_on_the_same_containers_begin_with_few_readings(make_traces, node, tracer) -> None:
    """Twenty sessions on four containers: a few snapshots and readings of views, not one for each of the eighty."""
    for name in NAMES:
        node.run(name)
    traces = make_traces()
    await traces.start(request("first"))
    tracer.snapshots = tracer.reads = 0

    await asyncio.gather(*(traces.start(request(f"s{number}")) for number in range(20)))

    assert tracer.snapshots <= 8
    assert tracer.reads <= 16
    assert len(tracer.slots) == 4


async def test_sessions_that_begin_together_end_apart(make_traces, node, tracer) -> None:
    """They share what is collected; each has its own calls until its own end, and later ones are the other's alone."""
    app = node.run("a")
    for name in NAMES:
        node.run(name)
    traces = make_traces()
    await traces.start(request("first"))
    await asyncio.gather(*(traces.start(request(session)) for session in ("s1", "s2")))

    tracer.call(app, times=3)
    one = await traces.stop("s1")
    tracer.call(app, times=4)
    two = await traces.stop("s2")

    assert [each.syscalls[0].calls for each in (one.containers[0], two.containers[0])] == [3, 7]
    assert [counts.calls for each in one.containers for counts in each.syscalls] == [3]


async def test_sessions_that_ask_for_different_calls_share_nothing(make_traces, node, tracer) -> None:
    """Although they begin together."""
    app = node.run("a")
    for name in NAMES:
        node.run(name)
    traces = make_traces()
    reads = request("reads")
    reads.syscalls.append("read")

    await asyncio.gather(traces.start(request("all")), traces.start(reads))
    tracer.call(app)
    everything, none = await traces.stop("all"), await traces.stop("reads")

    assert [counts.name for each in everything.containers for counts in each.syscalls] == ["getppid"]
    assert [counts.name for each in none.containers for counts in each.syscalls] == []


async def test_a_report_is_no_later_than_what_it_holds(make_traces, node, tracer) -> None:
    """Its time is that of the reading, although it was made later; the next report of a watcher is later."""
    app = node.run("a")
    for name in NAMES:
        node.run(name)
    traces = make_traces()
    await traces.start(request("s1"))
    first = await anext(traces.watch("s1"))
    tracer.call(app)

    second = await anext(traces.watch("s1"))

    assert second.time_unix_nanoseconds > first.time_unix_nanoseconds
    assert [counts.calls for counts in second.containers[0].syscalls] == [1]


def test_reports_are_rarer_where_they_cost_much() -> None:
    """At most a tenth of a CPU goes into them, as long as nobody waits more than a second longer for one."""
    pace = Pace()
    assert pace.interval_seconds(1.0, watchers=60) == 1.0
    pace.note(0.001)
    assert pace.interval_seconds(1.0, watchers=60) == 1.0
    pace.note(0.006)

    # In steps, as all wake together.
    assert pace.interval_seconds(1.0, watchers=60) == 1.5
    assert pace.interval_seconds(1.0, watchers=1000) == 2.0
    assert pace.interval_seconds(5.0, watchers=1000) == 6.0


def test_no_wait_for_a_report_is_longer_than_the_longest_interval() -> None:
    """Reports are made at multiples of it; one that would come at once after another waits, unless that is too long."""
    pace = Pace()
    assert pace.wait_seconds(4.0, watchers=1, now=801.0) == 3.0
    assert pace.wait_seconds(4.0, watchers=1, now=799.5) == 4.5
    assert until_next(4.0, now=799.5) == 4.5
    pace.note(1.0)

    assert pace.wait_seconds(4.0, watchers=1, now=801.0) == 4.0
    assert pace.wait_seconds(4.0, watchers=1, now=799.5) == 0.5


async def test_look_ups_are_shared_and_a_cancelled_one_cancels_no_other(node) -> None:
    """One look-up for all who ask at a time; what failed is looked up again."""

    class Counting:
        asked = 0

        async def resolve(self, container: agent_pb2.Container) -> resolver.Resolved:
            self.asked += 1
            return await node.resolve(container)

    counting = Counting()
    lookups = SharedLookups(counting)
    node.delay_seconds = 0.05
    with pytest.raises(resolver.UnresolvedError):
        await lookups.resolve(agent_pb2.Container(container_id="a"))
    node.run("a")

    asked = [asyncio.create_task(lookups.resolve(agent_pb2.Container(container_id="a"))) for _ in range(5)]
    await asyncio.sleep(0.01)
    asked[0].cancel()
    found = await asyncio.gather(*asked, return_exceptions=True)

    assert counting.asked == 2
    assert isinstance(found[0], asyncio.CancelledError)
    assert [each.host_pid for each in found[1:]] == [4711] * 4  # type: ignore[union-attr]


async def test_who_waits_for_a_report_hears_that_the_agent_is_there(make_traces, node, tracer, monkeypatch) -> None:
    """A report that takes long is preceded by the last one again, first by that of the start, which holds nothing."""
    monkeypatch.setattr(registry, "_ALIVE_SECONDS", 0.05)
    app = node.run("a")
    for name in NAMES:
        node.run(name)
    traces = make_traces()
    await traces.start(request("s1"))
    tracer.call(app)
    go = threading.Event()
    snapshot = tracer.snapshot

    def held(slots: Iterable[int]) -> dict[int, RawCounts]:
        assert go.wait(30)
        return snapshot(slots)

    tracer.snapshot = held
    watch = aiter(traces.watch("s1", 100))
    begun = [await anext(watch) for _ in range(2)]
    go.set()
    counted = await anext(watch)
    while not counted.containers[0].syscalls:
        counted = await anext(watch)
    go.clear()
    # The first of these may hold what was read before.
    later = [await anext(watch) for _ in range(3)]
    go.set()

    assert begun[0] == begun[1]
    assert begun[0].time_unix_nanoseconds == begun[0].start_time_unix_nanoseconds
    assert counted.sequence > begun[0].sequence
    assert later[1] == later[2]
    assert later[2].sequence >= counted.sequence


async def test_traces_that_begin_wait_for_one_another_where_there_are_many(make_traces, node, tracer) -> None:
    """Those that come within that time begin together; a few traces do not wait."""
    for name in NAMES:
        node.run(name)
    traces = make_traces()
    begin = time.monotonic()
    for number in range(8):
        await traces.start(request(f"early-{number}"))
    alone = time.monotonic() - begin
    await asyncio.gather(*(traces.start(request(f"first-{number}")) for number in range(20)))
    tracer.snapshots = 0

    async def later(number: int) -> None:
        await asyncio.sleep(number * 0.03)
        await traces.start(request(f"late-{number}"))

    await asyncio.gather(*(later(number) for number in range(20)))

    assert alone < 3
    assert tracer.snapshots <= 8
