"""What is known of each node, as the ConfigMap has it: a sentence, a table for people, JSON for programs. Pure.

All of it is bounded: an agent may lie, and a ConfigMap has at most a MiB.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from kubestrace_operator.agents import reports
from kubestrace_protos.v1 import agent_pb2

# Of the table, and of the JSON.
MOST_BYTES = 400_000
_WORD, _MESSAGE, _VIEWS = 64, 200, 64
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,31}")
_COLUMNS = ("NODE", "TRACES", "VERSION", "KERNEL", "CGROUPS", "NOT SERVED", "WHY")


@dataclass(frozen=True)
class NodeState:
    """One node with an agent's pod."""

    # "yes", "no" (its kernel or cgroups do not allow it), or "unknown" (its agent is not ready or does not answer).
    traces: str
    version: str = ""
    kernel: str = ""
    architecture: str = ""
    cgroups: str = ""
    # CamelCase, and a sentence; empty where the node traces.
    reason: str = ""
    message: str = ""
    # Since when the operator sees it as unknown, RFC 3339.
    since: str = ""
    # Views that the node does not serve, and why.
    unavailable: Mapping[str, str] = field(default_factory=dict)
    # Views that it serves in part, and what is missing.
    limited: Mapping[str, str] = field(default_factory=dict)


def described(answer: agent_pb2.DescribeResponse) -> NodeState:
    """Return what an agent says of its node, in bounds and fit to be shown."""
    views = [view for view in answer.views[:_VIEWS] if _NAME.fullmatch(view.name)]
    mode = agent_pb2.CgroupMode.Name(answer.cgroup_mode) if answer.cgroup_mode in agent_pb2.CgroupMode.values() else ""
    return NodeState(
        traces="yes" if answer.can_trace else "no",
        version=reports.text(answer.agent_version, _WORD),
        kernel=reports.text(answer.kernel_release, _WORD),
        architecture=reports.text(answer.architecture, _WORD),
        cgroups=mode.removeprefix("CGROUP_MODE_").lower().replace("unspecified", ""),
        reason=answer.reason if _NAME.fullmatch(answer.reason) else "",
        message=reports.text(answer.message, _MESSAGE),
        unavailable={each.name: reports.text(each.message, _MESSAGE) for each in views if not each.available},
        limited={each.name: reports.text(each.message, _MESSAGE) for each in views if each.available and each.message},
    )


def unknown(version: str, reason: str, message: str, since: str) -> NodeState:
    """Return the state of a node whose agent says nothing."""
    return NodeState(
        "unknown", reports.text(version, _WORD), reason=reason, message=reports.text(message, _MESSAGE), since=since
    )


def data(nodes: Mapping[str, NodeState]) -> dict[str, str]:
    """Return the ConfigMap's data; nodes with troubles come first, and the last ones are left out if all do not fit."""
    ordered = sorted(nodes.items(), key=lambda each: (_is_well(each[1]), each[0]))
    return {"summary": _summary(nodes), "nodes": _table(ordered), "nodes.json": _json(ordered)}


def since_of(earlier: Mapping[str, str]) -> dict[str, str]:
    """Return since when nodes are unknown, by what the ConfigMap had; what cannot be read says nothing."""
    try:
        found = json.loads(earlier.get("nodes.json", "{}"))
        return {
            str(name): str(each.get("since", ""))[:40] for name, each in found["nodes"].items() if each.get("since")
        }
    except (ValueError, KeyError, AttributeError, TypeError):
        return {}


def _is_well(state: NodeState) -> bool:
    return state.traces == "yes" and not state.unavailable


def _summary(nodes: Mapping[str, NodeState]) -> str:
    count = {word: sum(each.traces == word for each in nodes.values()) for word in ("yes", "no", "unknown")}
    less = sum(each.traces == "yes" and bool(each.unavailable) for each in nodes.values())
    return (
        f"{len(nodes)} nodes with an agent: {count['yes']} can trace ({less} of them not all views), "
        f"{count['no']} cannot, {count['unknown']} unknown.\n"
    )


def _table(ordered: Iterable[tuple[str, NodeState]]) -> str:
    rows = [_COLUMNS, *(_row(name, state) for name, state in ordered)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS) - 1)]
    lines = [
        "   ".join([*(f"{text:<{width}}" for text, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]
    return "".join(f"{line}\n" for line in _fitting(lines))


def _row(name: str, state: NodeState) -> tuple[str, ...]:
    why = f"{state.reason}: {state.message}" if state.reason else state.message
    if not why and state.unavailable:
        view, message = next(iter(sorted(state.unavailable.items())))
        why = f"{view}: {message}"
    unavailable = ",".join(sorted(state.unavailable)) or "-"
    return name, state.traces, state.version or "-", state.kernel or "-", state.cgroups or "-", unavailable, why


def _fitting(lines: list[str]) -> list[str]:
    used = 0
    for number, line in enumerate(lines):
        used += len(line.encode()) + 1
        if used > MOST_BYTES - 100:
            return [*lines[:number], f"... and {len(lines) - number} nodes more, for which there is no room here"]
    return lines


def _json(ordered: Iterable[tuple[str, NodeState]]) -> str:
    kept: dict[str, Any] = {}
    used, left_out = 0, 0
    for name, state in ordered:
        each = {key: value for key, value in asdict(state).items() if value}
        used += len(json.dumps({name: each}).encode()) + 1
        if used > MOST_BYTES - 100:
            left_out += 1
        else:
            kept[name] = each
    return json.dumps({"nodes": kept, "leftOut": left_out}, separators=(",", ":")) + "\n"
