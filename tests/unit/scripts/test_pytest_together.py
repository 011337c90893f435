"""Tests that failed beside others are run again alone, few of them, and named."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
# Each fails in its first run, `passes_alone` not in its second.
TESTS = """
from pathlib import Path
import pytest
@pytest.mark.parametrize("number", range({flaky}))
def test_passes_alone(number):
    mark = Path(__file__).with_name(f"ran-{{number}}")
    before = mark.exists()
    mark.touch()
    assert before
@pytest.mark.parametrize("number", range({broken}))
def test_broken(number):
    assert False
def test_good():
    Path(__file__).with_name("good").open("a").write("ran ")
"""


def together(folder: Path, flaky: int = 0, broken: int = 0) -> tuple[int, list[str], str]:
    """Run such tests; return the exit code, what passed alone, and what the good one wrote."""
    folder.mkdir()
    (folder / "test_some.py").write_text(TESTS.format(flaky=flaky, broken=broken))
    named = folder / "named"
    done = subprocess.run(
        [ROOT / "scripts" / "pytest_together", folder, "-n", "2", "--dist", "loadfile"],
        env={**os.environ, "KUBESTRACE_PASSED_ALONE": str(named)},
        capture_output=True,
        check=False,
        timeout=200,
    )
    passed = [line.rpartition("::")[2] for line in named.read_text().splitlines()] if named.exists() else []
    return done.returncode, passed, (folder / "good").read_text()


def test_all_pass(tmp_path: Path) -> None:
    """Nothing is run again, and nothing is named."""
    assert together(tmp_path / "tests") == (0, [], "ran ")


def test_who_passes_alone_is_named(tmp_path: Path) -> None:
    """Only who failed is run again."""
    assert together(tmp_path / "tests", flaky=2) == (0, ["test_passes_alone[0]", "test_passes_alone[1]"], "ran ")


def test_who_fails_again_fails_the_run(tmp_path: Path) -> None:
    """Also where another one passes alone."""
    assert together(tmp_path / "tests", flaky=1, broken=1) == (1, [], "ran ")


def test_many_that_fail_fail_the_run_at_once(tmp_path: Path) -> None:
    """Chance does not take so many."""
    assert together(tmp_path / "tests", flaky=4) == (1, [], "ran ")
