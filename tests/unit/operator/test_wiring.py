"""Settings, the agents' directory and the operator's own health."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import kopf
import pytest

from kubestrace_operator import environment
from kubestrace_operator.agents.client import Endpoint
from kubestrace_operator.agents.endpoints import Directory, by_node, endpoints
from kubestrace_operator.environment import EnvironmentProblem
from kubestrace_operator.kube import handlers
from kubestrace_operator.kube.health import Health, endpoint


def agent_pod(name: str, node: str = "n1", **changes: Any) -> dict[str, Any]:
    """Return a ready agent's pod, as pods.trimmed gives it."""
    metadata = {"name": name, "creationTimestamp": changes.pop("created", "2026-01-01T00:00:00Z"), **changes}
    return {"metadata": metadata, "spec": {"nodeName": node}, "status": {"podIP": "10.0.0.1", "ready": True}}


def test_the_pod_that_serves_a_node_tells_its_state() -> None:
    """While an agent is replaced the new one is not ready yet, and the old one traces; then the new one does."""

    def pod(uid: str, created: str, *, ready: bool, **metadata: str) -> dict[str, Any]:
        return {
            "metadata": {"uid": uid, "creationTimestamp": created, **metadata},
            "spec": {"nodeName": "n1"},
            "status": {"podIP": "10.0.0.1", "ready": ready},
        }

    old, new = pod("old", "2026-01-01T00:00:00Z", ready=True), pod("new", "2026-01-02T00:00:00Z", ready=False)
    ending = pod("old", "2026-01-01T00:00:00Z", ready=True, deletionTimestamp="2026-01-02T00:00:00Z")

    assert by_node([new, old])["n1"].state == "ready"
    assert by_node([new, ending])["n1"].state == "not_ready"
    assert by_node([old, pod("new", "2026-01-02T00:00:00Z", ready=True)])["n1"].identity == "new"


def test_ready_agents_by_node() -> None:
    """Only those that are ready, have an address and are not ending; of two on a node the newer."""
    starting, unready = agent_pod("a"), agent_pod("b", "n2")
    starting["status"]["podIP"] = None
    unready["status"]["ready"] = False
    ending = agent_pod("c", "n3", deletionTimestamp="2026-01-01T00:00:00Z")
    old, new = agent_pod("old", "n4"), agent_pod("new", "n4", created="2026-01-02T00:00:00Z")
    new["status"]["podIP"] = "fd00::1"

    assert endpoints([new, starting, unready, ending, old], 9640) == {"n4": Endpoint("n4", "[fd00::1]:9640")}


class Connections:
    """Notes what is kept."""

    def __init__(self) -> None:
        self.kept: list[list[str]] = []
        self.leaving: list[list[str]] = []

    async def keep(self, endpoints: list[Endpoint], leaving: list[Endpoint]) -> None:
        """Note."""
        self.kept.append([endpoint.node for endpoint in endpoints])
        self.leaving.append([endpoint.address for endpoint in leaving])


async def test_sessions_hear_of_agents_that_come_and_go() -> None:
    """Each change is told to connections and to whoever listens; no change is told to nobody."""
    directory, connections, heard = Directory(9640), Connections(), asyncio.Event()
    told: list[bool] = []
    directory.subscribe(heard)

    async def snapshots() -> AsyncIterator[list[Mapping[str, Any]]]:
        for pods in ([agent_pod("a")], [agent_pod("a")], []):
            heard.clear()
            yield pods
            told.append(heard.is_set())

    await directory.follow(snapshots(), connections)
    await directory.wait_until_known(1)

    assert told == [True, False, True]
    assert connections.kept == [["n1"], []]
    assert directory.on("n1") is None


async def test_an_agent_that_is_replaced_is_heard_out() -> None:
    """Its last report has what it counted since the one before: until its pod is gone, but not one that is ill."""
    directory, connections = Directory(9640), Connections()
    old, new = agent_pod("old"), agent_pod("new", created="2026-01-02T00:00:00Z")
    new["status"]["podIP"] = "10.0.0.2"
    ending = agent_pod("old", deletionTimestamp="2026-01-02T00:00:01Z")
    ending["status"]["ready"] = False
    ill = agent_pod("old")
    ill["status"]["ready"] = False

    async def snapshots() -> AsyncIterator[list[Mapping[str, Any]]]:
        for pods in ([old], [old, new], [ending, new], [new], [ill]):
            yield pods

    await directory.follow(snapshots(), connections)

    assert connections.kept == [["n1"], ["n1"], ["n1"], []]
    assert connections.leaving == [[], ["10.0.0.1:9640"], [], []]


