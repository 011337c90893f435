"""One loaded Tracer, cgroups of our own, and compiled programs that know their own counts."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_runs import PROGRAMS, Cgroup, Runs, cgroup_root, compiled

from kubestrace_agent.kernel.counters.tracer import Tracer
from kubestrace_agent.kernel.loader import programs as loader
from kubestrace_agent.views import loading


@pytest.fixture(scope="session")
def tracer() -> Iterator[Tracer]:
    """Give one Tracer for all tests, as a node has; a kernel that cannot load it fails the tests."""
    loaded = loading.load()
    yield loaded
    assert not loaded.attached
    loaded.close()


@pytest.fixture(scope="session")
def kept_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder in which all programs are kept."""
    path = tmp_path_factory.mktemp("kept")
    path.chmod(0o700)
    loading.load(folder=path).close()
    assert len(list(path.iterdir())) == 1
    return path


@pytest.fixture(scope="session")
def kept_tracer(kept_folder: Path) -> Iterator[Tracer]:
    """Give a Tracer of programs that were kept: nothing is compiled."""

    def ask(*words: object) -> None:
        raise AssertionError(f"compiled: {words}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader, "_ask_probe", ask)
        loaded = loading.load(folder=kept_folder)
    yield loaded
    assert not loaded.attached
    loaded.close()


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Compile a program of the tests once."""
    folder = tmp_path_factory.mktemp("programs")
    done: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in done:
            done[name] = compiled(PROGRAMS / f"{name}.c", folder / name)
        return done[name]

    return get


@pytest.fixture
def cgroup() -> Iterator[Callable[..., Cgroup]]:
    """Make cgroups, emptied and removed afterwards."""
    made: list[Cgroup] = []

    def make(parent: Cgroup | None = None) -> Cgroup:
        made.append(Cgroup(parent.path if parent else cgroup_root()))
        return made[-1]

    yield make
    for each in reversed(made):
        each.remove()


@pytest.fixture
def runs(tracer: Tracer, cgroup: Callable[..., Cgroup], program: Callable[[str], Path]) -> Iterator[Runs]:
    """Run programs while their cgroup is traced; what is left is ended and no longer traced."""
    all_runs = Runs(tracer, cgroup, program)
    yield all_runs
    all_runs.end()
