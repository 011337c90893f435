"""The operator's entry point: puts the parts together and runs them."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from kubestrace_operator import environment
from kubestrace_operator.agents.client import Agents, Certificates
from kubestrace_operator.agents.endpoints import Directory
from kubestrace_operator.environment import Environment, EnvironmentProblem
from kubestrace_operator.kube import handlers, health
from kubestrace_operator.kube.api_client import ApiServer
from kubestrace_operator.kube.cluster import Cluster
from kubestrace_operator.kube.errors import ClusterError, ConfigurationError
from kubestrace_operator.kube.health import Health
from kubestrace_operator.pki import credentials
from kubestrace_operator.sessions.controller import Sessions
from kubestrace_operator.sessions.interfaces import Dependencies

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 2.0
# Renewal is due after 20 days; a Secret that others make may change at any time.
_CERTIFICATES_SECONDS = 600.0
# For the list of agents' pods; without it sessions begin anyway, and wait.
_AGENTS_SECONDS = 10.0

_Answer = TypeVar("_Answer")


def main() -> None:
    """Run the operator until it is told to end."""
    try:
        settings = environment.read()
        logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        # Each probe and each event of a watch would be a line.
        for noisy in ("kopf", "aiohttp.access"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        asyncio.run(_serve(settings))
    except (EnvironmentProblem, ConfigurationError) as error:
        sys.exit(f"kubestrace-operator: {error}")


async def _serve(settings: Environment) -> None:
    state = Health()
    server = await ApiServer.connect()
    try:
        # The probes are answered from here on, whatever the rest waits for.
        async with health.endpoint(state, settings.health_host, settings.health_port):
            cluster = Cluster(server, settings.namespace)
            certificates = await _waited_for(state, "certificates", lambda: _certificates(cluster, settings))
            await _waited_for(state, "the TraceSession CRD", cluster.check_served)
            await Operator(settings, server, cluster, Agents(certificates), state).run()
    finally:
        await server.close()


async def _waited_for(state: Health, what: str, attempt: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """Return the answer of the first attempt that succeeds; meanwhile the operator is not ready."""
    state.waiting(what)
    while True:
        try:
            return await attempt()
        except (credentials.CredentialsError, ClusterError) as error:
            _log.warning("no %s yet: %s", what, error)
            state.waiting(f"{what}: {error}")
            await asyncio.sleep(_RETRY_SECONDS)


class Operator:
    """Everything that runs once there are certificates and the CRD."""

    def __init__(
        self, settings: Environment, server: ApiServer, cluster: Cluster, agents: Agents, state: Health
    ) -> None:
        self.agents = agents
        self._settings = settings
        self._server = server
        self._cluster = cluster
        self._health = state
        self._directory = Directory(settings.agent_port)
        self._sessions = Sessions(Dependencies(cluster, agents, self._directory), handlers.post)
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Serve until a signal comes; raises what one of the tasks failed with."""
        context = handlers.Context(self._server.login, self.start, self.close)
        serving = asyncio.create_task(handlers.run(context))
        try:
            await asyncio.wait([serving, self._failed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Ends what is not over yet, and hands on the error that ended it.
            for each in (serving, self._failed):
                if each.done():
                    each.result()
                each.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    async def start(self) -> None:
        """Begin to serve sessions."""
        self._begin(self._directory.follow(self._cluster.agent_pods(self._settings.agent_selector), self.agents))
        self._begin(_renew(self._cluster, self.agents, self._settings))
        self._begin(self._sessions.run())
        await self._directory.wait_until_known(_AGENTS_SECONDS)
        for namespace in self._settings.watch_namespaces or (None,):
            self._begin(self._follow(namespace))
        _log.info("serving TraceSessions in %s", ", ".join(self._settings.watch_namespaces) or "all namespaces")
        self._health.waiting(None)

    async def close(self) -> None:
        """Let go of the sessions, whose traces go on, and of all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._sessions.close()
        await self.agents.close()

    async def _follow(self, namespace: str | None) -> None:
        watch = f"TraceSessions in {namespace or 'all namespaces'}"
        await self._sessions.follow(self._cluster.sessions(namespace, heard=partial(self._health.heard, watch)))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._note_end)
        self._tasks.append(task)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        """End the process with what a task failed with: none of them ends by itself."""
        if not task.cancelled() and not self._failed.done():
            self._failed.set_exception(task.exception() or RuntimeError(f"{task} ended, which it never should"))


async def _renew(cluster: Cluster, agents: Agents, settings: Environment) -> None:
    while True:
        await asyncio.sleep(_CERTIFICATES_SECONDS)
        try:
            agents.renew(await _certificates(cluster, settings))
        except (credentials.CredentialsError, ClusterError) as error:
            _log.warning("the certificates could not be checked, keeping what there is: %s", error)


async def _certificates(cluster: Cluster, settings: Environment) -> Certificates:
    if settings.tls_mode == "secret":
        return await credentials.given(cluster, settings.operator_tls_secret)
    names = credentials.Names(settings.ca_secret, settings.operator_tls_secret, settings.agent_tls_secret)
    return await credentials.self_signed(cluster, names)
