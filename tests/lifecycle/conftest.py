"""One cluster for all tests of lifecycle; each test has a namespace of its own."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "chart"))
sys.path.insert(0, str(Path(__file__).parents[1] / "scale"))
sys.path.insert(0, str(Path(__file__).parent))

from lab import Lab, Namespace
from real_apiserver import tools


@pytest.fixture(scope="session", autouse=True)
def _programs() -> Iterator[None]:
    """Charts are rendered by the helm of the test cluster: these tests do not run in its network, which sets PATH."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", str(tools()), prepend=os.pathsep)
        yield


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Return the running cluster."""
    before = os.environ.get("KUBECONFIG")
    with Lab(tmp_path_factory.mktemp("lab")).running() as running:
        yield running
    if before is None:
        os.environ.pop("KUBECONFIG", None)
    else:
        os.environ["KUBECONFIG"] = before


@pytest.fixture
def namespace(lab: Lab) -> Iterator[Namespace]:
    """Return a new namespace with a running pod."""
    made = Namespace()
    made.create()
    yield made
    made.run("delete", "namespace", made.namespace, "--wait=false", "--ignore-not-found")
