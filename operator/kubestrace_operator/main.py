"""The operator's entry point: puts the parts together and runs them."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar, cast

from kubestrace_operator import environment, memory, metrics
from kubestrace_operator.agents.client import IDLE_SECONDS, Agents, Certificates
from kubestrace_operator.agents.endpoints import Directory
from kubestrace_operator.environment import Environment, EnvironmentProblem
from kubestrace_operator.event_loop import EventLoop
from kubestrace_operator.kube import handlers, health
from kubestrace_operator.kube.api_client import ApiServer
from kubestrace_operator.kube.cluster import Cluster
from kubestrace_operator.kube.errors import ClusterError, ConfigurationError
from kubestrace_operator.kube.events import Events
from kubestrace_operator.kube.fence import Fence
from kubestrace_operator.kube.health import Health
from kubestrace_operator.kube.leadership import Leadership, LeadershipLostError
from kubestrace_operator.kube.schedules import ScheduleObjects
from kubestrace_operator.nodes.keeper import Nodes
from kubestrace_operator.pki import credentials
from kubestrace_operator.schedules.controller import Schedules
from kubestrace_operator.schedules.interfaces import Surroundings
from kubestrace_operator.sessions.admission import Places, refusal
from kubestrace_operator.sessions.container_seconds import Ledger
from kubestrace_operator.sessions.controller import Sessions
from kubestrace_operator.sessions.interfaces import Dependencies
from kubestrace_protos import logs

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 2.0
# Renewal is due after 20 days; a Secret that others make may change at any time.
_CERTIFICATES_SECONDS = 600.0
# For the list of agents' pods; without it sessions begin anyway, and wait.
_AGENTS_SECONDS = 10.0
# After which a thread that computes lets the event loop go on: with Python's 5 ms the loop, which waits for the network
# and comes back hundreds of times a second, would stand still while results are made.
_SWITCH_SECONDS = 0.001

_Answer = TypeVar("_Answer")


def main() -> None:
    """Run the operator until it is asked to end."""
    try:
        settings = environment.read(_variables(sys.argv[1:]))
    except EnvironmentProblem as error:
        sys.exit(f"kubestrace-operator: {error}")
    logs.configure(settings.log_level, settings.log_format)
    sys.setswitchinterval(_SWITCH_SECONDS)
    # Each attempt to reach an API server that is away would be a line.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    sys.exit(_run(settings))


def _run(settings: Environment) -> int:
    """Serve; return the exit status. Why it ended is in the log, which programs may read."""
    try:
        with asyncio.Runner(loop_factory=EventLoop) as runner:
            runner.run(_serve(settings))
    except asyncio.CancelledError:
        # A signal came before kopf was there to take it.
        return 0
    except (ConfigurationError, LeadershipLostError) as error:
        _log.error("the operator ends: %s", error)
        return 1
    except Exception:  # noqa: BLE001 -- whatever it is, the log says so, and the pod is restarted
        _log.exception("the operator failed unexpectedly")
        return 1
    return 0


def _variables(arguments: Sequence[str]) -> Mapping[str, str]:
    """Return the environment with what the command line says instead."""
    parser = argparse.ArgumentParser(
        prog="kubestrace-operator", description="kubestrace's operator. Its settings are the variables KUBESTRACE_*."
    )
    default = os.environ.get("KUBESTRACE_LOG_FORMAT") or logs.FORMATS[0]
    meaning = f"how logs are written [KUBESTRACE_LOG_FORMAT, now {default}]"
    parser.add_argument("--log-format", choices=logs.FORMATS, help=meaning)
    given = parser.parse_args(arguments).log_format
    return {**os.environ, "KUBESTRACE_LOG_FORMAT": given} if given else os.environ


async def _serve(settings: Environment) -> None:
    state = Health()
    serving = cast("asyncio.Task[None]", asyncio.current_task())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    fence = Fence()
    server = await ApiServer.connect(fence)
    try:
        # The probes are answered from here on, whatever the rest waits for.
        async with (
            health.endpoint(state, settings.health_host, settings.health_port),
            health.metrics_endpoint(settings.metrics_host, settings.metrics_port),
        ):
            leadership = Leadership(server, settings.namespace, settings.lease, settings.identity, fence)
            await leadership.acquire(state.waiting)
            await leadership.hold(_lead(settings, server, state, fence))
    finally:
        await server.close()


async def _lead(settings: Environment, server: ApiServer, state: Health, fence: Fence) -> None:
    cluster = Cluster(server, settings.namespace)
    certificates = await _waited_for(state, "certificates", lambda: _certificates(cluster, settings))
    await _waited_for(state, "the TraceSession CRD", cluster.check_served)
    agents = Agents(certificates, may_write=lambda: fence.is_open)
    await Operator(settings, server, cluster, agents, state).run()


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
        self._agents = agents
        self._settings = settings
        self._server = server
        self._cluster = cluster
        self._health = state
        self._directory = Directory(settings.agent_port)
        self._events = Events(server)
        self._tasks: list[asyncio.Task[None]] = []
        dependencies = Dependencies(
            cluster,
            agents,
            self._directory,
            only_enabled_namespaces=settings.traced_namespaces == "if-enabled",
            requesters_proven=settings.requesters_proven,
            places=Places(settings.sessions_per_namespace),
            ledger=Ledger(settings.container_seconds_per_hour, settings.container_seconds_per_day),
        )
        self._sessions = Sessions(dependencies, self._events.post)
        self._schedule_objects = ScheduleObjects(server)
        may_trace = partial(refusal, only_enabled=dependencies.only_enabled_namespaces)
        self._schedules = Schedules(
            Surroundings(self._schedule_objects, cluster, self._events.post, may_trace, dependencies.now)
        )

    async def run(self) -> None:
        """Serve until a signal comes; raises what one of the tasks failed with."""
        shown = metrics.watch(self._sessions.standings, self._directory.states)
        try:
            await self._run()
        finally:
            metrics.unwatch(shown)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._tasks = [group.create_task(work) for work in self._works()]
            try:
                await handlers.run(handlers.Context(self._server.login, self.close))
            finally:
                await self.close()

    async def close(self) -> None:
        """Let go of everything: the traces go on, and the next operator takes them up."""
        for task in self._tasks:
            task.cancel()
        await self._schedules.close()
        await self._sessions.close()
        self._cluster.close()
        await self._agents.close()

    def _works(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield everything that runs until the operator ends; one that fails ends all."""
        yield self._directory.follow(self._cluster.agent_pods(self._settings.agent_selector), self._agents)
        yield _renew(self._cluster, self._agents, self._settings)
        yield _save_memory(self._agents)
        yield self._events.run()
        if self._settings.nodes_config_map:
            yield self._keep_nodes(self._settings.nodes_config_map)
        yield self._sessions.run()
        # In some namespaces only: the operator may not list namespaces.
        some, every = self._cluster.some_namespaces, self._cluster.namespaces
        yield self._sessions.follow_namespaces(
            some(self._sessions.namespaces) if self._settings.watch_namespaces else every()
        )
        yield self._serve()

    async def _serve(self) -> None:
        await self._directory.wait_until_known(_AGENTS_SECONDS)
        namespaces = self._settings.watch_namespaces
        _log.info("serving TraceSessions in %s", ", ".join(namespaces) or "all namespaces")
        self._health.waiting(None)
        async with asyncio.TaskGroup() as group:
            for namespace in namespaces or (None,):
                group.create_task(self._follow(namespace))
                group.create_task(self._follow_schedules(namespace))

    async def _keep_nodes(self, name: str) -> None:
        await self._directory.wait_until_known(_AGENTS_SECONDS)
        await Nodes(self._directory, self._agents.describe, self._cluster, name, lambda: datetime.now(UTC)).run()

    async def _follow(self, namespace: str | None) -> None:
        watch = f"TraceSessions in {namespace or 'all namespaces'}"
        changes = self._cluster.sessions(namespace, heard=partial(self._health.heard, watch))
        heard_of = self._schedules.overhear(changes)
        await self._sessions.follow(heard_of, partial(self._cluster.finished_sessions, namespace))

    async def _follow_schedules(self, namespace: str | None) -> None:
        await self._schedules.follow(self._schedule_objects.follow(namespace))


async def _renew(cluster: Cluster, agents: Agents, settings: Environment) -> None:
    while True:
        await asyncio.sleep(_CERTIFICATES_SECONDS)
        try:
            agents.renew(await _certificates(cluster, settings))
        except (credentials.CredentialsError, ClusterError) as error:
            _log.warning("the certificates could not be checked, keeping what there is: %s", error)


async def _save_memory(agents: Agents) -> None:
    while True:
        await asyncio.sleep(IDLE_SECONDS)
        await agents.close_unused()
        # In a thread: where much is free it takes tens of milliseconds.
        await asyncio.to_thread(memory.give_back)


async def _certificates(cluster: Cluster, settings: Environment) -> Certificates:
    if settings.tls_mode == "secret":
        return await credentials.given(cluster, settings.operator_tls_secret)
    names = credentials.Names(settings.ca_secret, settings.operator_tls_secret, settings.agent_tls_secret)
    return await credentials.self_signed(cluster, names)
