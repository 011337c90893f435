"""HTTP requests to the API server: the only user of the Kubernetes client.

Objects stay plain dicts, cut down to what is read of them: the client's models would cost more memory than everything
else. kopf asks the API server which groups it serves over a connection of its own; everything else goes through here.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.request import getproxies

import aiohttp
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from kubestrace_operator import metrics
from kubestrace_operator.kube.errors import (
    ClusterError,
    ConfigurationError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    NotFoundError,
    RejectedError,
)
from kubestrace_operator.kube.fence import Fence

_log = logging.getLogger(__name__)
REQUEST_SECONDS = 10.0
# The server sends a bookmark a minute, so silence means a dead connection.
WATCH_SILENCE_SECONDS = 75.0
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
JSON = "application/json"
# Whose fields they are, in an object's managedFields.
FIELD_MANAGER = "kubestrace-operator"
# They decide who may write.
_LEASES = "/apis/coordination.k8s.io/"
_REJECTED = frozenset({400, 413, 422})
# The cause of a 403, as the API server has it.
_TERMINATING = "NamespaceTerminating"


class Lane(Enum):
    """What requests wait for their turn together, with how many of them are sent at a time."""

    # Somebody waits: sessions that begin, lists.
    PROMPT = 16
    # What sessions that end have to write, 64 KiB each, and totals meanwhile. Where more end than the API server can
    # take, those that begin must not wait behind them: what is not traced yet is lost, and a result is not.
    RESULT = 8
    # Nobody waits: events. A thousand sessions a minute make fifty a second, so an API server that takes 80 ms for each
    # keeps up.
    BACKGROUND = 4


@dataclass(frozen=True)
class Login:
    """How the API server is reached, for those who speak to it by themselves (kopf)."""

    server: str
    ca_path: str | None
    certificate_path: str | None
    key_path: str | None
    token: str | None
    # False: the kubeconfig says not to check the API server's certificate.
    verify: bool


class ApiServer:
    """One API server."""

    def __init__(self, configuration: Configuration, fence: Fence | None = None) -> None:
        """Nothing but Leases is written while the fence is closed; without one everything is."""
        # Watches stay open. Other requests take turns: a TLS connection holds a quarter of a megabyte as long as it is
        # kept.
        configuration.connection_pool_maxsize = 0
        self._turns = {lane: asyncio.Semaphore(lane.value) for lane in Lane}
        # Else each request looks for proxies and for ~/.netrc, in threads. The first is known from here on; the second
        # has nothing to say where there are credentials.
        configuration.client_session_kwargs = {"trust_env": bool(getproxies())}
        if fence is not None:
            configuration.trace_configs = [_fenced(fence)]
        self._configuration = configuration
        self._client = ApiClient(configuration)

    @classmethod
    async def connect(cls, fence: Fence | None = None) -> "ApiServer":
        """Return the API server of this pod's cluster, or of the kubeconfig. Raises ConfigurationError."""
        configuration = Configuration()
        try:
            kubernetes_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except kubernetes_config.ConfigException as outside:
            try:
                await kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]
                    client_configuration=configuration
                )
            except (kubernetes_config.ConfigException, OSError) as error:
                raise ConfigurationError(
                    f"no cluster to connect to: not in a pod ({outside}), and no usable kubeconfig ({error});"
                    " set KUBECONFIG"
                ) from error
        # From Python 3.13 on a CA without key usages is refused, which clusters have and every other client takes.
        configuration.disable_strict_ssl_verification = True
        return cls(configuration, fence)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def login(self) -> Login:
        """Return the present credentials; a service account's token changes from time to time."""
        known = self._configuration
        token = await known.get_api_key_with_prefix("BearerToken") or ""
        return Login(
            known.host,
            known.ssl_ca_cert,
            known.cert_file,
            known.key_file,
            token.partition(" ")[2] or None,
            verify=known.verify_ssl,
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        lane: Lane = Lane.PROMPT,
    ) -> dict[str, Any]:
        """Send a request and return the answer's document. Raises ClusterError and its kinds."""
        headers = {"Content-Type": content_type, "Accept": accept}
        if method != "GET":
            query = {**(query or {}), "fieldManager": FIELD_MANAGER}
        async with self._turn(path, lane):
            waits = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
            response = await self._send(method, path, query=query, body=body, headers=headers, waits=waits)
            try:
                answer: dict[str, Any] = json.loads(await response.read())
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                raise ClusterError(f"{method} {path} was answered in part only: {_words(error)}") from error
        return answer

    def _turn(self, path: str, lane: Lane) -> AbstractAsyncContextManager[None]:
        if path.startswith(_LEASES):
            # Whoever cannot renew in time may not write at all.
            return nullcontext()
        return self._turns[lane]

    async def stream(self, path: str, *, query: Mapping[str, str], accept: str = JSON) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of a watch until the server ends it, or nothing comes. Raises ClusterError and its kinds."""
        waits = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS, sock_read=WATCH_SILENCE_SECONDS)
        headers = {"Content-Type": JSON, "Accept": accept}
        response = await self._send("GET", path, query={**query, "watch": "true"}, headers=headers, waits=waits)
        try:
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    _raise_for(event["object"].get("code", 500), event["object"].get("message", ""), path)
                yield event
        except aiohttp.SocketTimeoutError:
            _log.info("watching %s: silent for %.0f s, so it begins anew", path, WATCH_SILENCE_SECONDS)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ClusterError(f"the watch broke off: {_words(error)}") from error
        finally:
            response.close()

    async def _send(
        self,
        method: str,
        path: str,
        *,
        waits: aiohttp.ClientTimeout,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
    ) -> aiohttp.ClientResponse:
        """Send a request and return the response once its head is there and says that all is well."""
        try:
            method, url, sent_headers, _, parameters = await self._client.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=dict(headers),
                auth_settings=["BearerToken"],
            )
            # The body goes past the client's own serialization, which copies every value of it.
            answer = await self._client.call_api(method, url, sent_headers, body, parameters, _request_timeout=waits)
            response: aiohttp.ClientResponse = answer.response
            metrics.api_request(method, path, response.status)
            if response.status >= 400:
                message, terminating = await _refusal(response)
                _raise_for(response.status, message, f"{method} {path}", terminating=terminating)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            metrics.api_request(method, path, None)
            raise ClusterError(f"{method} {path}: the API server does not answer: {_words(error)}") from error
        return response


def _fenced(fence: Fence) -> aiohttp.TraceConfig:
    """Ask the fence when a connection is there and the request's first byte is next: a connection may take long."""

    async def check(_: object, __: object, request: aiohttp.TraceRequestHeadersSentParams) -> None:
        if request.method != "GET" and not request.url.path.startswith(_LEASES):
            fence.check()

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(check)
    return trace


def _raise_for(code: int, message: str, what: str, *, terminating: bool = False) -> None:
    """Raise what an answer means; `terminating`: its namespace is being deleted and takes nothing new."""
    sentence = f"{what}: {message or 'refused'} ({code})"
    if terminating:
        raise RejectedError(sentence)
    if code == 403:
        raise ForbiddenError(sentence)
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


async def _refusal(response: aiohttp.ClientResponse) -> tuple[str, bool]:
    """Return what an error says, and whether it says that the namespace is being deleted."""
    text = await response.text()
    try:
        status = json.loads(text)
        causes = (status.get("details") or {}).get("causes") or ()
        return str(status["message"]), any(each.get("reason") == _TERMINATING for each in causes)
    except (ValueError, KeyError, TypeError, AttributeError):
        return text[:200], False
