"""Ends what is left of a session's traces on nodes whose agents could not be reached when it ended or was deleted."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from kubestrace_operator.agents.client import AgentError, Endpoint, TraceNotFoundError
from kubestrace_operator.sessions.interfaces import AgentCalls, AgentDirectory

_RETRY_SECONDS = 2.0


async def stop(
    session_uid: str, nodes: Iterable[str], calls: AgentCalls, directory: AgentDirectory, within_seconds: float
) -> None:
    """Stop a session's traces on these nodes as soon as their agents answer.

    `within_seconds`: after that the traces have ended by their leases.
    """
    left, changed = set(nodes), asyncio.Event()
    directory.subscribe(changed)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                while left:
                    agents = [agent for node in left if (agent := directory.on(node))]
                    left -= await stop_all(session_uid, calls, agents)
                    if not left:
                        return
                    changed.clear()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), _RETRY_SECONDS)
    finally:
        directory.unsubscribe(changed)


async def stop_all(session_uid: str, calls: AgentCalls, agents: Iterable[Endpoint]) -> set[str]:
    """End a session's trace on these agents; return the nodes that have none any more."""
    asked = list(agents)
    answers = await asyncio.gather(*(_stop(session_uid, calls, agent) for agent in asked))
    return {agent.node for agent, stopped in zip(asked, answers, strict=True) if stopped}


async def _stop(session_uid: str, calls: AgentCalls, agent: Endpoint) -> bool:
    """End a session's trace on an agent; False when it did not answer."""
    try:
        await calls.stop(agent, session_uid)
    except TraceNotFoundError:
        return True
    except AgentError:
        return False
    return True
