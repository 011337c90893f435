"""Many sessions at one time on the same containers, while all CPUs are busy: see tests/bench/many_sessions.py."""

import session_load
from agent_process import Agent, Tree
from view_messages import processes, slow_calls, timeline

from kubestrace_protos.v1 import agent_pb2


async def test_every_one_of_many_sessions_completes(agent: Agent, tree: Tree) -> None:
    """None waits longer than the operator does, and each has the calls of all containers, with all views."""
    outcomes = await session_load.run(agent, tree, sessions=30, containers=6, seconds=6)

    assert [each.failure for each in outcomes if each.failure] == []
    for outcome in outcomes:
        report = outcome.final
        assert report is not None
        assert report.end_reason == agent_pb2.END_REASON_COMPLETED
        assert list(report.trust.gaps) == []
        assert len(report.containers) == 6
        for container in report.containers:
            calls = {counts.name: counts.calls for counts in container.syscalls if not counts.abi}
            assert calls["getppid"] > 0
            assert sum(timeline(container).calls) == sum(counts.calls for counts in container.syscalls)
            assert slow_calls(container)
            assert processes(container).seen > 0
