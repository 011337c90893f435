"""The rig of tests/e2e, with the chart that they installed."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "e2e")]

from install import check_cluster, installed, is_installed  # noqa: E402


def pytest_configure() -> None:
    """Refuse to run against a cluster that nobody meant."""
    check_cluster("tests/faults", "break")


@pytest.fixture(scope="session", autouse=True)
def _system() -> None:
    """Install the chart if nothing has; another part of the run may have."""
    if not is_installed():
        installed()
