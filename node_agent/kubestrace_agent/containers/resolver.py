"""From a container as Kubernetes names it to its cgroup and first process on this node.

Asks the runtime first and the cgroup tree second, and trusts neither blindly: the cgroup must exist, must be that
container's, and must belong to the pod that was asked for. Used by traces.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kubestrace_agent.containers import cgroups, cri, procfs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubestrace_protos.v1 import agent_pb2

_log = logging.getLogger(__name__)

_CONTAINER_ID = re.compile(r"(?:[a-z][a-z0-9-]{0,31}://)?(?P<id>[0-9a-f]{64})")
# Questions to the runtime at one time.
_CONCURRENCY = 16


class UnresolvedError(Exception):
    """A container that cannot be traced; `reason` is CamelCase and goes into its state."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Resolved:
    """Where a container is on this node; a pid or time that could not be learnt is 0."""

    cgroup: Path
    cgroup_id: int
    host_pid: int = 0
    pid: int = 0
    start_time_unix_ns: int = 0


class Resolver(Protocol):
    """What traces need; local mode and tests bring their own."""

    async def resolve(self, container: agent_pb2.Container) -> Resolved:
        """Find a running container. Raises UnresolvedError."""


class Runtime(Protocol):
    """What is asked of the container runtime, see cri.Runtime."""

    async def container_status(self, container_id: str) -> cri.Status | None:
        """Ask for one container; None when there is none. Raises cri.RuntimeUnavailableError."""


class NodeResolver:
    """Resolves the containers of this node."""

    def __init__(self, hierarchy: cgroups.Hierarchy, proc: Path, runtime: Runtime) -> None:
        self._root = hierarchy.root
        self._proc = proc
        self._runtime = runtime
        self._slots = asyncio.Semaphore(_CONCURRENCY)
        self._runtime_answers = True

    async def resolve(self, container: agent_pb2.Container) -> Resolved:
        """Find a running container. Raises UnresolvedError."""
        wanted = _Wanted.of(container)
        async with self._slots:
            status = await self._status(wanted)
            return await asyncio.to_thread(self._locate, wanted, status)

    async def _status(self, wanted: _Wanted) -> cri.Status | None:
        try:
            status = await self._runtime.container_status(wanted.container_id)
        except cri.RuntimeUnavailableError as error:
            if self._runtime_answers:  # said once, not for each container
                _log.warning("%s; containers are looked up in the cgroup tree only", error)
            self._runtime_answers = False
            return None
        self._runtime_answers = True
        if status is None:
            return None
        if status.pod_uid and cgroups.bare_uid(status.pod_uid) != wanted.pod_uid:
            raise UnresolvedError(
                "ContainerNotFound", f"{wanted.label}: the runtime says it belongs to pod {status.pod_uid}"
            )
        if not status.running:
            raise UnresolvedError("ContainerNotRunning", f"{wanted.label} is not running, says the container runtime")
        return status

    def _locate(self, wanted: _Wanted, status: cri.Status | None) -> Resolved:
        cgroup = self._cgroup(wanted, status)
        try:
            cgroup_id = cgroups.cgroup_id(cgroup)
        except FileNotFoundError as error:
            raise UnresolvedError("CgroupNotFound", f"{wanted.label} ended while it was looked up") from error
        pid = status.pid if status and self._lives_in(status.pid, cgroup) else 0
        host_pid = pid or procfs.first_process(self._proc, cgroup)
        return Resolved(
            cgroup=cgroup,
            cgroup_id=cgroup_id,
            host_pid=host_pid,
            pid=procfs.pid_in_container(self._proc, host_pid) if host_pid else 0,
            start_time_unix_ns=(status.start_time_unix_ns if status else 0)
            or (procfs.start_time_unix_ns(self._proc, host_pid) if host_pid else 0),
        )

    def _cgroup(self, wanted: _Wanted, status: cri.Status | None) -> Path:
        for path in self._candidates(wanted, status):
            if path.is_dir() and wanted.is_at(
                path.relative_to(self._root), pod_is_known=bool(status and status.pod_uid)
            ):
                return path
        raise UnresolvedError(
            "CgroupNotFound" if status else "ContainerNotFound",
            f"no cgroup of {wanted.label} in pod {wanted.pod_uid} below {self._root}"
            + (f" (the runtime says {status.cgroups_path or 'no path'}, pid {status.pid})" if status else ""),
        )

    def _candidates(self, wanted: _Wanted, status: cri.Status | None) -> Iterator[Path]:
        """List where the container may be, the cheapest to look at first; the walk begins only if those fail."""
        if status and status.pid:
            path = procfs.cgroup_path(self._proc, status.pid) or ""
            own = cgroups.container_part(path, wanted.container_id)
            # A path that climbs lies outside the reader's cgroup namespace: how far is not known, so walk.
            if own and not own.startswith("/.."):
                yield self._root / own.lstrip("/")
        if status and status.cgroups_path:
            for path in cgroups.runtime_spec_paths(status.cgroups_path):
                yield self._root / path.lstrip("/")
        yield from cgroups.find(self._root, wanted.container_id)

    def _lives_in(self, pid: int, cgroup: Path) -> bool:
        """Tell whether the runtime's pid is that container's here: without hostPID it is some other process's."""
        path = procfs.cgroup_path(self._proc, pid) if pid else None
        return path is not None and cgroup.name in Path(path).parts


@dataclass(frozen=True)
class _Wanted:
    """A checked request: hex digits only, so that nothing of it can lead a path astray."""

    container_id: str
    pod_uid: str
    label: str

    @classmethod
    def of(cls, container: agent_pb2.Container) -> _Wanted:
        match = _CONTAINER_ID.fullmatch(container.container_id)
        uid = cgroups.bare_uid(container.pod_uid)
        if match is None:
            raise UnresolvedError(
                "InvalidContainer",
                f"{container.container_id[:100]!r} is not a container ID (containerd://<64 hex digits>)",
            )
        if uid is None:
            raise UnresolvedError("InvalidContainer", f"{container.pod_uid[:100]!r} is not a pod UID")
        return cls(match["id"], uid, f"container {container.container_name[:100]!r} ({match['id'][:12]})")

    def is_at(self, path: Path, *, pod_is_known: bool) -> bool:
        """Check what a path says: it names the container, and its pod unless the runtime has vouched for that."""
        place = cgroups.parse(str(path))
        if place is None or place.container_id != self.container_id:
            return False
        return place.pod_uid == self.pod_uid or (place.pod_uid is None and pod_is_known)
