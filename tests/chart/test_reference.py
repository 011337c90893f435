"""docs/reference.md is made from the CRD."""

import re
import subprocess
import sys

import pytest
from rendering import ROOT, Chart

from kubestrace_agent.syscalls import tables

SCRIPT = ROOT / "tools" / "crd_reference.py"
REFERENCE = ROOT / "docs" / "reference.md"


def test_the_reference_is_up_to_date() -> None:
    """Whoever changes the CRD makes the page anew: python tools/crd_reference.py."""
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("part", ["spec", "status"])
def test_the_reference_names_every_field_of_the_rendered_definition(chart: Chart, part: str) -> None:
    """The page is made from the template's text; what Helm renders of it has no other field."""
    (version,) = chart.one("CustomResourceDefinition", "kubestrace.io")["spec"]["versions"]
    page = REFERENCE.read_text()

    missing = [
        f"{path}.{name}"
        for path, names in _objects(part, version["schema"]["openAPIV3Schema"]["properties"][part])
        for name in names
        if f"| `{name}` |" not in _section(page, path)
    ]

    assert missing == []


def test_the_definition_lists_the_classes_that_the_agents_know(chart: Chart) -> None:
    """A person finds in `kubectl explain` every word that a session may use."""
    (version,) = chart.one("CustomResourceDefinition", "kubestrace.io")["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]

    listed = set(re.findall(r"%%?\w+", spec["syscalls"]["description"]))

    assert listed == {f"%{name}" for name in tables.CLASSES} | {"%net"}


def _objects(path: str, node: dict) -> list[tuple[str, list[str]]]:
    found = [(path, list(node["properties"]))]
    for name, child in node["properties"].items():
        inner, suffix = (child["items"], "[]") if "items" in child else (child, "")
        if "properties" in inner:
            found += _objects(f"{path}.{name}{suffix}", inner)
    return found


def _section(page: str, path: str) -> str:
    return page.split(f"\n## {path}\n", 1)[1].split("\n## ", 1)[0]
