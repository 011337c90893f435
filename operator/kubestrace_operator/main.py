"""The operator's entry point: puts the parts together and runs them."""

import asyncio
import logging
import sys
from collections.abc import Coroutine
from typing import Any

from kubestrace_operator import environment
from kubestrace_operator.agents.client import Agents, Certificates
from kubestrace_operator.agents.endpoints import Directory
from kubestrace_operator.environment import Environment, EnvironmentProblem
from kubestrace_operator.kube import handlers
from kubestrace_operator.kube.api_client import Cluster
from kubestrace_operator.kube.errors import ClusterError
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


def main() -> None:
    """Run the operator until it is told to end."""
    try:
        settings = environment.read()
    except EnvironmentProblem as error:
        sys.exit(f"kubestrace-operator: {error}")
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Each probe and each event of a watch would be a line.
    for noisy in ("kopf", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    asyncio.run(_serve(settings))


async def _serve(settings: Environment) -> None:
    cluster = await Cluster.connect(settings.namespace)
    try:
        certificates = await _first_certificates(cluster, settings)
        await cluster.wait_until_served()
        await _serve_with(cluster, Agents(certificates), settings)
    finally:
        await cluster.close()


async def _serve_with(cluster: Cluster, agents: Agents, settings: Environment) -> None:
    directory = Directory(settings.agent_port)
    health = Health(lambda: _unseen(cluster, settings.watch_namespaces))
    following = cluster.pods(settings.namespace, labels=settings.agent_selector)
    beside = [directory.follow(following, agents), _renew(cluster, agents, settings), health.run()]
    tasks = [asyncio.create_task(_forever(work)) for work in beside]
    await directory.wait_until_known(_AGENTS_SECONDS)
    sessions = Sessions(Dependencies(cluster, agents, directory), cluster)
    context = handlers.Context(sessions, cluster.login, health.problem)
    serving = asyncio.create_task(
        handlers.run(context, namespaces=settings.watch_namespaces, liveness=settings.liveness)
    )
    _log.info("serving TraceSessions in %s", ", ".join(settings.watch_namespaces) or "all namespaces")
    try:
        # Whichever ends first: kopf on a signal, or any of them with an error, which ends the process.
        done, _ = await asyncio.wait([serving, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in [serving, *tasks]:
            task.cancel()
        await asyncio.gather(serving, *tasks, return_exceptions=True)
        await agents.close()


async def _forever(work: Coroutine[Any, Any, None]) -> None:
    await work
    raise RuntimeError(f"{work} ended, which it never should")


async def _unseen(cluster: Cluster, namespaces: tuple[str, ...]) -> set[str]:
    unseen: set[str] = set()
    for namespace in namespaces or (None,):
        unseen |= await cluster.unseen_sessions(namespace)
    return unseen


async def _first_certificates(cluster: Cluster, settings: Environment) -> Certificates:
    while True:
        try:
            return await _certificates(cluster, settings)
        except (credentials.CredentialsError, ClusterError) as error:
            _log.warning("no certificates yet: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)


async def _renew(cluster: Cluster, agents: Agents, settings: Environment) -> None:
    while True:
        await asyncio.sleep(_CERTIFICATES_SECONDS)
        try:
            await agents.renew(await _certificates(cluster, settings))
        except (credentials.CredentialsError, ClusterError) as error:
            _log.warning("the certificates could not be checked, keeping what there is: %s", error)


async def _certificates(cluster: Cluster, settings: Environment) -> Certificates:
    if settings.tls_mode == "secret":
        return await credentials.given(cluster, settings.operator_tls_secret)
    names = credentials.Names(settings.ca_secret, settings.operator_tls_secret, settings.agent_tls_secret)
    return await credentials.self_signed(cluster, names)
