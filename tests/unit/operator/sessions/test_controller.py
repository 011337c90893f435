"""The registry of running sessions: begun, cancelled, deleted and taken up again by the events of a watch."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from operator_fakes import Document, FakeTrace, Stage, in_no_time, now, pod

from kubestrace_operator.agents.client import Endpoint
from kubestrace_operator.kube.errors import ClusterError, NotFoundError
from kubestrace_operator.kube.namespaces import NamespaceRow
from kubestrace_operator.kube.session_rows import SessionRow
from kubestrace_operator.kube.watches import Changes
from kubestrace_operator.sessions import session_state
from kubestrace_operator.sessions.controller import FINALIZER, Sessions
from kubestrace_protos.v1 import agent_pb2


class Harness:
    """Sessions in their dependencies."""

    def __init__(self, *pods: Document) -> None:
        self.stage = Stage(*pods)
        self.cluster = self.stage.cluster
        self.sessions = Sessions(self.stage.dependencies, lambda *_: None)
        self.beside = asyncio.create_task(self.sessions.run())

    def see(self, **changes: Any) -> None:
        """Let something happen to the session's object."""
        spec = {"target": {"podName": "a"}, "durationSeconds": 10} | changes.pop("spec", {})
        generation = changes.get("generation", 1)
        self.cluster.objects["u1"] = {"metadata": {"generation": generation}, "spec": spec}
        changes.setdefault("phase", self.cluster.status.get("phase", ""))
        self.sessions.see(SessionRow("u1", "shop", "s1", "1", **changes))


DELETING: dict[str, Any] = {"deleting": True, "finalizers": (FINALIZER,)}


@in_no_time
async def test_a_session_is_held_while_it_runs() -> None:
    """The finalizer comes with the start and goes with the end."""
    harness = Harness(pod("a"))
    harness.see()
    await asyncio.sleep(1)
    held = set(harness.cluster.held)
    await asyncio.sleep(10)

    assert held == {"u1"}
    assert harness.cluster.held == set()
    assert harness.stage.condition("Finished") == ("True", "Completed")
    assert harness.sessions.running == 0


