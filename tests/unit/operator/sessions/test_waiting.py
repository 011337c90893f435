"""A session that waits, perhaps while no operator is there, and what is said before the end and of nothing."""

import asyncio
from datetime import timedelta

import pytest
from operator_fakes import Document, Stage, in_no_time, now, pod

from kubestrace_operator.kube.errors import ClusterError
from kubestrace_protos.v1 import agent_pb2


@in_no_time
async def test_none_of_the_chosen_calls_was_made() -> None:
    """With a filter nothing is said of the calls that nobody counted."""
    stage = Stage(pod("a"))
    answer = stage.agents["n1"].report

    def silent(uid: str) -> agent_pb2.Report:
        report = answer(uid)
        for each in report.containers:
            del each.syscalls[:]
        return report

    stage.agents["n1"].report = silent  # type: ignore[method-assign]

    status = await stage.run(syscalls=["openat"])

    assert "none of the chosen system calls was made" in stage.message()
    assert status["table"] == "None of the chosen system calls was made.\n"


def waited(seconds: int) -> Document:
    """Return the status of a session that another operator let wait until so long ago."""
    since = (now() - timedelta(seconds=seconds)).isoformat()
    known = {"Finished": "False", "Reconciling": "True"}
    return {
        "conditions": [{"type": kind, "status": status, "lastTransitionTime": since} for kind, status in known.items()]
    }


@pytest.mark.parametrize("syscalls", [[], ["openat"]])
@in_no_time
async def test_a_session_that_waited_while_no_operator_was_there(syscalls: list[str]) -> None:
    """Its time to wait is over, but the pods that came meanwhile are looked at first."""
    stage = Stage(pod("a"))
    stage.cluster.slow = 2.0

    await stage.session(waited(40), syscalls=syscalls).run()

    assert stage.condition("Finished") == ("True", "Completed")
    assert stage.cluster.status["summary"]["calls"] == 100


@in_no_time
async def test_a_session_that_waited_and_has_nothing_to_trace() -> None:
    """One look is enough: it waits no second time."""
    stage = Stage()

    await stage.session(waited(40)).run()

    assert stage.condition("Finished") == ("True", "NoMatchingPods")
    assert "app=shop" in stage.message()
    assert asyncio.get_running_loop().time() < 1


@in_no_time
async def test_a_workload_that_is_still_not_there() -> None:
    """The API server's word for it is a look, too."""
    stage = Stage()

    await stage.session(waited(40), target={"workload": {"kind": "Job", "name": "night"}}).run()

    assert "no Job named night" in stage.message()
    assert asyncio.get_running_loop().time() < 1


@in_no_time
async def test_pods_that_may_not_be_listed() -> None:
    """A person reads why while the session waits and when it ends; it ends in time."""
    stage = Stage(pod("a"))
    stage.cluster.forbids = ClusterError("pods is forbidden (403)")
    running = asyncio.create_task(stage.session().run())
    await asyncio.sleep(1)
    waiting = stage.message()
    await running

    assert waiting.startswith("The pods of this namespace could not be listed: pods is forbidden (403).")
    assert stage.cluster.status["phase"] == "Failed"
    assert "pods is forbidden (403)." in stage.message()
    assert asyncio.get_running_loop().time() < 11


@in_no_time
async def test_complete_is_said_at_the_end_only() -> None:
    """While a session traces nobody knows yet whether all of it will be there."""
    stage = Stage(pod("a"))
    running = asyncio.create_task(stage.session().run())
    await asyncio.sleep(3)
    during_it = dict(stage.cluster.status["trust"])
    await running

    assert "complete" not in during_it
    assert stage.cluster.status["trust"]["complete"] is True