def test_a_watch_that_has_stalled_is_found() -> None:
    """A watch hears something each minute, or fails and begins anew: one that does neither needs a restart."""
    clock = [0.0]
    health = Health(lambda: clock[0])
    health.waiting(None)
    health.heard("TraceSessions")
    clock[0] = 100.0
    first = health.problem()
    clock[0] = 200.0
    second = health.problem()
    not_ready = health.not_ready()
    health.heard("TraceSessions")

    assert first is None
    assert second == not_ready == "the watch of TraceSessions has stalled: it has heard nothing for 200 s"
    assert health.problem() is None


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def get(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    """Ask a probe's endpoint."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}{path}") as response:
        return response.status, await response.text()


async def test_probes_are_answered_from_the_start() -> None:
    """An operator that waits is alive, and says what it waits for before it is ready."""
    health, port = Health(), free_port()
    async with endpoint(health, None, port):
        starting = await get(port, "/readyz")
        health.waiting("certificates: there is no Secret")
        waiting = await get(port, "/readyz")
        alive = await get(port, "/healthz")
        health.waiting(None)
        ready = await get(port, "/readyz")
        by_ipv6 = await get(port, "/readyz", "[::1]") if socket.has_dualstack_ipv6() else ready

    assert starting == (503, "waiting for the start")
    assert waiting == (503, "waiting for certificates: there is no Secret")
    assert alive == ready == by_ipv6 == (200, "ok")


async def test_every_setting_of_kopf_exists() -> None:
    """Kopf's settings take any name without a word: one that this version does not have would do nothing."""
    settings = kopf.OperatorSettings()
    known = {group: set(vars(getattr(settings, group))) for group in vars(settings)}

    await handlers.configure(settings)

    assert {group: set(vars(getattr(settings, group))) for group in vars(settings)} == known


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":8080", (None, 8080)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),  # noqa: S104 -- nothing listens
        ("[::]:8080", ("::", 8080)),
        ("[fd00::1]:8080", ("fd00::1", 8080)),
    ],
)
def test_where_probes_are_answered(text: str, address: tuple[str | None, int]) -> None:
    """IPv6 addresses stand in brackets, and no address is every one."""
    settings = environment.read({"KUBESTRACE_NAMESPACE": "system", "KUBESTRACE_LIVENESS": text})

    assert (settings.health_host, settings.health_port) == address


def test_settings_have_defaults() -> None:
    """Only the namespace has to be given."""
    settings = environment.read({"KUBESTRACE_NAMESPACE": "system", "KUBESTRACE_WATCH_NAMESPACES": "a, b"})

    assert settings.namespace == "system"
    assert settings.agent_port == 9640
    assert settings.tls_mode == "self-signed"
    assert settings.watch_namespaces == ("a", "b")


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, "KUBESTRACE_NAMESPACE is not set"),
        ({"KUBESTRACE_NAMESPACE": "s", "KUBESTRACE_AGENT_PORT": "99999"}, "KUBESTRACE_AGENT_PORT is '99999'"),
        ({"KUBESTRACE_NAMESPACE": "s", "KUBESTRACE_LIVENESS": "fd00::1:8080"}, "IPV6 ADDRESS"),
        ({"KUBESTRACE_NAMESPACE": "s", "KUBESTRACE_LIVENESS": "localhost"}, "HOST:PORT"),
        ({"KUBESTRACE_NAMESPACE": "s", "KUBESTRACE_TLS_MODE": "none"}, "one of self-signed, secret"),
        ({"KUBESTRACE_NAMESPACE": "s", "KUBESTRACE_LOG_LEVEL": "loud"}, "KUBESTRACE_LOG_LEVEL is 'LOUD'"),
    ],
)
def test_wrong_settings_are_named(variables: dict[str, str], named: str) -> None:
    """The operator does not start with a setting that it cannot use."""
    with pytest.raises(EnvironmentProblem, match=named):
        environment.read(variables)


def test_why_the_operator_ends_is_in_the_log(tmp_path: Path) -> None:
    """As every line of it, so that programs can read it."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("KUBERNETES_")}
    variables = {**outside, "KUBESTRACE_NAMESPACE": "system", "KUBECONFIG": str(tmp_path / "none")}
    command = [sys.executable, "-m", "kubestrace_operator", "--log-format", "json"]

    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=120)

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 1
    assert lines[-1]["message"].startswith("the operator ends: no cluster to connect to")
