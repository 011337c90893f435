"""Speaking to agents: over real TLS, with right and wrong certificates on both sides, and with every kind of error."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from authority import Authority, Leaf
from cryptography.x509.oid import ExtendedKeyUsageOID

from kubestrace_operator.agents import client as agents_module
from kubestrace_operator.agents.client import (
    AgentError,
    AgentFullError,
    Agents,
    AgentUnavailableError,
    CannotTraceError,
    Certificates,
    Endpoint,
    InvalidRequestError,
    RefusedIdentityError,
    TraceNotFoundError,
)
from kubestrace_protos.v1 import agent_pb2, agent_pb2_grpc

ERRORS = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.FAILED_PRECONDITION: CannotTraceError,
    grpc.StatusCode.NOT_FOUND: TraceNotFoundError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: AgentFullError,
    grpc.StatusCode.PERMISSION_DENIED: RefusedIdentityError,
    grpc.StatusCode.INTERNAL: AgentUnavailableError,
}


class FakeService(agent_pb2_grpc.AgentServicer):
    """An agent that answers as it is told."""

    def __init__(self) -> None:
        self.code: grpc.StatusCode | None = None
        self.reports = 3
        self.silent = False
        # Bytes of the final report.
        self.padding = 0
        # Set: reports after the first may be sent.
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.callers: list[str] = []
        # Set by the first start; set: starts are answered.
        self.start_came = asyncio.Event()
        self.start = asyncio.Event()
        self.start.set()

    async def Describe(self, request: Any, context: Any) -> agent_pb2.DescribeResponse:  # noqa: N802
        """Name the node."""
        self.callers += [name.decode() for name in context.auth_context().get("peer_uri", ())]
        return agent_pb2.DescribeResponse(node="n1", syscall_problems=list(request.syscalls))

    async def StartTrace(self, _: Any, context: Any) -> agent_pb2.StartTraceResponse:  # noqa: N802
        """Start, or fail."""
        self.start_came.set()
        await self.start.wait()
        if self.code:
            await context.abort(self.code, "as it is told", (("kubestrace-reason", "AsTold"),))
        return agent_pb2.StartTraceResponse(agent_id="a", created=True)

    async def WatchTrace(self, _: Any, __: Any) -> AsyncIterator[agent_pb2.Report]:  # noqa: N802
        """Send reports, the last of them final; or fall silent."""
        for number in range(self.reports):
            yield agent_pb2.Report(sequence=number, final=not self.silent and number == self.reports - 1)
            await self.go_on.wait()
        if self.silent:
            await asyncio.sleep(60)

    async def StopTrace(self, request: Any, _: Any) -> agent_pb2.StopTraceResponse:  # noqa: N802
        """Stop."""
        return agent_pb2.StopTraceResponse(report=self._last(request.session_uid))

    def _last(self, uid: str) -> agent_pb2.Report:
        return agent_pb2.Report(session_uid=uid, final=True, node="x" * self.padding)

    async def ListTraces(self, _: Any, __: Any) -> agent_pb2.ListTracesResponse:  # noqa: N802
        """List one."""
        return agent_pb2.ListTracesResponse(traces=[agent_pb2.TraceSummary(session_uid="u1")])


class Node:
    """A running server and the certificates around it."""

    def __init__(self) -> None:
        self.authority = Authority()
        self.service = FakeService()
        self.clients: list[Agents] = []
        self.servers: list[grpc.aio.Server] = []

    async def serve(self, leaf: Leaf | None = None, port: int = 0) -> Endpoint:
        """Listen with a certificate, demanding one of our CA."""
        leaf = leaf or self.authority.agent()
        credentials = grpc.ssl_server_credentials(
            [(leaf.key, leaf.certificate)], self.authority.certificate, require_client_auth=True
        )
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        agent_pb2_grpc.add_AgentServicer_to_server(self.service, server)
        port = server.add_secure_port(f"127.0.0.1:{port}", credentials)
        await server.start()
        self.servers.append(server)
        return Endpoint("n1", f"127.0.0.1:{port}")

    def client(self, leaf: Leaf | None = None, ca: bytes | None = None) -> Agents:
        """Return an operator's side."""
        leaf = leaf or self.authority.operator()
        made = Agents(Certificates(ca or self.authority.certificate, leaf.certificate, leaf.key))
        self.clients.append(made)
        return made


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    """A node whose connections are closed afterwards."""
    made = Node()
    yield made
    for client in made.clients:
        await client.close()
    for server in made.servers:
        await server.stop(None)


async def test_every_call_over_mutual_tls(node: Node) -> None:
    """The agent sees the operator's identity; each call brings its answer."""
    agent, client = await node.serve(), node.client()

    described = await client.describe(agent, ["opennat"])
    started = await client.start(agent, agent_pb2.StartTraceRequest(session_uid="u1"))
    reports = [report async for report in client.watch(agent, "u1")]
    stopped = await client.stop(agent, "u1")
    listed = await client.traces(agent)

    assert node.service.callers == ["spiffe://kubestrace.io/operator"]
    assert list(described.syscall_problems) == ["opennat"]
    assert started.created
    assert [report.final for report in reports] == [False, False, True]
    assert stopped.session_uid == "u1"
    assert [trace.session_uid for trace in listed.traces] == ["u1"]


