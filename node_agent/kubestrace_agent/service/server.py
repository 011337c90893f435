"""The agent's only gRPC server: who may call, what the calls mean to traces, and how errors are reported.

Everything about gRPC stops here; main wires it. Clients must show a certificate of the agent's CA whose URI is the
operator's: a valid certificate alone opens nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from kubestrace_agent.service import limits
from kubestrace_protos.v1 import agent_pb2, agent_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from kubestrace_agent.service.certificates import Certificates, KeyPair
    from kubestrace_agent.service.tallies import Tallies
    from kubestrace_agent.traces.registry import Traces

_log = logging.getLogger(__name__)

OPERATOR_IDENTITY = "spiffe://kubestrace.io/operator"

_OPTIONS = (
    # A request names at most a node's containers; a report holds all their counts.
    ("grpc.max_receive_message_length", 1 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.max_metadata_size", 8 << 10),
    ("grpc.max_concurrent_streams", 256),
    # A watcher whose node died says no goodbye: found out within 30 s, or its lease would never end.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),
)
_MAX_CONCURRENT_CALLS = 512
# It goes in a header, and may quote the request.
_MAX_MESSAGE_CHARACTERS = 2000

_STATUS = {
    limits.InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    limits.CannotTraceError: grpc.StatusCode.FAILED_PRECONDITION,
    limits.LimitReachedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    limits.TraceNotFoundError: grpc.StatusCode.NOT_FOUND,
    limits.ShuttingDownError: grpc.StatusCode.UNAVAILABLE,
}


class AuthInterceptor(grpc.aio.ServerInterceptor):
    """Stands before every method: refuses strangers, and turns what traces raise into gRPC's codes."""

    def __init__(self, identity: str | None, tallies: Tallies) -> None:
        # None lets everybody in: for tests without certificates only.
        self._identity = identity
        self._tallies = tallies

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        """Wrap the method that was asked for."""
        handler = await continuation(details)
        if handler is None or handler.request_streaming:  # unknown; no method here streams requests
            return None
        codecs = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(self._stream(handler.unary_stream), **codecs)
        return grpc.unary_unary_rpc_method_handler(self._unary(handler.unary_unary), **codecs)

    def _unary(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            await self._check(context)
            try:
                return await method(request, context)
            except limits.TraceError as error:
                await self._refuse(context, error)

        return call

    def _stream(self, method: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            await self._check(context)
            try:
                async for message in method(request, context):
                    yield message
            except limits.TraceError as error:
                await self._refuse(context, error)

        return call

    async def _check(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        if self._identity is None:
            return
        peer = context.auth_context()
        # peer_uri holds the URI names of a certificate that the handshake verified against our CA.
        if self._identity.encode() in peer.get("peer_uri", ()) and peer.get("ssl_tls_version") == [b"TLSv1.3"]:
            return
        self._tallies.strangers += 1
        _log.warning("refused %s, whose certificate names %s", context.peer(), _names(peer))
        await context.abort(
            grpc.StatusCode.PERMISSION_DENIED, f"only {self._identity} may call this agent, over TLS 1.3"
        )

    async def _refuse(self, context: grpc.aio.ServicerContext[Any, Any], error: limits.TraceError) -> None:
        self._tallies.refused[error.reason] += 1
        code = next(code for kind, code in _STATUS.items() if isinstance(error, kind))
        await context.abort(
            code, str(error)[:_MAX_MESSAGE_CHARACTERS], trailing_metadata=(("kubestrace-reason", error.reason),)
        )


def _names(peer: Any) -> str:
    names = peer.get("x509_subject_alternative_name", ()) or peer.get("x509_common_name", ())
    return ", ".join(repr(name.decode(errors="replace")[:100]) for name in list(names)[:5]) or "nobody"


class AgentService(agent_pb2_grpc.AgentServicer):
    """The protocol's methods, each one call on traces."""

    def __init__(self, traces: Traces, description: agent_pb2.DescribeResponse) -> None:
        self._traces = traces
        self._description = description
        self.tallies: Tallies = traces.tallies

    async def Describe(  # noqa: N802 - gRPC's name
        self, request: agent_pb2.DescribeRequest, _: grpc.aio.ServicerContext[Any, Any]
    ) -> agent_pb2.DescribeResponse:
        """Say what this node can do, and what is wrong with some syscall patterns."""
        response = agent_pb2.DescribeResponse()
        response.CopyFrom(self._description)
        response.syscall_problems.extend(self._traces.syscall_problems(request.syscalls))
        return response

    async def StartTrace(  # noqa: N802
        self, request: agent_pb2.StartTraceRequest, _: grpc.aio.ServicerContext[Any, Any]
    ) -> agent_pb2.StartTraceResponse:
        """Start a trace or add containers to it."""
        return await self._traces.start(request)

    async def WatchTrace(  # noqa: N802
        self, request: agent_pb2.WatchTraceRequest, _: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[agent_pb2.Report]:
        """Send reports until the final one."""
        async for report in self._traces.watch(request.session_uid, request.interval_milliseconds):
            yield report

    async def StopTrace(  # noqa: N802
        self, request: agent_pb2.StopTraceRequest, _: grpc.aio.ServicerContext[Any, Any]
    ) -> agent_pb2.StopTraceResponse:
        """End a trace."""
        return agent_pb2.StopTraceResponse(report=await self._traces.stop(request.session_uid))

    async def ListTraces(  # noqa: N802
        self, __: agent_pb2.ListTracesRequest, _: grpc.aio.ServicerContext[Any, Any]
    ) -> agent_pb2.ListTracesResponse:
        """List running traces and those whose final report is kept."""
        return agent_pb2.ListTracesResponse(agent_id=self._description.agent_id, traces=self._traces.list())


class Server:
    """Listens on one port for the operator."""

    def __init__(
        self,
        service: AgentService,
        *,
        certificates: Certificates | None = None,
        identity: str = OPERATOR_IDENTITY,
        insecure: bool = False,
    ) -> None:
        if insecure == (certificates is not None):
            raise ValueError("either certificates, or insecure=True in a test")
        self._certificates = certificates
        self._server = grpc.aio.server(
            interceptors=(AuthInterceptor(None if insecure else identity, service.tallies),),
            options=_OPTIONS,
            maximum_concurrent_rpcs=_MAX_CONCURRENT_CALLS,
        )
        agent_pb2_grpc.add_AgentServicer_to_server(service, self._server)

    async def start(self, listen: str) -> int:
        """Listen on `host:port` and return the port. CertificateError or OSError when that cannot be."""
        if self._certificates is None:
            port = self._server.add_insecure_port(listen)
        else:
            port = self._server.add_secure_port(listen, _credentials(self._certificates))
        if not port:
            raise OSError(f"cannot listen on {listen}")
        await self._server.start()
        return port

    async def stop(self, grace_seconds: float) -> None:
        """Take no new calls; let those that run end within the grace."""
        await self._server.stop(grace_seconds)


def _credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """Ask for a client certificate at each handshake, and look for new files of our own before it."""

    def changed() -> Any:  # None for no change, which the published types leave out
        pair = certificates.changed()
        return _configuration(pair) if pair else None

    return grpc.dynamic_ssl_server_credentials(
        _configuration(certificates.load()), changed, require_client_authentication=True
    )


def _configuration(pair: KeyPair) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pair.key, pair.certificate)], pair.authority)


class HealthServer:
    """The standard gRPC health service on a unix socket, for people and for `kubestrace-agent --health`."""

    def __init__(self) -> None:
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(options=(("grpc.max_receive_message_length", 4096),), maximum_concurrent_rpcs=16)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    async def start(self, socket: Path) -> None:
        """Listen; what an earlier agent left at the path is replaced."""
        self._server.add_insecure_port(f"unix:{_cleared(socket)}")
        await self.set_serving(serving=False)
        await self._server.start()

    async def set_serving(self, *, serving: bool) -> None:
        """Say whether the agent can be asked."""
        status = health_pb2.HealthCheckResponse
        await self._health.set("", status.SERVING if serving else status.NOT_SERVING)

    async def stop(self) -> None:
        """Close the socket."""
        await self._server.stop(0)


def _cleared(socket: Path) -> Path:
    socket.parent.mkdir(parents=True, exist_ok=True)
    socket.unlink(missing_ok=True)
    return socket


def serving(socket: Path, timeout_seconds: float = 3.0) -> bool:
    """Ask the health service of the agent that runs beside this process."""
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        try:
            stub = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout_seconds)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
