"""The gRPC door: who is let in, and how refusals are told."""

import asyncio
from pathlib import Path

import grpc
import pytest
from authority import OPERATOR, Authority, Leaf, channel
from cryptography.x509.oid import ExtendedKeyUsageOID

from kubestrace_agent import settings
from kubestrace_agent.service import server
from kubestrace_agent.service.certificates import Certificates
from kubestrace_protos.v1 import agent_pb2, agent_pb2_grpc

DESCRIPTION = agent_pb2.DescribeResponse(node="n1", agent_id="agent-1", can_trace=True)


@pytest.fixture
def ca() -> Authority:
    """Give the agent's authority."""
    return Authority()


@pytest.fixture
async def port(tmp_path: Path, ca: Authority, make_traces):
    """Serve an agent with certificates."""
    ca.write(tmp_path / "tls", ca.agent())
    service = server.AgentService(make_traces(), DESCRIPTION)
    listener = server.Server(service, certificates=Certificates(tmp_path / "tls"))
    yield await listener.start("127.0.0.1:0")
    await listener.stop(0)


@pytest.fixture
async def stub(make_traces):
    """Serve an agent without certificates, as only a test can, and connect to it."""
    listener = server.Server(server.AgentService(make_traces(max_traces=1), DESCRIPTION), insecure=True)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{await listener.start('127.0.0.1:0')}") as plain:
        yield agent_pb2_grpc.AgentStub(plain)
    await listener.stop(0)


async def every_method(connection: grpc.aio.Channel) -> list[grpc.StatusCode]:
    """Call each method of the service and collect the codes."""
    stub = agent_pb2_grpc.AgentStub(connection)
    answers = [
        stub.Describe(agent_pb2.DescribeRequest(), timeout=5),
        stub.StartTrace(agent_pb2.StartTraceRequest(), timeout=5),
        stub.StopTrace(agent_pb2.StopTraceRequest(), timeout=5),
        stub.ListTraces(agent_pb2.ListTracesRequest(), timeout=5),
    ]
    watch = stub.WatchTrace(agent_pb2.WatchTraceRequest(session_uid="x"), timeout=5)
    await asyncio.gather(*answers, watch.read(), return_exceptions=True)
    assert len(answers) + 1 == len(agent_pb2.DESCRIPTOR.services_by_name["Agent"].methods)
    return [await call.code() for call in (*answers, watch)]


async def test_a_pod_with_an_ipv6_address_can_be_reached(make_traces) -> None:
    """The server takes the address that the settings make of $(POD_IP):9640, and answers on it."""
    listen = settings.parse([], {"KUBESTRACE_LISTEN": "::1:0"}).listen
    listener = server.Server(server.AgentService(make_traces(max_traces=1), DESCRIPTION), insecure=True)
    async with grpc.aio.insecure_channel(f"[::1]:{await listener.start(listen)}") as plain:
        answer = await agent_pb2_grpc.AgentStub(plain).Describe(agent_pb2.DescribeRequest(), timeout=5)
    await listener.stop(0)

    assert answer.node == DESCRIPTION.node


async def test_the_operator_is_let_in(port: int, ca: Authority) -> None:
    """Its certificate opens every method; what is refused then is refused for another reason."""
    async with channel(port, ca, ca.operator()) as connection:
        codes = await every_method(connection)

    code = grpc.StatusCode
    assert codes == [code.OK, code.INVALID_ARGUMENT, code.NOT_FOUND, code.OK, code.NOT_FOUND]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "kubestrace-operator"},
        {"name": OPERATOR},
        {"name": "kubestrace-operator", "dns": "kubestrace.io"},
        {"name": "kubestrace-operator", "uri": "spiffe://kubestrace.io/operator/other"},
        {"name": "kubestrace-operator", "uri": "spiffe://kubestrace.io/agent"},
        {"name": "kubestrace-agent", "dns": "kubestrace-agent"},
    ],
    ids=lambda wrong: "-".join(wrong.values()),
)
async def test_a_valid_certificate_of_another_identity_opens_nothing(port: int, ca: Authority, wrong: dict) -> None:
    """Every method refuses it, before it looks at the request."""
    async with channel(port, ca, ca.leaf(**wrong)) as connection:
        codes = await every_method(connection)

    assert set(codes) == {grpc.StatusCode.PERMISSION_DENIED}


def strangers() -> dict[str, Leaf | None]:
    """Give clients that the handshake itself refuses."""
    other = Authority("another CA")
    return {"no certificate": None, "another CA": other.operator()}


@pytest.mark.parametrize("client", strangers().values(), ids=strangers().keys())
async def test_a_stranger_fails_the_handshake(port: int, ca: Authority, client: Leaf | None) -> None:
    """Without a certificate of the agent's CA there is no connection."""
    async with channel(port, ca, client) as connection:
        codes = await every_method(connection)

    assert set(codes) == {grpc.StatusCode.UNAVAILABLE}


@pytest.mark.parametrize(
    "wrong",
    [{"hours": -1}, {"begins": 1, "hours": 2}, {"usage": ExtendedKeyUsageOID.SERVER_AUTH}],
    ids=["expired", "not valid yet", "for servers"],
)
async def test_a_certificate_that_does_not_hold_fails_the_handshake(port: int, ca: Authority, wrong: dict) -> None:
    """The operator's own identity does not help one that is over, does not hold yet, or is for something else."""
    async with channel(port, ca, ca.leaf("kubestrace-operator", uri=OPERATOR, **wrong)) as connection:
        codes = await every_method(connection)

    assert set(codes) == {grpc.StatusCode.UNAVAILABLE}


