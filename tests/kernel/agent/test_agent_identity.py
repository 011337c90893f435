"""Who may call a real agent."""

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from agent_process import Agent, Stub
from authority import OPERATOR, Authority, Leaf, channel

from kubestrace_agent.views import registry
from kubestrace_protos.v1 import agent_pb2

DESCRIBE = agent_pb2.DescribeRequest()


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """Give one agent for all tests that only ask it."""
    shared = Agent(tmp_path_factory.mktemp("agent"), Authority())
    yield shared.ready()
    shared.end(9)


async def code(connection: grpc.aio.Channel) -> grpc.StatusCode:
    """Ask what the node can do, and give the code of the answer."""
    call = Stub(connection).Describe(DESCRIBE, timeout=200)
    await asyncio.wait([asyncio.ensure_future(call.code())])
    return await call.code()


async def test_the_operator_learns_what_the_node_can_do(agent: Agent) -> None:
    """Name, kernel, cgroups, and that it can trace."""
    async with agent.connect() as connection:
        answer = await Stub(connection).Describe(agent_pb2.DescribeRequest(syscalls=["opennat"]))

    assert (answer.node, answer.can_trace, answer.reason) == ("test-node", True, "")
    assert answer.cgroup_mode in {agent_pb2.CGROUP_MODE_UNIFIED, agent_pb2.CGROUP_MODE_HYBRID}
    assert (len(answer.agent_id), answer.kernel_release != "", answer.architecture != "") == (32, True, True)
    assert "openat" in answer.syscall_problems[0]
    views = {each.name: (each.available, each.message) for each in answer.views}
    assert views == dict.fromkeys(registry.views(), (True, ""))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda _: None, grpc.StatusCode.UNAVAILABLE),
        (lambda _: Authority("another").operator(), grpc.StatusCode.UNAVAILABLE),
        (lambda ca: ca.leaf("kubestrace-operator"), grpc.StatusCode.PERMISSION_DENIED),
        (lambda ca: ca.leaf("x", uri=OPERATOR + "2"), grpc.StatusCode.PERMISSION_DENIED),
        (lambda ca: ca.agent(), grpc.StatusCode.PERMISSION_DENIED),
    ],
    ids=["no certificate", "another CA", "no identity", "another identity", "an agent"],
)
async def test_nobody_else_is_let_in(
    agent: Agent, make: Callable[[Authority], Leaf | None], expected: grpc.StatusCode
) -> None:
    """Strangers fail the handshake, and valid certificates of others are refused by name."""
    async with channel(agent.port(), agent.authority, make(agent.authority)) as connection:
        assert await code(connection) == expected


def test_tls_1_2_is_not_spoken(agent: Agent, tmp_path: Path) -> None:
    """The operator's certificate connects by TLS 1.3 and not by TLS 1.2."""
    operator = agent.authority.operator()
    files = {"cert": operator.certificate, "key": operator.key, "CAfile": agent.authority.certificate}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    words = [word for name in files for word in (f"-{name}", str(tmp_path / name))]

    def connect(version: str) -> bytes:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{agent.port()}", version, "-alpn", "h2", "-brief"]
        return subprocess.run([*command, *words], input=b"", capture_output=True, timeout=200, check=False).stderr

    assert b"CONNECTION ESTABLISHED" in connect("-tls1_3")
    assert b"CONNECTION ESTABLISHED" not in connect("-tls1_2")


async def test_certificates_are_renewed_without_a_restart(start_agent: Callable[..., Agent], tmp_path: Path) -> None:
    """A new CA and leaf in the mounted Secret serve new connections, not the old CA's; those that are open stay."""
    agent, renewed = start_agent(), Authority("renewed CA")

    async with agent.connect() as before:
        codes = [await code(before)]
        renewed.write(tmp_path / "tls", renewed.agent())
        codes.append(await code(before))
        async with channel(agent.port(), renewed, renewed.operator()) as after:
            codes.append(await code(after))
        async with agent.connect() as old:
            codes.append(await code(old))

    status = grpc.StatusCode
    assert codes == [status.OK, status.OK, status.OK, status.UNAVAILABLE]
