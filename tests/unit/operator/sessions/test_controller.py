"""The registry of running sessions: begun, cancelled, deleted and taken up again by the events of a watch."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from operator_fakes import Document, Stage, in_no_time, pod

from kubestrace_operator.kube.errors import ClusterError, NotFoundError
from kubestrace_operator.sessions import session_state
from kubestrace_operator.sessions.controller import FINALIZER, Sessions


class FakeFinalizers:
    """Notes which sessions are held."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.calls: list[bool] = []
        self.error: ClusterError | None = None

    async def set_finalizer(self, metadata: Mapping[str, Any], finalizer: str, *, present: bool) -> None:
        """Hold or release."""
        assert finalizer == FINALIZER
        if self.error:
            raise self.error
        self.calls.append(present)
        (self.held.add if present else self.held.discard)(metadata["uid"])


class Harness:
    """Sessions in their dependencies."""

    def __init__(self, *pods: Document) -> None:
        self.stage = Stage(*pods)
        self.finalizers = FakeFinalizers()
        self.sessions = Sessions(self.stage.dependencies, self.finalizers)

    def see(self, event: str | None, **changes: Any) -> None:
        """Let something happen to the session's object."""
        spec = {"target": {"podName": "a"}, "durationSeconds": 10} | changes.pop("spec", {})
        metadata = {"uid": "u1", "namespace": "shop", "name": "s1", "generation": 1, **changes.pop("metadata", {})}
        body = {"metadata": metadata, "spec": spec, "status": changes.pop("status", self.stage.cluster.status)}
        self.sessions.see(event, body, lambda *_: None)


DELETING = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER]}


@in_no_time
async def test_a_session_is_held_while_it_runs() -> None:
    """The finalizer comes with the start and goes with the end."""
    harness = Harness(pod("a"))
    harness.see("ADDED")
    await asyncio.sleep(1)
    held = set(harness.finalizers.held)
    await asyncio.sleep(10)

    assert held == {"u1"}
    assert harness.finalizers.held == set()
    assert harness.stage.condition("Finished") == ("True", "Completed")
    assert harness.sessions.running == 0


@in_no_time
async def test_an_event_from_before_the_end_begins_nothing() -> None:
    """A watch may be behind: an object without its final status is not served a second time."""
    harness = Harness(pod("a"))
    harness.see("ADDED")
    await asyncio.sleep(11)

    harness.see("MODIFIED", status={"phase": "Tracing"})
    await asyncio.sleep(1)

    assert harness.sessions.running == 0
    assert len(harness.stage.agents["n1"].requests) == 1


@in_no_time
async def test_events_of_a_running_session_begin_no_second() -> None:
    """Its own status patches come back as events."""
    harness = Harness(pod("a"))
    for event in ("ADDED", "MODIFIED", None):
        harness.see(event)
        await asyncio.sleep(1)

    assert len(harness.stage.agents["n1"].requests) == 1


@in_no_time
async def test_cancel_is_noticed_at_once() -> None:
    """Setting spec.cancel ends a session."""
    harness = Harness(pod("a"))
    harness.see("ADDED", spec={"durationSeconds": 3600})
    await asyncio.sleep(3)

    harness.see("MODIFIED", spec={"durationSeconds": 3600, "cancel": True}, metadata={"generation": 2})
    await asyncio.sleep(0.1)

    assert harness.stage.cluster.status["phase"] == "Cancelled"
    assert harness.stage.cluster.status["observedGeneration"] == 2


@in_no_time
async def test_deleting_stops_the_traces_and_lets_the_object_go() -> None:
    """Traces end on every node first, then the finalizer goes; no status is written any more."""
    harness = Harness(pod("a"))
    harness.see("ADDED")
    await asyncio.sleep(3)
    written = len(harness.stage.cluster.written)

    harness.see("MODIFIED", metadata=DELETING)
    await asyncio.sleep(0.1)

    assert harness.stage.agents["n1"].stops == ["u1"]
    assert harness.finalizers.held == set()
    assert harness.sessions.running == 0
    await asyncio.sleep(20)
    assert len(harness.stage.cluster.written) == written