@pytest.mark.parametrize(("code", "kind"), ERRORS.items())
async def test_the_type_of_an_error_says_whether_to_try_again(
    node: Node, code: grpc.StatusCode, kind: type[Exception]
) -> None:
    """GRPC's codes are translated at the door, with the node and the agent's words."""
    agent, client = await node.serve(), node.client()
    node.service.code = code

    with pytest.raises(kind, match=r"node n1 .* as it is told") as raised:
        await client.start(agent, agent_pb2.StartTraceRequest())

    assert isinstance(raised.value, AgentError)
    assert raised.value.reason == "AsTold"


async def test_nobody_listens(node: Node) -> None:
    """An agent that is not there is unavailable, and said so soon."""
    client = node.client()

    with pytest.raises(AgentUnavailableError):
        await asyncio.wait_for(client.describe(Endpoint("n1", "127.0.0.1:9")), 5)


async def test_an_agent_of_another_ca_is_refused(node: Node) -> None:
    """Whoever listens at an agent's address must prove that it is one."""
    agent = await node.serve(Authority("somebody else's").agent())
    client = node.client()

    with pytest.raises(RefusedIdentityError):
        await client.describe(agent)


async def test_an_agent_with_another_name_is_refused(node: Node) -> None:
    """A valid certificate of our CA is not enough: an operator's or a web server's is no agent's."""
    client = node.client()

    for leaf in (node.authority.leaf("web", dns="web.example"), node.authority.operator()):
        agent = await node.serve(leaf)
        with pytest.raises(RefusedIdentityError):
            await client.describe(agent)


@pytest.mark.parametrize(
    "wrong",
    [
        {"dns": "kubestrace-agent", "hours": -1},
        {"dns": "kubestrace-agent", "begins": 1, "hours": 2},
        {"dns": "kubestrace-agent", "usage": ExtendedKeyUsageOID.CLIENT_AUTH},
        {"name": "kubestrace-operator", "uri": "spiffe://kubestrace.io/operator"},
    ],
    ids=["expired", "not valid yet", "for clients", "the operator's"],
)
async def test_an_agent_whose_certificate_does_not_hold_is_refused(node: Node, wrong: dict[str, Any]) -> None:
    """Nothing is asked of whoever answers at an agent's address without an agent's certificate that holds now."""
    agent, client = await node.serve(node.authority.leaf(**{"name": "kubestrace-agent"} | wrong)), node.client()

    with pytest.raises(RefusedIdentityError):
        await client.describe(agent)

    assert node.service.callers == []


async def test_a_report_of_64_mib_ends_the_call_and_not_the_operator(node: Node) -> None:
    """It is refused by its length, before it is read; the next call is answered."""
    agent, client = await node.serve(), node.client()
    node.service.padding = 64 << 20

    with pytest.raises(AgentError) as raised:
        await client.stop(agent, "u1")
    described = await client.describe(agent)

    assert "larger than max" in str(raised.value)
    assert described.node == "n1"


async def test_the_agent_refuses_our_certificate(node: Node) -> None:
    """An operator with a certificate of another CA gets nowhere."""
    agent = await node.serve()
    client = node.client(Authority("other").operator())

    with pytest.raises(AgentUnavailableError):
        await client.describe(agent)


