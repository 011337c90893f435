"""What can be applied in examples/ is taken as they are."""

import re
import subprocess
from pathlib import Path

import pytest
from apiserver import Cluster
from rendering import CHART, NAMESPACE, ROOT

KIND = CHART / "ci" / "kind-values.yaml"
EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))


def test_there_is_an_example_of_each_kind_of_target() -> None:
    """By name, by selector, by workload."""
    assert {"session-by-name", "session-by-selector", "session-by-workload"} <= {each.stem for each in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_api_server_takes_the_example(dry_cluster: Cluster, example: Path) -> None:
    """A person who applies an example meets no complaint and no warning."""
    done = dry_cluster.run("apply", "--dry-run=server", "--validate=strict", "-f", str(example))

    assert (done.returncode, done.stderr) == (0, "")


def test_the_session_in_the_notes_can_be_pasted(cluster: Cluster) -> None:
    """What Helm prints after the installation is a command that works, with a Deployment's name put in."""
    command = ["helm", "install", "kubestrace", CHART, "--namespace", NAMESPACE, "--dry-run=client", "--values", KIND]
    notes = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split("NOTES:")[1]
    (pasted,) = re.findall(r"^kubectl apply .*?^SESSION$", notes, re.DOTALL | re.MULTILINE)
    pasted = pasted.replace("kubectl apply", f"kubectl apply --namespace {cluster.namespace} --validate=strict")

    done = subprocess.run(["bash", "-ec", pasted], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    assert "first-look created" in done.stdout
