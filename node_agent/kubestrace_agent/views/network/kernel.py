"""Speaks to network.bpf.c: whom the slots that ask talk to over TCP."""

import time
from collections.abc import Iterator, Mapping, Sequence

from kubestrace_agent.containers import network_counters
from kubestrace_agent.containers.network_counters import NetworkNamespace, PodCounters
from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters.calls import indexed
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.slot_words import SlotWords
from kubestrace_agent.views.network.rows import Read, add_living
from kubestrace_agent.views.network.rows import reader as rows_reader
from kubestrace_agent.views.network.values import Counts, Level, Peer, RawNetwork

_HEADER = header("views/network/network.h")
_KEY = _HEADER.struct("net_key").whole()
_TALK = _HEADER.struct("net_talk")
_ROW, _SOCKET, _ERROR, _PORT, _OWNER, _SLOT = map(
    _HEADER.struct, ("net_row", "net_socket", "net_error", "net_port", "net_owner", "net_slot")
)
_PROCESS = _HEADER.struct("net_process").whole()
_CALLS = ("connect_attempts", "connect_again", "connect_other", "accepted", "accept_failed", "accept_other")
_TALK_CALLS = ("talk_calls", "tcp_calls", "other_calls", "write_calls")
_KINDS = {
    "connect": "NET_CONNECT",
    "accept": "NET_ACCEPT",
    "accept4": "NET_ACCEPT",
    "write": "NET_WRITE",
    "writev": "NET_WRITE",
    "sendfile": "NET_WRITE",
    "sendfile64": "NET_WRITE",
    "read": "NET_READ",
    "readv": "NET_READ",
    "sendto": "NET_SENDTO",
    "recvfrom": "NET_RECVFROM",
    "sendmsg": "NET_SENDMSG",
    "recvmsg": "NET_RECVMSG",
    "sendmmsg": "NET_SENDMMSG",
    "recvmmsg": "NET_RECVMMSG",
    "recvmmsg_time64": "NET_RECVMMSG",
}
_HOOKS = ("on_sock_state", "on_net_call")
_FILES, _PROCESSES = "walk_sockets__task_file", "tell_net_processes"
# The walk over all open files takes at most a part of the time: then open connections are as old as that.
_WALK_SHARE = 20
# The same for slots that begin: their first reading seeks them at the latest.
_FIND_SHARE = 5


