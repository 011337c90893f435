"""What the tests of local mode share: the known program, running commands, cgroups of their own."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubestrace_agent.containers import cgroups

sys.path.insert(0, str(Path(__file__).parent))

from local_runs import SOURCE, Group, Known, Running


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """Compile the program whose calls are known."""
    path = tmp_path_factory.mktemp("known") / "known"
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector"]
    subprocess.run(["gcc", *flags, "-o", str(path), str(SOURCE)], check=True, timeout=200)
    return Known(str(path))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start the command in the background; whatever still runs at the test's end is ended."""
    all_of_them: list[Running] = []

    def begin(*words: str) -> Running:
        running = Running(tmp_path / f"result-{len(all_of_them)}.json", *words)
        all_of_them.append(running)
        return running

    yield begin
    for running in all_of_them:
        if running.process.poll() is None:
            running.process.kill()
            running.process.communicate(timeout=200)


@pytest.fixture
def group() -> Iterator[Callable[[str], Group]]:
    """Make cgroups below the root, and remove them."""
    root = cgroups.detect(Path("/sys/fs/cgroup")).root
    made: list[Group] = []

    def make(name: str) -> Group:
        made.append(Group(root / name))
        return made[-1]

    yield make
    for each in made:
        each.remove()


@pytest.fixture
def name() -> str:
    """Give a name that nobody else uses."""
    return f"kubestrace-test-{os.getpid()}-{secrets.token_hex(4)}"


@pytest.fixture
def container_id() -> str:
    """Give a container id that nobody else uses."""
    return secrets.token_hex(32)
