"""The namespaces of a cluster in short: what a watch keeps of each is whether it is being deleted."""

from collections.abc import Iterator, Mapping
from typing import Any

from kubestrace_operator.kube.texts import own


class NamespaceTable:
    """Reads the name of each namespace that is being deleted, and nothing of others."""

    accept = "application/json;as=Table;g=meta.k8s.io;v=v1"

    def items(self, document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield UID and name of each namespace in a table; the name is empty while the namespace stays."""
        for each in document.get("rows") or ():
            metadata = each["object"]["metadata"]
            yield own(metadata["uid"]), own(metadata["name"]) if metadata.get("deletionTimestamp") else ""
