"""One session's trace on this node as the event loop sees it: who watches it, and when it ends. Used by registry."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubestrace_agent.traces.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubestrace_agent.views.registry import ViewRequests
    from kubestrace_protos.v1 import agent_pb2

# Between two readings of clocks a thread may wait, and clocks may run at slightly different speeds.
_STEP_NS = 1_000_000_000


@dataclass(eq=False, kw_only=True)
class Trace(Session):
    """One session's trace on this node; `final` is set once it has ended, and is then all that is left of it."""

    session_name: str
    lease_seconds: int
    # Of the session, which other nodes may have counted for before: Unix, and CLOCK_MONOTONIC.
    session_start_ns: int
    session_began_ns: int
    # Held while containers change or are read, so that the end comes before or after, never between.
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    # Those whose containers are counted from their first call, by UID (32 hex digits).
    watched: dict[str, agent_pb2.Pod] = field(default_factory=dict)
    # What the operator said of containers that are counted without it, by ID (64 hex digits).
    told: dict[str, agent_pb2.Container] = field(default_factory=dict)
    # Makes `views` anew, whose times run from then.
    ask_views: Callable[[], ViewRequests]
    duration_seconds: float = 0.0
    # Its pods have no container yet: its time has not begun.
    waits: bool = False
    # It has begun after it waited, or has ended.
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    watchers: int = 0
    last_call: float = field(default_factory=time.monotonic)
    deadline: asyncio.TimerHandle | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    # Why there are no counts for the final report.
    unreadable: str = ""
    final: agent_pb2.Report | None = None
    # Somebody was given the final report.
    fetched: bool = False

    def session_start_by(self, now_ns: int) -> int:
        """Return when the session began by the clock that is at `now_ns` now: it may have been set since."""
        start_ns = now_ns - (time.monotonic_ns() - self.session_began_ns)
        return self.session_start_ns if abs(start_ns - self.session_start_ns) < _STEP_NS else start_ns

    def lease_is_over(self) -> bool:
        """Tell whether nobody has watched or called for too long."""
        return not self.watchers and time.monotonic() - self.last_call > self.lease_seconds
