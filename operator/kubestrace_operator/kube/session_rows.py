"""The TraceSessions of a cluster in short: what a watch keeps of each, whatever its status holds.

The API server gives any collection as a table of its printer columns, so a finished session of 64 KiB costs one short
row. The whole object is read only when a session is begun.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubestrace_operator.api import conditions
from kubestrace_operator.kube.errors import ClusterError
from kubestrace_operator.kube.texts import own, own_number, shared

# Printer columns of the CRD that are read.
PHASE, COMPLETED, TTL = "Phase", "Completed", "TTL"
# One that a CRD of before has not.
CONTAINER_SECONDS = "Container-Seconds"


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session as the watch knows it."""

    uid: str
    namespace: str
    name: str
    resource_version: str
    generation: int = 1
    finalizers: tuple[str, ...] = ()
    # It is being deleted, and goes when its finalizers do.
    deleting: bool = False
    # Empty: nobody has taken it up.
    phase: str = ""
    # As the API has it; empty while it runs.
    completed: str = ""
    # spec.ttlSecondsAfterFinished.
    ttl_seconds: int | None = None
    # As the API has it.
    created: str = ""
    # The UID of the TraceSchedule that made it; empty: somebody else did.
    schedule_uid: str = ""
    # As its status says; 0 where no quota is counted.
    container_seconds: int = 0

    @property
    def finished(self) -> bool:
        """Whether its status is terminal."""
        return self.phase in conditions.FINISHED_PHASES

    @property
    def kind(self) -> str:
        """What it is, for events."""
        return "TraceSession"

    @property
    def path(self) -> str:
        """For logs and messages."""
        return f"{self.namespace}/{self.name}"


class SessionTable:
    """Reads rows. An API server names the columns in the first answer of a list or watch only."""

    accept = "application/json;as=Table;g=meta.k8s.io;v=v1"

    def __init__(self) -> None:
        self._columns: dict[str, int] = {}

    def items(self, document: Mapping[str, Any]) -> Iterator[tuple[str, SessionRow]]:
        """Yield UID and row of each session in a table. Raises ClusterError when a column is missing."""
        definitions = document.get("columnDefinitions") or ()
        if definitions:
            self._columns = {column["name"]: index for index, column in enumerate(definitions)}
        missing = [name for name in (PHASE, COMPLETED, TTL) if name not in self._columns]
        if missing:
            raise ClusterError(
                f"the TraceSession CRD lacks the printer columns {', '.join(missing)}: install the chart's present one"
            )
        for each in document.get("rows") or ():
            row = self._row(each["object"]["metadata"], each["cells"])
            yield row.uid, row

    def _row(self, metadata: Mapping[str, Any], cells: Sequence[Any]) -> SessionRow:
        ttl = cells[self._columns[TTL]]
        used = cells[self._columns[CONTAINER_SECONDS]] if CONTAINER_SECONDS in self._columns else None
        return from_metadata(
            metadata,
            phase=shared(str(cells[self._columns[PHASE]] or "")),
            completed=own(str(cells[self._columns[COMPLETED]] or "")),
            ttl_seconds=own_number(ttl) if isinstance(ttl, int) else None,
            container_seconds=own_number(used) if isinstance(used, int) else 0,
        )


def from_metadata(metadata: Mapping[str, Any], **of_table: Any) -> SessionRow:
    """Return a row from an object's metadata and what a table says beside."""
    return SessionRow(
        uid=own(metadata["uid"]),
        namespace=shared(metadata["namespace"]),
        name=own(metadata["name"]),
        resource_version=own(metadata.get("resourceVersion", "")),
        generation=own_number(metadata.get("generation", 1)),
        finalizers=tuple(shared(each) for each in metadata.get("finalizers") or ()),
        deleting=bool(metadata.get("deletionTimestamp")),
        created=own(str(metadata.get("creationTimestamp") or "")),
        schedule_uid=own(str(controlling_schedule(metadata.get("ownerReferences") or ()).get("uid") or "")),
        **of_table,
    )


def controlling_schedule(owners: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the reference to the TraceSchedule that controls an object; an empty one where none does."""
    return next((each for each in owners if each.get("controller") and each.get("kind") == "TraceSchedule"), {})
