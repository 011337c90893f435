"""The status of a session that goes on: totals and where it stands. Pure.

Rows of calls and of views are written once, at the end: they are most of a status, and every write of them goes through
etcd and to everyone who watches.
"""

from collections.abc import Mapping
from typing import Any

_PARTS = (
    *("observedGeneration", "phase", "startTime", "expectedCompletionTime", "conditions", "targets", "failures"),
    *("trust", "comparison"),
)
_TOTALS = ("calls", "errors", "interrupted", "totalNanoseconds", "waitNanoseconds")


def totals(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a whole status says in totals."""
    kept = {name: document[name] for name in _PARTS if name in document}
    if "summary" in document:
        kept["summary"] = {name: document["summary"][name] for name in _TOTALS}
        # An operator that takes the session up reads from these which nodes it was traced on.
        kept["containers"] = [_plain(row) for row in document["containers"]]
    kept["truncated"] = False
    return kept


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not isinstance(value, (Mapping, list))}