async def test_an_agents_certificate_is_no_operators(tmp_path: Path, port: int, ca: Authority) -> None:
    """Whoever has taken over one node cannot ask the agents of others."""
    stolen = Leaf(*((tmp_path / "tls" / name).read_bytes() for name in ("tls.crt", "tls.key")))

    async with channel(port, ca, stolen) as connection:
        codes = await every_method(connection)

    assert codes == [grpc.StatusCode.PERMISSION_DENIED] * len(codes)


async def test_a_renewed_certificate_is_used_without_a_restart(tmp_path: Path, port: int, ca: Authority) -> None:
    """New connections meet the files as they are now, and the CA too."""
    renewed = Authority("renewed CA")
    renewed.write(tmp_path / "tls", renewed.agent())

    async with channel(port, renewed, renewed.operator()) as connection:
        assert (await every_method(connection))[0] == grpc.StatusCode.OK
    async with channel(port, ca, ca.operator()) as connection:
        assert (await every_method(connection))[0] == grpc.StatusCode.UNAVAILABLE


def test_insecurity_must_be_asked_for(make_traces) -> None:
    """Neither forgetting the certificates nor giving both ways works."""
    service = server.AgentService(make_traces(), DESCRIPTION)

    with pytest.raises(ValueError, match="insecure=True"):
        server.Server(service)


async def test_reflection_and_health_are_not_served_to_clients(port: int, ca: Authority) -> None:
    """The port has the agent's methods and no others."""
    async with channel(port, ca, ca.operator()) as connection:
        for method in (
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.health.v1.Health/Check",
            "/grpc.channelz.v1.Channelz/GetServers",
        ):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await connection.unary_unary(method)(b"", timeout=5)
            assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_describe_answers_and_checks_patterns(stub) -> None:
    """The node's description comes with a sentence for each wrong pattern."""
    answer = await stub.Describe(agent_pb2.DescribeRequest(syscalls=["read", "opennat"]))

    assert (answer.node, answer.agent_id, answer.can_trace) == ("n1", "agent-1", True)
    assert len(answer.syscall_problems) == 1
    assert "openat" in answer.syscall_problems[0]


async def test_refusals_have_codes_reasons_and_messages(stub) -> None:
    """What traces refuse arrives as the code of the protocol, with the reason beside it."""
    await stub.StartTrace(agent_pb2.StartTraceRequest(session_uid="s1", duration_milliseconds=60_000))

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.StartTrace(agent_pb2.StartTraceRequest(session_uid="s2", duration_milliseconds=60_000))

    error = raised.value
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "1 traces run" in error.details()
    assert ("kubestrace-reason", "TooManyTraces") in list(error.trailing_metadata())


async def test_a_session_over_the_wire(stub, node, tracer) -> None:
    """Start, watch, stop and list, as the operator does."""
    app = node.run("app")
    request = agent_pb2.StartTraceRequest(
        session_uid="s1", duration_milliseconds=60_000, containers=[agent_pb2.Container(container_id="app")]
    )

    started = await stub.StartTrace(request)
    watch = aiter(stub.WatchTrace(agent_pb2.WatchTraceRequest(session_uid="s1")))
    first = await anext(watch)
    tracer.call(app, times=2)
    stopped = await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="s1"))
    *_, last = [report async for report in watch]
    listed = await stub.ListTraces(agent_pb2.ListTracesRequest())

    assert (started.created, first.final) == (True, False)
    assert last == stopped.report
    assert [counts.calls for counts in last.containers[0].syscalls] == [2]
    assert [(each.session_uid, each.ended) for each in listed.traces] == [("s1", True)]


async def test_a_watcher_that_hangs_up_no_longer_holds_the_lease(stub, node, tracer) -> None:
    """A cancelled stream counts as gone."""
    node.run("app")
    await stub.StartTrace(
        agent_pb2.StartTraceRequest(
            session_uid="s1",
            duration_milliseconds=60_000,
            lease_seconds=1,
            containers=[agent_pb2.Container(container_id="app")],
        )
    )
    watch = stub.WatchTrace(agent_pb2.WatchTraceRequest(session_uid="s1"))
    await watch.read()

    watch.cancel()
    async with asyncio.timeout(5):
        while tracer.slots:  # noqa: ASYNC110 - the fake has no event to wait for
            await asyncio.sleep(0.05)

    stopped = await stub.StopTrace(agent_pb2.StopTraceRequest(session_uid="s1"))
    assert stopped.report.end_reason == agent_pb2.END_REASON_LEASE_EXPIRED


async def test_a_request_that_is_too_large_is_refused(stub) -> None:
    """More than a node could have containers is not read."""
    huge = agent_pb2.StartTraceRequest(session_uid="s1", session_name="x" * (2 << 20), duration_milliseconds=1)

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.StartTrace(huge)

    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_the_health_service_answers_on_its_socket(tmp_path: Path) -> None:
    """`kubestrace-agent --health` sees what was set, and nobody home is no health."""
    socket = tmp_path / "run" / "health.sock"
    # Another place: gRPC remembers for a second that a connection failed.
    assert not await asyncio.to_thread(server.serving, tmp_path / "nobody.sock", 0.5)

    health = server.HealthServer()
    await health.start(socket)
    before = await asyncio.to_thread(server.serving, socket)
    await health.set_serving(serving=True)
    after = await asyncio.to_thread(server.serving, socket)
    await health.stop()

    assert (before, after) == (False, True)
