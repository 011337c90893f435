"""Which agents have a trace of which session: asked once for all sessions that are taken up together."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kubestrace_operator.agents.client import AgentError, Endpoint
from kubestrace_operator.sessions.interfaces import AgentCalls, AgentDirectory

# An answer may serve any session that this operator has not started a trace for: such traces only become fewer.
_FRESH_SECONDS = 10.0


class _Answer(NamedTuple):
    asked_at: float
    # The UIDs of the sessions; None: the agent did not answer.
    uids: "asyncio.Task[frozenset[str] | None]"


class _Found(NamedTuple):
    """What all agents said, once for all sessions: a thousand of them may ask at the same moment."""

    # Agents by the UIDs of the sessions that they trace.
    tracing: Mapping[str, Sequence[Endpoint]]
    # Those that did not answer.
    silent: Sequence[Endpoint]


class _Round(NamedTuple):
    asked_at: float
    agents: tuple[Endpoint, ...]
    found: "asyncio.Task[_Found]"


class TraceIndex:
    """The traces of all agents."""

    def __init__(self, calls: AgentCalls, directory: AgentDirectory) -> None:
        self._calls = calls
        self._directory = directory
        self._answers: dict[Endpoint, _Answer] = {}
        self._round: _Round | None = None

    async def tracing(self, session_uid: str) -> list[Endpoint]:
        """Return the agents that say that they have a trace of a session."""
        found = await self._ask_all()
        return list(found.tracing.get(session_uid, ()))

    async def perhaps_tracing(self, session_uid: str) -> list[Endpoint]:
        """Return the agents that have a trace of a session, and those that do not answer."""
        found = await self._ask_all()
        return [*found.tracing.get(session_uid, ()), *found.silent]

    async def _ask_all(self) -> "_Found":
        agents, now = tuple(self._directory.all()), asyncio.get_running_loop().time()
        if self._round is None or self._round.agents != agents or now - self._round.asked_at >= _FRESH_SECONDS:
            self._answers = {agent: self._answer(agent) for agent in agents}
            oldest = min((answer.asked_at for answer in self._answers.values()), default=now)
            self._round = _Round(oldest, agents, asyncio.create_task(_gathered(dict(self._answers))))
        # Several sessions wait for the same answers: one that is cancelled must not take them from the others.
        return await asyncio.shield(self._round.found)

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


async def _gathered(answers: Mapping[Endpoint, _Answer]) -> _Found:
    tracing: defaultdict[str, list[Endpoint]] = defaultdict(list)
    silent = []
    for agent, answer in answers.items():
        uids = await answer.uids
        if uids is None:
            silent.append(agent)
        for uid in uids or ():
            tracing[uid].append(agent)
    return _Found(tracing, silent)
