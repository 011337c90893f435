"""Speaking to the node agents: the only user of gRPC in the operator.

One channel for each agent, made at the first call, shared by all sessions, closed when it was not used for a while, and
replaced when certificates change. TLS both ways: an agent must
hold a certificate of our CA for the name `kubestrace-agent`, whatever its address is, and gets ours. The type of an
error says whether trying again helps.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import grpc
import grpc.aio

from kubestrace_operator.agents import reports
from kubestrace_protos.v1 import agent_pb2, agent_pb2_grpc

AGENT_NAME = "kubestrace-agent"
DESCRIBE_SECONDS = 5.0
# Deadlines are for an agent that hangs. One that is dead or cut off is noticed by keepalive, and one that is busy
# answers late: whoever gives it up asks again and makes it busier.
START_SECONDS = 30.0
STOP_SECONDS = 10.0
# Reports that stay away for so long, or for so many intervals.
SILENCE_SECONDS = 30.0
_SILENT_INTERVALS = 5
# Calls of one kind that one agent has to answer at a time; the others take turns before their deadlines begin.
_TURNS = 4
# A report of 500 containers with 150 calls each stays below this.
_MAX_MESSAGE_BYTES = 32 * 1024 * 1024
# Reports that may come faster than asked for, such as the final one; after these they are read in twice their time.
_BURST = 5
# A channel that nobody uses is closed within twice this: each takes 100 KiB, and a cluster may have thousands of nodes.
IDLE_SECONDS = 30.0
_OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.ssl_target_name_override", AGENT_NAME),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    # A dead node is noticed within these two together, also when nothing answers.
    ("grpc.keepalive_time_ms", 5000),
    ("grpc.keepalive_timeout_ms", 3000),
    # An agent that restarts is there again within seconds; gRPC's own two minutes would keep us away.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
# Where agents put their word for an error.
_REASON_KEY = "kubestrace-reason"
_REASON = re.compile(r"[A-Za-z]{1,64}")
_Answer = TypeVar("_Answer")


class AgentError(Exception):
    """An agent did not do what was asked; the message says what was asked of which node, and why it failed.

    `reason` is the agent's own word for it, CamelCase, where it gave one.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class AgentUnavailableError(AgentError):
    """The agent does not answer: it restarts, or its node or the network is gone. Trying again helps."""


class RefusedIdentityError(AgentUnavailableError):
    """One side refused the other's certificate. Trying again helps once the certificates are right."""


class AgentFullError(AgentError):
    """A cap of the agent is reached. Trying again helps when another trace has ended."""


class CannotTraceError(AgentError):
    """The node cannot trace at all. Trying again does not help."""


class InvalidRequestError(AgentError):
    """The agent refuses what was asked. Trying again does not help."""


class TraceNotFoundError(AgentError):
    """The agent knows no such trace: it has restarted since, or the trace ended long ago."""


class Endpoint(NamedTuple):
    """A ready agent."""

    node: str
    # "address:port"
    address: str


class Certificates(NamedTuple):
    """PEM: whom we trust, and who we are."""

    ca: bytes
    certificate: bytes
    key: bytes


