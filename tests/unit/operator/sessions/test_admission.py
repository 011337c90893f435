"""Who may trace now: namespaces that are closed, and sessions that wait for their turn."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from operator_fakes import Stage, in_no_time, pod

from kubestrace_operator.kube.errors import ClusterError, NotFoundError
from kubestrace_operator.kube.namespaces import NamespaceRow
from kubestrace_operator.kube.session_rows import SessionRow
from kubestrace_operator.kube.watches import Changes
from kubestrace_operator.sessions.admission import Places, refusal
from kubestrace_operator.sessions.controller import Sessions


@pytest.mark.parametrize(
    ("label", "only_enabled", "closed"),
    [
        (None, False, False),
        ("enabled", False, False),
        ("disabled", False, True),
        ("", False, False),
        (None, True, True),
        ("enabled", True, False),
        ("disabled", True, True),
        ("yes", True, True),
    ],
)
def test_which_namespaces_are_closed(label: str | None, only_enabled: bool, closed: bool) -> None:
    """One label closes a namespace, and opens it where the value says that namespaces are closed."""
    labels = {} if label is None else {"kubestrace.io/tracing": label}

    assert bool(refusal("shop", labels, only_enabled=only_enabled)) == closed


@in_no_time
async def test_a_session_in_a_closed_namespace_is_refused() -> None:
    """Whoever got past the policy: no agent is asked for anything."""
    stage = Stage(pod("a"))
    stage.cluster.labels = {"kubestrace.io/tracing": "disabled"}
    status = await stage.run()

    assert status["phase"] == "Failed"
    assert stage.condition("Finished") == ("True", "NotAuthorized")
    assert "kubestrace.io/tracing=disabled" in stage.message()
    assert stage.agents["n1"].requests == []


@in_no_time
async def test_a_namespace_that_must_be_opened() -> None:
    """The label lets it be traced."""
    stage = Stage(pod("a"))
    stage.only_enabled = True
    refused = (await stage.run())["phase"], stage.condition("Finished")[1]
    stage.cluster.labels = {"kubestrace.io/tracing": "enabled"}

    assert (await stage.run())["phase"] == "Succeeded"
    assert refused == ("Failed", "NotAuthorized")


@in_no_time
async def test_a_namespace_that_cannot_be_read_is_not_traced() -> None:
    """What it would say is not known; the session waits, says for what, and ends."""
    stage = Stage(pod("a"))
    stage.cluster.hides_namespace = ClusterError("namespaces is forbidden (403)")
    running = asyncio.create_task(stage.session().run())
    await asyncio.sleep(3)
    before = stage.condition("Finished")
    await running

    assert before == ("False", "PodsNotListed")
    assert stage.condition("Finished") == ("True", "PodsNotListed")
    assert "namespaces is forbidden (403)" in stage.message()
    assert stage.agents["n1"].requests == []


@in_no_time
async def test_a_namespace_that_is_gone_closes_nothing() -> None:
    """Its sessions go with it."""
    stage = Stage(pod("a"))
    stage.cluster.hides_namespace = NotFoundError("no such namespace")

    assert (await stage.run())["phase"] == "Succeeded"


class Crowd:
    """Sessions of one namespace in their dependencies."""

    def __init__(self, most: int) -> None:
        self.stage = Stage(pod("a"))
        self.stage.places = Places(most)
        self.sessions = Sessions(self.stage.dependencies, lambda *_: None)

    def see(self, number: int, phase: str = "", namespace: str = "shop", **spec: Any) -> None:
        """Let the watch tell of a session; later numbers were created later."""
        uid = f"u{number}"
        body = {"target": {"podName": "a"}, "durationSeconds": 10} | spec
        created = f"2026-01-01T00:00:{number:02}Z"
        generation = 2 if spec else 1
        metadata = {"generation": generation, "creationTimestamp": created}
        self.stage.cluster.objects[uid] = {"metadata": metadata, "spec": body, "status": {}}
        self.sessions.see(SessionRow(uid, namespace, f"s{number}", "1", generation, phase=phase))

    async def close_namespace(self) -> None:
        """Give the namespace the label that closes it, and let the watch tell of that."""
        self.stage.cluster.labels = {"kubestrace.io/tracing": "disabled"}
        await self.hear_that_it_is_closed()

    async def hear_that_it_is_closed(self) -> None:
        """Let the watch tell that the namespace is closed."""

        async def told() -> AsyncIterator[Changes[NamespaceRow]]:
            yield Changes({"n1": NamespaceRow("shop", tracing="disabled")})

        await self.sessions.follow_namespaces(told())

    def standing(self, number: int) -> tuple[str, str]:
        """Return phase and reason of a session that runs or waits."""
        return dict(zip(self.sessions._running, self.sessions.standings(), strict=True))[f"u{number}"]

    @property
    def traced(self) -> list[str]:
        """The sessions that an agent was asked for, in their order."""
        return [each.session_uid for each in self.stage.agents["n1"].requests]


@in_no_time
async def test_sessions_wait_for_their_turn() -> None:
    """The oldest first, one as soon as another has ended; waiting is not the end of a short one."""
    crowd = Crowd(1)
    for number in (3, 1, 2):
        crowd.see(number)
    await asyncio.sleep(5)
    first = list(crowd.traced)
    waiting = {each["conditions"][0]["reason"] for each in crowd.stage.cluster.written if each["phase"] == "Pending"}
    await asyncio.sleep(10)
    second = list(crowd.traced)
    await asyncio.sleep(20)

    assert first == ["u3"]
    assert waiting == {"TooManySessionsOfNamespace"}
    assert second == ["u3", "u1"]
    assert crowd.traced == ["u3", "u1", "u2"]
    assert [each["phase"] for each in crowd.stage.cluster.written].count("Succeeded") == 3


@in_no_time
async def test_other_namespaces_do_not_wait() -> None:
    """The number is of each namespace."""
    crowd = Crowd(1)
    crowd.see(1, namespace="shop")
    crowd.see(2, namespace="bank")
    await asyncio.sleep(3)

    assert crowd.traced == ["u1", "u2"]


@in_no_time
async def test_a_session_that_runs_keeps_its_place_when_the_operator_restarts() -> None:
    """One that waits is seen first, and does not overtake it."""
    crowd = Crowd(1)
    crowd.see(2)
    crowd.see(1, phase="Tracing")
    await asyncio.sleep(3)

    assert crowd.traced == ["u1"]


@pytest.mark.parametrize("how", ["cancel", "suspend", "delete"])
@in_no_time
async def test_a_place_is_free_however_a_session_ends(how: str) -> None:
    """Also while it waits for one itself."""
    crowd = Crowd(1)
    for number in (1, 2, 3):
        crowd.see(number)
    await asyncio.sleep(3)
    for number in (2, 1):
        if how == "delete":
            crowd.sessions.gone(f"u{number}")
        else:
            crowd.see(number, **{how: True})
        await asyncio.sleep(0.5)
    await asyncio.sleep(2)

    assert crowd.traced == ["u1", "u3"]


@in_no_time
async def test_no_place_is_left_behind() -> None:
    """After all have ended nothing is kept of a namespace."""
    crowd = Crowd(2)
    for number in range(6):
        crowd.see(number)
    await asyncio.sleep(100)

    assert crowd.stage.places._namespaces == {}


@in_no_time
async def test_a_namespace_that_is_closed_while_a_session_waits_for_its_turn() -> None:
    """It does not begin when the one before has ended, and that one goes on."""
    crowd = Crowd(1)
    crowd.see(1)
    crowd.see(2)
    await asyncio.sleep(3)
    await crowd.close_namespace()
    await asyncio.sleep(1)
    running = crowd.standing(1)
    await asyncio.sleep(20)

    assert running == ("Tracing", "Tracing")
    assert crowd.traced == ["u1"]
    ends = [each["conditions"][0]["reason"] for each in crowd.stage.cluster.written if "completionTime" in each]
    assert ends == ["NotAuthorized", "Completed"]


@in_no_time
async def test_a_namespace_that_is_closed_while_a_session_waits_for_its_pods() -> None:
    """Pods that come later are not traced."""
    crowd = Crowd(0)
    crowd.see(1, target={"podName": "b"})
    await asyncio.sleep(3)
    await crowd.close_namespace()
    crowd.stage.cluster.become(pod("b"))
    await asyncio.sleep(20)

    assert crowd.traced == []
    assert crowd.stage.condition("Finished") == ("True", "NotAuthorized")


@in_no_time
async def test_a_namespace_that_is_closed_while_an_agent_is_asked() -> None:
    """The agent is told to stop what it has just begun."""
    crowd = Crowd(0)
    crowd.stage.agents["n1"].start_seconds = 5
    crowd.see(1)
    await asyncio.sleep(2)
    await crowd.close_namespace()
    await asyncio.sleep(20)

    assert crowd.traced == ["u1"]
    assert crowd.stage.agents["n1"].stops == ["u1"]
    assert crowd.stage.condition("Finished") == ("True", "NotAuthorized")


@in_no_time
async def test_a_namespace_that_is_open_again_when_it_is_asked() -> None:
    """The watch may be behind; what the API server answers counts."""
    crowd = Crowd(0)
    crowd.see(1, target={"podName": "b"})
    await asyncio.sleep(3)
    await crowd.hear_that_it_is_closed()
    crowd.stage.cluster.become(pod("b"))
    await asyncio.sleep(20)

    assert crowd.traced == ["u1"]
    assert crowd.stage.condition("Finished") == ("True", "Completed")
