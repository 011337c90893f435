"""A view is one module and one line in the registry: nothing else of operator and CLI names it."""

import ast
import functools
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubestrace_operator.views.registry import VIEWS
from kubestrace_operator.views.view import View

ROOT = Path(__file__).parents[4]
OPERATOR, CLI = ROOT / "operator" / "kubestrace_operator", ROOT / "cli" / "kubestrace_cli"
REGISTRY = OPERATOR / "views" / "registry.py"
SCHEMA = ROOT / "charts" / "kubestrace" / "schema"
# Rules of findings say which view they need, and read its part of the status.
RULES = OPERATOR / "findings"
MODULES = sorted(path for package in (OPERATOR, CLI) for path in package.rglob("*.py") if path.parent != RULES)
# In a pod's status as well.
OF_KUBERNETES = {"resources", "exitCode"}
# What the agent counts with, in local mode's composition.
OF_THE_COUNTING = {"counters", "memory"}
VIEW_IDS = {"argvalues": VIEWS, "ids": lambda view: view.name}


def module_of(view: View[Any, Any, Any]) -> str:
    """Return the name of a view's module: "slow_calls"."""
    return type(view).__module__.rpartition(".")[2]


def own(view: View[Any, Any, Any], path: Path) -> bool:
    """Return whether a module is a part of a view: NAME.py, or NAME_text.py beside it."""
    return path.parent == OPERATOR / "views" and path.stem.startswith(module_of(view))


@functools.cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return the syntax of a module."""
    return tuple(ast.walk(ast.parse(path.read_text())))


def imported(path: Path) -> Iterator[str]:
    """Yield the whole names of what a module imports."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@functools.cache
def words(path: Path) -> set[str]:
    """Return the string literals, whole, and the identifiers of a module."""
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return found


def fields(node: Any) -> Iterator[str]:
    """Yield the names of all properties of a schema, or of a part of one."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "properties" and isinstance(value, dict):
                yield from value
            yield from fields(value)
    elif isinstance(node, list):
        for each in node:
            yield from fields(each)


@functools.cache
def part_of(view: View[Any, Any, Any]) -> Any:
    """Return a view's part of the schema."""
    return yaml.safe_load((SCHEMA / "views" / f"{module_of(view)}.yaml").read_text())


def fields_of(view: View[Any, Any, Any]) -> set[str]:
    """Return the fields of a view, but for those of one word, which may mean anything elsewhere (`time`, `command`)."""
    part = part_of(view)
    return {name for name in (*part["status"], *fields(part)) if not name.islower()}


@functools.cache
def names(view: View[Any, Any, Any]) -> set[str]:
    """Return the names that are a view's own: in the spec, of its messages, fields and reasons.

    A word that the schema without the views has, too (`errors`, the count), or that of another view, is not.
    """
    shared = set(fields(yaml.safe_load((SCHEMA / "base.yaml").read_text()))) | OF_KUBERNETES | OF_THE_COUNTING
    shared.update(*(fields_of(other) for other in VIEWS if other is not view))
    pb2 = importlib.import_module(f"kubestrace_protos.v1.views.{module_of(view)}_pb2")
    messages = set(pb2.DESCRIPTOR.message_types_by_name)
    own_names = {view.name, type(view).__name__, *fields_of(view), *messages, *part_of(view).get("conditions", ())}
    return own_names - shared


@pytest.mark.parametrize("view", **VIEW_IDS)
def test_no_other_module_imports_a_view(view: View[Any, Any, Any]) -> None:
    """Nor its messages: the registry alone does."""
    module, messages = f"kubestrace_operator.views.{module_of(view)}", f"kubestrace_protos.v1.views.{module_of(view)}"

    importing = [
        str(path.relative_to(ROOT))
        for path in MODULES
        if not own(view, path) and any(name.startswith((module, messages)) for name in imported(path))
    ]

    assert importing == [str(REGISTRY.relative_to(ROOT))]


@pytest.mark.parametrize("view", **VIEW_IDS)
def test_no_other_module_names_a_view(view: View[Any, Any, Any]) -> None:
    """Not as a literal, and not a field, message or reason of it."""
    naming = {
        str(path.relative_to(ROOT)): found
        for path in MODULES
        if not own(view, path) and (found := words(path) & names(view))
    }

    assert naming == {str(REGISTRY.relative_to(ROOT)): {type(view).__name__}}


@pytest.mark.parametrize("view", **VIEW_IDS)
def test_a_view_stands_once_in_the_registry(view: View[Any, Any, Any]) -> None:
    """One line beside its import."""
    lines = [line for line in REGISTRY.read_text().splitlines() if type(view).__name__ in line]

    assert lines == [
        f"from {type(view).__module__} import {type(view).__name__}",
        f"    {type(view).__name__}(),",
    ]


@pytest.mark.parametrize("view", **VIEW_IDS)
def test_what_a_view_parses_is_what_it_writes(view: View[Any, Any, Any]) -> None:
    """Its fields are those of its schema, and a request of it can be sent."""
    part = part_of(view)

    assert ("spec" in part) is not view.always
    assert set(view.fields) == set(part.get("spec", {}).get("properties", {}))
    assert {loss.reason for loss in view.known_losses if loss.reason} == set(part.get("conditions", ()))
    losses = part["status"].get("trust", {}).get("properties", {}).get("losses", {}).get("properties", {})
    assert {loss.name for loss in view.known_losses} == set(losses)
