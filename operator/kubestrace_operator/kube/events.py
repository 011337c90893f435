"""Kubernetes events about sessions: what `kubectl describe` shows. Posted in the background, in their order."""

import asyncio
import hashlib
import logging
import secrets
from datetime import UTC, datetime
from typing import Any, Protocol

from kubestrace_operator.api import conditions
from kubestrace_operator.kube.api_client import FIELD_MANAGER, ApiServer, Lane
from kubestrace_operator.kube.errors import ClusterError, ConflictError, NotFoundError, RejectedError
from kubestrace_operator.kube.watches import back_off

_log = logging.getLogger(__name__)
# Events that wait to be posted; more of them means that the API server has been away for long.
_QUEUE = 1000
_WORKERS = 4
_ATTEMPTS = 6
# The API server takes no longer message.
_MAX_MESSAGE = 1024


class About(Protocol):
    """What an event is about."""

    @property
    def kind(self) -> str:
        """Its kind."""
        ...

    @property
    def uid(self) -> str:
        """Its UID."""
        ...

    @property
    def namespace(self) -> str:
        """Its namespace."""
        ...

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def path(self) -> str:
        """Namespace and name, for logs."""
        ...


class Events:
    """The events that this operator posts."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        # One session's events go to one worker: they keep their order.
        self._queues: list[asyncio.Queue[dict[str, Any]]] = [asyncio.Queue(_QUEUE // _WORKERS) for _ in range(_WORKERS)]

    def post(self, row: About, kind: str, reason: str, message: str, key: str = "") -> None:
        """Post an event about an object; `kind` is Normal or Warning. Never waits.

        Of events with the same `key` an object has one, whoever posts it and how often.
        """
        event = _event(row, kind, reason, message, datetime.now(UTC))
        if key:
            event["metadata"]["name"] = f"{row.name[:230]}.{_fixed(row.uid, key)}"
        try:
            self._queues[hash(row.uid) % _WORKERS].put_nowait(event)
        except asyncio.QueueFull:
            _log.warning("%s: no room for the event %s: %s", row.path, reason, message)

    async def run(self) -> None:
        """Post what comes; never ends."""
        async with asyncio.TaskGroup() as group:
            for queue in self._queues:
                group.create_task(self._work(queue))

    async def _work(self, queue: asyncio.Queue[dict[str, Any]]) -> None:
        while True:
            await self._send(await queue.get())

    async def _send(self, event: dict[str, Any]) -> None:
        namespace, name = event["metadata"]["namespace"], event["involvedObject"]["name"]
        for attempt in range(_ATTEMPTS):
            try:
                path = f"/api/v1/namespaces/{namespace}/events"
                await self._server.request("POST", path, body=event, lane=Lane.BACKGROUND)
            except ConflictError:
                # An earlier operator has posted it.
                return
            except (NotFoundError, RejectedError) as error:
                # Its namespace is gone or going.
                _log.info("%s/%s: the event %s was refused: %s", namespace, name, event["reason"], error)
                return
            except ClusterError as error:
                _log.warning("%s/%s: the event %s is not posted: %s", namespace, name, event["reason"], error)
                await back_off(attempt)
            else:
                return


def _fixed(uid: str, key: str) -> str:
    return hashlib.sha256(f"{uid} {key}".encode()).hexdigest()[:16]


def _event(row: About, kind: str, reason: str, message: str, now: datetime) -> dict[str, Any]:
    when = conditions.timestamp(now)
    return {
        "metadata": {"name": f"{row.name[:230]}.{secrets.token_hex(8)}", "namespace": row.namespace},
        "involvedObject": {
            "apiVersion": "kubestrace.io/v1alpha1",
            "kind": row.kind,
            "name": row.name,
            "namespace": row.namespace,
            "uid": row.uid,
        },
        "type": kind,
        "reason": reason,
        "message": message if len(message) <= _MAX_MESSAGE else message[: _MAX_MESSAGE - 3] + "...",
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "firstTimestamp": when,
        "lastTimestamp": when,
        "count": 1,
    }
