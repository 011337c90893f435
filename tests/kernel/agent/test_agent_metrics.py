"""What a real agent tells Prometheus, beside what it does and what alerts and dashboard ask for."""

import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from agent_process import Agent, Stub, Tree, request
from monitored import asked, of_agents, served

from kubestrace_protos.v1 import agent_pb2

Start = Callable[..., Agent]
STATS = Path("/proc/sys/kernel/bpf_stats_enabled")


def scrape(agent: Agent) -> tuple[str, dict[str, float]]:
    """Return what it serves: the text, and the numbers by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{agent.port('metrics')}/metrics", timeout=10) as response:
        text = response.read().decode()
    samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return text, {name: float(value) for name, _, value in samples}


@pytest.fixture
def stats() -> Iterator[None]:
    """Look whether the kernel's statistics are as they were."""
    before = STATS.read_text()
    yield
    assert STATS.read_text() == before


@pytest.mark.usefixtures("stats")
async def test_an_agent_shows_what_it_does(start_agent: Start, tree: Tree) -> None:
    """While it traces, after it, and what it refused; nobody's statistics are switched on."""
    container = tree.container(calls=10)
    agent = start_agent(KUBESTRACE_METRICS_LISTEN="127.0.0.1:0", KUBESTRACE_MAX_TRACES="1")
    _, idle = scrape(agent)

    async with agent.connect() as connection:
        stub = Stub(connection)
        await stub.StartTrace(request(container))
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.StartTrace(request(container, session="session-2"))
        container.work()
        text, during = scrape(agent)
        attached = agent.attached_programs()
        await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="session-1"))
    _, after = scrape(agent)

    assert (idle["kubestrace_agent_traces"], idle["kubestrace_agent_bpf_programs_attached"]) == (0, 0)
    assert (during["kubestrace_agent_traces"], during["kubestrace_agent_containers"]) == (1, 1)
    assert during["kubestrace_agent_bpf_programs_attached"] == attached > 0
    assert during["kubestrace_agent_bpf_map_bytes"] > 1 << 20
    assert during['kubestrace_agent_bpf_programs{part="counting"}'] > 2
    assert during['kubestrace_agent_can_trace{reason=""}'] == 1
    assert during['kubestrace_agent_requests_refused_total{reason="TooManyTraces"}'] == 1
    assert after['kubestrace_agent_traces_ended_total{reason="STOPPED"}'] == 1
    assert after['kubestrace_agent_reports_total{kind="final"}'] == 1
    assert (after["kubestrace_agent_traces"], after["kubestrace_agent_bpf_programs_attached"]) == (0, 0)
    assert not re.search(r"session-\d|" + container.id, text)


def test_an_agent_serves_what_alerts_and_dashboard_ask_for(start_agent: Start) -> None:
    """But for run times, which need the node's statistics."""
    agent = start_agent(KUBESTRACE_METRICS_LISTEN="127.0.0.1:0")
    text, _ = scrape(agent)

    wanted = {name for name in asked() if of_agents(name) and "_bpf_run_seconds" not in name}
    assert wanted <= served(text).keys()
    assert len(wanted) > 10
