"""The layout that packaging and imports rest on."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]


def test_folders_that_hold_packages_are_no_packages() -> None:
    """An operator/__init__.py would shadow the standard library's operator module."""
    holders = [ROOT / name for name in ("operator", "node_agent", "cli", "protos", "tests")]

    assert [holder for holder in holders if (holder / "__init__.py").exists()] == []


def test_every_package_is_in_the_wheel() -> None:
    """A package that pyproject.toml forgets would be missing from the images."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())

    packages = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert sorted(packages) == sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("[a-z]*/kubestrace_*"))


def test_the_versions_agree() -> None:
    """The distribution and the chart carry one version."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    chart = yaml.safe_load((ROOT / "charts/kubestrace/Chart.yaml").read_text())

    assert (chart["version"], chart["appVersion"]) == (version, version)


# Files that may name views that are not theirs: the registries, and what tools/crd.py makes.
LISTS = {
    # Names of the kernel's constants, some of which are clocks.
    "node_agent/kubestrace_agent/syscalls/constants.py",
    "node_agent/kubestrace_agent/views/registry.py",
    "operator/kubestrace_operator/views/registry.py",
    "charts/kubestrace/templates/crd.yaml",
    "charts/kubestrace/templates/crd-schedules.yaml",
    # A description: calls have more columns while another view is on, too.
    "charts/kubestrace/schema/views/slow_calls.yaml",
}
SOURCES = (
    "node_agent",
    "operator",
    "cli",
    "protos",
    "charts/kubestrace/templates",
    "charts/kubestrace/schema",
    "tools",
    "scripts",
)
# Words of the language and of the kernel: tests of the operator's and the agent's views look for these where they mean
# the view.
# Rules of findings say which view they need.
RULES = "findings"
PLAIN = {
    "errors",
    "files",
    "callers",
    "processes",
    "io_uring",
    "locks",
    "network",
    "resources",
    "counters",
    "memory",
    "security",
}
VIEWS = sorted(path.stem for path in (ROOT / "charts/kubestrace/schema/views").glob("*.yaml"))


def of_the_view(path: Path, view: str) -> bool:
    """Return whether a file is a part of the view: by its name, or by its folder's."""
    return path.stem.startswith(view) or any(folder.name == view for folder in path.relative_to(ROOT).parents)


@pytest.mark.parametrize("view", [view for view in VIEWS if view not in PLAIN])
def test_no_text_of_another_module_has_the_name_of_a_view(view: str) -> None:
    """Neither in code nor in a string or comment, however it is written: slowCalls, slow_calls, SlowCall."""
    name = re.compile(view.rstrip("s").replace("_", "_?"), re.IGNORECASE)
    files = [path for folder in SOURCES for path in sorted((ROOT / folder).rglob("*")) if path.is_file()]

    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        if "__pycache__" not in path.parts
        if str(path.relative_to(ROOT)) not in LISTS and not of_the_view(path, view) and path.parent.name != RULES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if name.search(line)
    ]

    assert len(files) > 200
    assert found == []
