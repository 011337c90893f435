"""What the kernel counts for a whole network namespace, from /proc/PID/net of any of its processes. Used by views."""

from __future__ import annotations

import os
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kubestrace_protos.v1.network_counters import COUNTERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

_PROC = Path("/proc")
_BYTES = 65536
# What is as new as that is good for all containers of a pod that are read together.
_FRESH_NS = 20_000_000
# Those of counters, those of levels; sockstat6 is not there where IPv6 is off.
_COUNTERS, _LEVELS = ("snmp", "netstat"), ("sockstat", "sockstat6")
_OPTIONAL = {"sockstat6"}
# Of each line, the fields that are reported.
_WANTED: dict[str, list[str]] = {}
for _name in COUNTERS.values():
    _WANTED.setdefault(_name.partition(".")[0], []).append(_name.partition(".")[2])


@dataclass(frozen=True, slots=True)
class PodCounters:
    """What the kernel counts for a network namespace."""

    host_network: bool
    # As /proc/PID/net/snmp and netstat call them: "Tcp.RetransSegs"; everything only grows.
    numbers: Mapping[str, int]
    # Sockets now, as /proc/PID/net/sockstat and sockstat6 call them: "TCP.tw".
    levels: Mapping[str, int]


def _counters(texts: Mapping[str, str], *, host_network: bool) -> PodCounters:
    numbers = {name: value for file in _COUNTERS for name, value in _fields(texts[file])}
    levels = {name: value for file in _LEVELS for name, value in _sockets(texts[file])}
    return PodCounters(host_network, numbers, levels)


def _fields(text: str) -> Iterator[tuple[str, int]]:
    """Yield the fields that are reported: each pair of lines is a head, and the values below."""
    lines = text.splitlines()
    for head, values in zip(lines[::2], lines[1::2], strict=False):
        line = head.partition(":")[0]
        if line not in _WANTED:
            continue
        numbers = dict(zip(head.split(), values.split(), strict=False))
        for field in _WANTED[line]:
            if field in numbers:
                yield f"{line}.{field}", int(numbers[field])


def _sockets(text: str) -> Iterator[tuple[str, int]]:
    for line in text.splitlines():
        name, *words = line.split()
        for key, value in zip(words[::2], words[1::2], strict=False):
            yield f"{name.rstrip(':')}.{key}", int(value)


class NetworkNamespace:
    """The counters of one network namespace, which all of its containers share; read by any thread.

    Its files stay open as long as anybody holds this: they are read once more when the last process has ended.
    """

    def __init__(self, folder: Path, *, host_network: bool) -> None:
        self._host_network = host_network
        # The last reading, and when it began.
        self._last: tuple[int, PodCounters] | None = None
        self._files: dict[str, int] = {}
        self._close = weakref.finalize(self, _close, self._files)
        try:
            for name in (*_COUNTERS, *_LEVELS):
                if name not in _OPTIONAL or (folder / name).exists():
                    self._files[name] = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._close()
            raise

    def read(self, *, fresh: bool = True) -> PodCounters:
        """Read the counters; without `fresh`, those that were just read will do. Raises OSError and ValueError."""
        now_ns = time.monotonic_ns()
        last = self._last
        if not fresh and last is not None and now_ns - last[0] < _FRESH_NS:
            return last[1]
        texts = {name: _text(self._files[name]) if name in self._files else "" for name in (*_COUNTERS, *_LEVELS)}
        counters = _counters(texts, host_network=self._host_network)
        self._last = now_ns, counters
        return counters


def _text(file: int) -> str:
    parts = []
    at = 0
    while part := os.pread(file, _BYTES, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts).decode("ascii")


def _close(files: Mapping[str, int]) -> None:
    for file in files.values():
        os.close(file)


_lock = threading.Lock()
_known: weakref.WeakValueDictionary[int, NetworkNamespace] = weakref.WeakValueDictionary()


def namespace_of(pid: int, proc: Path = _PROC) -> NetworkNamespace:
    """Return the network namespace of a process. Raises OSError where it has ended.

    A namespace is told by the inode of its /proc/PID/net/snmp, which it has alone: /proc/PID/ns is closed to us.
    """
    folder = proc / str(pid) / "net"
    which = (folder / "snmp").stat().st_ino
    with _lock:
        found = _known.get(which)
        if found is None:
            host_network = which == (proc / "1" / "net" / "snmp").stat().st_ino
            found = _known[which] = NetworkNamespace(folder, host_network=host_network)
        return found


def of_process(
    pid: int, proc: Path = _PROC, read: MutableMapping[NetworkNamespace, PodCounters] | None = None
) -> PodCounters | None:
    """Read those of a process's network namespace; None: it has ended, or may not be read.

    `read`: what was read together with these; a namespace is read once for all of it.
    """
    known = {} if read is None else read
    try:
        namespace = namespace_of(pid, proc)
        if namespace not in known:
            known[namespace] = namespace.read()
        return known[namespace]
    except (OSError, ValueError):
        return None
