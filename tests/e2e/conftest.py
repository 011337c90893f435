"""One cluster and one install for a run, one namespace for a test."""

import fcntl
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from install import SYSTEM, check_cluster, installed
from kubectl import Namespace, fresh_namespace, until


def pytest_configure() -> None:
    """Refuse to run against a cluster that nobody meant."""
    check_cluster("tests/e2e", "change")


@pytest.fixture(scope="session", autouse=True)
def system() -> Namespace:
    """The chart, installed by Helm the way the README says, with every agent ready."""
    run_id = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run_id is None:
        return installed()
    # Several workers: the first installs, the others wait for it.
    with (Path(tempfile.gettempdir()) / f"kubestrace-e2e-{run_id}").open("a+") as done:
        fcntl.flock(done, fcntl.LOCK_EX)
        if done.seek(0, os.SEEK_END) == 0:
            installed()
            done.write("installed")
    return SYSTEM


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A namespace of the test's own, gone afterwards."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:50].strip("-")
    with fresh_namespace(name) as made:
        yield made


@pytest.fixture(autouse=True)
def _everything_ready(system: Namespace) -> None:
    """Start each test from a whole system: an earlier one may have killed a part of it."""
    until(lambda: _ready(system), "operator and agents are ready", timeout_seconds=120)


def _ready(system: Namespace) -> bool:
    pods = json.loads(system.kubectl("get", "pods", "-o", "json"))["items"]
    return len(pods) >= 3 and all(
        any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", [])) for pod in pods
    )
