"""Speaking to the API server: requests, watches and errors, against a small server of our own."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from kubestrace_operator.api.spec import Selector, Workload
from kubestrace_operator.kube import api_client as cluster_module
from kubestrace_operator.kube.api_client import Cluster
from kubestrace_operator.kube.errors import ClusterError, ConflictError, NotFoundError, RejectedError

PODS = "/api/v1/namespaces/shop/pods"
SESSION = "/apis/kubestrace.io/v1alpha1/namespaces/shop/tracesessions/s1"

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
        self.events: asyncio.Queue[Document | None] = asyncio.Queue()
        self.url = ""

    def answer(self, method: str, path: str, *answers: Document, status: int = 200) -> None:
        """Let a request be answered; the last answer is given for ever."""
        self.answers.setdefault((method, path), []).extend((status, each) for each in answers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        body = await request.text()
        kind = request.headers["Content-Type"]
        self.requests.append((request.method, request.path, dict(request.query), kind, body))
        if request.query.get("watch"):
            return await self._watch(request)
        queue = self.answers.get((request.method, request.path), [(404, {"message": "not found"})])
        status, document = queue.pop(0) if len(queue) > 1 else queue[0]
        return web.json_response(document, status=status)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while (event := await self.events.get()) is not None:
            await response.write(json.dumps(event).encode() + b"\n")
        return response

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
    monkeypatch.setattr(cluster_module, "_BACKOFF_SECONDS", (0.01,))
    made = Cluster(Configuration(host=server.url), "system")
    yield made
    await made.close()


def listed(*pods: Document, version: str = "1") -> Document:
    """Return a list of pods."""
    return {"metadata": {"resourceVersion": version}, "items": list(pods)}


def names(pods: list[Document]) -> list[str]:
    """Return names and phases."""
    return [f"{each['metadata']['name']}:{each['status']['phase']}" for each in pods]


async def test_pods_are_listed_and_then_watched(server: FakeServer, cluster: Cluster) -> None:
    """Every change gives the whole picture; what is not read is not kept."""
    server.answer("GET", PODS, listed(pod("a")))
    pods = cluster.pods("shop", labels="app=shop")

    first = await anext(pods)
    server.events.put_nowait({"type": "ADDED", "object": pod("b")})
    second = await anext(pods)
    server.events.put_nowait({"type": "MODIFIED", "object": pod("b", "Failed")})
    third = await anext(pods)
    server.events.put_nowait({"type": "DELETED", "object": pod("a")})
    fourth = await anext(pods)

    assert [names(first), names(second), names(third), names(fourth)] == [
        ["a:Running"],
        ["a:Running", "b:Running"],
        ["a:Running", "b:Failed"],
        ["b:Failed"],
    ]
    assert "managedFields" not in first[0]["metadata"]
    assert server.requests[0][2] == {"labelSelector": "app=shop"}
    assert server.requests[1][2]["resourceVersion"] == "1"
    assert server.requests[1][2]["allowWatchBookmarks"] == "true"


async def test_one_pod_is_asked_for_by_name(server: FakeServer, cluster: Cluster) -> None:
    """The server sends no other pods."""
    server.answer("GET", PODS, listed())

    await anext(cluster.pods("shop", name="a"))

    assert server.requests[0][2] == {"fieldSelector": "metadata.name=a"}


async def test_changes_that_are_not_read_are_no_changes(server: FakeServer, cluster: Cluster) -> None:
    """A pod whose unread parts change wakes no session; bookmarks only move the version."""
    server.answer("GET", PODS, listed(pod("a")))
    pods = cluster.pods("shop")
    await anext(pods)
    server.events.put_nowait({"type": "MODIFIED", "object": pod("a", version="7")})
    server.events.put_nowait({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}})
    server.events.put_nowait(None)
    server.events.put_nowait({"type": "ADDED", "object": pod("b")})

    assert names(await anext(pods)) == ["a:Running", "b:Running"]
    assert server.requests[-1][2]["resourceVersion"] == "9"


async def test_a_version_that_is_too_old_is_listed_again(server: FakeServer, cluster: Cluster) -> None:
    """410 Gone: what happened meanwhile is in the new list."""
    server.answer("GET", PODS, listed(pod("a")), listed(pod("b"), version="5"))
    pods = cluster.pods("shop")
    await anext(pods)

    server.events.put_nowait({"type": "ERROR", "object": {"code": 410, "message": "too old"}})

    assert names(await anext(pods)) == ["b:Running"]


async def test_a_failing_list_is_tried_again(server: FakeServer, cluster: Cluster) -> None:
    """The follower never ends, whatever the API server says; who wants to know is told."""
    server.answer("GET", PODS, {"message": "starting"}, status=503)
    server.answer("GET", PODS, listed(pod("a")))
    told: list[ClusterError] = []

    assert names(await anext(cluster.pods("shop", failing=told.append))) == ["a:Running"]
    assert [str(error) for error in told] == [f"GET {PODS}: starting (503)"]


async def test_a_query_that_is_not_understood(server: FakeServer, cluster: Cluster) -> None:
    """Asking again would not help."""
    server.answer("GET", PODS, {"message": "unable to parse requirement"}, status=400)

    with pytest.raises(RejectedError, match="unable to parse"):
        await anext(cluster.pods("shop", labels="a b"))


async def test_nobody_listens() -> None:
    """An API server that is away is an error that says: try again."""
    cluster = Cluster(Configuration(host="http://127.0.0.1:9"), "system")

    with pytest.raises(ClusterError, match="does not answer"):
        await cluster.patch_status("shop", "s1", {})
    await cluster.close()


async def test_status_is_merge_patched(server: FakeServer, cluster: Cluster) -> None:
    """On the subresource, and without a resource version: there is one writer."""
    server.answer("PATCH", f"{SESSION}/status", {})

    await cluster.patch_status("shop", "s1", {"phase": "Tracing"})

    method, path, _, kind, body = server.requests[0]
    assert (method, path, kind) == ("PATCH", f"{SESSION}/status", "application/merge-patch+json")
    assert json.loads(body) == {"status": {"phase": "Tracing"}}


@pytest.mark.parametrize(
    ("code", "kind"),
    [(404, NotFoundError), (422, RejectedError), (413, RejectedError), (409, ConflictError), (403, ClusterError)],
)
async def test_errors_say_whether_to_try_again(
    server: FakeServer, cluster: Cluster, code: int, kind: type[Exception]
) -> None:
    """By their type, with the server's words."""
    server.answer("PATCH", f"{SESSION}/status", {"message": "because"}, status=code)

    with pytest.raises(kind, match=f"because .{code}"):
        await cluster.patch_status("shop", "s1", {})