@in_no_time
async def test_an_object_that_is_forced_away() -> None:
    """Even without a word before, its traces are stopped."""
    harness = Harness(pod("a"))
    harness.see("ADDED")
    await asyncio.sleep(3)

    harness.see("DELETED")
    await asyncio.sleep(0.1)

    assert harness.stage.agents["n1"].stops == ["u1"]


@in_no_time
async def test_a_session_that_was_deleted_while_no_operator_was_there() -> None:
    """The next one stops its traces and lets it go, without serving it."""
    harness = Harness(pod("a"))
    harness.see(None, metadata=DELETING)
    await asyncio.sleep(1)

    assert harness.stage.agents["n1"].stops == ["u1"]
    assert harness.finalizers.calls == [False]
    assert harness.stage.agents["n1"].requests == []


@in_no_time
async def test_finished_sessions_are_left_alone() -> None:
    """An operator that starts serves none of them again, and takes away a finalizer that was forgotten."""
    harness = Harness(pod("a"))
    finished = {"observedGeneration": 1, "conditions": [{"type": "Finished", "status": "True"}]}
    harness.see(None, status=finished)
    await asyncio.sleep(1)
    assert harness.finalizers.calls == []
    assert harness.stage.cluster.written == []

    harness.see(None, status=finished, metadata={"finalizers": [FINALIZER]})
    await asyncio.sleep(1)

    assert harness.finalizers.calls == [False]
    assert harness.stage.agents["n1"].requests == []


@in_no_time
async def test_a_cancel_that_comes_too_late() -> None:
    """The status says that the later generation was seen, in one write; nothing else changes."""
    harness = Harness(pod("a"))
    harness.see("ADDED")
    await asyncio.sleep(11)
    before, written = harness.stage.cluster.status, len(harness.stage.cluster.written)

    for _ in range(3):
        harness.see("MODIFIED", spec={"cancel": True}, metadata={"generation": 2}, status=before)
    await asyncio.sleep(1)
    harness.see("MODIFIED", spec={"cancel": True}, metadata={"generation": 2})
    await asyncio.sleep(1)

    after = harness.stage.cluster.status
    assert len(harness.stage.cluster.written) == written + 1
    assert after["observedGeneration"] == 2
    assert {each["observedGeneration"] for each in after["conditions"]} == {2}
    assert [each | {"observedGeneration": 1} for each in after["conditions"]] == before["conditions"]
    assert after["phase"] == "Succeeded"
    assert harness.sessions.running == 0


@in_no_time
async def test_finalizers_wait_for_the_api_server() -> None:
    """One that cannot be taken away yet is taken away later; of an object that is gone nothing is left to do."""
    harness = Harness()
    harness.finalizers.error = ClusterError("away")
    harness.see(None, metadata=DELETING)
    await asyncio.sleep(10)
    harness.finalizers.error = None
    await asyncio.sleep(5)
    assert harness.finalizers.calls == [False]

    harness.finalizers.error = NotFoundError("gone")
    harness.see("MODIFIED", metadata=DELETING)
    await asyncio.sleep(5)
    assert harness.finalizers.calls == [False]


@in_no_time
async def test_an_error_of_ours_ends_in_a_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that fails unexpectedly is tried some times, and then ended with a reason."""

    def broken(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(session_state.SessionState, "document", broken)
    harness = Harness(pod("a"))
    harness.see("ADDED")
    await asyncio.sleep(30)

    assert harness.stage.condition("Finished") == ("True", "OperatorFailed")
    assert "ZeroDivisionError" in harness.stage.message()
    assert harness.finalizers.held == set()


@in_no_time
async def test_an_operator_that_ends_leaves_the_traces() -> None:
    """Closing stops the tasks, not the traces, and keeps the finalizer."""
    harness = Harness(pod("a"))
    harness.see("ADDED")
    await asyncio.sleep(3)

    await harness.sessions.close()

    assert harness.stage.agents["n1"].stops == []
    assert harness.finalizers.held == {"u1"}
