"""What the calls were about, in a cluster: which file, which peer by its name, whose code; exact over two nodes."""

import contextlib
from collections.abc import Iterator

import pytest
from kubectl import CommandError, Document, Namespace, fresh_namespace, until
from workloads import NODES, pod, python_image

REQUESTS, REFUSED, MISSING = 20, 5, 30
PAGE_BYTES = 1000
VIEWS = {
    "files": {"top": 100},
    "network": {"top": 50, "dns": True},
    "memory": {"stacks": True},
    "security": {},
    "blockIO": {},
    "counters": {},
    "callers": {"perSecond": 1000},
}
SERVE = f"""
import http.server, os
os.chdir("/tmp")
open("page", "wb").write(bytes({PAGE_BYTES}))
http.server.HTTPServer(("", 8080), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
# An exec of its own, whose files and connections are the container's all the same.
ASK = f"""
import os, socket, sys, urllib.request
page = f"http://{{os.environ['SHOP_WEB_SERVICE_HOST']}}/page"
for _ in range(int(sys.argv[2])):
    assert len(urllib.request.urlopen(page, timeout=5).read()) == {PAGE_BYTES}
for _ in range({REFUSED} if sys.argv[1] else 0):
    assert socket.socket().connect_ex((sys.argv[1], 9)) == 111
for _ in range({MISSING} if sys.argv[1] else 0):
    assert not os.path.exists("/etc/shop/settings.yaml")
print("done")
"""


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    """One namespace, one session: the tests look at it from several sides."""
    with fresh_namespace("objects") as made:
        yield made


@pytest.fixture(scope="module")
def status(namespace: Namespace) -> Document:
    """The status of a finished session over a server and a client that knows what it asks."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop-web"},
        "spec": {"selector": {"role": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    image = {"image": python_image(), "imagePullPolicy": "Never"}
    serve = {"name": "web", "command": ["python3", "-c", SERVE], **image}
    web = pod("web", "shop", serve, nodeName=NODES[0])
    web["metadata"]["labels"]["role"] = "web"
    namespace.apply(service, web)
    # The Service's address is in the environment of containers that start after it.
    client = {"name": "client", "command": ["sleep", "600"], **image}
    namespace.apply(pod("client", "shop", client, nodeName=NODES[1]))
    namespace.pods_ready("app=shop")
    until(lambda: _ask(namespace), "the Service answers")
    target = {"selector": {"matchLabels": {"app": "shop"}}}
    session = namespace.session("objects", target, durationSeconds=15, views=VIEWS).tracing()
    address = namespace.get("pod", "web")["status"]["podIP"]
    assert _ask(namespace, address, REQUESTS)
    return session.finished()


def _ask(namespace: Namespace, refusing: str = "", requests: int = 1) -> bool:
    """Have the client ask the Service so often; with an address also what is refused and missing."""
    with contextlib.suppress(CommandError):
        words = ("exec", "client", "--", "python3", "-c", ASK, refusing, str(requests))
        return namespace.kubectl(*words).strip() == "done"
    return False


def _peer(status: Document, role: str, port: int) -> Document:
    peers: list[Document] = status["network"]["peers"]
    (found,) = [each for each in peers if (each["role"], each["port"]) == (role, port)]
    return found


def test_nothing_is_missing(status: Document) -> None:
    """Every view could be had on both nodes, all that was told found room, and rows add up to the summary."""
    assert {"files", "network", "memory", "security", "blockIO", "counters", "callers"} <= {*status["views"]}
    assert status["trust"]["gaps"] == []
    assert status["trust"]["complete"] is True
    assert not any(status["trust"].get("differences", {}).values())


def test_the_client_sees_the_service_by_its_name(status: Document) -> None:
    """Each request is a connection that it closed, with what the server sent."""
    peer = _peer(status, "client", 80)

    assert peer["service"] == "shop-web"
    assert (peer["attempts"], peer["established"], peer.get("failed", [])) == (REQUESTS, REQUESTS, [])
    assert peer["closed"] == REQUESTS
    assert peer["bytesReceived"] > REQUESTS * PAGE_BYTES


def test_the_server_sees_the_client_by_its_name(status: Document) -> None:
    """The same bytes from the other side, and its listener's count."""
    peer = _peer(status, "server", 8080)
    (listener,) = [each for each in status["network"]["listeners"] if each["port"] == 8080]

    assert peer["pod"] == "client"
    assert peer["established"] == REQUESTS == listener["accepted"]
    assert peer["bytesSent"] == _peer(status, "client", 80)["bytesReceived"]
    assert peer["bytesReceived"] == _peer(status, "client", 80)["bytesSent"]


def test_what_nobody_listens_at_is_refused(status: Document) -> None:
    """With the pod's name, and its errno."""
    peer = _peer(status, "client", 9)

    assert peer["pod"] == "web"
    assert (peer["attempts"], peer["established"]) == (REFUSED, 0)
    assert peer["failed"] == [{"errno": "ECONNREFUSED", "count": REFUSED}]


def test_files_are_told_by_their_whole_paths(status: Document) -> None:
    """The page that was served, and the one that is missing, as the containers see them."""
    rows = {row["path"]: row for row in status["files"]["paths"]}

    missing = rows["/etc/shop/settings.yaml"]
    assert missing["stats"] == MISSING
    assert missing["failed"] == [{"errno": "ENOENT", "count": MISSING}]
    page = rows["/tmp/page"]  # noqa: S108 - in the pod
    assert (page["opens"], page["readBytes"]) == (REQUESTS, REQUESTS * PAGE_BYTES)


def test_callers_and_numbers_are_there(status: Document) -> None:
    """Whose code makes the calls, and what the kernel counted beside: of processes that live for milliseconds, too."""
    assert sum(row["samples"] for row in status["callers"]) > 0
    assert status["counters"]["software"]["minorFaults"] > 0
    assert any(row["kind"] for row in status["memory"]["flows"])


def test_the_missing_file_and_the_refusing_peer_are_findings(status: Document) -> None:
    """The page names them."""
    assert "web:9" in status["report"] or "ECONNREFUSED" in status["report"]
    assert "/etc/shop/settings.yaml" in status["report"]
