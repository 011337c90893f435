"""What the operator reads and writes of TraceSchedules and of the sessions that they make."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubestrace_operator.kube.api_client import JSON_PATCH, ApiServer
from kubestrace_operator.kube.errors import ConflictError, NotFoundError, RejectedError
from kubestrace_operator.kube.session_rows import SessionRow, SessionTable
from kubestrace_operator.kube.watches import Changes, Collection, Document, Trimmed

GROUP = "/apis/kubestrace.io/v1alpha1"
# Of sessions: who made them. The owner reference says so, too, but nobody can list by it.
SCHEDULE_UID_LABEL = "kubestrace.io/schedule-uid"


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """Which schedule something is about."""

    uid: str
    namespace: str
    name: str
    api_version: str = "kubestrace.io/v1alpha1"
    kind: str = "TraceSchedule"

    @property
    def path(self) -> str:
        """For logs and messages."""
        return f"{self.namespace}/{self.name}"

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "ScheduleRow":
        """Return the row of an object."""
        metadata = body["metadata"]
        return cls(metadata["uid"], metadata["namespace"], metadata["name"])


class ScheduleObjects:
    """The TraceSchedules of a cluster."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    def follow(
        self, namespace: str | None = None, *, heard: Callable[[], None] = lambda: None
    ) -> AsyncIterator[Changes[Document]]:
        """Yield all schedules of a namespace, or of all, and then every change; never ends."""
        path = f"{GROUP}/namespaces/{namespace}/traceschedules" if namespace else f"{GROUP}/traceschedules"
        return Collection(self._server, path, Trimmed(_without_managers), {}, heard=heard).follow()

    async def sessions(self, row: ScheduleRow) -> list[SessionRow]:
        """Return the sessions of a schedule, as of now. Raises ClusterError."""
        table = SessionTable()
        query = {"labelSelector": f"{SCHEDULE_UID_LABEL}={row.uid}"}
        path = f"{GROUP}/namespaces/{row.namespace}/tracesessions"
        listed = await self._server.request("GET", path, query=query, accept=table.accept)
        # The label alone may be anybody's.
        return [each for _, each in table.items(listed) if each.schedule_uid == row.uid]

    async def create_session(self, body: Mapping[str, Any]) -> None:
        """Create a session. Raises ConflictError, ForbiddenError, RejectedError, ClusterError."""
        path = f"{GROUP}/namespaces/{body['metadata']['namespace']}/tracesessions"
        await self._server.request("POST", path, body=body)

    async def delete_session(self, row: SessionRow) -> None:
        """Delete a session, whatever it does. Raises NotFoundError when it is gone or another one has its name."""
        path = f"{GROUP}/namespaces/{row.namespace}/tracesessions/{row.name}"
        try:
            await self._server.request("DELETE", path, body={"preconditions": {"uid": row.uid}})
        except ConflictError as error:
            raise NotFoundError(f"{row.path} is another session of the same name") from error

    async def write_status(self, row: ScheduleRow, status: Mapping[str, Any]) -> None:
        """Replace a schedule's status. Raises NotFoundError when it is gone, or another one has its name."""
        path = f"{GROUP}/namespaces/{row.namespace}/traceschedules/{row.name}"
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": row.uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        try:
            await self._server.request("PATCH", f"{path}/status", body=operations, content_type=JSON_PATCH)
        except RejectedError:
            found = await self._server.request("GET", path)
            if found["metadata"]["uid"] != row.uid:
                raise NotFoundError(f"{row.path} is another schedule of the same name") from None
            raise


def _without_managers(body: Document) -> Document:
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return {**body, "metadata": metadata}
