"""The layout that packaging and imports rest on."""

import tomllib
from pathlib import Path

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
