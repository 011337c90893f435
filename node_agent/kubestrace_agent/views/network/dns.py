"""Speaks to network_dns.bpf.c: what the slots that ask want to know by DNS, and from whom."""

import ctypes
import time
from collections.abc import Mapping, Sequence

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters.calls import indexed
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.slot_words import SlotWords
from kubestrace_agent.views.network.rows import buckets
from kubestrace_agent.views.network.values import DnsCounts, DnsQuestion, Lengths, RawDns

_HEADER = header("views/network/network_dns.h")
_KEY, _QUERY_KEY, _ADDRESS = (_HEADER.struct(name).whole() for name in ("dns_key", "dns_query_key", "dns_address"))
_ROW, _QUERY, _NAME, _SLOT = map(_HEADER.struct, ("dns_row", "dns_query", "dns_name", "dns_slot"))
_NAME_KEY = _HEADER.struct("dns_name_key").whole()
_BEGUN_AT, _KEY_AT, _LENGTHS_AT = _QUERY.offset("begun_ns"), _QUERY.offset("key"), _ROW.offset("lengths")
_NUMBERS = (
    "queries",
    "answers",
    "nxdomain",
    "servfail",
    "failed",
    "truncated",
    "replaced",
    "repeated",
    "late",
    "untracked",
)
_WORDS = _ROW.fields(*_NUMBERS, "total_ns", "max_ns", size=_LENGTHS_AT)
_ODD = ("malformed", "unmatched", "unread")
_PARTS = _HEADER.number("DNS_PARTS")
_KINDS = {
    "write": "NET_WRITE",
    "writev": "NET_WRITE",
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
# Those that are called first.
_HOOKS = ("on_dns_answer", "on_dns_message", "on_dns_call")
_SOCKETS = "walk_dns__task_file"
_PATIENCE_NS = _HEADER.number("DNS_PATIENCE_SECONDS") * 1_000_000_000
# A younger query may still be answered, if its socket is open.
_YOUNG_NS = 1_000_000_000
# The walk over all open files takes at most a part of the time.
_WALK_SHARE = 20


class Questions:
    """The Part: True is what a slot may want, what is read are RawDns."""

    def __init__(self, programs: Programs, abis: Sequence[str]) -> None:
        self._programs = programs
        self._abis = abis
        # slot -> generation, and what had been lost as it asked.
        self._wanting: dict[int, int] = {}
        self._lost_before: dict[int, int] = {}
        # Queries that nobody waits for any more, by struct dns_key.
        self._given_up: dict[bytes, int] = {}
        self._next_walk_ns = 0
        self._slots = SlotWords(programs.maps, "dns_slots", _SLOT)

    def enable(self, slot: int, generation: int, wanted: bool) -> None:
        """Tell a slot's queries from now on. Raises UnsupportedKernelError where that cannot be."""
        if not wanted or slot in self._wanting:
            return
        for program in (*_HOOKS, _SOCKETS):
            self._programs.need(program)
        self._open()
        self._slots.write(slot, "generation", 0)
        for name in ("rows", "addresses", *_ODD):
            self._slots.write(slot, name, 0)
        # The row of all for which there will be none.
        key = _KEY.pack(generation, 0, 1, 0, bytes(16))
        bpf_syscall.update(self._programs.maps.fd("dns_rows"), key, bytes(_ROW.size))
        self._slots.write(slot, "generation", generation)
        try:
            self._programs.attach(_HOOKS)
        except BaseException:
            self._slots.write(slot, "generation", 0)
            raise
        self._wanting[slot] = generation
        self._lost_before[slot] = self._slots.read(slot, "lost")

    def _open(self) -> None:
        if self._slots.is_open:
            return
        maps = self._programs.maps
        for name, size in (("dns_rows", _ROW.size), ("dns_queries", _QUERY.size)):
            maps.check_size(name, size)
        with maps.view("dns_calls", "Q") as kinds:
            for at, _, called in indexed(self._abis):
                if called in _KINDS:
                    kinds[at] = _HEADER.number(_KINDS[called]) | (_PARTS if called in {"readv", "writev"} else 0)
            self._programs.choose("on_dns_call", (at for at, kind in enumerate(kinds) if kind))
        self._slots.open()

    def disable(self, slot: int) -> None:
        """Tell nothing of a slot any more; the last one's end detaches the program. Idempotent."""
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
        for name, of in (("dns_rows", _KEY), ("dns_names", _NAME_KEY), ("dns_addresses", _ADDRESS)):
            at = 1 if name == "dns_names" else 0
            for key in list(bpf_syscall.keys(maps.fd(name), of.size)):
                if of_all or of.unpack(key)[at] == generation:
                    bpf_syscall.delete(maps.fd(name), key)
        for key, value in list(bpf_syscall.lookup_all(maps.fd("dns_queries"), _QUERY_KEY.size, _QUERY.size)):
            if of_all or _generation(value[_KEY_AT:]) == generation:
                bpf_syscall.delete(maps.fd("dns_queries"), key)
        self._given_up = {key: count for key, count in self._given_up.items() if _generation(key) != generation}

    def lost(self, slot: int) -> int:
        """Count queries since the slot asked whose answers could not be waited for."""
        return self._slots.read(slot, "lost") - self._lost_before[slot] if slot in self._wanting else 0

    def read(self) -> dict[int, RawDns]:
        """Return everything that was counted, by slot."""
        if not self._wanting:
            return {}
        waiting = self._unanswered()
        maps = self._programs.maps
        texts: dict[int, dict[int, bytes]] = {}
        for key, value in bpf_syscall.lookup_all(maps.fd("dns_names"), _NAME_KEY.size, _NAME.size):
            hashed, generation, _ = _NAME_KEY.unpack(key)
            texts.setdefault(generation, {})[hashed] = value
        rows: dict[int, dict[DnsQuestion, DnsCounts]] = {}
        for key, value in bpf_syscall.lookup_all(maps.fd("dns_rows"), _KEY.size, _ROW.size):
            generation, kind, other, hashed, server = _KEY.unpack(key)
            question = DnsQuestion(texts.get(generation, {}).get(hashed, b""), kind, bytes(server), bool(other))
            rows.setdefault(generation, {})[question] = _counts(value, waiting.get(key, 0))
        names: dict[int, dict[bytes, bytes]] = {}
        for key, value in bpf_syscall.lookup_all(maps.fd("dns_addresses"), _ADDRESS.size, 8):
            generation, _, packed = _ADDRESS.unpack(key)
            if name := texts.get(generation, {}).get(int.from_bytes(value, "little")):
                names.setdefault(generation, {})[bytes(packed)] = name
        return {
            slot: RawDns(
                rows.get(generation, {}),
                {name: self._slots.read(slot, name) for name in _ODD},
                names.get(generation, {}),
            )
            for slot, generation in self._wanting.items()
        }

    def _unanswered(self) -> Mapping[bytes, int]:
        """Return how many queries have no answer, by struct dns_key: those given up, and those that look like it.

        A query that is younger than a second counts only where its socket is gone.
        """
        fd = self._programs.maps.fd("dns_queries")
        pending = list(bpf_syscall.lookup_all(fd, _QUERY_KEY.size, _QUERY.size))
        now_ns = time.monotonic_ns()
        sockets = self._open_sockets() if pending else None
        likely: dict[bytes, int] = {}
        for key, value in pending:
            age_ns = now_ns - int.from_bytes(value[_BEGUN_AT : _BEGUN_AT + 8], "little")
            row = value[_KEY_AT : _KEY_AT + _KEY.size]
            is_open = sockets is None or int.from_bytes(key[:8], "little") in sockets
            if age_ns >= _PATIENCE_NS or not is_open:
                # An answer may have come meanwhile.
                if self._is_still(fd, key, value) and bpf_syscall.delete(fd, key):
                    self._given_up[row] = self._given_up.get(row, 0) + 1
            elif age_ns >= _YOUNG_NS and self._is_still(fd, key, value):
                likely[row] = likely.get(row, 0) + 1
        return {row: self._given_up.get(row, 0) + likely.get(row, 0) for row in (*self._given_up, *likely)}

    @staticmethod
    def _is_still(fd: int, key: bytes, value: bytes) -> bool:
        now = ctypes.create_string_buffer(_QUERY.size)
        return bpf_syscall.lookup(fd, key, now) and now.raw == value

    def _open_sockets(self) -> frozenset[int] | None:
        """Return the sockets of all slots that ask, by their addresses; None: nobody can tell now."""
        now_ns = time.monotonic_ns()
        if now_ns < self._next_walk_ns:
            return None
        began_ns = time.thread_time_ns()
        told = self._programs.walk(_SOCKETS)
        self._next_walk_ns = time.monotonic_ns() + (time.thread_time_ns() - began_ns) * _WALK_SHARE
        return None if told is None else frozenset(memoryview(told)[: len(told) // 8 * 8].cast("Q"))

    @property
    def needs_drain(self) -> bool:
        """Never: what fills is told as such."""
        return False

    def close(self) -> None:
        """Give the memory back."""
        self._slots.close()


def _generation(key: bytes) -> int:
    return int.from_bytes(key[:4], "little")


def _counts(value: bytes, given_up: int) -> DnsCounts:
    *numbers, total_ns, max_ns = _WORDS.unpack(value[: _WORDS.size])
    found = dict(zip(_NUMBERS, numbers, strict=True))
    found["unanswered"] = found["replaced"] + found["late"] + given_up
    return DnsCounts(found, Lengths(buckets(value, _LENGTHS_AT), total_ns, max_ns))
