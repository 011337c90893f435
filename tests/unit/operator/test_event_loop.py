"""How soon the operator hears of what its agents answer."""

import asyncio
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import grpc.aio
import pytest

from kubestrace_operator.event_loop import EventLoop

_CALLS = 1000
# For which other work holds up each turn of the loop: meanwhile dozens of answers come.
_TURN_SECONDS = 0.002


@pytest.fixture
def address() -> Iterator[str]:
    """A server that answers what it is asked, in another thread."""
    echo = grpc.unary_unary_rpc_method_handler(lambda request, _: request)
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", {"Echo": echo}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait(timeout=30)


async def turns_until_all_are_heard(address: str) -> int:
    """Return how many turns of the loop it takes to hear all answers to many calls at once."""
    turns, answered = 0, False

    def work() -> None:
        nonlocal turns
        turns += 1
        time.sleep(_TURN_SECONDS)
        if not answered:
            asyncio.get_running_loop().call_soon(work)

    async with grpc.aio.insecure_channel(address) as channel:
        echo = channel.unary_unary("/test.Echo/Echo")

        async def ask() -> None:
            await echo(b"x")

        await ask()
        work()
        async with asyncio.timeout(300):
            await asyncio.gather(*(ask() for _ in range(_CALLS)))
        answered = True
    return turns


def test_all_answers_that_wait_are_heard_in_one_turn(address: str) -> None:
    """With asyncio's own loop each turn hears of one or two, once some hundred wait."""
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        turns = runner.run(turns_until_all_are_heard(address))

    assert turns < _CALLS / 3


def test_the_loop_serves_all_other_readers_as_asyncio_does() -> None:
    """Streams, and callbacks with arguments of whoever else adds some."""
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        assert runner.run(_ask_over_a_stream()) == b"hello"
        assert runner.run(_read_by_a_callback()) == b"hello"


async def _ask_over_a_stream() -> bytes:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello")
        heard = await reader.read()
        writer.close()
    return heard


async def _read_by_a_callback() -> bytes:
    loop, (one, other) = asyncio.get_running_loop(), socket.socketpair()
    with one, other:
        heard = loop.create_future()
        loop.add_reader(one, lambda most: heard.set_result(one.recv(most)), 100)
        other.send(b"hello")
        read = bytes(await heard)
        assert loop.remove_reader(one)
    return read
