"""What may be asked of traces: the agent's own bounds, the checks, and the errors that say no. Pure.

Used by traces; server turns the errors into gRPC's codes.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf import unknown_fields

from kubestrace_agent.containers import cgroups
from kubestrace_agent.views import registry
from kubestrace_protos.v1.limits import MAX_DURATION_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubestrace_protos.v1 import agent_pb2

_SESSION_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# The number of a field that requests had before they named their views. Operators of that time always send it; it is
# empty in a session without views.
_EARLIER_VIEWS = 7


class TraceError(Exception):
    """A request that is refused; `reason` is CamelCase."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class InvalidRequestError(TraceError):
    """The request is wrong: trying again does not help."""


class CannotTraceError(TraceError):
    """This node cannot trace at all."""


class LimitReachedError(TraceError):
    """A bound of this agent is reached: it may work later."""


class TraceNotFoundError(TraceError):
    """No such trace here."""


class ShuttingDownError(TraceError):
    """The agent is about to end."""


@dataclass(frozen=True)
class Limits:
    """The agent's own bounds, whatever the operator asks for."""

    # Of them a namespace may have no more than two thirds of those that the others leave.
    max_traces: int = 96
    # Of one trace, with those that ended or failed: a container that restarts all the time counts each time.
    max_containers: int = 1024
    max_duration_milliseconds: int = 1000 * MAX_DURATION_SECONDS
    default_lease_seconds: int = 60
    max_lease_seconds: int = 3600
    default_interval_milliseconds: int = 1000
    min_interval_milliseconds: int = 100
    max_interval_milliseconds: int = 60_000
    # Of one text of a request, be it a name or an ID: Kubernetes' names have 253 characters, and no name of a view 64.
    max_text: int = 320
    max_view_name: int = 64
    # Named in one request: this agent may be older than the operator, which knows more of them.
    max_views: int = 64
    # Of one pod, by their names.
    max_pod_containers: int = 1024
    # Of what one view is asked for.
    max_view_bytes: int = 1 << 15
    # Final reports kept for an operator that comes back.
    max_kept: int = 128
    keep_seconds: float = 600.0


def check_start(request: agent_pb2.StartTraceRequest, limits: Limits) -> registry.ViewRequests:
    """Refuse a StartTraceRequest that is out of bounds; else give the views that it asks for."""
    _check_known(request)
    if not _SESSION_UID.fullmatch(request.session_uid):
        raise InvalidRequestError("InvalidSession", f"session_uid {request.session_uid[:100]!r} is not a UID")
    duration = request.duration_milliseconds
    if not 1 <= duration <= limits.max_duration_milliseconds:
        raise InvalidRequestError(
            "InvalidDuration",
            f"duration_milliseconds is {duration}, and must be from 1 to {limits.max_duration_milliseconds}",
        )
    if request.lease_seconds > limits.max_lease_seconds:
        raise InvalidRequestError(
            "InvalidLease", f"lease_seconds is {request.lease_seconds}, and must not pass {limits.max_lease_seconds}"
        )
    if len(request.containers) > limits.max_containers:
        raise InvalidRequestError(
            "TooManyContainers", f"{len(request.containers)} containers, and one trace follows {limits.max_containers}"
        )
    if any(not container.container_id for container in request.containers):
        raise InvalidRequestError("InvalidContainer", "a container has no container_id")
    if any(cgroups.bare_uid(pod.uid) is None for pod in request.pods):
        raise InvalidRequestError("InvalidContainer", "a pod has no UID of Kubernetes' form")
    if len(request.pods) > limits.max_containers:
        raise InvalidRequestError(
            "TooManyContainers", f"{len(request.pods)} pods, and one trace watches {limits.max_containers}"
        )
    _check_sizes(request, limits)
    try:
        return registry.requests(request.views, redact=request.redact)
    except registry.RequestError as error:
        raise InvalidRequestError(error.reason, str(error)) from error


def _check_sizes(request: agent_pb2.StartTraceRequest, limits: Limits) -> None:
    """Refuse what would grow in memory and in reports: it is kept as long as its trace, and told of each container."""
    texts = itertools.chain(
        [request.session_name],
        *(_texts(each) for each in request.containers),
        *((pod.namespace, pod.name, *pod.containers, *pod.excluded_containers) for pod in request.pods),
        *(itertools.chain.from_iterable(pod.kinds.items()) for pod in request.pods),
    )
    longest = max(map(len, texts))
    if longest > limits.max_text:
        raise InvalidRequestError("RequestTooLarge", f"a name has {longest} characters, and may have {limits.max_text}")
    for pod in request.pods:
        named = max(len(pod.containers), len(pod.excluded_containers), len(pod.kinds))
        if named > limits.max_pod_containers:
            raise InvalidRequestError(
                "RequestTooLarge", f"{named} containers of a pod are named, and {limits.max_pod_containers} may be"
            )
    if len(request.views) > limits.max_views or any(len(name) > limits.max_view_name for name in request.views):
        raise InvalidRequestError(
            "RequestTooLarge",
            f"{len(request.views)} views are named, and {limits.max_views} may be, of {limits.max_view_name} "
            "characters each",
        )
    for name, each in request.views.items():
        if each.ByteSize() > limits.max_view_bytes:
            raise InvalidRequestError(
                "RequestTooLarge",
                f"what is asked of the view {name} has {each.ByteSize()} bytes, and may have {limits.max_view_bytes}",
            )


def _texts(container: agent_pb2.Container) -> tuple[str, ...]:
    return (
        container.pod_uid,
        container.pod_namespace,
        container.pod_name,
        container.container_name,
        container.container_id,
        container.kind,
    )


def _check_known(request: agent_pb2.StartTraceRequest) -> None:
    fields = unknown_fields.UnknownFieldSet(request)
    unknown = [
        each
        for each in (fields[at] for at in range(len(fields)))
        if (each.field_number, each.data) != (_EARLIER_VIEWS, b"")
    ]
    if unknown:
        numbers = ", ".join(str(each.field_number) for each in unknown)
        raise InvalidRequestError(
            "UnknownRequest",
            f"the request has fields that this agent does not know ({numbers}): operator and agent are of different "
            "versions; update both to one",
        )


def check_room(session_name: str, running: Iterable[str], node: str, limits: Limits) -> None:
    """Refuse a further trace where its namespace or the node has too many.

    `session_name` and those of `running` traces are "namespace/name".
    """
    namespaces = Counter(name.partition("/")[0] for name in running)
    total, own = namespaces.total(), namespaces[session_name.partition("/")[0]]
    if total >= limits.max_traces:
        raise LimitReachedError(
            "TooManyTraces", f"{total} traces run on node {node} already, and no more may; wait until one has ended"
        )
    share = max(1, 2 * (limits.max_traces - (total - own)) // 3)
    if own >= share:
        raise LimitReachedError(
            "TooManyTracesOfNamespace",
            f"{own} traces of this namespace run on node {node} already, and no more than {share} may, so that other "
            "namespaces can trace; wait until one has ended, or end one",
        )


def interval_seconds(milliseconds: int, limits: Limits) -> float:
    """Give the time between two reports; 0 asks for the default."""
    milliseconds = milliseconds or limits.default_interval_milliseconds
    if not limits.min_interval_milliseconds <= milliseconds <= limits.max_interval_milliseconds:
        raise InvalidRequestError(
            "InvalidInterval",
            f"interval_milliseconds is {milliseconds}, and must be from {limits.min_interval_milliseconds} "
            f"to {limits.max_interval_milliseconds}",
        )
    return milliseconds / 1000