async def test_a_silent_agent_is_given_up(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports that stay away end the watch: the node may be gone without a word."""
    monkeypatch.setattr(agents_module, "SILENCE_SECONDS", 0.2)
    agent, client = await node.serve(), node.client()
    node.service.silent = True

    with pytest.raises(AgentUnavailableError, match="no report"):
        async for _ in client.watch(agent, "u1"):
            pass


async def test_an_agent_that_dies_ends_its_watch(node: Node) -> None:
    """The stream breaks off with an error that says: try again."""
    agent, client = await node.serve(), node.client()
    node.service.silent = True

    watch = client.watch(agent, "u1")
    await anext(watch)
    await node.servers[0].stop(0)

    with pytest.raises(AgentUnavailableError):
        async for _ in watch:
            pass


async def test_an_agent_that_restarts_is_found_again(node: Node) -> None:
    """The same address answers again within a second or so; no channel has to be made by hand."""
    agent, client = await node.serve(), node.client()
    await client.describe(agent)
    await node.servers[0].stop(0)
    with pytest.raises(AgentUnavailableError):
        await client.describe(agent)

    await node.serve(port=int(agent.address.rsplit(":", 1)[1]))

    async with asyncio.timeout(5):
        while True:
            try:
                assert (await client.describe(agent)).node == "n1"
                break
            except AgentUnavailableError:
                await asyncio.sleep(0.1)


async def test_new_certificates_are_used_at_once(node: Node) -> None:
    """The next call shows the new certificate; a running watch goes on to its end over the old connection."""
    agent, client = await node.serve(), node.client(node.authority.leaf("old", uri="spiffe://kubestrace.io/old"))
    node.service.go_on = asyncio.Event()
    watch = client.watch(agent, "u1")
    await anext(watch)
    leaf = node.authority.operator()

    client.renew(Certificates(node.authority.certificate, leaf.certificate, leaf.key))
    await client.describe(agent)
    node.service.go_on.set()
    rest = [report.final async for report in watch]

    assert node.service.callers == ["spiffe://kubestrace.io/operator"]
    assert rest == [False, True]


async def test_those_who_ask_at_the_same_time_share_the_answer(node: Node) -> None:
    """One that is cancelled takes it from nobody, later ones ask anew, and patterns are a question of their own."""
    agent, client = await node.serve(), node.client()
    asked = [asyncio.create_task(client.describe(agent)) for _ in range(5)]
    await asyncio.sleep(0)
    asked[0].cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    together = len(node.service.callers)
    patterns = await asyncio.gather(*(client.describe(agent, ["read"]) for _ in range(2)))
    await client.describe(agent)

    assert isinstance(answers[0], asyncio.CancelledError)
    assert [each.node for each in answers[1:] if not isinstance(each, BaseException)] == ["n1"] * 4
    assert together == len(node.service.callers) // 4
    assert [list(each.syscall_problems) for each in patterns] == [["read"], ["read"]]


async def test_a_cancelled_call_stays_cancelled(node: Node) -> None:
    """Cancelling a session's task is no error of the agent's."""
    agent, client = await node.serve(), node.client()
    node.service.silent = True

    async def follow() -> None:
        async for _ in client.watch(agent, "u1"):
            pass

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.2)
    following.cancel()

    with pytest.raises(asyncio.CancelledError):
        await following


async def test_channels_of_agents_that_are_gone_are_closed(node: Node) -> None:
    """Only ready agents are kept; one that comes back is connected anew."""
    agent, client = await node.serve(), node.client()
    node.service.silent = True
    await client.keep([agent])
    watch = client.watch(agent, "u1")
    await anext(watch)

    await client.keep([])

    with pytest.raises(AgentUnavailableError):
        async for _ in watch:
            pass
    assert (await client.describe(agent)).node == "n1"


async def test_channels_of_agents_that_are_leaving_stay(node: Node) -> None:
    """Reports come until the last one, and only then is the channel closed."""
    agent, client = await node.serve(), node.client()
    await client.keep([agent])
    watch = client.watch(agent, "u1")
    first = await anext(watch)

    await client.keep([], [agent])
    rest = [report async for report in watch]

    assert not first.final
    assert rest[-1].final


async def test_an_operator_that_may_not_write_tells_agents_nothing(node: Node) -> None:
    """Another one may have taken over: it starts and stops no trace, but reads what it is asked to."""
    agent, leaf = await node.serve(), node.authority.operator()
    client = Agents(Certificates(node.authority.certificate, leaf.certificate, leaf.key), may_write=lambda: False)
    node.clients.append(client)

    with pytest.raises(AgentUnavailableError, match="was not told to start a trace"):
        await client.start(agent, agent_pb2.StartTraceRequest(session_uid="u1"))
    with pytest.raises(AgentUnavailableError, match="was not told to stop a trace"):
        await client.stop(agent, "u1")
    assert (await client.describe(agent)).node == "n1"


async def test_a_report_is_let_go_of_before_the_next_one_comes(node: Node) -> None:
    """Thousands of streams wait for their next report at a time: each would keep one that has been read."""
    agent, client = await node.serve(), node.client()
    node.service.go_on.clear()
    watch = client.watch(agent, "u1")
    first = await anext(watch)
    following = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(1)
    held = [each for each in watch.ag_frame.f_locals.values() if isinstance(each, agent_pb2.Report)]  # type: ignore[attr-defined]
    node.service.go_on.set()

    assert first.sequence == 0
    assert held == []
    assert (await following).sequence == 1


async def test_channels_that_nobody_uses_are_closed(node: Node) -> None:
    """Neither one that was used since the last look, nor one with a stream; a later call connects anew."""
    agent, client = await node.serve(), node.client()
    await client.describe(agent)
    await client.close_unused()
    used = client.channels
    await client.close_unused()
    unused = client.channels

    watch = client.watch(agent, "u1")
    await anext(watch)
    await client.close_unused()
    await client.close_unused()
    watched = client.channels
    rest = [report async for report in watch]

    assert (used, unused, watched) == (1, 0, 1)
    assert rest[-1].final


async def test_a_call_that_waits_for_its_turn_keeps_its_channel(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is used, although nothing was sent yet: neither a look for unused ones nor new certificates close it."""
    monkeypatch.setattr(agents_module, "_TURNS", 1)
    agent, client = await node.serve(), node.client()
    node.service.start.clear()
    calls = [asyncio.create_task(client.start(agent, agent_pb2.StartTraceRequest())) for _ in range(2)]
    await node.service.start_came.wait()

    await client.close_unused()
    await client.close_unused()
    leaf = node.authority.operator()
    client.renew(Certificates(node.authority.certificate, leaf.certificate, leaf.key))
    node.service.start.set()

    assert [(await each).agent_id for each in calls] == ["a", "a"]
