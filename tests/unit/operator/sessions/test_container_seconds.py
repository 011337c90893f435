"""How long containers of a namespace may be traced: counted, bounded, and remembered by the next operator."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from operator_fakes import BEGIN, Stage, clock, in_no_time, now, pod

from kubestrace_operator.kube.session_rows import SessionRow
from kubestrace_operator.sessions.container_seconds import Ledger
from kubestrace_operator.sessions.controller import Sessions


class Bounded:
    """Sessions of one or two containers under a bound."""

    def __init__(self, per_hour: int = 0, per_day: int = 0) -> None:
        self.stage = Stage(pod("a"), pod("b", "n2"))
        self.stage.ledger = Ledger(per_hour, per_day, now, clock)
        self.sessions = Sessions(self.stage.dependencies, lambda *_: None)
        self.tasks = [asyncio.create_task(self.sessions.run())]

    def see(self, number: int, seconds: int, namespace: str = "shop", **target: Any) -> None:
        """Let the watch tell of a session."""
        uid = f"u{number}"
        spec = {"target": target or {"podName": "a"}, "durationSeconds": seconds, "profile": "Counts"}
        metadata = {"generation": 1, "creationTimestamp": f"2026-01-01T00:00:{number:02}Z"}
        self.stage.cluster.objects[uid] = {"metadata": metadata, "spec": spec, "status": {}}
        self.sessions.see(SessionRow(uid, namespace, f"s{number}", "1"))

    def change(self, number: int, generation: int, **spec: bool) -> None:
        """Let a person change a session's spec."""
        made = self.stage.cluster.objects[f"u{number}"]
        made["metadata"]["generation"] = generation
        made["spec"] |= spec
        # As it was written last.
        made.pop("status", None)
        self.sessions.see(SessionRow(f"u{number}", "shop", f"s{number}", "1", generation))

    def ends(self) -> Iterator[tuple[str, str, int]]:
        """Yield phase, reason and container-seconds of each status that is a session's last."""
        for status in self.stage.cluster.written:
            (finished,) = (each for each in status["conditions"] if each["type"] == "Finished")
            if finished["status"] == "True":
                yield status["phase"], finished["reason"], status.get("containerSeconds", -1)


@in_no_time
async def test_a_session_ends_when_its_namespace_has_used_its_seconds() -> None:
    """What was counted until then is kept; two containers use twice as much."""
    bounded = Bounded(per_hour=60)
    bounded.see(1, 600, selector={})
    await asyncio.sleep(100)

    ((phase, reason, used),) = bounded.ends()
    assert (phase, reason) == ("Succeeded", "ContainerSecondsUsed")
    assert 60 <= used <= 70
    assert 550 <= bounded.stage.cluster.status["summary"]["calls"] <= 700
    assert "has used its 60 container-seconds of an hour" in bounded.stage.message()
    assert bounded.stage.agents["n1"].stops


@in_no_time
async def test_further_sessions_wait_until_seconds_are_older_than_an_hour() -> None:
    """They say for what, and then run for their whole time."""
    bounded = Bounded(per_hour=20)
    bounded.see(1, 30)
    await asyncio.sleep(40)
    bounded.see(2, 10)
    await asyncio.sleep(3000)
    waiting = bounded.stage.cluster.status["conditions"][0]["reason"]
    requests = len(bounded.stage.agents["n1"].requests)
    await asyncio.sleep(800)

    assert waiting == "ContainerSecondsUsed"
    assert requests == 1
    assert [each[:2] for each in bounded.ends()] == [("Succeeded", "ContainerSecondsUsed"), ("Succeeded", "Completed")]


@in_no_time
async def test_other_namespaces_have_their_own_seconds() -> None:
    """One that has used all of its own ends no session of another."""
    bounded = Bounded(per_day=20)
    bounded.see(1, 60)
    bounded.see(2, 15, namespace="bank")
    await asyncio.sleep(100)

    reasons = [reason for _, reason, _ in bounded.ends()]
    assert len(reasons) == 2
    assert reasons.count("ContainerSecondsUsed") == 1


@in_no_time
async def test_without_a_bound_nothing_is_counted() -> None:
    """Neither in the status nor in memory."""
    bounded = Bounded()
    bounded.see(1, 10)
    await asyncio.sleep(30)

    assert list(bounded.ends()) == [("Succeeded", "Completed", -1)]
    assert bounded.stage.ledger._used == {}


