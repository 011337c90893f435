"""The chart as Helm renders it."""

import copy
import functools
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "kubestrace"
# The only values without a default.
IMAGES = {name: {"image": {"repository": f"registry.example/kubestrace/{name}"}} for name in ("operator", "agent")}
NAMESPACE = "kubestrace-system"


class ChartError(Exception):
    """Helm refused; the text is what a person reads."""


@dataclass(frozen=True)
class Chart:
    """The chart, rendered by Helm as `helm install kubestrace` would."""

    release: str = "kubestrace"
    namespace: str = NAMESPACE

    def manifests(self, **values: Any) -> list[dict[str, Any]]:
        """Return all objects, with these values instead of the defaults, and images where none are named."""
        return self.as_given(**merged(IMAGES, values))

    def as_given(self, **values: Any) -> list[dict[str, Any]]:
        """Return all objects, with these values and nothing else. They are the caller's own, to be changed."""
        return copy.deepcopy(list(_rendered(self.release, self.namespace, json.dumps(values))))

    def one(self, kind: str, component: str, **values: Any) -> dict[str, Any]:
        """Return the object of this kind whose name ends with this."""
        (found,) = [
            each
            for each in self.manifests(**values)
            if each["kind"] == kind and each["metadata"]["name"].endswith(component)
        ]
        return found


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return both values as Helm merges them: the one above wins."""
    result = dict(below)
    for name, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(name), dict)
        result[name] = merged(below[name], value) if both else value
    return result


@functools.cache
def _rendered(release: str, namespace: str, values: str) -> tuple[dict[str, Any], ...]:
    command = ["helm", "template", release, str(CHART), "--namespace", namespace, "--values", "-"]
    done = subprocess.run(command, input=values, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise ChartError(done.stderr)
    return tuple(each for each in yaml.safe_load_all(done.stdout) if each)
