"""What can be applied in examples/ is taken as they are."""

from pathlib import Path

import pytest
from apiserver import Cluster
from rendering import ROOT

EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))


def test_there_is_an_example_of_each_kind_of_target() -> None:
    """By name, by selector, by workload."""
    assert {"session-by-name", "session-by-selector", "session-by-workload"} <= {each.stem for each in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_api_server_takes_the_example(cluster: Cluster, example: Path) -> None:
    """A person who applies an example meets no complaint and no warning."""
    done = cluster.run("apply", "--dry-run=server", "--validate=strict", "-f", str(example))

    assert (done.returncode, done.stderr) == (0, "")