@in_no_time
async def test_deleting_a_session_gives_nothing_back() -> None:
    """Nor does cancelling it: what was traced was traced."""
    bounded = Bounded(per_hour=20)
    bounded.see(1, 3600)
    await asyncio.sleep(15)
    bounded.sessions.gone("u1")
    bounded.see(2, 60)
    await asyncio.sleep(30)

    ((_, reason, used),) = bounded.ends()
    assert reason == "ContainerSecondsUsed"
    assert 4 <= used <= 8


@pytest.mark.parametrize("how", ["ends", "is cancelled"])
@in_no_time
async def test_what_was_used_before_a_suspension_is_used(how: str) -> None:
    """Its counts are dropped; the containers were traced all the same."""
    bounded = Bounded(per_hour=1000)
    bounded.see(1, 20)
    await asyncio.sleep(10)
    bounded.change(1, 2, suspend=True)
    await asyncio.sleep(100)
    held = bounded.stage.cluster.status["containerSeconds"]
    bounded.change(1, 3, suspend=how == "is cancelled", cancel=how == "is cancelled")
    await asyncio.sleep(100)

    ((_, _, used),) = bounded.ends()
    assert 9 <= held <= 12
    assert used - held in (range(19, 23) if how == "ends" else {0})
    assert int(bounded.stage.ledger._within("shop", 3600)) in range(used - 2, used + 1)


@in_no_time
async def test_a_session_that_was_cancelled_while_no_operator_was_there_has_used_what_it_says() -> None:
    """It ends before anything of it is counted here; its namespace is charged all the same."""
    bounded = Bounded(per_hour=50)
    bounded.stage.cluster.status = {"startTime": BEGIN.isoformat(), "phase": "Tracing", "containerSeconds": 60}
    bounded.see(1, 600)
    bounded.change(1, 2, cancel=True)
    await asyncio.sleep(10)
    ((_, _, used),) = bounded.ends()
    bounded.sessions.see(row(1, now().isoformat(), used))

    assert used == 60
    assert bounded.stage.ledger.used_up("shop")


def row(number: int, completed: str, used: int) -> SessionRow:
    """Return a finished session as the first list of an operator has it."""
    return SessionRow(
        f"u{number}", "shop", f"s{number}", "1", phase="Succeeded", completed=completed, container_seconds=used
    )


@pytest.mark.parametrize(
    ("minutes_ago", "used_up"),
    [(0, True), (30, True), (62, False), (-10, True)],
)
def test_the_next_operator_knows_what_finished_sessions_have_used(minutes_ago: int, used_up: bool) -> None:
    """By what they say; an hour later it counts no more, and a clock that was ahead helps nobody."""
    ledger = Ledger(per_hour=100, now=lambda: BEGIN, clock=lambda: 0.0)
    completed = (BEGIN - timedelta(minutes=minutes_ago)).isoformat()
    ledger.recall(row(1, completed, 60))
    ledger.recall(row(2, completed, 60))

    assert bool(ledger.used_up("shop")) == used_up


def test_each_session_is_charged_once() -> None:
    """However often the watch tells of it; and a time that is none charges nothing."""
    ledger = Ledger(per_hour=100, now=lambda: BEGIN, clock=lambda: 0.0)
    for _ in range(5):
        ledger.recall(row(1, BEGIN.isoformat(), 60))
        ledger.recall(row(2, "yesterday", 600))
        ledger.recall(row(3, "2026-01-01T00:00:00", 600))

    assert ledger.used_up("shop") == ""


def test_a_session_that_is_taken_up_is_charged_with_its_time_before() -> None:
    """While no operator was there its containers were traced all the same."""
    ledger = Ledger(per_hour=100, now=lambda: BEGIN, clock=lambda: 0.0)
    ledger.follow("u1", "shop", lambda: 2, asyncio.Event())
    ledger.take_up("u1", 2, 50)

    assert ledger.used_by("u1") == 100
    assert "100 container-seconds of an hour" in ledger.used_up("shop")


@in_no_time
async def test_what_is_older_than_a_day_is_forgotten() -> None:
    """A namespace that traces nothing any more keeps nothing in memory, also if nobody asks for it again."""
    ledger = Ledger(per_day=100, now=now, clock=clock)
    ledger.recall(row(1, now().isoformat(), 100))
    before = ledger.used_up("shop")
    running = asyncio.create_task(ledger.run())
    await asyncio.sleep(timedelta(hours=25).total_seconds())
    running.cancel()

    assert before
    assert ledger._used == {}
    assert ledger.used_up("shop") == ""
