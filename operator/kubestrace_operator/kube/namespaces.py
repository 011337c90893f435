"""The namespaces of a cluster in short: whether one is being deleted, and whether it is closed to tracing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubestrace_operator.kube.texts import own, shared

# The label by which a namespace is closed to tracing, or opened.
TRACING_LABEL = "kubestrace.io/tracing"


@dataclass(frozen=True, slots=True)
class NamespaceRow:
    """One namespace."""

    name: str
    deleting: bool = False
    # The value of TRACING_LABEL; empty: it has no such label.
    tracing: str = ""


class NamespaceTable:
    """Reads rows of a table."""

    accept = "application/json;as=Table;g=meta.k8s.io;v=v1"

    def items(self, document: Mapping[str, Any]) -> Iterator[tuple[str, NamespaceRow]]:
        """Yield UID and row of each namespace in a table."""
        for each in document.get("rows") or ():
            metadata = each["object"]["metadata"]
            yield own(metadata["uid"]), from_metadata(metadata)


def from_metadata(metadata: Mapping[str, Any]) -> NamespaceRow:
    """Return a namespace's row."""
    tracing = (metadata.get("labels") or {}).get(TRACING_LABEL, "")
    return NamespaceRow(own(metadata["name"]), bool(metadata.get("deletionTimestamp")), shared(tracing))
