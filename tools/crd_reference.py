"""docs/reference.md as text, from the CRD. Used by crd.py, which writes it."""

from collections.abc import Iterator, Mapping
from typing import Any

Node = Mapping[str, Any]
# The spec of a session in that of a schedule.
TEMPLATE = "spec.sessionTemplate.spec"


def reference(crd: Node, schedules: Node) -> str:
    """Return the whole page: sessions, and then schedules."""
    schedule = schedules["spec"]["names"]["kind"]
    lines = [
        f"# {crd['spec']['names']['kind']} and {schedule}, field by field",
        "",
        "<!-- Made from charts/kubestrace/schema by tools/crd.py: change it there. -->",
        "",
        *_kind(crd, ""),
        "",
        f"# {schedule}",
        "",
        *_kind(schedules, f"{schedule}: "),
    ]
    return "\n".join([*lines, ""])


def _kind(crd: Node, prefix: str) -> Iterator[str]:
    """Return a kind's lines; `prefix` comes before the names of its sections."""
    (version,) = crd["spec"]["versions"]
    names = crd["spec"]["names"]
    schema = version["schema"]["openAPIV3Schema"]
    yield from (
        _one_line(schema["description"]),
        "",
        f"`apiVersion: {crd['spec']['group']}/{version['name']}`, `kind: {names['kind']}`; namespaced. "
        f"For kubectl: `{names['plural']}`, `{names['shortNames'][0]}`, and the category `{names['categories'][0]}`.",
    )
    for name in ("spec", "status"):
        yield from _section(name, schema["properties"][name], prefix)
    yield from _columns(version, names["shortNames"][0])


def _section(path: str, node: Node, prefix: str) -> Iterator[str]:
    """Return the section of an object and those of the objects in it."""
    fields: Mapping[str, Node] = node.get("properties", {})
    yield from ("", f"## {prefix}{path}", "", _one_line(node.get("description", "")), "")
    if path == TEMPLATE:
        # All that stands above.
        yield "Its fields are those of [spec](#spec)."
        return
    yield from ("| field | type | meaning |", "| --- | --- | --- |")
    required = set(node.get("required", ())) if path.startswith("spec") else set()
    for name, field in fields.items():
        yield f"| `{name}` | {_type(field)} | {_meaning(field, required=name in required)} |"
    rules = [rule["message"] for rule in node.get("x-kubernetes-validations", ())]
    if rules:
        yield from ("", "The API server refuses what breaks a rule, in these words:", "")
        yield from (f"- {_one_line(rule)}" for rule in rules)
    for name, field in fields.items():
        inner = field.get("items", field)
        if "properties" in inner:
            of_a_list = {"description": field["description"]} if "items" in field else {}
            yield from _section(f"{path}.{name}{'[]' if of_a_list else ''}", {**inner, **of_a_list}, prefix)


def _type(field: Node) -> str:
    """Return a field's type in words."""
    match field:
        case {"type": "array", "items": {"type": item}}:
            return f"list of {item}s"
        case {"type": "object", "additionalProperties": {"type": value}}:
            return f"map of {value}s"
        case {"format": "date-time"}:
            return "time"
        case _:
            return str(field["type"])


def _meaning(field: Node, *, required: bool) -> str:
    """Return the description with the bounds that the schema sets."""
    parts = ["Required."] if required else []
    parts.append(_one_line(field["description"]))
    if "enum" in field:
        parts.append(f"One of {', '.join(f'`{value}`' for value in field['enum'])}.")
    parts += _bounds(field)
    if "default" in field and not isinstance(field["default"], dict):
        value = field["default"]
        parts.append(f"Default: `{str(value).lower() if isinstance(value, bool) else value}`.")
    return " ".join(parts).replace("|", "\\|")


def _bounds(field: Node) -> Iterator[str]:
    if "maximum" in field:
        yield f"From {field['minimum']} to {field['maximum']}."
    if "maxItems" in field:
        yield f"At most {field['maxItems']} entries."
    if "maxProperties" in field:
        yield f"At most {field['maxProperties']} entries."


def _columns(version: Node, short: str) -> Iterator[str]:
    """Return what kubectl get shows."""
    yield from ("", f"## What `kubectl get {short}` shows", "", "| column | from |", "| --- | --- |")
    for column in version["additionalPrinterColumns"]:
        wide = " (with `-o wide`)" if column.get("priority") else ""
        yield f"| {column['name']}{wide} | `{column['jsonPath'].lstrip('.')}` |"


def _one_line(text: str) -> str:
    return " ".join(text.split())
