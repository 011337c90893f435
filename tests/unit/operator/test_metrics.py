"""What the operator tells Prometheus of itself."""

import asyncio
import re
import socket
from pathlib import Path

import aiohttp
import pytest
from operator_fakes import Stage, in_no_time, pod

from kubestrace_operator import metrics
from kubestrace_operator.agents.endpoints import Directory
from kubestrace_operator.kube.health import metrics_endpoint
from kubestrace_operator.kube.session_rows import SessionRow
from kubestrace_operator.sessions.controller import Sessions
from kubestrace_operator.sessions.latency import Pace


def value(name: str, **labels: str) -> float:
    """Return what a series says now; one that is not there says 0."""
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture
def before() -> dict[str, float]:
    """Return what the series of a whole session said before it."""
    names = ("kubestrace_session_tracing_seconds_count", "kubestrace_session_final_seconds_count")
    return {name: value(name) for name in names} | {
        "finished": value("kubestrace_sessions_finished_total", phase="Succeeded", reason="Completed"),
        "accepted": value("kubestrace_reports_total", result="accepted"),
        "lost": value("kubestrace_reports_lost_total"),
    }


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/namespaces/shop/pods", "pods"),
        ("/api/v1/namespaces/shop", "namespaces"),
        ("/apis/kubestrace.io/v1alpha1", "discovery"),
        ("/apis/kubestrace.io/v1alpha1/tracesessions", "tracesessions"),
        ("/apis/kubestrace.io/v1alpha1/namespaces/shop/tracesessions/s1", "tracesessions"),
        ("/apis/kubestrace.io/v1alpha1/namespaces/shop/tracesessions/s1/status", "tracesessions/status"),
        ("/api/v1/namespaces/shop/secrets/kubestrace-ca", "secrets"),
    ],
)
def test_no_name_of_an_object_is_a_label(path: str, resource: str) -> None:
    """A path is told by its resource: a cluster has any number of names."""
    assert metrics.resource_of(path) == resource


def test_a_session_from_end_to_end(before: dict[str, float]) -> None:
    """How it ended, how long people waited for its start and for its end, and its reports."""

    @in_no_time
    async def run() -> None:
        stage = Stage(pod("a"))
        await stage.run()

    run()

    assert value("kubestrace_sessions_finished_total", phase="Succeeded", reason="Completed") == before["finished"] + 1
    for name in ("kubestrace_session_tracing_seconds_count", "kubestrace_session_final_seconds_count"):
        assert value(name) == before[name] + 1
    assert value("kubestrace_reports_total", result="accepted") > before["accepted"]
    assert value("kubestrace_reports_lost_total") == before["lost"]


def test_a_final_report_that_never_comes(before: dict[str, float]) -> None:
    """The agent went silent amid the session: one report is lost."""

    @in_no_time
    async def run() -> None:
        stage = Stage(pod("a"))
        running = asyncio.create_task(stage.session().run())
        await asyncio.sleep(5)
        stage.agents["n1"].answers = stage.agents["n1"].ready = False
        await running

    run()

    assert value("kubestrace_reports_lost_total") == before["lost"] + 1


def test_reports_that_are_late() -> None:
    """More than two intervals and a second after the one before; the first has none before it."""
    late = value("kubestrace_reports_late_total")

    @in_no_time
    async def run() -> None:
        pace = Pace(2.0)
        for seconds in (100, 2, 4.9, 5.1, 30):
            await asyncio.sleep(seconds)
            pace.heard()

    run()

    assert value("kubestrace_reports_late_total") == late + 2


def test_sessions_and_agents_as_they_stand() -> None:
    """By phase and reason, by version and state, at the moment of asking."""

    @in_no_time
    async def run() -> None:
        stage = Stage(pod("a"))
        sessions = Sessions(stage.dependencies, lambda *_: None)
        directory = Directory(9640)
        labels = {"app.kubernetes.io/version": "0.1.0"}
        status = {"podIP": "10.0.0.1", "ready": True}
        agents = [
            {"metadata": {"labels": labels}, "spec": {"nodeName": "n1"}, "status": status},
            {"metadata": {"labels": labels}, "spec": {"nodeName": "n2"}, "status": {**status, "ready": False}},
            {"metadata": {"deletionTimestamp": "now"}, "spec": {"nodeName": "n3"}, "status": status},
        ]

        class Connections:
            async def keep(self, endpoints: object, leaving: object) -> None:
                pass

        async def snapshots() -> object:
            yield agents

        await directory.follow(snapshots(), Connections())  # type: ignore[arg-type]
        shown = metrics.watch(sessions.standings, directory.states)
        try:
            for uid, spec in (("u1", {}), ("u2", {"suspend": True}), ("u3", {"target": {"podName": "nobody"}})):
                whole = {"target": {"podName": "a"}, "durationSeconds": 10} | spec
                stage.cluster.objects[uid] = {"metadata": {"generation": 1}, "spec": whole, "status": {}}
                sessions.see(SessionRow(uid, "shop", uid, "1"))
            await asyncio.sleep(3)
            text = metrics.text().decode()
        finally:
            metrics.unwatch(shown)
            await sessions.close()

        assert 'kubestrace_sessions{phase="Tracing",reason="Tracing"} 1.0' in text
        assert 'kubestrace_sessions{phase="Suspended",reason="Suspended"} 1.0' in text
        assert 'kubestrace_sessions{phase="Pending",reason="NoMatchingPods"} 1.0' in text
        assert 'kubestrace_agents{state="ready",version="0.1.0"} 1.0' in text
        assert 'kubestrace_agents{state="not_ready",version="0.1.0"} 1.0' in text
        assert 'kubestrace_agents{state="ending",version="unknown"} 1.0' in text

    run()


def test_the_page_names_every_metric() -> None:
    """Each that is served has its row, and no row is of none."""
    served = {family.name for family in metrics.REGISTRY.collect() if family.name.startswith("kubestrace_")}
    served |= {"kubestrace_sessions", "kubestrace_agents"}
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "monitor.md").read_text()

    named = {name.removesuffix("_total") for name in re.findall(r"^\| `(kubestrace_\w+)`", page, re.MULTILINE)}

    # tests/unit/monitoring compares those of agents.
    assert {name for name in named if not name.startswith("kubestrace_agent_")} == served


def test_an_agent_cannot_make_any_number_of_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reasons are its own words; beyond a bound they are counted together."""
    monkeypatch.setattr(metrics, "_reasons", set())
    for number in range(1000):
        metrics.finished("Failed", f"Made{number}Up")

    assert value("kubestrace_sessions_finished_total", phase="Failed", reason="other") == 900


async def test_the_endpoint_serves_what_prometheus_reads() -> None:
    """With this process's CPU time and memory; nothing else is there."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    async with metrics_endpoint("127.0.0.1", port), aiohttp.ClientSession() as client:
        async with client.get(f"{url}/metrics") as response:
            text, kind = await response.text(), response.headers["Content-Type"]
        async with client.get(f"{url}/healthz") as response:
            other = response.status

    assert kind.startswith("text/plain")
    assert "process_cpu_seconds_total" in text
    assert "process_resident_memory_bytes" in text
    assert other == 404