async def test_a_finalizer_is_added_beside_others(server: FakeServer, cluster: Cluster) -> None:
    """Others' finalizers stay, and a change in between is noticed."""
    server.answer("PATCH", SESSION, {"message": "conflict"}, status=409)
    server.answer("PATCH", SESSION, {})
    fresh = {"uid": "u", "namespace": "shop", "name": "s1", "resourceVersion": "8", "finalizers": ["theirs"]}
    server.answer("GET", SESSION, {"metadata": fresh})

    await cluster.set_finalizer({**fresh, "resourceVersion": "3", "finalizers": []}, "ours", present=True)

    assert [each["metadata"] for each in server.sent("PATCH")] == [
        {"resourceVersion": "3", "finalizers": ["ours"]},
        {"resourceVersion": "8", "finalizers": ["theirs", "ours"]},
    ]


async def test_a_finalizer_is_not_taken_from_a_namesake(server: FakeServer, cluster: Cluster) -> None:
    """A session that was deleted and made again under its name is another one."""
    server.answer("PATCH", SESSION, {"message": "conflict"}, status=409)
    known = {"uid": "old", "namespace": "shop", "name": "s1", "resourceVersion": "3", "finalizers": ["ours"]}
    server.answer("GET", SESSION, {"metadata": {**known, "uid": "new", "resourceVersion": "9"}})

    with pytest.raises(NotFoundError):
        await cluster.set_finalizer(known, "ours", present=False)

    assert len(server.sent("PATCH")) == 1


async def test_a_workloads_selector(server: FakeServer, cluster: Cluster) -> None:
    """Its own, or nothing where there is no such workload."""
    spec = {"selector": {"matchLabels": {"app": "shop"}}, "replicas": 2}
    server.answer("GET", "/apis/apps/v1/namespaces/shop/deployments/shop", {"spec": spec})

    assert await cluster.workload_selector("shop", Workload("Deployment", "shop")) == Selector((("app", "shop"),))
    assert await cluster.workload_selector("shop", Workload("Job", "none")) is None


async def test_sessions_that_nobody_has_taken_up(server: FakeServer, cluster: Cluster) -> None:
    """Those without a phase, read from the short form of the list; ones that are being deleted do not count."""

    def row(name: str, phase: str | None, **metadata: str) -> Document:
        return {"cells": [name, phase], "object": {"metadata": {"namespace": "shop", "name": name, **metadata}}}

    rows = [row("new", None), row("old", "Succeeded"), row("going", None, deletionTimestamp="2026-01-01T00:00:00Z")]
    table = {"columnDefinitions": [{"name": "Name"}, {"name": "Phase"}], "rows": rows}
    server.answer("GET", "/apis/kubestrace.io/v1alpha1/tracesessions", table)

    assert await cluster.unseen_sessions() == {"shop/new"}


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


async def test_the_resource_is_waited_for(server: FakeServer, cluster: Cluster) -> None:
    """An operator that starts before its CRD is there waits for it."""
    path = "/apis/kubestrace.io/v1alpha1"
    server.answer("GET", path, {"message": "not found"}, status=404)
    server.answer("GET", path, {"resources": []})
    server.answer("GET", path, {"resources": [{"name": "tracesessions"}]})

    await asyncio.wait_for(cluster.wait_until_served(), 2)

    assert len(server.requests) == 3
