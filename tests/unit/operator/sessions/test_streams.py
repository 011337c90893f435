"""How often nodes report while many do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack

from operator_fakes import FakeAgents, in_no_time

from kubestrace_operator.agents.client import Endpoint
from kubestrace_operator.sessions.node import NodeTrace, TraceRequest
from kubestrace_operator.sessions.streams import OpenStreams
from kubestrace_operator.sessions.targets import RunningContainer
from kubestrace_protos.v1 import agent_pb2


class AskedAgents(FakeAgents):
    """Agents that note how often they are to report."""

    def __init__(self) -> None:
        super().__init__("n1")
        self.intervals: list[float] = []

    async def watch(
        self, agent: Endpoint, session_uid: str, interval_seconds: float = 1.0
    ) -> AsyncIterator[agent_pb2.Report]:
        """Report as asked."""
        self.intervals.append(interval_seconds)
        async for report in super().watch(agent, session_uid, interval_seconds):
            yield report


def test_few_streams_report_as_often_as_their_sessions_want() -> None:
    """Also those that want it rarely."""
    streams = OpenStreams()

    with streams.opened(2.0) as first, streams.opened(20.0) as second:
        assert (first, second) == (2.0, 20.0)


def test_many_streams_report_more_rarely_and_streams_that_ended_do_not_count() -> None:
    """So many that the operator has time for all of them, up to a bound that limits what a lost agent loses."""
    streams = OpenStreams()
    with ExitStack() as open_streams:
        intervals = [open_streams.enter_context(streams.opened(2.0)) for _ in range(10_000)]
    with streams.opened(2.0) as afterwards:
        pass

    assert intervals == sorted(intervals)
    assert 2.0 < intervals[1500] < 8.0
    assert intervals[-1] == 8.0
    assert afterwards == 2.0


@in_no_time
async def test_a_node_asks_for_reports_as_rarely_as_it_must() -> None:
    """The streams of all sessions count."""
    agents, streams = AskedAgents(), OpenStreams()
    order = TraceRequest("u1", "shop/s1", (), lambda: 60_000, report_seconds=2.0, streams=streams)
    node = NodeTrace("n1", order, agents, agents.on, lambda: None, lambda *_: None)
    node.trace([RunningContainer("n1", "uid-a", "shop", "a", "app", "a")])
    with ExitStack() as others:
        for _ in range(5000):
            others.enter_context(streams.opened(2.0))
        running = asyncio.create_task(node.run())
        await asyncio.sleep(1)
        running.cancel()

    assert agents.intervals == [8.0]
