"""The maps of pods.bpf.c: pods that are awaited or watched, the slots that wait for their containers, these containers.

Used by counters/pod_slots.py. The structs are read from pods.h; `PodMaps` compares their sizes with the loaded maps'.
"""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.rings import Ring

if TYPE_CHECKING:
    from kubestrace_agent.kernel.maps.maps import Maps

_PODS = header("kernel/bpf/pods.h")
RESERVED_SLOTS = _PODS.number("RESERVED_SLOTS")
_RESERVED = _PODS.struct("reserved").whole()
_POD_LAYOUT = _PODS.struct("pod")
_POD = _POD_LAYOUT.fields("cgroup", "level", "given", "taken", "missed", "unmarked")
_RESERVED_AT = _POD_LAYOUT.offset("reserved")
_GIVEN_AT = _POD_LAYOUT.offset("given")
_CONTAINER = _PODS.struct("pod_container").whole()
_CGROUP = struct.Struct("=Q")
_UID_DIGITS = 32


@dataclass(frozen=True)
class SlotRef:
    """A slot and its generation, as struct slot_ref."""

    slot: int
    generation: int


@dataclass(frozen=True)
class PodState:
    """What the kernel knows of a watched pod; `cgroup_id` is 0 while it has no cgroup."""

    cgroup_id: int
    level: int
    # Slots that were ever given to it, and those that containers have taken.
    given: int
    taken: int
    # Containers that found no slot.
    missed: int
    # Processes of the runtime whose calls are counted as the container's.
    unmarked: int


@dataclass(frozen=True)
class PodContainer:
    """A container that was created below a watched pod's cgroup. Times: CLOCK_MONOTONIC; 0: not yet.

    `slot` is 0 where the pod had none left: the container is not counted.
    """

    cgroup_id: int
    pod: int
    # Of its cgroup, the last part of the path.
    name: str
    level: int
    slot: int
    runtime_slot: int
    created_ns: int
    # When its program was executed, and by which process: as the host numbers it, and as it numbers itself.
    started_ns: int
    pid: int
    inner_pid: int
    # When its last process ended, and when its cgroup was removed.
    emptied_ns: int
    removed_ns: int


class PodMaps:
    """Reads and writes the maps; a pod is its number, from 0 on. Every method raises OSError."""

    def __init__(self, maps: Maps) -> None:
        self._maps = maps
        maps.check_size("pods", _POD.size)
        maps.check_size("pod_containers", _CONTAINER.size)
        self._pods = maps.view("pods", "B")
        self.capacity = maps.entries("pods")
        self._events = Ring(maps.fd("pod_events"), maps.entries("pod_events"))

    @property
    def events_fd(self) -> int:
        """A file descriptor that is readable when something has changed, until `drain`."""
        return self._maps.fd("pod_events")

    def drain(self) -> bool:
        """Take the events, which say only that the maps have changed; tells whether there were any."""
        return sum(1 for _ in self._events.places()) > 0

    def clear(self, pod: int) -> None:
        """Begin with a pod that has no cgroup and no slots."""
        self._pods[pod * _POD.size : (pod + 1) * _POD.size] = bytes(_POD.size)

    def await_pod(self, pod: int, uid: str) -> None:
        """Have its cgroup watched as soon as it is created; `uid`: 32 hex digits."""
        bpf_syscall.update(self._maps.fd("awaited_pods"), _uid_key(uid), bpf_syscall.key_u32(pod))

    def watch(self, pod: int, cgroup_id: int) -> None:
        """Watch a pod whose cgroup is there already."""
        bpf_syscall.update(self._maps.fd("watched_pods"), _CGROUP.pack(cgroup_id), bpf_syscall.key_u32(pod))
        _CGROUP.pack_into(self._pods, pod * _POD.size, cgroup_id)

    def give(self, pod: int, container: SlotRef, runtime: SlotRef) -> None:
        """Give a pod a slot for a container that it does not have yet; at most RESERVED_SLOTS wait at a time."""
        at, given = pod * _POD.size, self.state(pod).given
        place = at + _RESERVED_AT + given % RESERVED_SLOTS * _RESERVED.size
        _RESERVED.pack_into(self._pods, place, container.slot, container.generation, runtime.slot, runtime.generation)
        # The programs look at the slot only once this says that it is there.
        with self._pods[at + _GIVEN_AT : at + _GIVEN_AT + 4].cast("I") as word:
            word[0] = given + 1 & 0xFFFF_FFFF

    def forget(self, pod: int, uid: str) -> None:
        """Watch a pod no longer: no container of it takes a slot from now on."""
        bpf_syscall.delete(self._maps.fd("awaited_pods"), _uid_key(uid))
        watched, value = self._maps.fd("watched_pods"), ctypes.create_string_buffer(4)
        for key in list(bpf_syscall.keys(watched, _CGROUP.size)):
            if bpf_syscall.lookup(watched, key, value) and value.raw == bpf_syscall.key_u32(pod):
                bpf_syscall.delete(watched, key)

    def state(self, pod: int) -> PodState:
        """Return what the kernel knows of it."""
        return PodState(*_POD.unpack_from(self._pods, pod * _POD.size))

    def containers(self) -> list[PodContainer]:
        """Return all containers that were created below watched pods and have not been removed from here."""
        found = bpf_syscall.lookup_all(self._maps.fd("pod_containers"), _CGROUP.size, _CONTAINER.size)
        return [_container(_CGROUP.unpack(key)[0], value) for key, value in found]

    def remove(self, cgroup_id: int) -> None:
        """Remove the record of a container; whether its calls are counted is its slot's matter."""
        bpf_syscall.delete(self._maps.fd("pod_containers"), _CGROUP.pack(cgroup_id))

    def forget_joiners(self) -> None:
        """Remove what the programs keep of processes of the runtime, once they are detached and see none end."""
        joiners = self._maps.fd("joiners")
        for key in list(bpf_syscall.keys(joiners, 4)):
            bpf_syscall.delete(joiners, key)
            bpf_syscall.delete(self._maps.fd("slots_by_pid"), key)
        with self._maps.view("config", "H") as config:
            config[layout.CONFIG_JOINERS_HALF] = 0

    def close(self) -> None:
        """Release the memory that is shared with the kernel."""
        self._pods.release()
        self._events.close()


def _uid_key(uid: str) -> bytes:
    if len(uid) != _UID_DIGITS:
        raise ValueError(f"invalid pod UID {uid[:100]!r}: 32 hex digits without dashes are needed")
    return int(uid[:16], 16).to_bytes(8, "little") + int(uid[16:], 16).to_bytes(8, "little")


def _container(cgroup_id: int, value: bytes) -> PodContainer:
    (slot, _, runtime, _, created, started, emptied, removed, pod, level, pid, inner_pid, name) = _CONTAINER.unpack(
        value
    )
    return PodContainer(
        cgroup_id=cgroup_id,
        pod=pod,
        name=name.split(b"\0", 1)[0].decode(errors="replace"),
        level=level,
        slot=slot,
        runtime_slot=runtime,
        created_ns=created,
        started_ns=started,
        pid=pid,
        inner_pid=inner_pid,
        emptied_ns=emptied,
        removed_ns=removed,
    )
