"""The CRD and docs/reference.md are put together from the parts in charts/kubestrace/schema."""

import ast
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from rendering import CHART, ROOT, Chart

from kubestrace_agent.syscalls import tables
from kubestrace_operator.schedules import decision
from kubestrace_operator.views.registry import VIEWS

SCRIPT = ROOT / "tools" / "crd.py"
REFERENCE = ROOT / "docs" / "reference.md"
REASONS = ROOT / "docs" / "reasons.md"
# The modules that give the reasons of conditions, failures and gaps.
WITH_REASONS = (
    *(f"operator/kubestrace_operator/sessions/{name}.py" for name in ("node", "node_state", "outcomes", "session")),
    *(f"operator/kubestrace_operator/{name}.py" for name in ("sessions/baselines", "comparison/baseline")),
    "operator/kubestrace_operator/comparison/comparing.py",
    "cli/kubestrace_cli/session_file/baselines.py",
    *(f"operator/kubestrace_operator/sessions/{name}.py" for name in ("pod_watcher", "session_state", "targets")),
    *(f"operator/kubestrace_operator/status/{name}.py" for name in ("builder", "progress")),
    *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("operator/kubestrace_operator/views/*.py"))),
    *(f"node_agent/kubestrace_agent/containers/{name}.py" for name in ("cgroups", "resolver")),
    *(f"node_agent/kubestrace_agent/traces/{name}.py" for name in ("attach", "registry", "reports", "session")),
    "node_agent/kubestrace_agent/service/limits.py",
    "cli/kubestrace_cli/local/moves.py",
    "node_agent/kubestrace_agent/views/view.py",
    *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("node_agent/kubestrace_agent/views/*/[!v]*.py"))),
    *(f"node_agent/kubestrace_agent/kernel/loader/{name}.py" for name in ("probe", "programs")),
)
EVENTS = {"AgentLost", "CriticalFinding"}
# What no status shows: the operator takes an agent that shuts down as unavailable and drops a trace that is unknown;
# an agent without a tracer has a better reason; events have their own; the operator sends no request that is invalid.
UNSEEN = {"AgentShutdown", "TraceNotFound", "CannotTrace", "InvalidView", "RequestTooLarge", *EVENTS} | {
    f"Invalid{part}" for part in ("Session", "Duration", "Lease", "Interval")
}
# Reasons of one word, which do not look like reasons in the code.
SHORT = {
    "Requested",
    "Deleted",
    "Pending",
    "Tracing",
    "Suspended",
    "Completed",
    "Cancelled",
    "Complete",
    "Failed",
    "Compared",
}
# Kinds of objects, in modules that give reasons.
NO_REASONS = {"ReplicaSet", "TraceSession"}


def test_the_definition_and_the_reference_are_up_to_date() -> None:
    """Whoever changes a part writes both again: python tools/crd.py."""
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stderr


def test_a_package_of_the_chart_has_the_definition_and_not_its_parts(tmp_path: Path) -> None:
    """What is installed is the template."""
    subprocess.run(["helm", "package", CHART, "--destination", tmp_path], capture_output=True, check=True, timeout=60)
    (package,) = tmp_path.iterdir()

    with tarfile.open(package) as archive:
        names = archive.getnames()

    assert "kubestrace/templates/crd.yaml" in names
    assert [name for name in names if "schema/" in name] == []


def test_each_view_has_its_part_of_the_schema_and_its_page() -> None:
    """As the registry has them: no part is left over, and none is missing."""
    modules = sorted(type(view).__module__.rpartition(".")[2] for view in VIEWS)

    assert sorted(path.stem for path in (CHART / "schema" / "views").iterdir()) == modules
    assert sorted(path.stem for path in (ROOT / "docs" / "views").iterdir()) == modules


