"""What the operator reads and writes in its cluster: sessions, workloads, Secrets."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from kubestrace_operator.api import conditions
from kubestrace_operator.api.spec import InvalidSpecError, Selector, Workload, parse_selector
from kubestrace_operator.kube import namespaces, session_rows
from kubestrace_operator.kube import pods as pod_objects
from kubestrace_operator.kube.api_client import JSON_PATCH, MERGE_PATCH, ApiServer, Lane
from kubestrace_operator.kube.errors import ClusterError, ConflictError, Listener, NotFoundError, RejectedError
from kubestrace_operator.kube.namespaces import NamespaceRow, NamespaceTable
from kubestrace_operator.kube.pod_cache import PodCache
from kubestrace_operator.kube.session_rows import SessionRow, SessionTable
from kubestrace_operator.kube.watches import Changes, Collection, Trimmed

_log = logging.getLogger(__name__)
SESSIONS = "/apis/kubestrace.io/v1alpha1"
_UNFINISHED = ",".join(f"status.phase!={phase}" for phase in sorted(conditions.FINISHED_PHASES))
_CONFLICTS = 5
# Between two looks at namespaces that may not be watched.
_LOOK_SECONDS = 3.0
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_WORKLOADS = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments/{}",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets/{}",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets/{}",
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets/{}",
    "Job": "/apis/batch/v1/namespaces/{}/jobs/{}",
}


class Cluster:
    """The cluster that the operator serves."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        """`namespace` is the operator's own."""
        self._server = server
        self._namespace = namespace
        self._pods = PodCache(server)

    def close(self) -> None:
        """Stop the watches of pods."""
        self._pods.close()

    async def check_served(self) -> None:
        """Raise ClusterError unless the API server knows TraceSessions: the CRD may come after the operator."""
        served = await self._server.request("GET", SESSIONS)
        if not any(each["name"] == "tracesessions" for each in served.get("resources", ())):
            raise NotFoundError("the API server does not serve TraceSessions: is the CRD installed?")

    # Sessions.

    def sessions(
        self, namespace: str | None = None, *, heard: Callable[[], None] = lambda: None
    ) -> AsyncIterator[Changes[SessionRow]]:
        """Yield the unfinished sessions of a namespace, or of all, and then every change of any; never ends.

        Where the API server cannot select them, finished ones come with the list. `heard` is called whenever the API
        server says anything, be it an error.
        """
        query = {"fieldSelector": _UNFINISHED}
        return Collection(
            self._server, _sessions_path(namespace), SessionTable(), {}, list_query=query, heard=heard
        ).follow()

    async def finished_sessions(self, namespace: str | None = None) -> list[SessionRow]:
        """Return the finished sessions of a namespace, or of all, as of lately. Raises ClusterError."""
        table = SessionTable()
        query = {"resourceVersion": "0"}
        listed = await self._server.request("GET", _sessions_path(namespace), query=query, accept=table.accept)
        return [row for _, row in table.items(listed) if row.finished]

    def namespaces(self) -> AsyncIterator[Changes[NamespaceRow]]:
        """Yield all namespaces by UID, and then every change; never ends."""
        return Collection(self._server, "/api/v1/namespaces", NamespaceTable(), {}).follow()

    async def some_namespaces(self, names: Callable[[], Iterable[str]]) -> AsyncIterator[Changes[NamespaceRow]]:
        """Yield some namespaces by UID, again and again, unless they are being deleted; never ends.

        `names` are those that matter now. Who may read single namespaces only cannot watch them.
        """
        while True:
            for name in sorted(names()):
                try:
                    found = await self._namespace_metadata(name)
                except ClusterError as error:
                    _log.info("namespace %s is not read now: %s", name, error)
                    continue
                row = namespaces.from_metadata(found)
                # Its sessions are deleted with it. From when on there is a new one of its name would be found too late.
                if not row.deleting:
                    yield Changes({found["uid"]: row})
            await asyncio.sleep(_LOOK_SECONDS)

    async def session(self, row: SessionRow) -> Mapping[str, Any]:
        """Return a session's whole object. Raises NotFoundError when it is gone, or another one has its name."""
        return _same(row, await self._server.request("GET", _path(row)))

    async def session_named(self, namespace: str, name: str) -> Mapping[str, Any]:
        """Return the whole object of whichever session has this name. Raises NotFoundError, ClusterError."""
        return await self._server.request("GET", f"{_sessions_path(namespace)}/{name}")

    async def write_status(self, row: SessionRow, status: Mapping[str, Any], *, awaited: bool = True) -> None:
        """Replace a session's status; no part of the one before stays.

        `awaited`: somebody waits for what is new in it. Raises NotFoundError when the session is gone or another one
        has its name, RejectedError, ClusterError.
        """
        is_result = not awaited or status.get("phase") in conditions.FINISHED_PHASES
        lane = Lane.RESULT if is_result else Lane.PROMPT
        await self._patch_status(row, [{"op": "add", "path": "/status", "value": status}], lane)

    async def amend_status(self, row: SessionRow, parts: Mapping[str, Any]) -> None:
        """Replace these fields of a session's status and keep all others. Raises as `write_status`."""
        operations = [{"op": "add", "path": f"/status/{name}", "value": value} for name, value in parts.items()]
        await self._patch_status(row, operations, Lane.RESULT)

    async def _patch_status(self, row: SessionRow, operations: list[dict[str, Any]], lane: Lane) -> None:
        # The API server compares in the same transaction in which it writes.
        test = {"op": "test", "path": "/metadata/uid", "value": row.uid}
        try:
            path = f"{_path(row)}/status"
            # The answer is the object, of which nothing is read: a short one.
            await self._server.request(
                "PATCH", path, body=[test, *operations], content_type=JSON_PATCH, accept=_METADATA, lane=lane
            )
        except RejectedError:
            # A test that fails and a value that is not valid have the same code.
            _same(row, await self._server.request("GET", _path(row), accept=_METADATA))
            raise

    async def delete_session(self, row: SessionRow) -> None:
        """Delete a session that is as it was last seen: its TTL may have been changed at the last moment.

        Raises NotFoundError when it is gone or another one has its name, ConflictError when it has changed since,
        ClusterError.
        """
        seen = {"uid": row.uid, "resourceVersion": row.resource_version}
        try:
            await self._server.request("DELETE", _path(row), body={"preconditions": seen}, lane=Lane.RESULT)
        except ConflictError:
            _same(row, await self._server.request("GET", _path(row), accept=_METADATA))
            raise

    async def set_finalizer(self, row: SessionRow, finalizer: str, *, present: bool) -> None:
        """Add a finalizer to a session or take it away; `row` is the session as last seen.

        Raises NotFoundError, RejectedError (none can be added to an object that is being deleted), ClusterError.
        """
        for _ in range(_CONFLICTS):
            try:
                await self._server.request(
                    "PATCH",
                    _path(row),
                    body=_finalizer_patch(row, finalizer, present=present),
                    content_type=JSON_PATCH,
                    accept=_METADATA,
                    lane=Lane.PROMPT if present else Lane.RESULT,
                )
            except (ConflictError, RejectedError) as error:
                found = _same(row, await self._server.request("GET", _path(row), accept=_METADATA))
                current = session_rows.from_metadata(found["metadata"])
                if isinstance(error, RejectedError) and current.finalizers == row.finalizers:
                    raise
                if (finalizer in current.finalizers) == present:
                    return
                row = current
            else:
                return
        raise ClusterError(f"{row.path} changes faster than its finalizers can be written")

    # Pods and workloads.

    def pods(self, namespace: str, *, failing: Listener | None = None) -> AsyncIterator[pod_objects.PodChanges]:
        """Yield the pods of a namespace by UID, at first all of them and then those that changed; never ends."""
        return self._pods.follow(namespace, failing)

    async def agent_pods(self, labels: str) -> AsyncIterator[list[pod_objects.Pod]]:
        """Yield all pods with these labels in the operator's namespace, at first and after every change."""
        path = f"/api/v1/namespaces/{self._namespace}/pods"
        known: dict[str, pod_objects.Pod] = {}
        query = {"labelSelector": labels}
        async for changes in Collection(self._server, path, Trimmed(pod_objects.trimmed), query, page=500).follow():
            pod_objects.apply(known, changes.items)
            yield list(known.values())

    async def workload_selector(self, namespace: str, workload: Workload) -> Selector | None:
        """Return a workload's own selector; None when there is no such workload."""
        path = _WORKLOADS[workload.kind].format(namespace, workload.name)
        try:
            found = await self._server.request("GET", path)
            return parse_selector(found["spec"].get("selector"))
        except NotFoundError:
            return None
        except InvalidSpecError as error:
            raise ClusterError(
                f"{workload.kind} {workload.name} has a selector that cannot be read: {error}"
            ) from error

    async def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Return a namespace's labels. Raises NotFoundError, ClusterError."""
        labels: Mapping[str, str] = (await self._namespace_metadata(namespace)).get("labels") or {}
        return labels

    async def _namespace_metadata(self, name: str) -> Mapping[str, Any]:
        found = await self._server.request("GET", f"/api/v1/namespaces/{name}", accept=_METADATA)
        metadata: Mapping[str, Any] = found["metadata"]
        return metadata

    async def services(self, namespace: str) -> dict[str, str]:
        """Return the names of a namespace's Services by their addresses, as of lately. Raises ClusterError."""
        path = f"/api/v1/namespaces/{namespace}/services"
        listed = await self._server.request("GET", path, query={"resourceVersion": "0"})
        return {
            address: each["metadata"]["name"]
            for each in listed.get("items") or ()
            for address in each["spec"].get("clusterIPs") or ()
            if address != "None"
        }

    # Secrets of the operator's namespace.

    async def secret(self, name: str) -> Mapping[str, str] | None:
        """Return the data of a Secret, base64; None when there is none."""
        try:
            found = await self._server.request("GET", f"{self._secrets}/{name}")
        except NotFoundError:
            return None
        data: Mapping[str, str] = found.get("data") or {}
        return data

    async def create_secret(self, name: str, kind: str, data: Mapping[str, str]) -> None:
        """Create a Secret. Raises ConflictError when there is one."""
        labels = {"app.kubernetes.io/name": "kubestrace", "app.kubernetes.io/managed-by": "kubestrace-operator"}
        body = {"metadata": {"name": name, "labels": labels}, "type": kind, "data": dict(data)}
        await self._server.request("POST", self._secrets, body=body)

    async def replace_secret(self, name: str, data: Mapping[str, str]) -> None:
        """Change the data of a Secret."""
        await self._server.request(
            "PATCH", f"{self._secrets}/{name}", body={"data": dict(data)}, content_type=MERGE_PATCH
        )

    # The ConfigMap of nodes' states, in the operator's namespace; the chart makes it.

    async def nodes(self, name: str) -> Mapping[str, str]:
        """Return its data. Raises NotFoundError, ClusterError."""
        found = await self._server.request("GET", f"{self._config_maps}/{name}")
        data: Mapping[str, str] = found.get("data") or {}
        return data

    async def write_nodes(self, name: str, data: Mapping[str, str]) -> None:
        """Replace these entries of its data. Raises NotFoundError, ClusterError."""
        body = {"data": dict(data)}
        path = f"{self._config_maps}/{name}"
        await self._server.request("PATCH", path, body=body, content_type=MERGE_PATCH, lane=Lane.BACKGROUND)

    @property
    def _config_maps(self) -> str:
        return f"/api/v1/namespaces/{self._namespace}/configmaps"

    @property
    def _secrets(self) -> str:
        return f"/api/v1/namespaces/{self._namespace}/secrets"


def _sessions_path(namespace: str | None) -> str:
    return f"{SESSIONS}/namespaces/{namespace}/tracesessions" if namespace else f"{SESSIONS}/tracesessions"


def _path(row: SessionRow) -> str:
    return f"{_sessions_path(row.namespace)}/{row.name}"


def _finalizer_patch(row: SessionRow, finalizer: str, *, present: bool) -> list[dict[str, Any]]:
    """Return the patch that holds as long as the finalizers are those of `row`, whatever is written to its status."""
    others = [each for each in row.finalizers if each != finalizer]
    return [
        {"op": "test", "path": "/metadata/uid", "value": row.uid},
        # null: there are none.
        {"op": "test", "path": "/metadata/finalizers", "value": list(row.finalizers) or None},
        {"op": "add", "path": "/metadata/finalizers", "value": others + [finalizer] * present},
    ]


def _same(row: SessionRow, found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object if it is the session meant. Raises NotFoundError when it only has its name."""
    if found["metadata"]["uid"] != row.uid:
        raise NotFoundError(f"{row.path} is another session of the same name")
    return found
