"""A session and the one that its spec.compareTo names; and events about what is critical."""

import asyncio
from typing import Any

import pytest
from operator_fakes import Document, Stage, in_no_time, pod

from kubestrace_operator.kube.errors import ClusterError

CALLS = [{"name": "getppid", "calls": 1000, "errors": 10, "totalNanoseconds": 50_000, "wait": False}]
SPEC = {"target": {"selector": {"matchLabels": {"app": "shop"}}}}


def finished(**changes: Any) -> Document:
    """Return the object of a session that counted for ten seconds."""
    status = {
        "phase": "Succeeded",
        "startTime": "2026-01-01T00:00:00Z",
        "completionTime": "2026-01-01T00:00:10Z",
        "summary": {**{name: CALLS[0][name] for name in ("calls", "errors", "totalNanoseconds")}, "syscalls": CALLS},
        "findings": [],
        "targets": {"finished": 1},
    }
    return {"spec": SPEC, "status": {**status, **changes}}


async def compared(stage: Stage) -> Document:
    """Run a session that is compared, and return its comparison."""
    found: Document = (await stage.run(compareTo="before"))["comparison"]
    return found


@in_no_time
async def test_a_session_says_what_changed() -> None:
    """A tenth of the calls in as long a time; and the page has it."""
    stage = Stage(pod("a"))
    stage.cluster.objects["before"] = finished()

    comparison = await compared(stage)
    assert comparison["reason"] == "Compared"
    assert comparison["calls"][0]["callsRatio"] == 0.1
    assert comparison["baseline"]["seconds"] == 10
    assert "Compared with before: calls 0.1 times" in stage.cluster.status["report"]


@in_no_time
async def test_a_baseline_that_is_deleted_meanwhile_was_read_before() -> None:
    """Its time to live may end before the session does."""
    stage = Stage(pod("a"))
    stage.cluster.objects["before"] = finished()
    running = asyncio.create_task(compared(stage))
    await asyncio.sleep(3)
    del stage.cluster.objects["before"]

    assert (await running)["reason"] == "Compared"


@in_no_time
async def test_a_baseline_that_ends_meanwhile_is_read_at_the_end() -> None:
    """Before, the status says what is waited for."""
    stage = Stage(pod("a"))
    stage.cluster.objects["before"] = {"spec": SPEC, "status": {"phase": "Tracing"}}
    running = asyncio.create_task(compared(stage))
    await asyncio.sleep(3)
    assert stage.cluster.status["comparison"]["reason"] == "BaselineNotFinished"
    stage.cluster.objects["before"] = finished()

    assert (await running)["reason"] == "Compared"


@in_no_time
async def test_a_baseline_that_is_not_there() -> None:
    """Is told at once and at the end, and the session has its result."""
    stage = Stage(pod("a"))
    running = asyncio.create_task(compared(stage))
    await asyncio.sleep(3)
    assert stage.cluster.status["comparison"]["reason"] == "BaselineNotFound"

    comparison = await running
    assert comparison["message"].startswith("There is no TraceSession before in the namespace shop: nothing is ")
    assert stage.condition("Finished") == ("True", "Completed")
    assert stage.cluster.status["summary"]["calls"] == 100


@in_no_time
async def test_a_baseline_that_the_api_server_does_not_give() -> None:
    """Neither an error nor silence keeps a session from its end."""
    stage = Stage(pod("a"))
    stage.cluster.objects["before"] = finished()
    stage.cluster.slow_baseline = 3600

    comparison = await compared(stage)
    assert comparison["reason"] == "BaselineNotRead"
    assert "did not answer" in comparison["message"]
    assert asyncio.get_running_loop().time() < 30

    stage = Stage(pod("a"))
    stage.cluster.error = ClusterError("500: etcd is away")
    assert "500: etcd is away" in (await compared(stage))["message"]


@in_no_time
async def test_a_session_that_traces_nothing_still_says_what_its_baseline_lacks() -> None:
    """Both are worth knowing."""
    stage = Stage()

    assert (await compared(stage))["reason"] == "BaselineNotFound"
    assert stage.cluster.status["phase"] == "Failed"


@in_no_time
async def test_each_critical_finding_has_an_event() -> None:
    """Once, whatever number of operators ends the session: their events have one name."""
    stage = Stage(pod("a", restarts=4, state={"waiting": {"reason": "CrashLoopBackOff"}}))
    running = asyncio.create_task(stage.run())
    await asyncio.sleep(4)
    for restarts in (5, 6):
        stage.agents["n1"].live("u1", restarts)
        await asyncio.sleep(2)
    status = await running

    critical = [each for each in status["findings"] if each["severity"] == "critical"]
    events = [event for event in stage.events if event[1] == "CriticalFinding"]
    assert [each["id"] for each in critical] == ["crash-loop"]
    assert [(kind, message.partition(".")[0]) for kind, _, message in events] == [
        ("Warning", "crash-loop: found in 1 of 1 pods")
    ]
    assert stage.keys == ["finding crash-loop 0"]
    # Readers of events may not read results.
    assert critical[0]["summary"] not in events[0][2]


@pytest.mark.parametrize("spec", [{}, {"compareTo": "before"}])
def test_a_session_without_critical_findings_has_no_event(spec: dict[str, Any]) -> None:
    """Warnings are in the status."""

    @in_no_time
    async def run() -> None:
        stage = Stage(pod("a"))
        await stage.run(**spec)
        assert "CriticalFinding" not in [event[1] for event in stage.events]

    run()