class Sockets:
    """The Part: True is what a slot may want, what is read are RawNetwork."""

    def __init__(self, programs: Programs, abis: Sequence[str]) -> None:
        self._programs = programs
        self._abis = abis
        # slot -> generation, and what had been lost as it asked.
        self._wanting: dict[int, int] = {}
        self._lost_before: dict[int, int] = {}
        self._slots = SlotWords(programs.maps, "net_slots", _SLOT)
        self._next_walk_ns = 0
        # Before that no connections are sought for further slots; there are such slots.
        self._next_find_ns = 0
        self._unfound = False

    def enable(self, slot: int, generation: int, wanted: bool) -> None:
        """Tell a slot's connections from now on. Raises UnsupportedKernelError where that cannot be."""
        if not wanted or slot in self._wanting:
            return
        for program in (*_HOOKS, _FILES, _PROCESSES):
            self._programs.need(program)
        self._open()
        self._slots.write(slot, "generation", 0)
        for name in ("rows", "talks", "foreign", *_CALLS, *_TALK_CALLS):
            self._slots.write(slot, name, 0)
        self._make_other_rows(generation)
        self._slots.write(slot, "generation", generation)
        try:
            self._programs.attach(_HOOKS)
        except BaseException:
            self._slots.write(slot, "generation", 0)
            raise
        self._wanting[slot] = generation
        self._lost_before[slot] = self._lost(slot)
        # Of many slots that ask together the first looks at once, and one look serves all others.
        if time.monotonic_ns() >= self._next_find_ns:
            self._find_sockets()
        else:
            self._unfound = True

    def _open(self) -> None:
        if self._slots.is_open:
            return
        maps = self._programs.maps
        for name, size in (("net_rows", _ROW.size), ("net_sockets", _SOCKET.size)):
            maps.check_size(name, size)
        with maps.view("net_calls", "Q") as kinds:
            for at, _, called in indexed(self._abis):
                if called in _KINDS:
                    kinds[at] = _HEADER.number(_KINDS[called])
            self._programs.choose("on_net_call", (at for at, kind in enumerate(kinds) if kind))
        self._slots.open()

    def _make_other_rows(self, generation: int) -> None:
        """Make the rows of all for which there will be no row: they must be there then."""
        for role in ("ROLE_CLIENT", "ROLE_SERVER", "ROLE_LISTENER"):
            key = _KEY.pack(generation, _HEADER.number(role) | _HEADER.number("NET_OTHER"), 0, bytes(16))
            bpf_syscall.update(self._programs.maps.fd("net_rows"), key, bytes(_ROW.size))

        for role in ("ROLE_UDP_CLIENT", "ROLE_UDP_SERVER", "ROLE_UNIX_CLIENT", "ROLE_UNIX_SERVER"):
            key = _KEY.pack(generation, _HEADER.number(role) | _HEADER.number("NET_OTHER"), 0, bytes(16))
            bpf_syscall.update(self._programs.maps.fd("net_talks"), key, bytes(_TALK.size))

    def _find_sockets(self) -> None:
        """Have the connections that are there known: those that came to a listener by its port, so listeners first."""
        began_ns, self._unfound = time.thread_time_ns(), False
        self._slots.write(0, "generation", 1)
        self._programs.walk(_FILES)
        self._slots.write(0, "generation", 0)
        self._programs.walk(_FILES)
        self._next_find_ns = time.monotonic_ns() + (time.thread_time_ns() - began_ns) * _FIND_SHARE

    def disable(self, slot: int) -> None:
        """Tell nothing of a slot any more; the last one's end detaches the programs. Idempotent."""
        generation = self._wanting.pop(slot, None)
        if generation is None:
            return
        del self._lost_before[slot]
        self._slots.write(slot, "generation", 0)
        if not self._wanting:
            self._programs.detach(_HOOKS)
        self._forget(generation)

    def _forget(self, generation: int) -> None:
        """Take away what there is of a slot; with the last one everything."""
        of_all, maps = not self._wanting, self._programs.maps
        for name in ("net_rows", "net_errors", "net_talks", "net_names"):
            size = _ERROR.size if name == "net_errors" else _KEY.size
            for key in list(bpf_syscall.keys(maps.fd(name), size)):
                if of_all or _KEY.unpack(key[: _KEY.size])[0] == generation:
                    bpf_syscall.delete(maps.fd(name), key)
        key_at = _SOCKET.offset("key")
        for key, value in list(bpf_syscall.lookup_all(maps.fd("net_sockets"), 8, _SOCKET.size)):
            if of_all or _KEY.unpack(value[key_at : key_at + _KEY.size])[0] == generation:
                bpf_syscall.delete(maps.fd("net_sockets"), key)
        for key in list(bpf_syscall.keys(maps.fd("net_failed"), 8)) if of_all else ():
            bpf_syscall.delete(maps.fd("net_failed"), key)
        for key, value in list(bpf_syscall.lookup_all(maps.fd("net_ports"), _PORT.size, _OWNER.size)):
            if of_all or layout.SLOT_REF.unpack(value[: layout.SLOT_REF.size])[1] == generation:
                bpf_syscall.delete(maps.fd("net_ports"), key)

    def _lost(self, slot: int) -> int:
        """All that was lost of a slot, and events for which the kernel did not run a program."""
        return self._slots.read(slot, "lost") + self._programs.skipped("on_sock_state")

    def lost(self, slot: int) -> int:
        """Count connections for which there was no room since the slot asked; it may be that they were another's."""
        return self._lost(slot) - self._lost_before[slot] if slot in self._wanting else 0

    def read(self) -> dict[int, RawNetwork]:
        """Return everything that was counted, by slot."""
        if not self._wanting:
            return {}
        if self._unfound:
            self._find_sockets()
        self._look_at_open_files()
        found = rows_reader(self._programs.maps).read()
        pods = self._pods()
        return {slot: self._of_slot(slot, found.get(generation), pods) for slot, generation in self._wanting.items()}

    def _look_at_open_files(self) -> None:
        now_ns = time.monotonic_ns()
        if now_ns < self._next_walk_ns:
            return
        for slot in self._wanting:
            self._slots.write(slot, "foreign", 0)
        began_ns = time.thread_time_ns()
        self._programs.walk(_FILES)
        self._next_walk_ns = time.monotonic_ns() + (time.thread_time_ns() - began_ns) * _WALK_SHARE

    def _of_slot(self, slot: int, found: Read | None, pods: Mapping[int, PodCounters]) -> RawNetwork:
        counts: dict[Peer, Counts] = {}
        levels: dict[Peer, Level] = {}
        if found:
            counts, levels = add_living(found)
        calls = {name: self._slots.read(slot, name) for name in (*_CALLS, *_TALK_CALLS)}
        talks = found.talks if found else {}
        return RawNetwork(
            counts, levels, calls, self._slots.read(slot, "foreign"), pods.get(self._wanting[slot]), talks
        )

    def _pods(self) -> dict[int, PodCounters]:
        """Return the counters of each slot's network namespace, by generation."""
        found: dict[int, PodCounters] = {}
        # A namespace is read once, however many containers share it.
        read: dict[NetworkNamespace, PodCounters] = {}
        for generation, pid in self._processes():
            if generation not in found:
                counters = network_counters.of_process(pid, read=read)
                if counters:
                    found[generation] = counters
        return found

    def _processes(self) -> Iterator[tuple[int, int]]:
        told = self._programs.walk(_PROCESSES) or b""
        for at in range(0, len(told) - _PROCESS.size + 1, _PROCESS.size):
            generation, pid = _PROCESS.unpack(told[at : at + _PROCESS.size])
            yield generation, pid

    @property
    def needs_drain(self) -> bool:
        """Never: nothing of it fills."""
        return False

    def close(self) -> None:
        """Give the memory back."""
        self._slots.close()
