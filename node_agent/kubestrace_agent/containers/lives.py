"""One life of a container of a pod: which container it is and how it ended, as the container runtime knows it.

For containers that the kernel found by their cgroups (kernel.maps.pods.PodContainer): a cgroup's name tells the
container's ID, and the runtime tells the rest. The runtime keeps what it knows of an ended container until kubelet
removes it (some time after the next one of the same name has ended). Used by traces.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubestrace_agent.containers import cgroups, cri

if TYPE_CHECKING:
    from kubestrace_agent.containers.resolver import Runtime

# The runtime notices an end some 10 ms after the last process has ended. On a node where 50 pods crash-looped it was
# later than 10 s, or did not answer for a while: a row had no exit code.
_ENDING_SECONDS = 60.0
_FIRST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS = 0.05, 2.0
# A runtime that is busy may answer the next time; where there is none each attempt fails at once.
_ATTEMPTS = 3


@dataclass(frozen=True)
class Life:
    """A container of a pod from its start to its end; what is not known is empty or 0."""

    container_id: str
    # In the pod's spec; "": the runtime does not say, and the pod's status may by the container ID.
    name: str = ""
    restart_count: int = 0
    start_time_unix_ns: int = 0
    ended: bool = False
    exit_code: int = 0
    # CamelCase: Completed, Error, OOMKilled, StartError, ...
    reason: str = ""
    finish_time_unix_ns: int = 0


def container_id(cgroup_name: str) -> str | None:
    """Read the container's ID out of the last part of a cgroup's path; None: this is no container (conmon's, ...)."""
    place = cgroups.parse(cgroup_name)
    return place.container_id if place else None


async def identify(runtime: Runtime, cgroup_name: str) -> Life | None:
    """Ask the runtime which container a cgroup is. None: it is none of a pod's spec, but a sandbox or conmon's.

    A runtime may know a container only some time after its cgroup was created: ask again before None is believed.
    Where no runtime answers, the life has an ID and no name.
    """
    found = container_id(cgroup_name)
    if found is None:
        return None
    try:
        status = await _status(runtime, found)
    except cri.RuntimeUnavailableError:
        return Life(found)
    return _life(found, status) if status else None


async def _status(runtime: Runtime, found: str) -> cri.Status | None:
    for _ in range(_ATTEMPTS - 1):
        try:
            return await runtime.container_status(found)
        except cri.RuntimeUnavailableError:
            await asyncio.sleep(_FIRST_PAUSE_SECONDS)
    return await runtime.container_status(found)


async def ending(runtime: Runtime, life: Life, within_seconds: float = _ENDING_SECONDS) -> Life:
    """Ask the runtime how a life ended, until it has noticed that it did; what it does not say stays unknown."""
    deadline, pause = time.monotonic() + within_seconds, _FIRST_PAUSE_SECONDS
    while True:
        with contextlib.suppress(cri.RuntimeUnavailableError):
            status = await _status(runtime, life.container_id)
            if status is None:
                return life
            life = _life(life.container_id, status)
        if life.ended or time.monotonic() + pause > deadline:
            return life
        await asyncio.sleep(pause)
        pause = min(2 * pause, _MOST_PAUSE_SECONDS)


def _life(found: str, status: cri.Status) -> Life:
    return Life(
        container_id=found,
        name=status.name,
        restart_count=status.attempt,
        start_time_unix_ns=status.start_time_unix_ns,
        ended=status.exited,
        exit_code=status.exit_code if status.exited else 0,
        reason=status.reason if status.exited else "",
        finish_time_unix_ns=status.finish_time_unix_ns if status.exited else 0,
    )
