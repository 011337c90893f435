"""Views that a node does not serve, and when the counting ends, in the status of whole sessions."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from operator_fakes import Stage, in_no_time, pod

from kubestrace_operator.views import registry
from kubestrace_protos.v1 import agent_pb2

UNSUPPORTED_VIEWS = {"slowCalls": None, "processes": {"top": 2}}


def unsupported(status: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return node, pod and message of each gap that is of a view."""
    gaps = [gap for gap in status["trust"]["gaps"] if gap["reason"] == "ViewUnsupported"]
    return [(gap["node"], gap["pod"], gap["message"]) for gap in gaps]


@in_no_time
async def test_an_agent_that_knows_no_views_is_no_silent_zero() -> None:
    """An older agent drops the requests as unknown fields: its containers have gaps that name view and version."""
    stage = Stage(pod("a"), pod("b", "n2"))
    stage.agents["n1"].become_older_than_views()
    stage.agents["n1"].described.agent_version = "0.0.9"

    status = await stage.run(views=UNSUPPORTED_VIEWS)

    assert unsupported(status) == [
        ("n1", "a", f"the agent on node n1 (0.0.9) does not know the view {view}: update it")
        for view in ("slowCalls", "processes")
    ]
    assert stage.condition("DataComplete") == ("False", "ViewUnsupported")
    assert stage.condition("Finished") == ("True", "Completed")
    assert status["trust"]["complete"] is False
    assert status["summary"]["calls"] > 0


@in_no_time
async def test_a_kernel_that_cannot_serve_a_view_says_why() -> None:
    """The agent lists the view as not available; the others of the session are there."""
    stage = Stage(pod("a"))
    (support,) = (each for each in stage.agents["n1"].described.views if each.name == "slowCalls")
    support.available, support.message = False, "it needs Linux 5.15"

    status = await stage.run(views=UNSUPPORTED_VIEWS)

    assert unsupported(status) == [("n1", "a", "node n1 cannot serve the view slowCalls: it needs Linux 5.15")]
    assert stage.condition("DataComplete") == ("False", "ViewUnsupported")


@in_no_time
async def test_a_result_that_is_missing_in_a_report_is_noticed() -> None:
    """Whatever an agent says of itself: a view without a result is not one of zeros."""
    stage = Stage(pod("a"))
    answer = stage.agents["n1"].report

    def without_views(uid: str) -> agent_pb2.Report:
        report = answer(uid)
        for each in report.containers:
            each.views.clear()
        return report

    stage.agents["n1"].report = without_views  # type: ignore[method-assign]

    status = await stage.run(views={"slowCalls": {}})

    assert unsupported(status) == [("n1", "a", "the agent on node n1 reported nothing for the view slowCalls")]


@pytest.mark.parametrize("view", [view.name for view in registry.CHOOSABLE])
@in_no_time
async def test_a_view_without_any_result_has_no_part_in_the_status(view: str) -> None:
    """No totals of zero stand beside the gap; the rest of the status is that of a session without the view."""
    stage = Stage(pod("a"))
    stage.agents["n1"].become_older_than_views()
    without = await stage.run()
    stage = Stage(pod("a"))
    stage.agents["n1"].become_older_than_views()

    status = await stage.run(views={view: {}})

    assert unsupported(status)
    assert status.keys() == without.keys()
    assert status["summary"] == without["summary"]
    assert status["table"] == without["table"]


@in_no_time
async def test_an_agents_own_word_about_a_view_is_not_repeated() -> None:
    """Agents that know why they do not serve a view report the gap themselves."""
    stage = Stage(pod("a"))
    stage.agents["n1"].become_older_than_views()
    answer = stage.agents["n1"].report

    def with_gap(uid: str) -> agent_pb2.Report:
        report = answer(uid)
        for each in report.containers:
            gap = report.trust.gaps.add(node="n1", reason="ViewUnsupported", message="slowCalls: no BTF")
            gap.container.CopyFrom(each.state.container)
        return report

    stage.agents["n1"].report = with_gap  # type: ignore[method-assign]

    status = await stage.run(views={"slowCalls": {}})

    assert unsupported(status) == [("n1", "a", "slowCalls: no BTF")]


@in_no_time
async def test_a_session_says_when_its_counting_ends() -> None:
    """From the start on: with its duration, or before when it is cancelled."""
    stage = Stage(pod("a"))
    session = stage.session()
    running = asyncio.create_task(session.run())
    await asyncio.sleep(4)
    before = stage.cluster.status
    session.change({"cancel": True}, 2)
    await running

    start, expected = (datetime.fromisoformat(before[name]) for name in ("startTime", "expectedCompletionTime"))
    assert abs(expected - start - timedelta(seconds=10)) <= timedelta(seconds=0.5)
    assert before["expectedCompletionTime"].endswith(f"{expected:%S}Z")
    ended, completion = (
        datetime.fromisoformat(stage.cluster.status[name]) for name in ("expectedCompletionTime", "completionTime")
    )
    assert abs(ended - completion) <= timedelta(seconds=0.5)
