"""Answers kubelet's probes and serves nothing else.

`GET /healthz` (readiness): 200 once the agent can be asked, 503 before. `GET /livez` (liveness): 200 always, so that an
agent that waits for its certificates is not restarted.

kubelet has no client certificate, so its probe cannot use the gRPC port; starting a process for each probe would
cost more than the idle agent itself. The answer comes from the event loop, so a stuck loop fails the probe.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_CONNECTIONS = 16
_MAX_REQUEST_BYTES = 2048
_TIMEOUT_SECONDS = 5.0


class Health:
    """A listener on `host:port`; `ready` is asked at each request."""

    def __init__(self, ready: Callable[[], bool]) -> None:
        self._ready = ready
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
                    writer.write(self._answer(request.split(b"\r\n", 1)[0].split(b" ")))
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # not a request that kubelet would send
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _answer(self, words: list[bytes]) -> bytes:
        match words:
            case [b"GET", b"/livez", _]:
                status, body = "200 OK", "ok\n"
            case [b"GET", b"/healthz", _] if self._ready():
                status, body = "200 OK", "ok\n"
            case [b"GET", b"/healthz", _]:
                status, body = "503 Service Unavailable", "not ready\n"
            case _:
                status, body = "404 Not Found", ""
        return (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
            f"Connection: close\r\n\r\n{body}"
        ).encode()
