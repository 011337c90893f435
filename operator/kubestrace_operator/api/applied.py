"""The spec as its author wrote it: with the views that `kubectl apply` has dropped. Pure. Used by sessions.

A view with nothing behind its name (`errors:`) is null, which the schema allows. Client-side `kubectl apply` removes
nulls before it sends a new object (seen with 1.34: the API server gets `views: {}`), and keeps what it was given in an
annotation.
"""

import json
from collections.abc import Mapping
from typing import Any

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"


def spec(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec of an object, with each view that stands with null in kubectl's annotation and is not in it."""
    given = dict(body.get("spec") or {})
    dropped = _null_views((body.get("metadata") or {}).get("annotations") or {})
    if dropped:
        given["views"] = {**dict.fromkeys(dropped), **(given.get("views") or {})}
    return given


def _null_views(annotations: Mapping[str, Any]) -> list[str]:
    try:
        views = json.loads(annotations[ANNOTATION])["spec"]["views"]
    except (KeyError, TypeError, ValueError):
        return []
    return [name for name, value in views.items() if value is None] if isinstance(views, dict) else []
