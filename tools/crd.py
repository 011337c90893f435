"""Puts the CRDs together from charts/kubestrace/schema: the chart's templates and docs/reference.md.

`python tools/crd.py` writes all; with --check it says whether they are what would be written. The definition of
TraceSession is base.yaml and a part of each view, that of TraceSchedule is schedule.yaml with a session's spec in it.

A view's part (schema/views/NAME.yaml) has `name`, as in spec.views; `spec`, its schema there (none where it is always
on); `rules` of the whole spec; `status`, merged into the properties of status; and words for descriptions of base.yaml:
the `conditions` (reasons of DataComplete) and `gaps` that the view adds, and the lists of it that may be `cut`.
"""

import argparse
import copy
import importlib
import string
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from crd_reference import reference

from kubestrace_operator.api import spec
from kubestrace_operator.schedules import decision
from kubestrace_operator.schedules import spec as schedule_spec
from kubestrace_operator.views import profiles
from kubestrace_operator.views.registry import PROFILES, VIEWS
from kubestrace_protos.v1 import redaction

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "charts" / "kubestrace" / "schema"
TEMPLATE = ROOT / "charts" / "kubestrace" / "templates" / "crd.yaml"
SCHEDULES = TEMPLATE.with_name("crd-schedules.yaml")
REFERENCE = ROOT / "docs" / "reference.md"

HEAD = """\
{{- /* Made by tools/crd.py from ../schema: change it there. */}}
{{- if .Values.crds.install }}
"""
NO_LABELS = "  labels: {}\n"
LABELS = """\
  labels:
    {{- include "kubestrace.labels" . | nindent 4 }}
"""
TAIL = "{{- end }}\n"
# In every view: it may be named and taken out again.
ENABLED = {
    "description": "False takes the view out, as if it were not named. True when left out.",
    "type": "boolean",
}

# Of a session's spec: what concerns one that exists, and so is nothing for a template.
OF_ONE_SESSION = ("cancel", "suspend")

Node = Mapping[str, Any]


def main() -> int:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is out of date")
    check = parser.parse_args().check
    crd = assembled()
    schedules = of_schedules(crd)
    files = (
        (TEMPLATE, template(crd)),
        (SCHEDULES, template(schedules)),
        (REFERENCE, reference(crd, schedules)),
    )
    stale = [path for path, text in files if _differs(path, text, check)]
    for path in stale:
        sys.stderr.write(f"{path.relative_to(ROOT)} is out of date: run python tools/crd.py\n")
    return 1 if stale else 0


def _differs(path: Path, text: str, check: bool) -> bool:
    if not check:
        path.write_text(text)
        return False
    return path.read_text() != text


def assembled() -> Node:
    """Return the whole definition of TraceSession."""
    parts = list(_parts())
    lists = {
        "conditions": ", ".join(_all(parts, "conditions")),
        "gaps": "".join(f", {reason} ({why})" for part in parts for reason, why in part.get("gaps", {}).items()),
        "profiles": ", ".join(PROFILES),
        "default_profile": profiles.DEFAULT.value,
        "cut": ", ".join(_all(parts, "cut")[:-1]) + f" or {_all(parts, 'cut')[-1]}",
    }
    # What tells the noise of a comparison.
    (lists["spans"],) = (view.name for view in VIEWS if view.spans)
    crd: dict[str, Any] = _read(SCHEMA / "base.yaml", {**_numbers(spec), **_numbers(redaction), **lists})
    (version,) = crd["spec"]["versions"]
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    views = properties["spec"]["properties"]["views"].setdefault("properties", {})
    for part in parts:
        if "spec" in part:
            views[part["name"]] = _view(part["spec"])
        properties["spec"]["x-kubernetes-validations"] += part.get("rules", [])
        _merge(properties["status"]["properties"], part["status"], "status")
    return crd


def of_schedules(sessions: Node) -> Node:
    """Return the definition of TraceSchedule, with the spec of a session as its template."""
    crd = _read(SCHEMA / "schedule.yaml", {**_numbers(schedule_spec), **_numbers(decision)})
    schema = _schema(crd)
    of_template = schema["properties"]["spec"]["properties"]["sessionTemplate"]["properties"]
    of_session = copy.deepcopy(_schema(sessions)["properties"]["spec"])
    of_session["description"] = (
        "What each session traces and for how long: the spec of a TraceSession but for cancel and suspend."
    )
    for name in OF_ONE_SESSION:
        del of_session["properties"][name]
    _may_change(of_session)
    of_template["spec"] = of_session
    return crd


def _schema(crd: Node) -> dict[str, Any]:
    (version,) = crd["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def _may_change(node: dict[str, Any]) -> None:
    """Take out what keeps a session's spec as it was created: a template may change."""
    rules = [rule for rule in node.pop("x-kubernetes-validations", ()) if "oldSelf" not in rule["rule"]]
    if rules:
        node["x-kubernetes-validations"] = rules
    if "description" in node:
        node["description"] = node["description"].replace(" Cannot change after creation.", "")
    for child in (*node.get("properties", {}).values(), node.get("items")):
        if child:
            _may_change(child)


def template(crd: Node) -> str:
    """Return the chart's template."""
    text = yaml.dump(crd, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return HEAD + text.replace(NO_LABELS, LABELS) + TAIL


def _parts() -> Iterator[dict[str, Any]]:
    """Yield the parts of the views, in the registry's order."""
    for view in VIEWS:
        module = importlib.import_module(type(view).__module__)
        name = module.__name__.rpartition(".")[2]
        part = _read(SCHEMA / "views" / f"{name}.yaml", _numbers(module))
        if part["name"] != view.name:
            raise SystemExit(f"schema/views/{name}.yaml has the name {part['name']!r}, the view {view.name!r}")
        yield part


def _numbers(module: ModuleType) -> dict[str, int]:
    """Return the bounds and defaults of a module, and of the bounds that it imports as `limits`."""
    places = [module, *([module.limits] if hasattr(module, "limits") else [])]
    return {
        name: value for place in places for name, value in vars(place).items() if name.isupper() and type(value) is int
    }


def _read(path: Path, words: Mapping[str, object]) -> dict[str, Any]:
    text = string.Template(path.read_text())
    try:
        document: dict[str, Any] = yaml.safe_load(text.substitute(words))
    except KeyError as error:
        raise SystemExit(f"{path.relative_to(ROOT)}: nothing is named {error}") from error
    return document


def _all(parts: Iterable[Node], key: str) -> list[str]:
    return [each for part in parts for each in part.get(key, ())]


def _view(schema: Node) -> dict[str, Any]:
    """Return a view's schema; null, which is what `name:` is in YAML, turns it on."""
    properties = {"enabled": ENABLED, **schema.get("properties", {})}
    return {"description": schema["description"], "type": "object", "nullable": True, "properties": properties}


def _merge(properties: dict[str, Any], more: Node, path: str) -> None:
    """Add a part's properties; what is there already may only get properties, never be changed."""
    for name, value in more.items():
        if name not in properties:
            properties[name] = value
        elif isinstance(value, Mapping):
            _merge(properties[name], value, f"{path}.{name}")
        else:
            raise SystemExit(f"{path}.{name} is there already")


class _Dumper(yaml.SafeDumper):
    """Folds long texts, writes short lists in one line, and repeats what has an anchor."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=">" if len(text) > 80 else None)


def _list(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.SequenceNode:
    in_one_line = all(isinstance(item, str) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=in_one_line)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)


if __name__ == "__main__":
    raise SystemExit(main())