@pytest.mark.parametrize("part", ["spec", "status"])
@pytest.mark.parametrize(("plural", "prefix"), [("tracesessions", ""), ("traceschedules", "TraceSchedule: ")])
def test_the_reference_names_every_field_of_the_rendered_definition(
    chart: Chart, plural: str, prefix: str, part: str
) -> None:
    """The page is made from the template's text; what Helm renders of it has no other field."""
    (version,) = chart.one("CustomResourceDefinition", f"{plural}.kubestrace.io")["spec"]["versions"]
    page = REFERENCE.read_text()

    missing = [
        f"{path}.{name}"
        for path, names in _objects(part, version["schema"]["openAPIV3Schema"]["properties"][part])
        for name in names
        # A template's fields are those of a session.
        if not path.startswith("spec.sessionTemplate.spec") and f"| `{name}` |" not in _section(page, prefix + path)
    ]

    assert missing == []


def test_the_definition_lists_the_classes_that_the_agents_know(chart: Chart) -> None:
    """A person finds in `kubectl explain` every word that a session may use."""
    (version,) = chart.one("CustomResourceDefinition", "tracesessions.kubestrace.io")["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]

    listed = set(re.findall(r"%%?\w+", spec["syscalls"]["description"]))

    assert listed == {f"%{name}" for name in tables.CLASSES} | {"%net"}


def test_the_definition_lists_the_reasons_that_the_code_gives(chart: Chart) -> None:
    """Whoever meets a reason in a status finds it with `kubectl explain`."""
    (version,) = chart.one("CustomResourceDefinition", "tracesessions.kubestrace.io")["spec"]["versions"]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    places = (status["conditions"], status["failures"], status["trust"]["properties"]["gaps"])
    objects = [*(place["items"] for place in places), status["comparison"]]
    described = " ".join(each["properties"]["reason"]["description"] for each in objects)

    given = {word for path in WITH_REASONS for word in _reasons(ROOT / path)} - NO_REASONS

    assert given, "no reason was found in the code"
    assert sorted(given - UNSEEN - set(re.findall(r"\w+", described))) == []


def test_a_schedule_counts_and_names_every_reason(chart: Chart) -> None:
    """Those that the code gives stand in the definition: why it is not ready, and why something was skipped."""
    (version,) = chart.one("CustomResourceDefinition", "traceschedules.kubestrace.io")["spec"]["versions"]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    conditions = status["conditions"]["items"]["properties"]["reason"]["description"]

    given = _reasons(ROOT / "operator/kubestrace_operator/schedules/schedule.py") - {"SessionCreated"}

    assert given == set(re.findall(r"\b[A-Z][a-z]+[A-Z]\w+", conditions))
    assert {name[0].upper() + name[1:] for name in status["skipped"]["properties"]} == set(decision.REASONS)
    assert set(decision.REASONS) <= set(re.findall(r"\w+", status["lastSkip"]["properties"]["reason"]["description"]))


def test_the_table_of_reasons_has_those_that_the_code_gives() -> None:
    """Each one once, with where it appears, what it means and what to do; and none that no code gives."""
    rows = re.findall(r"^\| `(\w+)` \| ([\w, ]+) \| [^|]+ \| [^|]*\|$", REASONS.read_text(), re.MULTILINE)
    names = [name for name, _ in rows]
    given = {word for path in WITH_REASONS for word in _reasons(ROOT / path)} - UNSEEN - NO_REASONS

    assert sorted(names) == sorted(set(names))
    assert sorted((given | SHORT | EVENTS) - set(names)) == []
    assert sorted(set(names) - given - SHORT - EVENTS) == []
    known = {"condition", "failure", "gap", "event", "comparison"}
    assert {place for _, places in rows for place in places.split(", ")} <= known


def _reasons(path: Path) -> set[str]:
    """Return the CamelCase words among the strings of a module."""
    constants = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
    return {text for text in constants if isinstance(text, str) and re.fullmatch(r"[A-Z][a-z]+[A-Z][A-Za-z]+", text)}


def _objects(path: str, node: dict) -> list[tuple[str, list[str]]]:
    found = [(path, list(node["properties"]))]
    for name, child in node["properties"].items():
        inner, suffix = (child["items"], "[]") if "items" in child else (child, "")
        if "properties" in inner:
            found += _objects(f"{path}.{name}{suffix}", inner)
    return found


def _section(page: str, path: str) -> str:
    return page.split(f"\n## {path}\n", 1)[1].split("\n## ", 1)[0]
