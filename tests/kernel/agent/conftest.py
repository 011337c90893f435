"""Real agents and real cgroups, ended and removed after each test."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from agent_process import Agent, Tree
from authority import Authority


@pytest.fixture
def authority() -> Authority:
    """Give the authority of the operator and the agents."""
    return Authority()


@pytest.fixture
def start_agent(tmp_path: Path, authority: Authority) -> Iterator[Callable[..., Agent]]:
    """Start agents that share one folder of certificates, as restarts of one agent do."""
    agents: list[Agent] = []

    def start(*, within: Sequence[str] = (), **environment: str) -> Agent:
        agents.append(Agent(tmp_path, authority, within=within, **environment))
        return agents[-1].ready()

    yield start
    for agent in agents:
        agent.end(9)


@pytest.fixture
def agent(start_agent: Callable[..., Agent]) -> Agent:
    """Give a running agent."""
    return start_agent()


@pytest.fixture
def tree() -> Iterator[Tree]:
    """Give a part of the cgroup tree."""
    made = Tree()
    yield made
    made.remove()