@pytest.mark.parametrize("seconds", [0, 30])
@in_no_time
async def test_the_finalizer_goes_before_the_final_status(seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would have the API server judge and store the whole result again; where it takes long nobody waits for it."""
    harness = Harness(pod("a"))
    asked: list[tuple[bool, str]] = []
    original = harness.cluster.set_finalizer

    async def set_finalizer(row: SessionRow, finalizer: str, *, present: bool) -> None:
        asked.append((present, harness.cluster.status.get("phase", "")))
        await asyncio.sleep(0 if present else seconds)
        await original(row, finalizer, present=present)

    monkeypatch.setattr(harness.cluster, "set_finalizer", set_finalizer)
    harness.see()
    await asyncio.sleep(11)
    finished = harness.stage.condition("Finished")
    await asyncio.sleep(30)

    assert asked == [(True, ""), (False, "Tracing")]
    assert finished == ("True", "Completed")
    assert harness.cluster.held == set()


@in_no_time
async def test_an_event_from_before_the_end_begins_nothing() -> None:
    """A watch may be behind: an object without its final status is not served a second time."""
    harness = Harness(pod("a"))
    harness.see()
    await asyncio.sleep(11)

    harness.see(phase="Tracing")
    await asyncio.sleep(1)

    assert harness.sessions.running == 0
    assert len(harness.stage.agents["n1"].requests) == 1


@in_no_time
async def test_events_of_a_running_session_begin_no_second() -> None:
    """Its own status patches come back as events."""
    harness = Harness(pod("a"))
    for _ in range(3):
        harness.see()
        await asyncio.sleep(1)

    assert len(harness.stage.agents["n1"].requests) == 1


@in_no_time
async def test_cancel_is_noticed_at_once() -> None:
    """Setting spec.cancel ends a session."""
    harness = Harness(pod("a"))
    harness.see(spec={"durationSeconds": 3600})
    await asyncio.sleep(3)

    harness.see(spec={"durationSeconds": 3600, "cancel": True}, generation=2)
    await asyncio.sleep(0.1)

    assert harness.cluster.status["phase"] == "Cancelled"
    assert harness.cluster.status["observedGeneration"] == 2


@in_no_time
async def test_deleting_stops_the_traces_and_lets_the_object_go() -> None:
    """Traces end on every node first, then the finalizer goes; no status is written any more."""
    harness = Harness(pod("a"))
    harness.see()
    await asyncio.sleep(3)
    written = len(harness.cluster.written)

    harness.see(**DELETING)
    await asyncio.sleep(0.1)

    assert harness.stage.agents["n1"].stops == ["u1"]
    assert harness.stage.agents["n2"].stops == []
    assert harness.cluster.held == set()
    assert harness.sessions.running == 0
    await asyncio.sleep(20)
    assert len(harness.cluster.written) == written


@in_no_time
async def test_deleting_stops_a_trace_that_is_being_started() -> None:
    """The agent may have it, although it has not answered yet: it would count until its lease is over."""
    harness = Harness(pod("a"))
    harness.stage.agents["n1"].start_seconds = 5
    harness.see()
    await asyncio.sleep(1)

    harness.see(**DELETING)
    await asyncio.sleep(0.1)

    assert harness.stage.agents["n1"].stops == ["u1"]
    assert harness.stage.agents["n2"].stops == []


GOING = {name: NamespaceRow(name, deleting=True) for name in ("shop", "office")}


async def namespaces(*batches: dict[str, NamespaceRow | None]) -> AsyncIterator[Changes[NamespaceRow]]:
    """Yield what happens to namespaces, a second apart."""
    for each in batches:
        yield Changes(each)
        await asyncio.sleep(1)


@in_no_time
async def test_a_namespace_that_is_deleted_does_not_wait_for_its_sessions() -> None:
    """Traces end and finalizers go when the namespace begins to go, before its objects do; nothing begins anew."""
    harness = Harness(pod("a"))
    harness.see()
    await asyncio.sleep(3)
    told = harness.sessions.follow_namespaces(namespaces({"n1": NamespaceRow("shop"), "n2": GOING["office"]}))
    others = asyncio.create_task(told)
    await asyncio.sleep(2)
    before = list(harness.stage.agents["n1"].stops), set(harness.cluster.held)

    await harness.sessions.follow_namespaces(namespaces({"n1": GOING["shop"]}))
    harness.see()
    await asyncio.sleep(1)
    await others

    assert before == ([], {"u1"})
    assert harness.stage.agents["n1"].stops == ["u1"]
    assert harness.cluster.held == set()
    assert harness.sessions.running == 0


@pytest.mark.parametrize(
    ("going", "told"), [(NamespaceRow("shop"), True), (GOING["shop"], False)], ids=["stays", "goes"]
)
@in_no_time
async def test_an_event_of_the_deletion_where_one_can_be_made(going: NamespaceRow, told: bool) -> None:
    """A namespace that is being deleted takes none."""
    harness = Harness(pod("a"))
    posted: list[str] = []
    harness.sessions = Sessions(harness.stage.dependencies, lambda *event: posted.append(event[2]))
    harness.see()
    await asyncio.sleep(1)

    await harness.sessions.follow_namespaces(namespaces({"n1": going}))
    harness.see(**DELETING)
    await asyncio.sleep(1)

    assert ("Deleted" in posted) == told


@in_no_time
async def test_a_session_that_is_found_in_a_namespace_that_is_deleted() -> None:
    """An operator that starts at that moment begins nothing; in a new namespace of the same name it does."""
    harness = Harness(pod("a"))
    await harness.sessions.follow_namespaces(namespaces({"n1": GOING["shop"]}))
    harness.see(finalizers=(FINALIZER,))
    await asyncio.sleep(1)
    meanwhile = harness.sessions.running, list(harness.stage.agents["n1"].requests)

    await harness.sessions.follow_namespaces(namespaces({"n1": None, "n2": NamespaceRow("shop")}))
    harness.sessions.gone("u1")
    harness.see()
    await asyncio.sleep(1)

    assert meanwhile == (0, [])
    assert harness.cluster.held == {"u1"}
    assert harness.sessions.running == 1


@in_no_time
async def test_deleting_stops_the_trace_of_an_agent_that_comes_back() -> None:
    """The object goes at once; a node whose agent was not ready at that moment does not count on for a lease."""
    harness = Harness(pod("a"), pod("b", node="n2"))
    harness.see(spec={"target": {"selector": {"matchLabels": {"app": "shop"}}}, "durationSeconds": 3600})
    await asyncio.sleep(3)
    harness.stage.agents["n2"].ready = False
    harness.stage.agents.changed()

    harness.see(**DELETING)
    await asyncio.sleep(5)
    let_go, stopped = harness.cluster.held, list(harness.stage.agents["n2"].stops)
    harness.stage.agents["n2"].ready = True
    harness.stage.agents.changed()
    await asyncio.sleep(0.1)

    assert (let_go, stopped) == (set(), [])
    assert harness.stage.agents["n1"].stops == ["u1"]
    assert harness.stage.agents["n2"].stops == ["u1"]


@in_no_time
async def test_an_agent_that_does_not_come_back_is_not_waited_for_after_its_lease() -> None:
    """The trace has ended by itself then."""
    harness = Harness(pod("a"))
    harness.see(spec={"durationSeconds": 3600})
    await asyncio.sleep(3)
    harness.stage.agents["n1"].ready = False
    harness.see(**DELETING)
    await asyncio.sleep(125)

    harness.stage.agents["n1"].ready = True
    harness.stage.agents.changed()
    await asyncio.sleep(5)

    assert harness.stage.agents["n1"].stops == []


@in_no_time
async def test_cancel_stops_the_trace_of_an_agent_that_comes_back() -> None:
    """As deleting does; and the calls since its last report are a gap."""
    harness = Harness(pod("a"))
    harness.see(spec={"durationSeconds": 3600})
    await asyncio.sleep(3)
    harness.stage.agents["n1"].ready = harness.stage.agents["n1"].answers = False
    harness.see(spec={"durationSeconds": 3600, "cancel": True}, generation=2)
    await asyncio.sleep(5)
    stopped = list(harness.stage.agents["n1"].stops)
    harness.stage.agents["n1"].ready = harness.stage.agents["n1"].answers = True
    harness.stage.agents.changed()
    await asyncio.sleep(0.1)

    assert stopped == []
    assert harness.stage.agents["n1"].stops == ["u1"]
    assert [gap["reason"] for gap in harness.cluster.status["trust"]["gaps"]] == ["AgentUnavailable"]


@in_no_time
async def test_an_object_that_is_forced_away() -> None:
    """Even without a word before, its traces are stopped."""
    harness = Harness(pod("a"))
    harness.see()
    await asyncio.sleep(3)

    harness.sessions.gone("u1")
    await asyncio.sleep(0.1)

    assert harness.stage.agents["n1"].stops == ["u1"]


@in_no_time
async def test_a_session_that_was_deleted_while_no_operator_was_there() -> None:
    """The next one stops its traces, where there are any, and lets it go without serving it."""
    harness = Harness(pod("a"))
    harness.stage.agents["n1"].traces["u1"] = FakeTrace(60)
    harness.see(**DELETING)
    await asyncio.sleep(1)

    assert harness.stage.agents["n1"].stops == ["u1"]
    assert harness.stage.agents["n2"].stops == []
    assert harness.cluster.finalizers == [False]
    assert harness.stage.agents["n1"].requests == []


@in_no_time
async def test_finished_sessions_are_left_alone() -> None:
    """An operator that starts serves none of them again, and takes away a finalizer that was forgotten."""
    harness = Harness(pod("a"))
    harness.see(phase="Succeeded")
    await asyncio.sleep(1)
    assert harness.cluster.finalizers == []
    assert harness.cluster.written == []

    harness.see(phase="Succeeded", finalizers=(FINALIZER,))
    await asyncio.sleep(1)

    assert harness.cluster.finalizers == [False]
    assert harness.stage.agents["n1"].requests == []


@in_no_time
async def test_a_cancel_that_comes_too_late() -> None:
    """The status says that the later generation was seen, in one write; nothing else changes."""
    harness = Harness(pod("a"))
    harness.see()
    await asyncio.sleep(11)
    before, written = harness.cluster.status, len(harness.cluster.written)

    for _ in range(3):
        harness.see(spec={"cancel": True}, generation=2)
    await asyncio.sleep(1)
    harness.see(spec={"cancel": True}, generation=2)
    await asyncio.sleep(1)

    after = harness.cluster.status
    assert len(harness.cluster.written) == written + 1
    assert after["observedGeneration"] == 2
    assert {each["observedGeneration"] for each in after["conditions"]} == {2}
    assert [each | {"observedGeneration": 1} for each in after["conditions"]] == before["conditions"]
    assert after["phase"] == "Succeeded"
    assert harness.sessions.running == 0


@in_no_time
async def test_finalizers_wait_for_the_api_server() -> None:
    """One that cannot be taken away yet is taken away later; of an object that is gone nothing is left to do."""
    harness = Harness()
    harness.cluster.error = ClusterError("away")
    harness.see(**DELETING)
    await asyncio.sleep(10)
    harness.cluster.error = None
    await asyncio.sleep(5)
    assert harness.cluster.finalizers == [False]

    harness.cluster.error = NotFoundError("gone")
    harness.see(**DELETING)
    await asyncio.sleep(5)
    assert harness.cluster.finalizers == [False]


@in_no_time
async def test_an_error_of_ours_ends_in_a_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that fails unexpectedly is tried some times, and then ended with a reason."""

    def broken(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(session_state.SessionState, "snapshot", broken)
    harness = Harness(pod("a"))
    harness.see()
    await asyncio.sleep(30)

    assert harness.stage.condition("Finished") == ("True", "OperatorFailed")
    assert "ZeroDivisionError" in harness.stage.message()
    assert harness.cluster.held == set()


@in_no_time
async def test_a_session_that_cannot_be_made_ends_in_a_status() -> None:
    """Its object is not what the schema says: tried some times, then ended with a reason, and let go."""
    harness = Harness(pod("a"))
    harness.cluster.status = {"suspensions": "many"}
    harness.see()
    await asyncio.sleep(30)

    assert harness.stage.condition("Finished") == ("True", "OperatorFailed")
    assert "ValueError" in harness.stage.message()
    assert harness.cluster.held == set()
    assert harness.sessions.running == 0


@in_no_time
async def test_an_operator_that_ends_leaves_the_traces() -> None:
    """Closing stops the tasks, not the traces, and keeps the finalizer."""
    harness = Harness(pod("a"))
    harness.see()
    await asyncio.sleep(3)

    await harness.sessions.close()

    assert harness.stage.agents["n1"].stops == []
    assert harness.cluster.held == {"u1"}


@in_no_time
async def test_sessions_that_are_taken_up_together() -> None:
    """Each agent is asked once for its traces, however many sessions there are."""
    harness = Harness(pod("a"))
    asked: list[str] = []
    answer = harness.stage.agents.traces

    async def traces(agent: Endpoint) -> agent_pb2.ListTracesResponse:
        asked.append(agent.node)
        await asyncio.sleep(0.5)
        return await answer(agent)

    harness.stage.agents.traces = traces  # type: ignore[method-assign]
    harness.cluster.status = {"phase": "Tracing", "startTime": now().isoformat()}
    spec = {"target": {"podName": "a"}, "durationSeconds": 60}
    for uid in ("u1", "u2", "u3"):
        harness.cluster.objects[uid] = {"metadata": {"generation": 1}, "spec": spec}
        harness.sessions.see(SessionRow(uid, "shop", uid, "1", phase="Tracing"))
    harness.sessions.see(SessionRow("u4", "shop", "s4", "1", phase="Tracing", **DELETING))
    await asyncio.sleep(2)

    assert sorted(asked) == ["n1", "n2"]
    assert harness.sessions.running == 3


@in_no_time
async def test_finished_sessions_are_looked_at_last() -> None:
    """A list of thousands of finished ones holds up nobody, whether it comes with the others or beside."""
    harness = Harness(pod("a"))
    harness.cluster.objects["new"] = {"metadata": {"generation": 1}, "spec": {"target": {"podName": "a"}}}
    begun: list[str] = []
    begin = harness.sessions._begin
    harness.sessions._begin = lambda row: (begun.append(row.name), begin(row))[1]  # type: ignore[method-assign]
    held = {"finalizers": (FINALIZER,), "phase": "Failed"}
    rows = {f"u{number}": SessionRow(f"u{number}", "shop", f"s{number}", "1", **held) for number in range(9)}
    rows["new"] = SessionRow("new", "shop", "new", "1")
    listing = asyncio.Event()

    async def changes() -> AsyncIterator[Changes[SessionRow]]:
        yield Changes(rows, listed=True)

    async def finished() -> list[SessionRow]:
        await listing.wait()
        return [SessionRow("old", "shop", "old", "1", **held), rows["new"]]

    await harness.sessions.follow(changes(), finished)
    await asyncio.sleep(1)
    before = len(harness.cluster.finalizers)
    listing.set()
    await asyncio.sleep(1)

    assert begun == ["new"]
    # The one that runs was held, nine were let go, and then the one that came beside.
    assert before == 10
    assert len(harness.cluster.finalizers) == 11


@in_no_time
async def test_a_finished_session_is_deleted_after_its_ttl() -> None:
    """So long after its end, whichever operator is there then; without a TTL never."""
    harness = Harness(pod("a"))
    ended = now().isoformat()
    for name, ttl in (("soon", 60), ("never", None), ("later", 3600), ("changed", 30)):
        row = SessionRow(name, "shop", name, "1", phase="Succeeded", completed=ended, ttl_seconds=ttl)
        harness.sessions.see(row)
    row = SessionRow("changed", "shop", "changed", "2", phase="Succeeded", completed=ended, ttl_seconds=7200)
    harness.sessions.see(row)
    await asyncio.sleep(59)
    early = list(harness.cluster.deleted)
    await asyncio.sleep(2)
    soon = list(harness.cluster.deleted)
    await asyncio.sleep(3600)

    assert early == []
    assert soon == ["soon"]
    assert harness.cluster.deleted == ["soon", "later"]


@in_no_time
async def test_a_ttl_begins_also_where_the_watch_is_quicker_than_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event with the final status may come before its write returns, and no other follows."""
    harness = Harness(pod("a"))
    original = harness.cluster.write_status

    async def write_status(row: SessionRow, status: Document, *, awaited: bool = True) -> None:
        await original(row, status, awaited=awaited)
        if status["phase"] == "Succeeded":
            harness.see(completed=now().isoformat(), ttl_seconds=60)
            await asyncio.sleep(0.1)

    monkeypatch.setattr(harness.cluster, "write_status", write_status)
    harness.see(ttl_seconds=60)
    await asyncio.sleep(65)
    early = list(harness.cluster.deleted)
    await asyncio.sleep(20)

    assert early == []
    assert harness.cluster.deleted == ["s1"]


@in_no_time
async def test_api_writes_of_a_session() -> None:
    """Half a minute costs 8 at most and an hour 60, events and finalizers among them."""
    counted = []
    for seconds in (30, 3600):
        stage = Stage(pod("a"))
        events: list[str] = []
        sessions = Sessions(stage.dependencies, lambda _, __, reason, ___, events=events: events.append(reason))
        stage.cluster.objects["u1"] = {
            "metadata": {"generation": 1},
            "spec": {"target": {"podName": "a"}, "durationSeconds": seconds},
        }
        sessions.see(SessionRow("u1", "shop", "s1", "1"))
        await asyncio.sleep(seconds + 5)
        assert sessions.running == 0
        counted.append(len(stage.cluster.written) + len(stage.cluster.finalizers) + len(events))

    assert counted[0] <= 8
    assert counted[1] <= 60


@in_no_time
async def test_rows_are_written_at_the_end() -> None:
    """While a session traces its status has totals and the containers; tables and rows come with the end."""
    stage = Stage(pod("a"))
    running = asyncio.create_task(stage.session(views={"slowCalls": {}}).run())
    await asyncio.sleep(9)
    during = dict(stage.cluster.status)
    await running

    assert during["summary"]["calls"] > 0
    assert during["containers"][0]["calls"] == during["summary"]["calls"]
    assert during.keys().isdisjoint({"table", "slowCalls", "unreturned"})
    assert "syscalls" not in during["summary"]
    assert stage.cluster.status.keys() >= {"table", "slowCalls", "unreturned"}
    assert stage.cluster.status["summary"]["syscalls"]


@in_no_time
async def test_a_suspended_session_starts_when_it_is_let_go() -> None:
    """It waits without a trace, says so once, and does not count its time as waiting."""
    harness = Harness(pod("a"))
    harness.see(spec={"suspend": True})
    await asyncio.sleep(1000)
    held, written = dict(harness.cluster.status), len(harness.cluster.written)
    reasons = {each["type"]: each["status"] for each in held["conditions"]}
    before = list(harness.stage.agents["n1"].requests)

    harness.see(spec={"suspend": False}, generation=2)
    await asyncio.sleep(11)

    assert (held["phase"], written, before) == ("Suspended", 1, [])
    assert reasons == {"Finished": "False", "Succeeded": "Unknown", "DataComplete": "Unknown"}
    assert harness.stage.condition("Finished") == ("True", "Completed")
    assert harness.cluster.status["summary"]["calls"] == 100
    assert "suspensions" not in harness.cluster.status


@in_no_time
async def test_suspending_a_running_session() -> None:
    """As a Job's pods its traces end, and it starts anew with its whole duration; what it had counted is dropped."""
    harness = Harness(pod("a"))
    harness.see()
    await asyncio.sleep(6)
    harness.see(spec={"suspend": True}, generation=2)
    await asyncio.sleep(1)
    held = dict(harness.cluster.status)

    harness.see(spec={"suspend": False}, generation=3)
    await asyncio.sleep(11)

    assert held["phase"] == "Suspended"
    assert held["observedGeneration"] == 2
    assert held.keys().isdisjoint({"startTime", "summary", "containers", "trust"})
    assert harness.stage.agents["n1"].stops == ["u1"]
    assert [each.session_uid for each in harness.stage.agents["n1"].requests] == ["u1", "u1.1"]
    assert harness.cluster.status["summary"]["calls"] == 100
    assert harness.cluster.status["suspensions"] == 1
    assert harness.stage.condition("Finished") == ("True", "Completed")


@in_no_time
async def test_an_operator_that_finds_a_suspended_session() -> None:
    """It writes nothing, lets it go when it is told, and takes up what began after a suspension."""
    harness = Harness(pod("a"))
    harness.see()
    await asyncio.sleep(3)
    harness.see(spec={"suspend": True}, generation=2)
    await asyncio.sleep(1)
    await harness.sessions.close()
    written = len(harness.cluster.written)
    harness.sessions = Sessions(harness.stage.dependencies, lambda *_: None)
    harness.see(spec={"suspend": True}, generation=2)
    await asyncio.sleep(100)
    still = len(harness.cluster.written)
    harness.see(spec={"suspend": False}, generation=3)
    await asyncio.sleep(5)
    await harness.sessions.close()
    harness.sessions = Sessions(harness.stage.dependencies, lambda *_: None)
    harness.see(spec={"suspend": False}, generation=3)
    await asyncio.sleep(6)

    assert still == written
    assert harness.cluster.status["summary"]["calls"] == 100
    assert harness.cluster.status["trust"]["gaps"] == []
    assert harness.stage.condition("Finished") == ("True", "Completed")


@in_no_time
async def test_a_suspended_session_can_be_cancelled() -> None:
    """Cancelling wins over suspending."""
    harness = Harness(pod("a"))
    harness.see(spec={"suspend": True})
    await asyncio.sleep(5)

    harness.see(spec={"suspend": True, "cancel": True}, generation=2)
    await asyncio.sleep(1)

    assert harness.stage.condition("Finished") == ("True", "Cancelled")
    assert harness.sessions.running == 0
