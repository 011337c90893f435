"""Speaking to the API server: the only user of the Kubernetes client.

Objects stay plain dicts, cut down to what is read of them: the client's models would cost more memory than all of the
rest. kopf watches the TraceSessions itself; everything else goes through here.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from kubestrace_operator.api.spec import InvalidSpecError, Selector, Workload, parse_selector
from kubestrace_operator.kube import pods as pod_objects
from kubestrace_operator.kube.errors import (
    ClusterError,
    ConflictError,
    ExpiredError,
    Listener,
    NotFoundError,
    RejectedError,
)

_log = logging.getLogger(__name__)

SESSIONS = "/apis/kubestrace.io/v1alpha1"
REQUEST_SECONDS = 10.0
# The server ends a watch after this; in between it sends a bookmark a minute, so silence means a dead connection.
WATCH_SECONDS = 280
WATCH_SILENCE_SECONDS = 75.0
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
_MERGE_PATCH = "application/merge-patch+json"
_CONFLICTS = 5
_REQUESTS = 16
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
_WORKLOADS = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments/{}",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets/{}",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets/{}",
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets/{}",
    "Job": "/apis/batch/v1/namespaces/{}/jobs/{}",
}
_REJECTED = frozenset({400, 413, 422})


@dataclass(frozen=True)
class Login:
    """How the API server is reached, for those who speak to it by themselves (kopf)."""

    server: str
    ca_path: str | None
    certificate_path: str | None
    key_path: str | None
    token: str | None


class Cluster:
    """One API server."""

    def __init__(self, configuration: Configuration, namespace: str) -> None:
        # Watches stay open: one for each running session. Other requests take turns: a TLS connection holds a quarter
        # of a megabyte for as long as it is kept.
        configuration.connection_pool_maxsize = 0
        self._turns = asyncio.Semaphore(_REQUESTS)
        self._configuration = configuration
        self._client = ApiClient(configuration)
        self._namespace = namespace

    @classmethod
    async def connect(cls, namespace: str) -> "Cluster":
        """Return the cluster that this pod runs in, or that the kubeconfig names; `namespace` is the operator's own."""
        configuration = Configuration()
        try:
            kubernetes_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except kubernetes_config.ConfigException:
            await kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]
                client_configuration=configuration
            )
        # From Python 3.13 on a CA without key usages is refused, which clusters have and every other client takes.
        configuration.disable_strict_ssl_verification = True
        return cls(configuration, namespace)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def login(self) -> Login:
        """Return the present credentials; a service account's token changes from time to time."""
        known = self._configuration
        token = await known.get_api_key_with_prefix("BearerToken") or ""
        return Login(known.host, known.ssl_ca_cert, known.cert_file, known.key_file, token.partition(" ")[2] or None)

    async def wait_until_served(self) -> None:
        """Wait until the API server knows TraceSessions: the operator may start before its CRD is there."""
        attempt = 0
        while True:
            with suppress(ClusterError):
                served = await self._request("GET", SESSIONS)
                if any(each["name"] == "tracesessions" for each in served.get("resources", ())):
                    return
            _log.warning("the API server does not serve TraceSessions (yet): is the CRD installed?")
            await _back_off(attempt)
            attempt += 1

    async def pods(
        self, namespace: str, *, labels: str | None = None, name: str | None = None, failing: Listener | None = None
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield all matching pods of a namespace, at first and after every change; never ends.

        `failing` hears of what is tried again. Raises RejectedError when the API server does not understand the query.
        """
        query = {"labelSelector": labels} if labels else {}
        if name is not None:
            query["fieldSelector"] = f"metadata.name={name}"
        async for known in self._mirror(f"/api/v1/namespaces/{namespace}/pods", query, failing):
            yield list(known.values())

    async def workload_selector(self, namespace: str, workload: Workload) -> Selector | None:
        """Return a workload's own selector; None when there is no such workload."""
        path = _WORKLOADS[workload.kind].format(namespace, workload.name)
        try:
            found = await self._request("GET", path)
            return parse_selector(found["spec"].get("selector"))
        except NotFoundError:
            return None
        except InvalidSpecError as error:
            raise ClusterError(
                f"{workload.kind} {workload.name} has a selector that cannot be read: {error}"
            ) from error

    async def patch_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        """Write a session's status. Raises NotFoundError when the session is gone, RejectedError, ClusterError."""
        path = f"{SESSIONS}/namespaces/{namespace}/tracesessions/{name}/status"
        await self._request("PATCH", path, body={"status": status}, content_type=_MERGE_PATCH)

    async def set_finalizer(self, metadata: Mapping[str, Any], finalizer: str, *, present: bool) -> None:
        """Add a finalizer to a session or take it away; `metadata` is the session's as last seen.

        Raises NotFoundError, RejectedError (none can be added to an object that is being deleted), ClusterError.
        """
        path = f"{SESSIONS}/namespaces/{metadata['namespace']}/tracesessions/{metadata['name']}"
        for _ in range(_CONFLICTS):
            others = [each for each in metadata.get("finalizers") or () if each != finalizer]
            wanted = {"resourceVersion": metadata["resourceVersion"], "finalizers": others + [finalizer] * present}
            with suppress(ConflictError):
                await self._request("PATCH", path, body={"metadata": wanted}, content_type=_MERGE_PATCH)
                return
            current = (await self._request("GET", path, accept=_METADATA))["metadata"]
            if current["uid"] != metadata["uid"]:
                raise NotFoundError(f"{path} is another session of the same name")
            metadata = current
        raise ClusterError(f"{path} changes faster than its finalizers can be written")

    async def unseen_sessions(self, namespace: str | None = None) -> set[str]:
        """Return the "namespace/name" of the sessions that have no phase: nobody has taken them up."""
        within = f"/namespaces/{namespace}" if namespace else ""
        table = await self._request("GET", f"{SESSIONS}{within}/tracesessions", accept=_TABLE)
        phase = next(index for index, column in enumerate(table["columnDefinitions"]) if column["name"] == "Phase")
        metadata = [row["object"]["metadata"] for row in table["rows"] or () if not row["cells"][phase]]
        return {f"{each['namespace']}/{each['name']}" for each in metadata if not each.get("deletionTimestamp")}

    async def secret(self, name: str) -> Mapping[str, str] | None:
        """Return the data of a Secret of the operator's namespace, base64; None when there is none."""
        try:
            found = await self._request("GET", f"/api/v1/namespaces/{self._namespace}/secrets/{name}")
        except NotFoundError:
            return None
        data: Mapping[str, str] = found.get("data") or {}
        return data

    async def create_secret(self, name: str, kind: str, data: Mapping[str, str]) -> None:
        """Create a Secret in the operator's namespace. Raises ConflictError when there is one."""
        labels = {"app.kubernetes.io/name": "kubestrace", "app.kubernetes.io/managed-by": "kubestrace-operator"}
        body = {"metadata": {"name": name, "labels": labels}, "type": kind, "data": dict(data)}
        await self._request("POST", f"/api/v1/namespaces/{self._namespace}/secrets", body=body)

    async def replace_secret(self, name: str, data: Mapping[str, str]) -> None:
        """Change the data of a Secret of the operator's namespace."""
        path = f"/api/v1/namespaces/{self._namespace}/secrets/{name}"
        await self._request("PATCH", path, body={"data": dict(data)}, content_type=_MERGE_PATCH)

    async def _mirror(
        self, path: str, query: Mapping[str, str], failing: Listener | None
    ) -> AsyncIterator[dict[str, dict[str, Any]]]:
        """Yield all objects by UID, after the list and after every event of the watch; begins anew when it breaks."""
        attempt = 0
        while True:
            try:
                listed = await self._request("GET", path, query=query)
                known = {each["metadata"]["uid"]: pod_objects.trimmed(each) for each in listed["items"] or ()}
                version = listed["metadata"]["resourceVersion"]
                yield known
                attempt = 0
                while True:
                    async for event in self._events(path, {**query, "resourceVersion": version}):
                        version = event["object"]["metadata"]["resourceVersion"]
                        if pod_objects.applied(known, event):
                            yield known
                    await _back_off(0)
            except ExpiredError:
                await _back_off(0)
            except RejectedError:
                raise
            except ClusterError as error:
                _log.warning("watching %s: %s", path, error)
                if failing is not None:
                    failing(error)
                await _back_off(attempt)
                attempt += 1

    async def _events(self, path: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """Yield a watch's events until the server ends it."""
        watch = {**query, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        waits = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS, sock_read=WATCH_SILENCE_SECONDS)
        response = await self._send("GET", path, query=watch, waits=waits)
        try:
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    _raise_for(event["object"].get("code", 500), event["object"].get("message", ""), path)
                yield event
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ClusterError(f"the watch broke off: {_words(error)}") from error
        finally:
            response.close()

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> dict[str, Any]:
        waits = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        headers = {"Content-Type": content_type, "Accept": accept}
        async with self._turns:
            response = await self._send(method, path, query=query, body=body, headers=headers, waits=waits)
            try:
                answer: dict[str, Any] = json.loads(await response.read())
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                raise ClusterError(f"{method} {path} was answered in part only: {_words(error)}") from error
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        *,
        waits: aiohttp.ClientTimeout,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> aiohttp.ClientResponse:
        """Send a request and return the response once its head is there and says that all is well."""
        try:
            serialized = await self._client.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=dict(headers or {}),
                body=body,
                auth_settings=["BearerToken"],
            )
            answer = await self._client.call_api(*serialized, _request_timeout=waits)
            response: aiohttp.ClientResponse = answer.response
            if response.status >= 400:
                _raise_for(response.status, await _message(response), f"{method} {path}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ClusterError(f"{method} {path}: the API server does not answer: {_words(error)}") from error
        return response


def _raise_for(code: int, message: str, what: str) -> None:
    sentence = f"{what}: {message or 'refused'} ({code})"
    if code == 404:
        raise NotFoundError(sentence)
    if code == 409:
        raise ConflictError(sentence)
    if code == 410:
        raise ExpiredError(sentence)
    raise (RejectedError if code in _REJECTED else ClusterError)(sentence)


def _words(error: Exception) -> str:
    """Return what an error says; timeouts say nothing but their name."""
    return str(error) or type(error).__name__


async def _message(response: aiohttp.ClientResponse) -> str:
    text = await response.text()
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:200]


async def _back_off(attempt: int) -> None:
    await asyncio.sleep(_BACKOFF_SECONDS[min(attempt, len(_BACKOFF_SECONDS) - 1)])
