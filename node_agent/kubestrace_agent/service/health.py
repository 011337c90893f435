"""Answers kubelet's probes and serves nothing else.

`GET /healthz` (readiness): 200 once the agent can be asked, 503 before. `GET /livez` (liveness): 200 always, so that an
agent that waits for its certificates is not restarted.

kubelet has no client certificate, so its probe cannot use the gRPC port; starting a process for each probe would
cost more than the idle agent itself. The answer comes from the event loop, so a stuck loop fails the probe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.service.http import NOT_FOUND, Answer, Listener

if TYPE_CHECKING:
    from collections.abc import Callable

_OK = Answer("200 OK", b"ok\n")


class Health(Listener):
    """A listener on `host:port`; `ready` is asked at each request."""

    def __init__(self, ready: Callable[[], bool]) -> None:
        super().__init__(self._state)
        self._ready = ready

    async def _state(self, path: bytes) -> Answer:
        match path:
            case b"/livez":
                return _OK
            case b"/healthz":
                return _OK if self._ready() else Answer("503 Service Unavailable", b"not ready\n")
            case _:
                return NOT_FOUND
