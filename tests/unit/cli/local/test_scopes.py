"""A cgroup of COMMAND's own where none can be made; the real ones are in tests/kernel."""

import os
import subprocess
from pathlib import Path

import pytest

from kubestrace_cli.local import scopes


def test_a_cgroup_that_cannot_be_made_is_refused_with_the_place_and_a_way_out(tmp_path: Path) -> None:
    """The message says where, why, and that --pid does without."""
    with pytest.raises(scopes.ScopeError, match=f"in {tmp_path}/user.slice: No such file.*--pid"):
        scopes.Scope(tmp_path, "/user.slice", "x")


def test_a_cgroup_is_made_below_the_callers_own(tmp_path: Path) -> None:
    """The path is the tree's root, the caller's own cgroup, and the name."""
    (tmp_path / "user.slice").mkdir()

    assert scopes.Scope(tmp_path, "/user.slice", "x").path == tmp_path / "user.slice" / "x"
    assert (tmp_path / "user.slice" / "x").is_dir()


def test_a_caller_outside_its_cgroup_namespace_uses_the_root(tmp_path: Path) -> None:
    """A path that climbs out of the tree is not followed."""
    assert scopes.Scope(tmp_path, "/../../other", "x").path == tmp_path / "x"


def test_an_empty_cgroup_is_removed_with_what_nests_in_it(tmp_path: Path) -> None:
    """Cgroups that COMMAND made and left behind go as well, and nobody was moved."""
    scope = scopes.Scope(tmp_path, "/", "x")
    (scope.path / "a" / "b").mkdir(parents=True)

    assert scope.remove() == 0
    assert not scope.path.exists()


@pytest.fixture
def ended() -> int:
    """Give a pid that nobody has."""
    process = subprocess.Popen(["true"])
    process.wait(timeout=30)
    return process.pid


def leftover(folder: Path, pid: int, populated: int) -> Path:
    """Make the cgroup of a run."""
    path = folder / f"kubestrace-{pid}-0a1b2c"
    path.mkdir()
    (path / "cgroup.events").write_text(f"populated {populated}\nfrozen 0\n")
    return path


def test_what_a_killed_run_left_in_use_and_what_a_living_one_has_stay(tmp_path: Path, ended: int) -> None:
    """A COMMAND that runs on after its tracer was killed is left alone, and so is another run's cgroup."""
    kept = [leftover(tmp_path, ended, 1), leftover(tmp_path, os.getpid(), 0), tmp_path / "kubestrace-node-1"]
    kept[-1].mkdir()

    scopes.Scope(tmp_path, "/", "kubestrace-7-ffffff")

    assert all(path.is_dir() for path in kept)
