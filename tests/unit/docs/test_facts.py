"""The documentation: files that it names exist, and its figures are those that were measured."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PACKAGES = [
    ROOT / "operator" / "kubestrace_operator",
    ROOT / "node_agent" / "kubestrace_agent",
    ROOT / "cli" / "kubestrace_cli",
    ROOT / "protos" / "kubestrace_protos",
]
# The pages that tell where things are, for people who change them.
MAPS = [DOCS / "development.md", DOCS / "limits.md", ROOT / "CONTRIBUTING.md"]


def _files(page: Path) -> list[str]:
    """Return what a page names as a file or a folder of the source; not what a reader replaces (NAME)."""
    words = [word for word in re.findall(r"`([\w./-]+)`", page.read_text()) if "NAME" not in word]
    return [word for word in words if re.match(r"\w.*(/|\.(py|proto|yaml|c|h|md))$", word)]


def _exists(name: str) -> bool:
    for package in PACKAGES:
        name = name.replace(f"{package.parent.name}/.../", f"{package.parent.name}/{package.name}/")
    folders = [ROOT, *PACKAGES]
    if any((folder / name).exists() for folder in folders):
        return True
    return "/" not in name and any(next(package.rglob(name), None) for package in PACKAGES)


@pytest.mark.parametrize("page", MAPS, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    """A newcomer finds the file that a page sends them to."""
    named = _files(page)

    assert named
    assert [name for name in named if not _exists(name)] == []


def _measured(workload: str, tracer: str) -> list[str]:
    """Return the cells of a tracer's row in docs/overhead.md, which is made from the measurements."""
    section = (DOCS / "overhead.md").read_text().split(f"**{workload}**:", 1)[1].split("\n**", 1)[0]
    (row,) = re.findall(rf"^\| {re.escape(tracer)} \|(.*)\|$", section, re.MULTILINE)
    return [cell.strip() for cell in row.split("|")]


# As the README calls them, and as the measurements do.
@pytest.mark.parametrize(
    ("name", "tracer"),
    [
        ("**kubestrace**", "kubestrace"),
        ("bcc `syscount -L`", "syscount -L"),
        ("bpftrace, a script", "bpftrace"),
        ("`strace -c`", "strace -c"),
        ("`perf trace -s`", "perf trace -s"),
    ],
)
def test_the_figures_of_the_readme_were_measured(name: str, tracer: str) -> None:
    """The README repeats what the benchmark found: microseconds a call, and the throughput that nginx loses."""
    (row,) = re.findall(rf"^\| {re.escape(name)} \|(.*)\|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    told = [cell.strip() for cell in row.split("|")]

    assert told[0] == f"{_measured('getppid', tracer)[0]} µs"
    assert told[1].replace(" ", "") == _measured("nginx", tracer)[4]


def test_the_readme_says_on_which_machine() -> None:
    """Figures without their machine are worth nothing."""
    machine = (DOCS / "overhead.md").read_text().split("## Machine", 1)[1]
    (cpus, kernel, date) = re.findall(r"(\d+) CPUs \(AMD EPYC.*Linux (\d+\.\d+).*, ([\d-]+)\.", machine)[0]

    readme = " ".join((ROOT / "README.md").read_text().split())

    assert f"{cpus} CPUs (AMD EPYC, Linux {kernel}, {date})" in readme


def test_the_readme_is_one_screen() -> None:
    """What does not fit stands in docs."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 70
