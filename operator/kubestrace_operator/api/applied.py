"""The spec as its author wrote it: with the views that `kubectl apply` has dropped. Pure.

A view with nothing behind its name (`errors:`) is null, which the schema allows. Client-side `kubectl apply` removes
nulls before it sends a new object (seen with 1.34: the API server gets `views: {}`), and keeps what it was given in an
annotation.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"


def spec(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec of an object, with each view that stands with null in kubectl's annotation and is not in it."""
    given = dict(body.get("spec") or {})
    return _completed(given, body, ("spec",))


def template_spec(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec in the sessionTemplate of a TraceSchedule, with the views that kubectl has dropped."""
    template = (body.get("spec") or {}).get("sessionTemplate") or {}
    return _completed(dict(template.get("spec") or {}), body, ("spec", "sessionTemplate", "spec"))


def _completed(given: dict[str, Any], body: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    dropped = _null_views((body.get("metadata") or {}).get("annotations") or {}, path)
    views = given.get("views") or {}
    # Of another form it is for the parser to refuse.
    if dropped and isinstance(views, Mapping):
        given["views"] = {**dict.fromkeys(dropped), **views}
    return given


def _null_views(annotations: Mapping[str, Any], path: Sequence[str]) -> list[str]:
    try:
        views = json.loads(annotations[ANNOTATION])
        for name in (*path, "views"):
            views = views[name]
    except (KeyError, TypeError, ValueError, RecursionError):
        return []
    return [name for name, value in views.items() if value is None] if isinstance(views, dict) else []
