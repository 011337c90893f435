"""The least of HTTP that probes and scrapers need: one GET a connection, answered by path."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_MAX_CONNECTIONS = 16
_MAX_REQUEST_BYTES = 2048
_TIMEOUT_SECONDS = 5.0


class Answer(NamedTuple):
    """What is sent back."""

    # As in the status line: "200 OK".
    status: str
    body: bytes = b""
    content_type: str = "text/plain"


NOT_FOUND = Answer("404 Not Found")


class Listener:
    """A listener on `host:port`; `answer` gets the path of each GET. Others and odd requests get 404 or nothing."""

    def __init__(self, answer: Callable[[bytes], Awaitable[Answer]]) -> None:
        self._answer = answer
        self._open = 0
        self._server: asyncio.Server | None = None

    async def start(self, listen: str) -> int:
        """Listen and return the port (for `host:0`). OSError when the address cannot be had."""
        host, _, port = listen.rpartition(":")
        # "::" would leave out IPv4, as asyncio sets IPV6_V6ONLY; None is all addresses of both families.
        bare = host.strip("[]")
        self._server = await asyncio.start_server(
            self._serve, None if bare == "::" else bare or None, int(port), limit=_MAX_REQUEST_BYTES
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= _MAX_CONNECTIONS:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    request = await reader.readuntil(b"\r\n\r\n")
                    writer.write(_bytes(await self._answered(request.split(b"\r\n", 1)[0].split(b" "))))
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # not a request that kubelet or a scraper would send
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answered(self, words: list[bytes]) -> Answer:
        match words:
            case [b"GET", path, _]:
                return await self._answer(path)
            case _:
                return NOT_FOUND


def _bytes(answer: Answer) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status}\r\nContent-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + answer.body
