"""From the version before to this one amid sessions, in both orders of operator and agents.

The operators are real. The agents are simulated ones on the protocol of their version: what they say and understand is
that version's, what they count is made up. The version before is HEAD~1, or what KUBESTRACE_UPGRADE_FROM names; in a
tree without history it is this one once more: processes are exchanged all the same.
"""

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cluster as scale_cluster
import pytest
from lab import Lab, Namespace, eventually
from real_apiserver import REPLICAS, ROOT
from replicas import Replica
from test_replicas import gaps

# Of the handover between two operators, with the start of a process on a busy machine.
_SECONDS = 90
_SECRET = f"/api/v1/namespaces/{scale_cluster.SYSTEM}/secrets/kubestrace-agent-tls"


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tree of the version before."""
    tree = tmp_path_factory.mktemp("before")
    named = os.environ.get("KUBESTRACE_UPGRADE_FROM")
    if named is None and not _is_known("HEAD~1"):
        return ROOT
    archive = ["git", "-C", str(ROOT), "archive", named or "HEAD~1", "operator", "protos", "tests/scale"]
    packed = subprocess.run(archive, check=True, capture_output=True, timeout=60).stdout
    subprocess.run(["tar", "-x", "-C", tree], input=packed, check=True, timeout=60)
    return tree


def _is_known(version: str) -> bool:
    words = ["git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", f"{version}^{{commit}}"]
    return subprocess.run(words, check=False, capture_output=True, timeout=60).returncode == 0


@pytest.fixture
def no_operator(lab: Lab) -> Iterator[None]:
    """Have the cluster's own operator away meanwhile."""
    lab.scale.stop_operator(signal.SIGTERM)
    yield
    lab.start_operator()


class AgentProcess:
    """The agent of the first node, of one version after the other."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._agent = lab.scale.agents[0]
        self._folder = folder
        self._log = folder / "agent.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, tree: Path) -> None:
        """Start the agent of a tree."""
        address = f"127.0.0.1:{scale_cluster.AGENT_PORT}"
        script = Path(__file__).with_name("agent_process.py")
        command = [sys.executable, str(script), str(tree), self._agent.node, address, str(self._folder)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        assert eventually(lambda: "serving" in self._log.read_text(), _SECONDS), self._log.read_text()

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)


@contextmanager
def agent_process(lab: Lab, folder: Path) -> Iterator[AgentProcess]:
    """Replace the first node's agent by a process."""
    agent = lab.scale.agents[0]
    data = {name: base64.b64decode(each) for name, each in lab.do(lab.scale.send("GET", _SECRET))["data"].items()}
    for name, content in data.items():
        (folder / name).write_bytes(content)
    lab.do(agent.close())
    process = AgentProcess(lab, folder)
    try:
        yield process
    finally:
        process.stop()
        address = f"127.0.0.1:{scale_cluster.AGENT_PORT}"
        lab.do(agent.serve(address, data["tls.crt"], data["tls.key"], data["ca.crt"]))


@pytest.mark.parametrize("forward", [True, False], ids=["to this version", "back to the one before"])
@pytest.mark.usefixtures("no_operator")
def test_the_operator_first(lab: Lab, namespace: Namespace, before: Path, tmp_path: Path, forward: bool) -> None:
    """Agents stay what they are: the next operator takes up the session, and nothing is lost."""
    trees = (before, None) if forward else (None, before)
    old, new = (Replica(lab, name, tmp_path, tree) for name, tree in zip(REPLICAS, trees, strict=True))
    try:
        old.start()
        namespace.session("across")
        started = namespace.reach("across", "Tracing", _SECONDS)["startTime"]
        old.send(signal.SIGTERM)
        code = old.ended()
        begun = time.monotonic()
        new.start()
        took = time.monotonic() - begun
        namespace.session("after", 1)
        namespace.reach("after", "Succeeded", _SECONDS)
        namespace.set("across", cancel=True)
        status = namespace.reach("across", "Cancelled", _SECONDS)
    finally:
        old.stop()
        new.stop()

    print(f"operators exchanged: {took:.1f} s")
    assert code == 0
    assert status["startTime"] == started
    assert gaps(status) == []
    # The same agent; those of some commits count a call more in each report.
    assert 60_000 <= status["summary"]["calls"] < 60_100


@pytest.mark.parametrize("forward", [True, False], ids=["to this version", "back to the one before"])
def test_the_agents_first(lab: Lab, namespace: Namespace, before: Path, tmp_path: Path, forward: bool) -> None:
    """The operator stays what it is: the session goes on with the next agent, and the gap is told."""
    trees = (before, ROOT) if forward else (ROOT, before)
    with agent_process(lab, tmp_path) as agent:
        agent.start(trees[0])
        namespace.session("across")
        namespace.reach("across", "Tracing", _SECONDS)
        time.sleep(2)
        agent.stop()
        agent.start(trees[1])
        assert eventually(lambda: "AgentRestarted" in gaps_of(namespace), _SECONDS), namespace.get("across")["status"]
        namespace.set("across", cancel=True)
        status = namespace.reach("across", "Cancelled", _SECONDS)

    assert gaps(status) == ["AgentRestarted"]
    assert status["trust"]["complete"] is False
    # What the first agent had counted, and what the second has; those of some commits count a call more in each report.
    assert 120_000 <= status["summary"]["calls"] < 120_100


def gaps_of(namespace: Namespace) -> list[str]:
    """Return the gaps of the session across both versions."""
    return gaps(namespace.get("across")["status"])
