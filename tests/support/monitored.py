"""What alerts and dashboard ask for: names of metrics and their labels, as they stand in PromQL."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "charts" / "kubestrace" / "monitoring" / "alerts.yaml"
DASHBOARD = ROOT / "charts" / "kubestrace" / "monitoring" / "dashboard.json"
# Set by Prometheus, not by the program that is scraped.
_TARGET_LABELS = frozenset({"instance", "job"})
_METRIC = re.compile(r"\b((?:kubestrace|process)_[a-z_]+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\bby \(([^)]*)\)")
# By what series of a metric that has counters or histograms is called.
_SUFFIXES = re.compile(r"_(bucket|count|sum)$")


def rules() -> list[dict[str, Any]]:
    """Return the alerts."""
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    """Yield every expression of alerts and dashboard."""
    yield from (rule["expr"] for rule in rules())
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def asked() -> dict[str, set[str]]:
    """Return the labels that are asked for by the name of each series."""
    found: dict[str, set[str]] = {}
    for expression in expressions():
        grouped = {name.strip() for names in _GROUPING.findall(expression) for name in names.split(",")}
        metrics = _METRIC.findall(expression)
        for name, matchers in metrics:
            labels = found.setdefault(name, set())
            labels |= set(_MATCHER.findall(matchers))
            # With several metrics in one expression the labels are those of any.
            labels |= grouped if len({each for each, _ in metrics}) == 1 else set()
            labels -= _TARGET_LABELS
    return found


def of_agents(name: str) -> bool:
    """Whether the agents serve a series; the operator serves all others, and both those of the process."""
    return name.startswith(("kubestrace_agent_", "process_"))


def served(exposition: str) -> dict[str, set[str]]:
    """Return the labels of every series in what a program serves; of a family without series its name alone."""
    found: dict[str, set[str]] = {}
    for line in exposition.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ", 3)
            found.setdefault(name, set())
            for suffix in ("_bucket", "_count", "_sum") if kind == "histogram" else ():
                found.setdefault(name + suffix, set())
        elif line and not line.startswith("#"):
            name, _, rest = line.partition("{")
            labels = re.findall(r'(\w+)="', rest) if rest else []
            found.setdefault(name.split(" ")[0], set()).update(labels)
    return found
