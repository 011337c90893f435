"""What was counted, by time."""

import asyncio
from collections.abc import Callable

import pytest
from google.protobuf import any_pb2
from hypothesis import given
from hypothesis import strategies as st
from view_messages import asking, timeline

from kubestrace_agent.kernel.counters.counts import RawCounts, Row
from kubestrace_agent.service import limits
from kubestrace_agent.syscalls import SyscallKey
from kubestrace_agent.traces import delta
from kubestrace_agent.views.grid import Grid
from kubestrace_agent.views.timeline.collector import Buckets
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import timeline_pb2

READ, FUTEX, GETPPID = (SyscallKey("x86_64", number) for number in (0, 202, 110))
SECOND = 1_000_000_000
Views = dict[str, any_pb2.Any]


def counts(at_ns: int, calls: int, *, key: SyscallKey = GETPPID, errors: int = 0) -> RawCounts:
    """Return a snapshot of calls of 5 ns."""
    row = Row(total_ns=5 * calls, buckets={5: calls} if calls else {}, errnos={2: errors, 512: 7} if errors else {})
    return RawCounts(time_ns=at_ns, rows={key: row})


def buckets(grid: Grid, start: RawCounts | None = None, *, wanted: frozenset[SyscallKey] | None) -> Buckets:
    """Return a container's buckets that begin to count."""
    made = Buckets(grid, wanted=wanted)
    made.begin_counts(start, 0)
    return made


def filled(filling: Buckets) -> dict[int, int]:
    """Return {bucket: calls}."""
    message = filling.message()
    return dict(zip(message.buckets, message.calls, strict=True))


@given(st.integers(0, 10**12), st.integers(10**8, 10**12), st.integers(1, 240), st.integers(-(10**12), 10**13))
def test_borders_divide_all_time(origin: int, duration: int, number: int, moment: int) -> None:
    """A moment is in the bucket whose border it has passed and whose next it has not."""
    grid = Grid(origin, duration, number)

    index = grid.bucket(moment)

    assert index == 0 or grid.border(index) <= moment
    assert index == number - 1 or moment < grid.border(index + 1)
    following = grid.next_border(moment)
    assert following == (None if index == number - 1 else grid.border(max(index, 0) + 1))


@given(
    st.lists(st.tuples(st.integers(1, 3 * SECOND), st.integers(0, 1000), st.sampled_from([READ, FUTEX])), max_size=20)
)
def test_the_buckets_sum_up_to_the_difference(steps: list[tuple[int, int, SyscallKey]]) -> None:
    """Whenever snapshots come, no call is lost and none is counted twice."""
    filling = buckets(Grid(0, 10 * SECOND, 20), wanted=None)
    now = 0
    rows: dict[SyscallKey, Row] = {}
    for wait_ns, calls, key in steps:
        now += wait_ns
        before = rows.get(key, Row())
        total = before.untimed + calls
        rows = {**rows, key: Row(total_ns=3 * total, untimed=total, errnos={2: total, 512: total})}
        filling.count(RawCounts(time_ns=now, rows=rows))
    whole = delta.difference(None, RawCounts(rows=rows), wanted=None, architecture="x86_64").syscalls

    message = filling.message()

    assert sum(message.calls) == sum(row.calls for row in whole)
    assert sum(message.errors) == sum(row.errors for row in whole)
    assert sum(message.total_nanoseconds) == sum(row.total_nanoseconds for row in whole if not row.wait)
    assert sum(message.wait_nanoseconds) == sum(row.total_nanoseconds for row in whole if row.wait)


def test_a_snapshot_shortly_after_a_border_fills_the_bucket_before_it() -> None:
    """What came up to the snapshot belongs to the time between two snapshots, which lies in one bucket."""
    filling = buckets(Grid(0, 10 * SECOND, 10), wanted=None)

    for at_ns, calls in ((1_010_000_000, 3), (1_500_000_000, 4), (2_020_000_000, 9), (3_000_000_000, 9)):
        filling.count(counts(at_ns, calls))

    assert filled(filling) == {0: 3, 1: 6}
    assert filling.message().late_snapshots == 0


def test_a_late_snapshot_is_said_and_nothing_is_spread() -> None:
    """Three buckets without a snapshot: all of it stands in the middle one, and is one late snapshot."""
    filling = buckets(Grid(0, 10 * SECOND, 10), wanted=None)

    filling.count(counts(1_000_000_000, 1))
    filling.count(counts(4_000_000_000, 31))

    assert filled(filling) == {0: 1, 2: 30}
    assert filling.message().late_snapshots == 1


def test_only_what_is_wanted_is_in_the_buckets() -> None:
    """A slot that several traces share may count more than this one wants."""
    filling = buckets(Grid(0, SECOND, 1), wanted=frozenset({READ}))

    filling.count(RawCounts(time_ns=1, rows={READ: Row(untimed=2), GETPPID: Row(untimed=5)}))

    assert filled(filling) == {0: 2}


