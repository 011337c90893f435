"""Which agents have a trace of which session: asked once for all sessions that are taken up together."""

import asyncio
from typing import NamedTuple

from kubestrace_operator.agents.client import AgentError, Endpoint
from kubestrace_operator.sessions.interfaces import AgentCalls, AgentDirectory

# An answer may serve any session that this operator has not started a trace for: such traces only become fewer.
_FRESH_SECONDS = 10.0


class _Answer(NamedTuple):
    asked_at: float
    # The UIDs of the sessions; None: the agent did not answer.
    uids: "asyncio.Task[frozenset[str] | None]"


class TraceIndex:
    """The traces of all agents."""

    def __init__(self, calls: AgentCalls, directory: AgentDirectory) -> None:
        self._calls = calls
        self._directory = directory
        self._answers: dict[Endpoint, _Answer] = {}

    async def tracing(self, session_uid: str) -> list[Endpoint]:
        """Return the agents that say that they have a trace of a session."""
        return [agent for agent, uids in await self._ask_all() if uids is not None and session_uid in uids]

    async def perhaps_tracing(self, session_uid: str) -> list[Endpoint]:
        """Return the agents that have a trace of a session, and those that do not answer."""
        return [agent for agent, uids in await self._ask_all() if uids is None or session_uid in uids]

    async def _ask_all(self) -> list[tuple[Endpoint, frozenset[str] | None]]:
        agents = self._directory.all()
        self._answers = {agent: self._answer(agent) for agent in agents}
        # Several sessions wait for the same answer: one that is cancelled must not take it from the others.
        answers = await asyncio.gather(*(asyncio.shield(self._answers[agent].uids) for agent in agents))
        return list(zip(agents, answers, strict=True))

    def _answer(self, agent: Endpoint) -> _Answer:
        now = asyncio.get_running_loop().time()
        known = self._answers.get(agent)
        if known is not None and now - known.asked_at < _FRESH_SECONDS:
            return known
        return _Answer(now, asyncio.create_task(self._ask(agent)))

    async def _ask(self, agent: Endpoint) -> frozenset[str] | None:
        try:
            answer = await self._calls.traces(agent)
        except AgentError:
            return None
        return frozenset(trace.session_uid for trace in answer.traces)
