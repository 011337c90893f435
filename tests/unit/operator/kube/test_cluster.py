"""Speaking to the API server: requests, watches and errors, against a small server of our own."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from kubestrace_operator.api.spec import Selector, Workload
from kubestrace_operator.kube import cluster as cluster_module
from kubestrace_operator.kube import watches
from kubestrace_operator.kube.api_client import ApiServer, Lane
from kubestrace_operator.kube.cluster import Cluster
from kubestrace_operator.kube.errors import (
    ClusterError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    NotLeadingError,
    RejectedError,
)
from kubestrace_operator.kube.events import Events
from kubestrace_operator.kube.fence import Fence
from kubestrace_operator.kube.namespaces import NamespaceRow
from kubestrace_operator.kube.pods import Pod, apply, trimmed
from kubestrace_operator.kube.session_rows import SessionRow, SessionTable

PODS = "/api/v1/namespaces/shop/pods"
SESSIONS = "/apis/kubestrace.io/v1alpha1/tracesessions"
SESSION = "/apis/kubestrace.io/v1alpha1/namespaces/shop/tracesessions/s1"
ROW = SessionRow("u1", "shop", "s1", "3")

Document = dict[str, Any]


def pod(name: str, phase: str = "Running", version: str = "2") -> Document:
    """Return a pod with more in it than is read."""
    metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": version, "managedFields": [{"big": "x" * 1000}]}
    return {"metadata": metadata, "spec": {"nodeName": "n1", "volumes": []}, "status": {"phase": phase}}


class FakeServer:
    """Answers requests as it is told, in order, and streams the events of a watch."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], list[tuple[int, Document]]] = {}
        self.requests: list[tuple[str, str, dict[str, str], str, str]] = []
        self.accepts: list[str] = []
        self.events: asyncio.Queue[Document | None] = asyncio.Queue()
        # Statuses of sessions that have ended are answered once this is set.
        self.takes_results = asyncio.Event()
        self.takes_results.set()
        self._waiting = asyncio.Semaphore(0)
        self.url = ""

    def answer(self, method: str, path: str, *answers: Document, status: int = 200) -> None:
        """Let a request be answered; the last answer is given for ever."""
        self.answers.setdefault((method, path), []).extend((status, each) for each in answers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        body = await request.text()
        kind = request.headers["Content-Type"]
        self.accepts.append(request.headers["Accept"])
        self.requests.append((request.method, request.path, dict(request.query), kind, body))
        if request.query.get("watch"):
            return await self._watch(request)
        if '"Succeeded"' in body:
            self._waiting.release()
            await self.takes_results.wait()
        queue = self.answers.get((request.method, request.path), [(404, {"message": "not found"})])
        status, document = queue.pop(0) if len(queue) > 1 else queue[0]
        return web.json_response(document, status=status)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while (event := await self.events.get()) is not None:
            await response.write(json.dumps(event).encode() + b"\n")
        return response

    async def results_wait(self, count: int) -> None:
        """Wait until statuses of so many sessions that have ended came."""
        for _ in range(count):
            await self._waiting.acquire()

    def sent(self, method: str) -> list[Document]:
        """Return the bodies of all requests of a method."""
        return [json.loads(body) for each, _, _, _, body in self.requests if each == method]


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    """A running API server."""
    fake = FakeServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    await runner.cleanup()


@pytest.fixture
async def cluster(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    """A client of that server, which does not wait long."""
    monkeypatch.setattr(watches, "_BACKOFF_SECONDS", (0.01,))
    api_server = ApiServer(Configuration(host=server.url))
    yield Cluster(api_server, "system")
    await api_server.close()


async def test_nothing_is_written_while_the_fence_is_closed(server: FakeServer) -> None:
    """No byte of a write leaves, with a new connection and with one that is there; reads and Leases are let through."""
    fence = Fence()
    api_server = ApiServer(Configuration(host=server.url), fence)
    leases = "/apis/coordination.k8s.io/v1/namespaces/system/leases"
    for method, path in (("GET", PODS), ("POST", PODS), ("DELETE", SESSION), ("POST", leases)):
        server.answer(method, path, {})
    try:
        for method, path in (("POST", PODS), ("DELETE", SESSION)):
            with pytest.raises(NotLeadingError):
                await api_server.request(method, path, body={})
            await api_server.request("GET", PODS)
        await api_server.request("POST", leases, body={})
        fence.open_until(fence.now() + 60)
        await api_server.request("POST", PODS, body={})
    finally:
        await api_server.close()

    assert [(method, path) for method, path, *_ in server.requests] == [
        ("GET", PODS),
        ("GET", PODS),
        ("POST", leases),
        ("POST", PODS),
    ]


async def test_results_of_sessions_that_end_do_not_hold_up_those_that_begin(
    server: FakeServer, cluster: Cluster
) -> None:
    """However many results wait for a slow API server."""
    server.answer("PATCH", f"{SESSION}/status", {})
    server.answer("PATCH", SESSION, {})
    server.takes_results.clear()
    ending = [asyncio.create_task(cluster.write_status(ROW, {"phase": "Succeeded"})) for _ in range(100)]
    async with asyncio.timeout(30):
        await server.results_wait(Lane.RESULT.value)
        await cluster.set_finalizer(ROW, "kubestrace.io/traces", present=True)
        await cluster.write_status(ROW, {"phase": "Tracing"})

    assert len(server.requests) == Lane.RESULT.value + 2
    assert not any(task.done() for task in ending)
    server.takes_results.set()
    await asyncio.gather(*ending)
    assert len(server.requests) == 102


def listed(*pods: Document, version: str = "1") -> Document:
    """Return a list of pods."""
    return {"metadata": {"resourceVersion": version}, "items": list(pods)}


class Follower:
    """One who follows the pods of a namespace."""

    def __init__(self, cluster: Cluster, failing: Callable[[ClusterError], None] | None = None) -> None:
        self.known: dict[str, Pod] = {}
        self.changes = cluster.pods("shop", failing=failing)

    async def names(self) -> list[str]:
        """Return names and phases after the next change."""
        async with asyncio.timeout(5):
            apply(self.known, await anext(self.changes))
        return [f"{each['metadata']['name']}:{each['status']['phase']}" for each in self.known.values()]


async def test_pods_are_listed_and_then_watched(server: FakeServer, cluster: Cluster) -> None:
    """Every change gives the pods that changed; what is not read is not kept."""
    server.answer("GET", PODS, listed(pod("a")))
    pods = Follower(cluster)

    first = await pods.names()
    server.events.put_nowait({"type": "ADDED", "object": pod("b")})
    second = await pods.names()
    server.events.put_nowait({"type": "MODIFIED", "object": pod("b", "Failed")})
    third = await pods.names()
    server.events.put_nowait({"type": "DELETED", "object": pod("a")})
    fourth = await pods.names()

    assert [first, second, third, fourth] == [
        ["a:Running"],
        ["a:Running", "b:Running"],
        ["a:Running", "b:Failed"],
        ["b:Failed"],
    ]
    assert "managedFields" not in pods.known["uid-b"]["metadata"]
    assert server.requests[0][2]["limit"] == "250"
    assert server.requests[1][2]["resourceVersion"] == "1"
    assert server.requests[1][2]["allowWatchBookmarks"] == "true"


async def test_a_long_list_comes_in_pages(server: FakeServer, cluster: Cluster) -> None:
    """Each page is asked for with the token of the one before."""
    first = {"metadata": {"resourceVersion": "1", "continue": "more"}, "items": [pod("a")]}
    server.answer("GET", PODS, first, listed(pod("b")))

    assert await Follower(cluster).names() == ["a:Running", "b:Running"]
    assert [query.get("continue") for _, _, query, _, _ in server.requests[:2]] == [None, "more"]


async def test_a_page_that_comes_too_late(server: FakeServer, cluster: Cluster) -> None:
    """A token that has expired means that the list begins anew."""
    server.answer("GET", PODS, {"metadata": {"resourceVersion": "1", "continue": "more"}, "items": [pod("a")]})
    server.answer("GET", PODS, {"message": "expired"}, status=410)
    server.answer("GET", PODS, listed(pod("b")))

    assert await Follower(cluster).names() == ["b:Running"]


async def test_all_who_follow_a_namespace_share_one_list(server: FakeServer, cluster: Cluster) -> None:
    """One list and one watch; who comes later gets what is known, and then the changes."""
    server.answer("GET", PODS, listed(pod("a")))
    followers = [Follower(cluster) for _ in range(3)]

    before = [await each.names() for each in followers]
    server.events.put_nowait({"type": "ADDED", "object": pod("b")})
    after = [await each.names() for each in followers]

    assert before == [["a:Running"]] * 3
    assert after == [["a:Running", "b:Running"]] * 3
    assert len(server.requests) == 2


async def test_changes_that_are_not_read_are_no_changes(server: FakeServer, cluster: Cluster) -> None:
    """A pod whose unread parts change wakes no session; bookmarks only move the version."""
    server.answer("GET", PODS, listed(pod("a")))
    pods = Follower(cluster)
    await pods.names()
    server.events.put_nowait({"type": "MODIFIED", "object": pod("a", version="7")})
    server.events.put_nowait({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}})
    server.events.put_nowait(None)
    server.events.put_nowait({"type": "ADDED", "object": pod("b")})

    assert await pods.names() == ["a:Running", "b:Running"]
    assert server.requests[-1][2]["resourceVersion"] == "9"


async def test_a_version_that_is_too_old_is_listed_again(server: FakeServer, cluster: Cluster) -> None:
    """410 Gone: what happened meanwhile is in the new list."""
    server.answer("GET", PODS, listed(pod("a")), listed(pod("b"), version="5"))
    pods = Follower(cluster)
    await pods.names()

    server.events.put_nowait({"type": "ERROR", "object": {"code": 410, "message": "too old"}})

    assert await pods.names() == ["b:Running"]


async def test_a_watch_that_breaks_goes_on_where_it_was(server: FakeServer, cluster: Cluster) -> None:
    """A new list of thousands of objects is for a version that is too old only."""
    server.answer("GET", PODS, listed(pod("a")))
    told: list[ClusterError] = []
    pods = Follower(cluster, told.append)
    await pods.names()

    server.events.put_nowait({"type": "ERROR", "object": {"code": 500, "message": "broken"}})
    # The end of the server's side of the broken watch.
    server.events.put_nowait(None)
    server.events.put_nowait({"type": "ADDED", "object": pod("b", version="3")})

    assert await pods.names() == ["a:Running", "b:Running"]
    assert len(told) == 1
    assert [query.get("watch") for _, _, query, _, _ in server.requests] == [None, "true", "true"]
    assert server.requests[2][2]["resourceVersion"] == "1"


async def test_a_failing_list_is_tried_again(server: FakeServer, cluster: Cluster) -> None:
    """The follower never ends, whatever the API server says; who wants to know is told."""
    server.answer("GET", PODS, {"message": "starting"}, status=503)
    server.answer("GET", PODS, listed(pod("a")))
    told: list[ClusterError] = []

    assert await Follower(cluster, told.append).names() == ["a:Running"]
    assert [str(error) for error in told] == [f"GET {PODS}: starting (503)"]


async def test_a_query_that_is_not_understood(server: FakeServer, cluster: Cluster) -> None:
    """Asking again would not help."""
    server.answer("GET", PODS, {"message": "unable to parse requirement"}, status=400)

    with pytest.raises(RejectedError, match="unable to parse"):
        await Follower(cluster).names()


async def test_the_agents_pods_are_asked_for_by_label(server: FakeServer, cluster: Cluster) -> None:
    """The server sends no other pods; every change gives the whole picture."""
    server.answer("GET", "/api/v1/namespaces/system/pods", listed(pod("a")))
    snapshots = cluster.agent_pods("app=agent")

    first = await anext(snapshots)
    server.events.put_nowait({"type": "ADDED", "object": pod("b")})
    second = await anext(snapshots)

    assert [len(first), len(second)] == [1, 2]
    assert server.requests[0][2]["labelSelector"] == "app=agent"


def table(*rows: Document, columns: bool = True) -> Document:
    """Return sessions as the API server's table has them."""
    names = ["Name", "Phase", "Completed", "TTL"] if columns else []
    return {
        "metadata": {"resourceVersion": "1"},
        "columnDefinitions": [{"name": name} for name in names] or None,
        "rows": list(rows),
    }


def row(name: str, phase: str | None = None, ttl: int | None = None, **metadata: Any) -> Document:
    """Return one session's row."""
    known = {"namespace": "shop", "name": name, "uid": f"uid-{name}", "resourceVersion": "4", **metadata}
    return {"cells": [name, phase, "2026-01-01T00:00:00Z" if phase else None, ttl], "object": {"metadata": known}}


async def test_sessions_are_watched_as_short_rows(server: FakeServer, cluster: Cluster) -> None:
    """A whole finished session is 64 KiB: of each only a row is asked for, out of the API server's memory."""
    server.answer("GET", SESSIONS, table(row("old", "Succeeded", 60), row("new", generation=2, finalizers=["f"])))
    heard: list[None] = []
    sessions = cluster.sessions(heard=lambda: heard.append(None))

    first = await anext(sessions)
    server.events.put_nowait({"type": "BOOKMARK", "object": table(columns=False)})
    going = row("new", deletionTimestamp="2026-01-01T00:00:00Z")
    server.events.put_nowait({"type": "MODIFIED", "object": table(going)})
    second = await anext(sessions)
    server.events.put_nowait({"type": "DELETED", "object": table(going, columns=False)})
    third = await anext(sessions)

    old = SessionRow("uid-old", "shop", "old", "4", phase="Succeeded", completed="2026-01-01T00:00:00Z", ttl_seconds=60)
    new = SessionRow("uid-new", "shop", "new", "4", generation=2, finalizers=("f",))
    assert first.items == {"uid-old": old, "uid-new": new}
    assert old.finished
    assert not new.finished
    assert second.items == {"uid-new": SessionRow("uid-new", "shop", "new", "4", deleting=True)}
    assert third.items == {"uid-new": None}
    selector = "status.phase!=Cancelled,status.phase!=Failed,status.phase!=Succeeded"
    assert server.requests[0][2] == {"fieldSelector": selector, "resourceVersion": "0"}
    assert "fieldSelector" not in server.requests[1][2]
    assert set(server.accepts) == {"application/json;as=Table;g=meta.k8s.io;v=v1"}
    assert len(heard) >= 4


async def test_namespaces_that_are_closed_or_deleted(server: FakeServer, cluster: Cluster) -> None:
    """No more is kept of one than that, and no other change of one is told."""

    def namespace(name: str, **metadata: Any) -> Document:
        return {"cells": [name], "object": {"metadata": {"name": name, "uid": f"uid-{name}", **metadata}}}

    answer = {"metadata": {"resourceVersion": "1"}, "rows": [namespace("shop"), namespace("office")]}
    server.answer("GET", "/api/v1/namespaces", answer)
    changes = cluster.namespaces()

    first = await anext(changes)
    going = namespace("shop", deletionTimestamp="2026-01-01T00:00:00Z", resourceVersion="2")
    server.events.put_nowait({"type": "MODIFIED", "object": {"rows": [namespace("office")]}})
    server.events.put_nowait({"type": "MODIFIED", "object": {"rows": [going]}})
    second = await anext(changes)
    server.events.put_nowait({"type": "DELETED", "object": {"rows": [going]}})
    third = await anext(changes)
    closed = namespace("office", labels={"kubestrace.io/tracing": "disabled", "team": "x"}, resourceVersion="3")
    server.events.put_nowait({"type": "MODIFIED", "object": {"rows": [closed]}})
    fourth = await anext(changes)

    assert first.items == {"uid-shop": NamespaceRow("shop"), "uid-office": NamespaceRow("office")}
    assert second.items == {"uid-shop": NamespaceRow("shop", deleting=True)}
    assert third.items == {"uid-shop": None}
    assert fourth.items == {"uid-office": NamespaceRow("office", tracing="disabled")}


async def test_namespaces_that_may_not_be_watched(
    server: FakeServer, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each that matters is read again and again; what cannot be read now holds up no other."""
    monkeypatch.setattr(cluster_module, "_LOOK_SECONDS", 0.01)
    for name, labels in (("office", {}), ("shop", {"kubestrace.io/tracing": "disabled"})):
        answer = {"metadata": {"name": name, "uid": f"uid-{name}", "labels": labels}}
        server.answer("GET", f"/api/v1/namespaces/{name}", {"message": "away"}, status=500)
        server.answer("GET", f"/api/v1/namespaces/{name}", answer)
    going = {"metadata": {"name": "bank", "uid": "uid-bank", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    server.answer("GET", "/api/v1/namespaces/bank", going)
    changes = cluster.some_namespaces(lambda: {"shop", "bank", "office", "gone"})

    told = [(await anext(changes)).items for _ in range(3)]

    office, shop = NamespaceRow("office"), NamespaceRow("shop", tracing="disabled")
    assert told == [{"uid-office": office}, {"uid-shop": shop}, {"uid-office": office}]


async def test_an_api_server_that_cannot_select_sessions(server: FakeServer, cluster: Cluster) -> None:
    """Before Kubernetes 1.31 all are listed, finished ones among them."""
    server.answer("GET", SESSIONS, {"message": "field label not supported"}, status=400)
    server.answer("GET", SESSIONS, table(row("old", "Succeeded"), row("new")))

    changes = await anext(cluster.sessions())

    assert changes.items.keys() == {"uid-old", "uid-new"}
    assert server.requests[1][2] == {"resourceVersion": "0"}


async def test_finished_sessions_are_listed_out_of_memory(server: FakeServer, cluster: Cluster) -> None:
    """As rows, and without those that run."""
    server.answer("GET", SESSIONS, table(row("old", "Succeeded"), row("new", "Tracing")))

    assert [each.name for each in await cluster.finished_sessions()] == ["old"]
    assert server.requests[0][2] == {"resourceVersion": "0"}


async def test_sessions_that_went_while_the_watch_was_broken(server: FakeServer, cluster: Cluster) -> None:
    """The new list tells of them."""
    server.answer("GET", SESSIONS, table(row("a"), row("b")), table(row("b"), row("c")))
    sessions = cluster.sessions()
    await anext(sessions)

    server.events.put_nowait({"type": "ERROR", "object": {"code": 410, "message": "too old"}})
    changes = await anext(sessions)

    assert changes.items.keys() == {"uid-a", "uid-c"}
    assert changes.items["uid-a"] is None


async def test_a_definition_without_the_columns(
    server: FakeServer, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """An older CRD is named as what is wrong; the operator goes on when it is replaced."""
    old = {"metadata": {"resourceVersion": "1"}, "columnDefinitions": [{"name": "Phase"}], "rows": []}
    server.answer("GET", SESSIONS, old, table(row("a")))

    changes = await anext(cluster.sessions())

    assert changes.items.keys() == {"uid-a"}
    assert "lacks the printer columns Completed, TTL" in caplog.text


async def test_nobody_listens() -> None:
    """An API server that is away is an error that says: try again."""
    server = ApiServer(Configuration(host="http://127.0.0.1:9"))

    with pytest.raises(ClusterError, match="does not answer"):
        await Cluster(server, "system").write_status(ROW, {})
    await server.close()


async def test_nothing_to_connect_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Outside of a cluster and without a kubeconfig the error says what was looked for."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    with pytest.raises(ConfigurationError, match="KUBECONFIG"):
        await ApiServer.connect()


async def test_a_status_is_replaced_as_a_whole(server: FakeServer, cluster: Cluster) -> None:
    """On the subresource, by name of the writer, of this session only; no part of an earlier status stays."""
    server.answer("PATCH", f"{SESSION}/status", {})

    await cluster.write_status(ROW, {"phase": "Tracing"})
    await cluster.amend_status(ROW, {"observedGeneration": 2})

    method, path, query, kind, body = server.requests[0]
    test = {"op": "test", "path": "/metadata/uid", "value": "u1"}
    assert (method, path, kind) == ("PATCH", f"{SESSION}/status", "application/json-patch+json")
    assert query == {"fieldManager": "kubestrace-operator"}
    assert json.loads(body) == [test, {"op": "add", "path": "/status", "value": {"phase": "Tracing"}}]
    assert json.loads(server.requests[1][4]) == [test, {"op": "add", "path": "/status/observedGeneration", "value": 2}]


async def test_a_status_is_not_written_to_a_namesake(server: FakeServer, cluster: Cluster) -> None:
    """A session that was removed and made again under its name is another one; a refused status is not taken for it."""
    server.answer("PATCH", f"{SESSION}/status", {"message": "invalid"}, status=422)
    server.answer("GET", SESSION, {"metadata": {"uid": "another"}}, {"metadata": {"uid": "u1"}})

    with pytest.raises(NotFoundError, match="another session of the same name"):
        await cluster.write_status(ROW, {"phase": "Tracing"})
    with pytest.raises(RejectedError):
        await cluster.write_status(ROW, {"phase": "Tracing"})


async def test_a_session_is_read_and_deleted_by_uid(server: FakeServer, cluster: Cluster) -> None:
    """Never a namesake."""
    server.answer("GET", SESSION, {"metadata": {"uid": "u1"}, "spec": {}}, {"metadata": {"uid": "another"}})
    server.answer("DELETE", SESSION, {})
    server.answer("DELETE", SESSION, {"message": "precondition failed"}, status=409)

    assert (await cluster.session(ROW))["spec"] == {}
    with pytest.raises(NotFoundError):
        await cluster.session(ROW)
    await cluster.delete_session(ROW)
    with pytest.raises(NotFoundError):
        await cluster.delete_session(ROW)

    assert server.sent("DELETE")[0] == {"preconditions": {"uid": "u1", "resourceVersion": "3"}}


async def test_a_session_that_has_changed_is_not_deleted(server: FakeServer, cluster: Cluster) -> None:
    """Its TTL may be another one since: whoever deletes looks again."""
    server.answer("GET", SESSION, {"metadata": {"uid": "u1"}})
    server.answer("DELETE", SESSION, {"message": "the object has been modified"}, status=409)

    with pytest.raises(ConflictError):
        await cluster.delete_session(ROW)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(404, NotFoundError), (422, RejectedError), (413, RejectedError), (409, ConflictError), (403, ClusterError)],
)
async def test_errors_say_whether_to_try_again(
    server: FakeServer, cluster: Cluster, code: int, kind: type[Exception]
) -> None:
    """By their type, with the server's words."""
    server.answer("PATCH", f"{SESSION}/status", {"message": "because"}, status=code)
    server.answer("GET", SESSION, {"metadata": {"uid": "u1"}})

    with pytest.raises(kind, match=f"because .{code}"):
        await cluster.write_status(ROW, {})


def finalizers(server: FakeServer) -> list[tuple[Document, Document]]:
    """Return what each patch expected the finalizers to be, and what it made of them."""
    patches = [(each[1]["value"], each[2]["value"]) for each in server.sent("PATCH")]
    assert all(each[0] == {"op": "test", "path": "/metadata/uid", "value": "u1"} for each in server.sent("PATCH"))
    return patches


async def test_a_finalizer_is_added_beside_others(server: FakeServer, cluster: Cluster) -> None:
    """Others' finalizers stay, and one that came in between is noticed."""
    server.answer("PATCH", SESSION, {"message": "test failed"}, status=422)
    server.answer("PATCH", SESSION, {})
    fresh = {"uid": "u1", "namespace": "shop", "name": "s1", "resourceVersion": "8", "finalizers": ["theirs"]}
    server.answer("GET", SESSION, {"metadata": fresh})

    await cluster.set_finalizer(ROW, "ours", present=True)

    assert finalizers(server) == [(None, ["ours"]), (["theirs"], ["theirs", "ours"])]


async def test_a_status_written_meanwhile_is_no_conflict(server: FakeServer, cluster: Cluster) -> None:
    """Each attempt is a write: a patch holds for any version of the object."""
    server.answer("PATCH", SESSION, {})

    await cluster.set_finalizer(ROW, "ours", present=True)

    assert "resourceVersion" not in json.dumps(server.sent("PATCH"))


async def test_a_finalizer_that_has_gone_already(server: FakeServer, cluster: Cluster) -> None:
    """Whoever knows an older version of the object does not write once more."""
    server.answer("PATCH", SESSION, {"message": "test failed"}, status=422)
    server.answer("GET", SESSION, {"metadata": {"uid": "u1", "namespace": "shop", "name": "s1"}})

    await cluster.set_finalizer(replace(ROW, finalizers=("ours",)), "ours", present=False)

    assert len(server.sent("PATCH")) == 1


async def test_no_finalizer_is_added_to_a_session_that_is_deleted(server: FakeServer, cluster: Cluster) -> None:
    """The API server refuses it, and goes on to."""
    server.answer("PATCH", SESSION, {"message": "no new finalizers"}, status=422)
    going = {"uid": "u1", "namespace": "shop", "name": "s1", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    server.answer("GET", SESSION, {"metadata": going})

    with pytest.raises(RejectedError):
        await cluster.set_finalizer(ROW, "ours", present=True)

    assert len(server.sent("PATCH")) == 1


async def test_a_finalizer_is_not_taken_from_a_namesake(server: FakeServer, cluster: Cluster) -> None:
    """A session that was deleted and made again under its name is another one."""
    server.answer("PATCH", SESSION, {"message": "test failed"}, status=422)
    server.answer("GET", SESSION, {"metadata": {"uid": "new", "resourceVersion": "9"}})

    with pytest.raises(NotFoundError):
        await cluster.set_finalizer(replace(ROW, finalizers=("ours",)), "ours", present=False)

    assert len(server.sent("PATCH")) == 1


def texts(value: object) -> Iterator[str]:
    """Yield all texts of a document that are no keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from texts(each)


def test_what_is_kept_of_an_answer_is_no_part_of_it() -> None:
    """One text that is kept of a list of thousands of objects would keep the memory around it: that of the list."""
    status = {"name": "app", "containerID": "containerd://" + "7" * 64, "state": {"running": {}}}
    whole = pod("some-pod") | {"status": {"phase": "Running", "podIP": "10.0.0.17", "containerStatuses": [status]}}
    whole["metadata"]["labels"] = {"app": "some-app"}
    listed_pod = json.loads(json.dumps(whole))
    listed_row = json.loads(json.dumps(table(row("some-session", "Succeeded", finalizers=["some/finalizer"]))))

    kept_pod = trimmed(listed_pod)
    ((_, kept_row),) = SessionTable().items(listed_row)

    # Python has only one text of each single character.
    parts = {id(each) for each in (*texts(listed_pod), *texts(listed_row)) if len(each) > 1}
    kept = [*texts(kept_pod), *texts(astuple(kept_row))]
    assert "some-pod" in kept
    assert "some-session" in kept
    assert [each for each in kept if id(each) in parts] == []


async def test_services_by_address(server: FakeServer, cluster: Cluster) -> None:
    """Each address of a Service; a headless one has none, and one of kind ExternalName not even the field."""
    services = [
        {"metadata": {"name": "web"}, "spec": {"clusterIPs": ["10.96.0.7", "fd00::7"]}},
        {"metadata": {"name": "headless"}, "spec": {"clusterIPs": ["None"]}},
        {"metadata": {"name": "outside"}, "spec": {"externalName": "example.org"}},
    ]
    server.answer("GET", "/api/v1/namespaces/shop/services", {"items": services})

    assert await cluster.services("shop") == {"10.96.0.7": "web", "fd00::7": "web"}


async def test_a_workloads_selector(server: FakeServer, cluster: Cluster) -> None:
    """Its own, or nothing where there is no such workload."""
    spec = {"selector": {"matchLabels": {"app": "shop"}}, "replicas": 2}
    server.answer("GET", "/apis/apps/v1/namespaces/shop/deployments/shop", {"spec": spec})

    assert await cluster.workload_selector("shop", Workload("Deployment", "shop")) == Selector((("app", "shop"),))
    assert await cluster.workload_selector("shop", Workload("Job", "none")) is None


async def test_secrets(server: FakeServer, cluster: Cluster) -> None:
    """Read, created and changed in the operator's own namespace."""
    path = "/api/v1/namespaces/system/secrets"
    server.answer("POST", path, {"message": "there is one"}, status=409)
    server.answer("PATCH", f"{path}/b", {})

    assert await cluster.secret("a") is None
    with pytest.raises(ConflictError):
        await cluster.create_secret("a", "Opaque", {"x": "eQ=="})
    await cluster.replace_secret("b", {"x": "eQ=="})

    assert server.sent("POST")[0]["data"] == {"x": "eQ=="}
    assert server.sent("PATCH") == [{"data": {"x": "eQ=="}}]


async def test_whether_the_resource_is_served(server: FakeServer, cluster: Cluster) -> None:
    """An operator may start before its CRD is there."""
    path = "/apis/kubestrace.io/v1alpha1"
    server.answer("GET", path, {"message": "not found"}, status=404)
    server.answer("GET", path, {"resources": []})
    server.answer("GET", path, {"resources": [{"name": "tracesessions"}]})

    for _ in range(2):
        with pytest.raises(NotFoundError):
            await cluster.check_served()
    await cluster.check_served()


async def test_events_about_sessions(server: FakeServer, cluster: Cluster) -> None:
    """Posted in their order, again when the API server fails, and cut where it takes no more; others wait for none."""
    path = "/api/v1/namespaces/shop/events"
    server.answer("POST", path, {"message": "overloaded"}, status=500)
    server.answer("POST", path, {})
    api_server = ApiServer(Configuration(host=server.url))
    events = Events(api_server)
    running = asyncio.create_task(events.run())

    events.post(ROW, "Normal", "Tracing", "begun")
    events.post(ROW, "Warning", "AgentLost", "x" * 2000)
    await asyncio.sleep(0.5)
    running.cancel()
    await api_server.close()

    first, again, last = server.sent("POST")
    assert first == again
    assert (first["type"], first["reason"], first["message"]) == ("Normal", "Tracing", "begun")
    assert first["involvedObject"]["uid"] == "u1"
    assert last["reason"] == "AgentLost"
    assert len(last["message"]) == 1024


async def test_an_event_that_is_there_is_not_posted_again(server: FakeServer, cluster: Cluster) -> None:
    """Of events with one key a session has one: another operator gives it the same name."""
    path = "/api/v1/namespaces/shop/events"
    for status in (200, 409, 200):
        server.answer("POST", path, {"message": "exists"}, status=status)
    api_server = ApiServer(Configuration(host=server.url))
    events = Events(api_server)
    running = asyncio.create_task(events.run())

    for key in ("finding fd-leak 0", "finding fd-leak 0", "finding fd-leak 1"):
        events.post(ROW, "Warning", "CriticalFinding", "fd-leak", key)
    await asyncio.sleep(0.5)
    running.cancel()
    await api_server.close()

    first, again, other = (each["metadata"]["name"] for each in server.sent("POST"))
    assert first == again != other
    assert first.startswith("s1.")


async def test_events_in_a_namespace_that_is_being_deleted(server: FakeServer, cluster: Cluster) -> None:
    """None can be made there, so each is tried once; those of other namespaces do not wait for it."""
    path = "/api/v1/namespaces/shop/events"
    causes = [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]
    server.answer("POST", path, {"message": "forbidden", "details": {"causes": causes}}, status=403)
    api_server = ApiServer(Configuration(host=server.url))
    events = Events(api_server)
    running = asyncio.create_task(events.run())

    events.post(ROW, "Normal", "Tracing", "begun")
    events.post(ROW, "Normal", "Deleted", "Deleted.")
    await asyncio.sleep(0.5)
    running.cancel()
    await api_server.close()

    assert [each["reason"] for each in server.sent("POST")] == ["Tracing", "Deleted"]


async def test_events_that_find_no_room(caplog: pytest.LogCaptureFixture) -> None:
    """An API server that is away for long costs no memory without end; what is dropped is in the log."""
    events = Events(ApiServer(Configuration(host="http://127.0.0.1:9")))

    for _ in range(2000):
        events.post(ROW, "Normal", "Tracing", "begun")

    assert "shop/s1: no room for the event Tracing" in caplog.text
