"""The probe that kubelet asks."""

import asyncio

import pytest

from kubestrace_agent import settings
from kubestrace_agent.service.health import Health


async def ask(port: int, request: bytes) -> bytes:
    """Send bytes and read to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(("ready", "status"), [(True, b"200"), (False, b"503")])
async def test_the_answer_is_whether_the_agent_can_be_asked(ready: bool, status: bytes) -> None:
    """Ready is 200, not ready 503."""
    health = Health(lambda: ready)
    port = await health.start("127.0.0.1:0")

    answer = await ask(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    await health.stop()

    assert answer.split()[1] == status


async def test_an_agent_that_is_not_ready_is_alive() -> None:
    """Waiting for certificates is no reason to restart."""
    health = Health(lambda: False)
    port = await health.start("127.0.0.1:0")

    answer = await ask(port, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    await health.stop()

    assert answer.split()[1] == b"200"


async def test_a_pod_with_an_ipv6_address_can_be_probed() -> None:
    """The listener takes the address that the settings make of $(POD_IP):9641."""
    health = Health(lambda: True)
    port = await health.start(settings.parse([], {"KUBESTRACE_HEALTH_LISTEN": "::1:0"}).health_listen)

    reader, writer = await asyncio.open_connection("::1", port)
    writer.write(b"GET /healthz HTTP/1.1\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await health.stop()

    assert answer.split()[1] == b"200"


@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\n\r\n", b"POST /healthz HTTP/1.1\r\n\r\n", b"\r\n\r\n"])
async def test_nothing_else_is_served(request_: bytes) -> None:
    """Other paths and methods do not exist."""
    health = Health(lambda: True)
    port = await health.start("127.0.0.1:0")

    answer = await ask(port, request_)
    await health.stop()

    assert answer.split()[1] == b"404"


async def test_a_request_without_end_is_cut_off() -> None:
    """More than a probe would ever send closes the connection without an answer."""
    health = Health(lambda: True)
    port = await health.start("127.0.0.1:0")

    try:
        answer = await ask(port, b"GET /healthz HTTP/1.1\r\n" + b"x" * 100_000)
    except ConnectionError:
        answer = b""
    await health.stop()

    assert answer == b""