def test_an_older_snapshot_adds_nothing() -> None:
    """A container that is shared may have been read before this trace began."""
    filling = buckets(Grid(0, SECOND, 1), counts(500, 4), wanted=None)

    filling.count(counts(400, 3))
    filling.count(counts(600, 6))

    assert filled(filling) == {0: 2}


def test_buckets_double_without_a_loss() -> None:
    """Pairs become one once all are used, so that a trace without an end never has too many."""
    filling = buckets(Grid(0, 4 * SECOND, 4, grows=True), wanted=None)
    for second in (1, 2, 3, 4):
        filling.count(counts(second * SECOND, second * second))
    assert filled(filling) == {0: 1, 1: 3, 2: 5, 3: 7}

    filling.count(counts(9 * SECOND // 2 + 1, 16))

    assert filled(filling) == {0: 4, 1: 12}
    assert filling.grid.bucket_ns == 2 * SECOND
    assert filling.message().duration_milliseconds == 8000


def test_a_growing_grid_asks_for_snapshots_for_ever() -> None:
    """At each border of the buckets as they are then; shortly after the last one's end, at which they double."""
    grid = Grid(0, 4 * SECOND, 4, grows=True)

    moments, now = [], 0
    while now < 10 * SECOND:
        moment = grid.next_snapshot(now)
        assert moment is not None
        moments.append(moment)
        now = moment.at_ns

    doubled = 9 * SECOND // 2 + 1, 6 * SECOND, 8 * SECOND
    assert [each.at_ns for each in moments] == [
        *(n * SECOND for n in (1, 2, 3, 4)), *doubled, 9 * SECOND + 1, 12 * SECOND,
    ]  # fmt: skip
    assert [moments[0].within_ns, moments[-1].within_ns] == [SECOND // 4, SECOND]
    assert Grid(0, 4 * SECOND, 4).next_snapshot(3 * SECOND) is None


def wanted(buckets: int = 10, duration: int = 1000, elapsed: int = 0) -> Views:
    """Return what a request says."""
    return asking(
        timeline=timeline_pb2.TimelineRequest(
            buckets=buckets, duration_milliseconds=duration, elapsed_milliseconds=elapsed
        )
    )


def request(views: Views, **fields: object) -> agent_pb2.StartTraceRequest:
    """Ask for a trace of the container app."""
    container = agent_pb2.Container(container_id="app", container_name="app")
    given = {"duration_milliseconds": 1000, "session_uid": "s1", **fields}
    return agent_pb2.StartTraceRequest(containers=[container], views=views, **given)  # type: ignore[arg-type]


async def test_a_trace_takes_snapshots_at_its_borders(make_traces, node, tracer) -> None:
    """A burst in the middle is in the middle, though nobody watches: of a few on a busy machine one."""
    app = node.run("app")
    traces = make_traces()
    found: list[list[int]] = []
    while not (found and found[-1] in ([5], [6])) and len(found) < 10:
        await traces.start(request(wanted(), session_uid=f"s{len(found)}"))
        await asyncio.sleep(0.55)
        tracer.call(app, times=7)
        await asyncio.sleep(0.25)
        (report,) = (await traces.stop(f"s{len(found)}")).containers
        assert sum(timeline(report).calls) == sum(row.calls for row in report.syscalls) == 7
        found.append(list(timeline(report).buckets))

    assert found[-1] in ([5], [6]), found


async def test_a_node_that_joins_late_counts_in_the_sessions_buckets(make_traces, node, tracer) -> None:
    """The request says how much of the session has gone; no clock is compared."""
    app = node.run("app")
    traces = make_traces()
    await traces.start(request(wanted(buckets=10, duration=60_000, elapsed=31_000)))
    tracer.call(app, times=2)

    (report,) = (await traces.stop("s1")).containers

    assert list(timeline(report).buckets) == [5]


async def test_a_trace_without_the_view_has_no_timeline(make_traces, node, tracer) -> None:
    """It is not even empty, and takes no snapshot more."""
    app = node.run("app")
    traces = make_traces()
    await traces.start(request({}))
    tracer.call(app)

    (report,) = (await traces.stop("s1")).containers

    assert "timeline" not in report.views


@pytest.mark.parametrize("views", [wanted(0), wanted(241, 60_000), wanted(11, 1000), wanted(1, 3_600_001)])
async def test_a_timeline_out_of_bounds_is_refused(make_traces: Callable, node, views: Views) -> None:
    """The agent keeps to its own bounds, whatever the operator asks."""
    node.run("app")

    with pytest.raises(limits.InvalidRequestError, match=r"views\.timeline"):
        await make_traces().start(request(views))