class Agents:
    """Calls to all agents of the cluster."""

    def __init__(self, certificates: Certificates, may_write: Callable[[], bool] = lambda: True) -> None:
        """`may_write` is asked before each call that changes something on a node."""
        self._certificates = certificates
        self._credentials = _credentials(certificates)
        self._may_write = may_write
        self._channels: dict[str, _Channel] = {}
        # The agents' ends of replaced channels: streams on them go on.
        self._retired: set[asyncio.Task[None]] = set()
        # Agents that are being asked what they can do, by address.
        self._described: dict[str, asyncio.Task[agent_pb2.DescribeResponse]] = {}

    def renew(self, certificates: Certificates) -> None:
        """Use other certificates for new calls; running streams go on over their old connections until they end."""
        if certificates == self._certificates:
            return
        self._certificates = certificates
        self._credentials = _credentials(certificates)
        for address in list(self._channels):
            self._retire(address)

    async def keep(self, endpoints: Sequence[Endpoint], leaving: Sequence[Endpoint] = ()) -> None:
        """Let go of all agents but these.

        Those that are `leaving` are heard out: their last reports come as they end.
        """
        wanted = {endpoint.address for endpoint in (*endpoints, *leaving)}
        for address in set(self._channels) - wanted:
            await self._channels.pop(address).grpc.close()

    @property
    def channels(self) -> int:
        """How many agents there is a channel to."""
        return len(self._channels)

    async def close_unused(self) -> None:
        """Close channels that were not used since the last call of this."""
        unused = [address for address, channel in self._channels.items() if channel.is_unused()]
        await asyncio.gather(*(self._channels.pop(address).grpc.close() for address in unused))

    async def close(self) -> None:
        """Close all channels."""
        channels, self._channels = self._channels, {}
        retired = list(self._retired)
        for task in retired:
            task.cancel()
        await asyncio.gather(*(channel.grpc.close() for channel in channels.values()))
        await asyncio.gather(*retired, return_exceptions=True)

    def _retire(self, address: str) -> None:
        """Let a channel's calls end, then close it."""
        task = asyncio.create_task(_close_when_idle(self._channels.pop(address)))
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)

    async def describe(
        self, agent: Endpoint, syscalls: Sequence[str] = (), *, within_seconds: float = DESCRIBE_SECONDS
    ) -> agent_pb2.DescribeResponse:
        """Return what a node can do, and what is wrong with these syscall patterns.

        Those who ask an agent at the same time share its answer: an operator that starts takes up many sessions.
        """
        if syscalls:
            return await self._describe(agent, syscalls, within_seconds)
        asked = self._described.get(agent.address)
        if asked is None:
            asked = asyncio.create_task(self._describe(agent, (), within_seconds))
            self._described[agent.address] = asked
            asked.add_done_callback(lambda _: self._described.pop(agent.address))
            # Whoever waits hears of an error; when all have gone nobody does.
            asked.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(asked)

    async def _describe(
        self, agent: Endpoint, syscalls: Sequence[str], within_seconds: float
    ) -> agent_pb2.DescribeResponse:
        request = agent_pb2.DescribeRequest(syscalls=syscalls)
        with self._channel(agent).call() as stub:
            return await _answer("describe itself", agent, stub.Describe(request, timeout=within_seconds))

    async def start(self, agent: Endpoint, request: agent_pb2.StartTraceRequest) -> agent_pb2.StartTraceResponse:
        """Start a trace, or add containers to it."""
        channel = self._channel(agent)
        with channel.call() as stub:
            async with channel.starting:
                self._check(agent, "start a trace")
                return await _answer("start a trace", agent, stub.StartTrace(request, timeout=START_SECONDS))

    async def stop(self, agent: Endpoint, session_uid: str) -> agent_pb2.Report:
        """End a trace and return its final report."""
        request = agent_pb2.StopTraceRequest(session_uid=session_uid)
        channel = self._channel(agent)
        with channel.call() as stub:
            async with channel.stopping:
                self._check(agent, "stop a trace")
                return (await _answer("stop a trace", agent, stub.StopTrace(request, timeout=STOP_SECONDS))).report

    async def traces(self, agent: Endpoint) -> agent_pb2.ListTracesResponse:
        """Return the traces that an agent has, running ones and ended ones that it kept."""
        with self._channel(agent).call() as stub:
            call = stub.ListTraces(agent_pb2.ListTracesRequest(), timeout=DESCRIBE_SECONDS)
            return await _answer("list its traces", agent, call)

    async def watch(
        self, agent: Endpoint, session_uid: str, interval_seconds: float = 1.0
    ) -> AsyncIterator[agent_pb2.Report]:
        """Yield reports up to the final one. Raises AgentUnavailableError when they stay away."""
        interval = int(interval_seconds * 1000)
        request = agent_pb2.WatchTraceRequest(session_uid=session_uid, interval_milliseconds=interval)
        silence = max(SILENCE_SECONDS, _SILENT_INTERVALS * interval_seconds)
        pace = _Pace(interval_seconds / 2)
        with self._channel(agent).call() as stub:
            stream = stub.WatchTrace(request)
            try:
                while True:
                    async with asyncio.timeout(silence):
                        report = await _answer("report", agent, stream.read())
                    if not isinstance(report, agent_pb2.Report):
                        return
                    final = report.final
                    yield report
                    # While the next one is awaited nobody keeps this one: of thousands of streams that would be most of
                    # the operator's memory.
                    del report
                    if final:
                        return
                    await pace.wait()
            except TimeoutError:
                message = f"the agent on node {agent.node} sent no report for {silence:.0f} s"
                raise AgentUnavailableError(message) from None
            finally:
                stream.cancel()

    def _check(self, agent: Endpoint, what: str) -> None:
        if not self._may_write():
            raise AgentUnavailableError(f"node {agent.node} was not told to {what}: another operator may lead")

    def _channel(self, agent: Endpoint) -> "_Channel":
        channel = self._channels.get(agent.address)
        if channel is None:
            channel = _Channel(grpc.aio.secure_channel(agent.address, self._credentials, options=_OPTIONS))
            self._channels[agent.address] = channel
        return channel


