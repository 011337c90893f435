"""Asks the container runtime, over the CRI's own gRPC API, what it knows about a container.

The agent's only client of the runtime; used by containers. It reads, and calls nothing that changes a container.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import grpc

from kubestrace_protos.cri.v1 import api_pb2, api_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)

# Below the folder that stands for the host's /run: containerd, k3s and RKE2, CRI-O, cri-dockerd.
KNOWN_SOCKETS = ("containerd/containerd.sock", "k3s/containerd/containerd.sock", "crio/crio.sock", "cri-dockerd.sock")
# kubelet's label on every container that it makes.
_POD_UID_LABEL = "io.kubernetes.pod.uid"
# Linux include/linux/threads.h: PID_MAX_LIMIT.
_MOST_PID = 1 << 22
_OPTIONS = (
    # Some Go servers refuse a socket's path as the name of a host.
    ("grpc.default_authority", "localhost"),
    ("grpc.max_receive_message_length", 16 << 20),
    ("grpc.enable_retries", 0),
    # A new channel makes a connection of its own. In the shared pool it would find the failed one, and wait with it.
    ("grpc.use_local_subchannel_pool", 1),
)


class RuntimeUnavailableError(Exception):
    """No runtime answered; the message says which sockets were tried and what each said."""


class _CallError(Exception):
    """A call that failed."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Status:
    """A container as its runtime knows it; what the runtime does not say is 0 or empty."""

    running: bool
    pod_uid: str
    start_time_unix_ns: int
    pid: int
    cgroups_path: str
    # In the pod's spec, and how many containers of this name the pod had before.
    name: str = ""
    attempt: int = 0
    # Once it has ended: with what, and why (CamelCase: Completed, Error, OOMKilled, StartError, ...).
    exited: bool = False
    exit_code: int = 0
    reason: str = ""
    finish_time_unix_ns: int = 0


class Runtime:
    """The first of some sockets that answers; another is tried as soon as it no longer does."""

    def __init__(self, sockets: Sequence[Path], timeout_seconds: float = 2.0) -> None:
        self._sockets = tuple(sockets)
        self._timeout_seconds = timeout_seconds
        self._channel: grpc.aio.Channel | None = None
        # Questions that were not answered, by gRPC code; NO_SOCKET: there was nobody to ask.
        self.errors: Counter[str] = Counter({"UNAVAILABLE": 0, "DEADLINE_EXCEEDED": 0, "NO_SOCKET": 0})
        self._closing: set[asyncio.Task[None]] = set()

    async def container_status(self, container_id: str) -> Status | None:
        """Ask for one container (64 hex digits); None when the runtime has none of that id.

        Raises RuntimeUnavailableError. A slow or odd answer concerns this look-up alone; only a connection that has
        failed is given up, and look-ups that are still under way on it come to their own end.
        """
        channel = self._channel
        if channel is not None:
            try:
                return await self._ask(channel, container_id)
            except _CallError as error:
                _log.warning("the container runtime did not answer: %s", error)
                if error.code != grpc.StatusCode.UNAVAILABLE:
                    raise RuntimeUnavailableError(f"the container runtime answered {error}") from error
                self._give_up(channel)
        return await self._ask_each(container_id)

    async def _ask_each(self, container_id: str) -> Status | None:
        said = []
        for socket in self._sockets:
            if not socket.exists():
                said.append(f"{socket} is not there")
                continue
            channel = grpc.aio.insecure_channel(f"unix:{socket}", options=_OPTIONS)
            try:
                status = await self._ask(channel, container_id)
            except _CallError as error:
                said.append(f"{socket} answered {error}")
                await channel.close()
            except BaseException:
                await channel.close()
                raise
            else:
                await self._keep(channel)
                return status
        if not any(socket.exists() for socket in self._sockets):
            self.errors["NO_SOCKET"] += 1
        raise RuntimeUnavailableError("no container runtime answered: " + ("; ".join(said) or "no socket is known"))

    async def _keep(self, channel: grpc.aio.Channel) -> None:
        if self._channel is None:
            self._channel = channel
        else:  # another call found the socket meanwhile
            await channel.close()

    def _give_up(self, channel: grpc.aio.Channel) -> None:
        """Use a channel no more; it is closed once the calls on it have ended, which closing would cancel."""
        if self._channel is channel:
            self._channel = None
            closing = asyncio.get_running_loop().create_task(channel.close(grace=2 * self._timeout_seconds))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _ask(self, channel: grpc.aio.Channel, container_id: str) -> Status | None:
        stub = api_pb2_grpc.RuntimeServiceStub(channel)
        request = api_pb2.ContainerStatusRequest(container_id=container_id, verbose=True)
        try:
            return _status(await stub.ContainerStatus(request, timeout=self._timeout_seconds))
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return None
            self.errors[error.code().name] += 1
            raise _CallError(error.code(), _brief(error)) from error
        except asyncio.CancelledError as error:
            # gRPC cancels the calls of a channel that is closed: that is not the caller's own cancellation.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise _CallError(grpc.StatusCode.UNAVAILABLE, "the connection was closed") from error

    async def close(self) -> None:
        """Let go of the socket; a later call opens it again."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _status(response: api_pb2.ContainerStatusResponse) -> Status:
    info = _info(response.info.get("info", ""))
    pid = info.get("pid")
    cgroups_path = _object(_object(info.get("runtimeSpec")).get("linux")).get("cgroupsPath")
    return Status(
        running=response.status.state == api_pb2.CONTAINER_RUNNING,
        pod_uid=response.status.labels.get(_POD_UID_LABEL, ""),
        start_time_unix_ns=max(response.status.started_at, 0),
        # JSON's true is a number to Python.
        pid=pid if type(pid) is int and 0 < pid <= _MOST_PID else 0,
        cgroups_path=cgroups_path if isinstance(cgroups_path, str) else "",
        name=response.status.metadata.name,
        attempt=response.status.metadata.attempt,
        exited=response.status.state == api_pb2.CONTAINER_EXITED,
        exit_code=response.status.exit_code,
        reason=response.status.reason,
        finish_time_unix_ns=max(response.status.finished_at, 0),
    )


def _info(text: str) -> dict[str, Any]:
    """Read the runtime's own JSON, whose form the CRI leaves open; one that is not understood says nothing."""
    try:
        info = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        _log.warning("the container runtime's verbose answer is not JSON; looking the container up in the cgroup tree")
        return {}
    return _object(info)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _brief(error: grpc.aio.AioRpcError) -> str:
    return f"{error.code().name}: {(error.details() or '').splitlines()[0] if error.details() else 'no details'}"
