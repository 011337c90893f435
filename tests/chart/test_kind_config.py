"""kind-config.yaml, decoded by kind itself; no Docker is needed, since kind decodes before it looks for it."""

import subprocess
from pathlib import Path

import pytest
import yaml

KIND_CONFIG = Path(__file__).parents[2] / "kind-config.yaml"


@pytest.fixture
def kind_says(tmp_path: Path):
    """Return a function that gives a configuration to kind and returns its complaint."""
    kind = subprocess.run(["which", "kind"], capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    def say(config: str) -> str:
        # An empty PATH: where Docker works this would make a cluster.
        done = subprocess.run(
            [kind, "create", "cluster", "--config", "-"],
            input=config,
            env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stderr

    return say


def test_kind_decodes_the_file(kind_says) -> None:
    """The file passes kind's strict decoding: the first thing that fails is the search for Docker."""
    said = kind_says(KIND_CONFIG.read_text())

    assert '"docker": executable file not found' in said
    assert "unable to decode" not in said


def test_kind_refuses_a_misspelt_field(kind_says) -> None:
    """A field that kind does not know is refused before Docker is looked for, so the test above means something."""
    said = kind_says(KIND_CONFIG.read_text().replace("role: worker", "rol: worker"))

    assert "unable to decode config" in said
    assert "field rol not found" in said


def test_three_nodes() -> None:
    """One control plane and two workers, as the quick start says."""
    nodes = yaml.safe_load(KIND_CONFIG.read_text())["nodes"]

    assert [node["role"] for node in nodes] == ["control-plane", "worker", "worker"]
