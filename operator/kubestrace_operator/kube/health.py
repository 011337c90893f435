"""Whether the operator does its work, and the HTTP endpoint that its probes ask.

Live: the event loop turns (one that stands still answers no probe) and the watch of the sessions has not stalled. An
API server that is away is no reason to restart: a new operator would not reach it either.
Ready: it serves sessions; until then it says what it waits for.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from kubestrace_operator import metrics

_log = logging.getLogger(__name__)
# A watch hears something each minute, or fails and begins anew: see api_client.WATCH_SILENCE_SECONDS.
STALL_SECONDS = 180.0


class Health:
    """What the probes get to know."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        """`clock` is the event loop's by default."""
        self._clock = clock or asyncio.get_running_loop().time
        self._waiting_for: str | None = "the start"
        # When each watch last heard something.
        self._heard: dict[str, float] = {}

    def waiting(self, what: str | None) -> None:
        """Note what the operator waits for before it can serve sessions; None: it serves them."""
        if what is not None and what != self._waiting_for:
            _log.info("waiting for %s", what)
        self._waiting_for = what

    def heard(self, watch: str) -> None:
        """Note that a watch has heard something, be it an error."""
        self._heard[watch] = self._clock()

    def problem(self) -> str | None:
        """Return what only a restart can mend; None when there is no such thing."""
        for watch, when in self._heard.items():
            silent = self._clock() - when
            if silent > STALL_SECONDS:
                return f"the watch of {watch} has stalled: it has heard nothing for {silent:.0f} s"
        return None

    def not_ready(self) -> str | None:
        """Return why no session is served now; None when they are."""
        return self.problem() or (f"waiting for {self._waiting_for}" if self._waiting_for else None)


@asynccontextmanager
async def endpoint(health: Health, host: str | None, port: int) -> AsyncIterator[None]:
    """Serve /healthz (live) and /readyz over HTTP; without a host on all addresses, IPv4 and IPv6."""
    app = web.Application()
    app.router.add_get("/healthz", _answering(health.problem))
    app.router.add_get("/readyz", _answering(health.not_ready))
    async with _served(app, host, port):
        yield


@asynccontextmanager
async def metrics_endpoint(host: str | None, port: int) -> AsyncIterator[None]:
    """Serve /metrics over HTTP, on a port of its own: a scraper reaches nothing else."""
    app = web.Application()
    app.router.add_get("/metrics", _metrics)
    async with _served(app, host, port):
        yield


@asynccontextmanager
async def _served(app: web.Application, host: str | None, port: int) -> AsyncIterator[None]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(body=metrics.text(), headers={"Content-Type": metrics.CONTENT_TYPE})


def _answering(problem: Callable[[], str | None]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        found = problem()
        return web.Response(text=found or "ok", status=503 if found else 200)

    return answer