def _credentials(certificates: Certificates) -> grpc.ChannelCredentials:
    """Return what all channels share: each of its own would read the PEM anew and keep it."""
    ca, certificate, key = certificates
    return grpc.ssl_channel_credentials(ca, key, certificate)


class _Pace:
    """Holds up whoever goes on faster than it should for long: what is not read waits at the agent."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._clock = asyncio.get_running_loop().time
        self._due = self._clock()

    async def wait(self) -> None:
        """Wait until the next may come."""
        now = self._clock()
        self._due = max(self._due, now - _BURST * self._seconds) + self._seconds
        await asyncio.sleep(max(0.0, self._due - now))


class _Channel:
    """A connection to one agent, and how many calls are under way on it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.grpc = channel
        self.starting = asyncio.Semaphore(_TURNS)
        self.stopping = asyncio.Semaphore(_TURNS)
        self._calls = 0
        self._used = True
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def call(self) -> "Iterator[agent_pb2_grpc.AgentAsyncStub]":
        """Give a stub for one call; the channel counts as busy meanwhile, also while the call waits for its turn."""
        self._calls += 1
        self._used = True
        self._idle.clear()
        try:
            yield agent_pb2_grpc.AgentStub(self.grpc)
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    def is_unused(self) -> bool:
        """Tell whether there was no call since this was asked last."""
        used, self._used = self._used, bool(self._calls)
        return not used

    async def idle(self) -> None:
        """Wait until no call is under way."""
        await self._idle.wait()


async def _close_when_idle(channel: _Channel) -> None:
    try:
        await channel.idle()
    finally:
        await channel.grpc.close()


async def _answer(what: str, agent: Endpoint, call: Awaitable[_Answer]) -> _Answer:
    """Await a call and translate what gRPC raises."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        why = reports.text(error.details() or error.code().name, reports.MAX_MESSAGE)
        message = f"the agent on node {agent.node} ({agent.address}) did not {what}: {why}"
        raise _kind(error)(message, _reason(error)) from error
    except (grpc.aio.UsageError, asyncio.CancelledError) as error:
        # gRPC cancels the calls of a channel that is closed: the agent is gone.
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        raise AgentUnavailableError(f"the connection to the agent on node {agent.node} was closed") from error


def _reason(error: grpc.aio.AioRpcError) -> str:
    given = next((str(value) for key, value in error.trailing_metadata() or () if key == _REASON_KEY), "")
    return given if _REASON.fullmatch(given) else ""


def _kind(error: grpc.aio.AioRpcError) -> type[AgentError]:
    kinds = {
        grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
        grpc.StatusCode.FAILED_PRECONDITION: CannotTraceError,
        grpc.StatusCode.NOT_FOUND: TraceNotFoundError,
        grpc.StatusCode.RESOURCE_EXHAUSTED: AgentFullError,
        grpc.StatusCode.PERMISSION_DENIED: RefusedIdentityError,
        grpc.StatusCode.UNAUTHENTICATED: RefusedIdentityError,
    }
    details = (error.details() or "").lower()
    # A failed handshake has no code of its own: gRPC says UNAVAILABLE and what TLS said.
    if error.code() == grpc.StatusCode.UNAVAILABLE and any(
        word in details for word in ("handshake", "verification", "certificate")
    ):
        return RefusedIdentityError
    return kinds.get(error.code(), AgentUnavailableError)
