"""Puts the agent together and runs it until it is asked to end. Wiring only."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import uuid
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from kubestrace_agent import memory, open_files, settings
from kubestrace_agent.containers import cgroups, cri
from kubestrace_agent.containers.resolver import NodeResolver
from kubestrace_agent.containers.shared_lookups import SharedLookups
from kubestrace_agent.kernel.counters.tracer import Tracer, UnsupportedKernelError
from kubestrace_agent.kernel.loader import kept
from kubestrace_agent.service import limits, server
from kubestrace_agent.service.certificates import CertificateError, Certificates
from kubestrace_agent.service.health import Health
from kubestrace_agent.symbols.names import Names
from kubestrace_agent.symbols.naming import Naming
from kubestrace_agent.symbols.roots import Roots
from kubestrace_agent.traces.claims import PodHost
from kubestrace_agent.traces.registry import Traces
from kubestrace_agent.traces.session import Node
from kubestrace_agent.views import loading, registry
from kubestrace_protos import logs
from kubestrace_protos.v1 import agent_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

_log = logging.getLogger("kubestrace_agent")

# Watchers get their final reports and hang up; kubelet allows 30 s in all.
_GRACE_SECONDS = 3.0
_CERTIFICATE_RETRY_SECONDS = 1.0
# Below containerd's state folder; kubelet's containers have a namespace of their own.
_CONTAINERD_ROOTS = "io.containerd.runtime.v2.task/k8s.io"


@dataclass
class _Ability:
    """What this node can do; `tracer` is None when it cannot trace, for that reason."""

    hierarchy: cgroups.Hierarchy
    tracer: Tracer | None = None
    reason: str = ""
    message: str = ""

    def problem_of(self, part: str) -> str:
        """Say why a part of a view cannot be had; empty: it can."""
        return self.tracer.problem_of(part) if self.tracer else self.message


def main() -> int:
    """Run the agent (or ask one, with --health); the exit status."""
    chosen = settings.parse(sys.argv[1:])
    if chosen.ask_health:
        return 0 if server.serving(chosen.health_socket) else 1
    logs.configure(chosen.log_level, chosen.log_format)
    open_files.raise_limit()
    try:
        return asyncio.run(_run(chosen))
    except OSError as error:
        _log.error("the agent cannot run: %s", error)
        return 1


async def _run(chosen: settings.Settings) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ready = asyncio.Event()
    health, health_server = Health(ready.is_set), server.HealthServer()
    await health_server.start(chosen.health_socket)
    if chosen.health_listen:
        _log.info("health on port %d", await health.start(chosen.health_listen))
    try:
        await _serve(chosen, stop, ready, health_server)
    finally:
        await health.stop()
        await health_server.stop()
    return 0


async def _serve(
    chosen: settings.Settings, stop: asyncio.Event, ready: asyncio.Event, health_server: server.HealthServer
) -> None:
    able = await asyncio.to_thread(_find_out, chosen)
    description = _describe(chosen, able)
    async with cri.Runtime(chosen.cri_sockets) as runtime, contextlib.AsyncExitStack() as closing:
        cannot = (able.reason, able.message) if able.tracer is None else None
        traces = Traces(
            able.tracer,
            SharedLookups(NodeResolver(able.hierarchy, chosen.proc_root, runtime)),
            node=Node(chosen.node_name, description.agent_id, cannot),
            limits=limits.Limits(max_traces=chosen.max_traces),
            host=PodHost(able.hierarchy, runtime),
            names=Names(Naming(Roots(chosen.proc_root, _runtime_roots(chosen.cri_sockets)))),
        )
        certificates = Certificates(chosen.tls_folder)
        if chosen.metrics_listen:
            await _serve_metrics(chosen, able, description, traces, runtime, closing)
        await _until_certificates(certificates, stop)
        if stop.is_set():
            return
        listener = server.Server(server.AgentService(traces, description), certificates=certificates)
        port = await listener.start(chosen.listen)
        _log.info("agent %s of node %s serves on port %d", description.agent_id, chosen.node_name, port)
        memory.collect_rarely()
        ready.set()
        await health_server.set_serving(serving=True)
        await stop.wait()
        _log.info("shutting down")
        ready.clear()
        await health_server.set_serving(serving=False)
        await traces.shutdown()
        await listener.stop(_GRACE_SECONDS)


async def _serve_metrics(
    chosen: settings.Settings,
    able: _Ability,
    description: agent_pb2.DescribeResponse,
    traces: Traces,
    runtime: cri.Runtime,
    closing: contextlib.AsyncExitStack,
) -> None:
    """Serve /metrics until the stack is closed."""
    # Only now: the library takes some memory, which an agent without metrics need not hold.
    from kubestrace_agent.service import metrics  # noqa: PLC0415

    tracer = able.tracer
    served = metrics.Metrics(
        metrics.Sources(
            description=description,
            tallies=traces.tallies,
            standing=traces.standing,
            runtime_errors=lambda: runtime.errors,
            programs=lambda: tracer.program_parts if tracer else {},
            walk_failures=lambda: tracer.walk_failures.count if tracer else 0,
            max_traces=chosen.max_traces,
            max_containers=chosen.max_containers,
        )
    )
    _log.info("metrics on port %d", await served.start(chosen.metrics_listen))
    closing.push_async_callback(served.stop)


def _runtime_roots(sockets: Iterable[Path]) -> Path | None:
    """Find where the runtime has mounted the roots of containers: containerd does so beside its socket."""
    return next(filter(Path.is_dir, (socket.parent / _CONTAINERD_ROOTS for socket in sockets)), None)


def _find_out(chosen: settings.Settings) -> _Ability:
    """Look at the cgroups and load the programs: what fails here is reported to whoever asks."""
    try:
        hierarchy = cgroups.detect(chosen.cgroup_root)
    except cgroups.UnsupportedCgroupsError as error:
        _log.error("cannot trace: %s", error)
        return _Ability(cgroups.Hierarchy(error.mode, chosen.cgroup_root), None, error.reason, str(error))
    try:
        tracer = loading.load(max_containers=chosen.max_containers, folder=kept.folder_named(chosen.programs_folder))
    except UnsupportedKernelError as error:
        _log.error("cannot trace: %s", error)
        return _Ability(hierarchy, None, error.reason, str(error))
    return _Ability(hierarchy, tracer)


def _describe(chosen: settings.Settings, able: _Ability) -> agent_pb2.DescribeResponse:
    host = os.uname()
    return agent_pb2.DescribeResponse(
        watches_pods=True,
        redacts=True,
        node=chosen.node_name,
        agent_id=uuid.uuid4().hex,
        agent_version=metadata.version("kubestrace"),
        kernel_release=host.release,
        architecture=host.machine,
        cgroup_mode=able.hierarchy.mode,
        can_trace=able.tracer is not None,
        reason=able.reason,
        message=able.message,
        views=[
            agent_pb2.ViewSupport(name=each.name, available=each.available, message=each.message)
            for each in registry.support(able.problem_of)
        ],
    )


async def _until_certificates(certificates: Certificates, stop: asyncio.Event) -> None:
    """Wait for the operator's Secret, which may be made after this agent has started."""
    said = ""
    while not stop.is_set():
        try:
            certificates.load()
        except CertificateError as error:
            if str(error) != said:
                said = str(error)
                _log.warning("waiting for certificates: %s", said)
            await asyncio.sleep(_CERTIFICATE_RETRY_SECONDS)
        else:
            return
