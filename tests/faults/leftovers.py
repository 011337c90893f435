"""What an agent's process holds in the kernel and on its disk, read from outside without asking it."""

import ctypes
import os
import struct
from collections import Counter
from contextlib import suppress
from pathlib import Path

from invariants import NodeLeft

# Maps with an entry for each traced container, pod or process.
_FILTERS = ("containers", "slots_by_pid", "awaited_pods", "watched_pods", "pod_containers")
# The rows of all containers stand in chunks that are kept for the next ones (kernel/maps/rows.py).
_KEPT = frozenset({"ks_rows", "ks_counters"})
_FOLDERS = ("tmp", "run/kubestrace", "var/cache/kubestrace/programs")
# x86_64 and aarch64 (asm-generic/unistd.h); and include/uapi/linux/bpf.h.
_PIDFD_GETFD = 438
_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
_MAP_GET_NEXT_KEY, _OBJ_GET_INFO_BY_FD = 4, 15
_libc = ctypes.CDLL(None, use_errno=True)


def left(node: str, pid: int, at_first: NodeLeft | None = None) -> NodeLeft:
    """Read what the agent of a node holds now."""
    kinds, entries, files = _kinds(pid), dict.fromkeys(_FILTERS, 0), _files(pid)
    # By their numbers: one that is mapped into memory, which happens at its first use, has another descriptor for that.
    known: dict[int, str] = {}
    for fd in kinds.get("bpf-map", []):
        with suppress(OSError):  # closed meanwhile
            number, name, count = _map(pid, fd)
            if name not in _KEPT:
                known[number] = name
            if name in entries:
                entries[name] = count
    maps = Counter(known.values())
    return NodeLeft(
        node,
        links=len(kinds.get("bpf_link", [])) + len(kinds.get("bpf-raw-tracepoint", [])),
        perf_events=len(kinds.get("[perf_event]", [])),
        entries=entries,
        maps=maps,
        maps_at_first=at_first.maps if at_first else maps,
        files=files,
        files_at_first=at_first.files if at_first else files,
    )


def _kinds(pid: int) -> dict[str, list[int]]:
    """Descriptors of anonymous inodes, by their kind; several may stand for one object."""
    kinds: dict[str, list[int]] = {}
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            prefix, _, kind = str(path.readlink()).partition("anon_inode:")
            if not prefix and kind:
                kinds.setdefault(kind, []).append(int(path.name))
    return kinds


def _files(pid: int) -> frozenset[str]:
    root = Path(f"/proc/{pid}/root")
    found = [Path(place, name) for folder in _FOLDERS for place, _, names in os.walk(root / folder) for name in names]
    names = Counter(str(path.relative_to(root)) for path in found)
    return frozenset(names)


def _map(pid: int, fd: int) -> tuple[int, str, int]:
    """The kernel's number of a map, its name, and how many entries it has if it holds containers, pods or processes."""
    pidfd = os.pidfd_open(pid)
    try:
        own = _checked(_libc.syscall(_PIDFD_GETFD, pidfd, fd, 0))
    finally:
        os.close(pidfd)
    try:
        number, name, key_bytes = _number_name_and_key_size(own)
        return number, name, _count(own, key_bytes) if name in _FILTERS else 0
    finally:
        os.close(own)


def _number_name_and_key_size(fd: int) -> tuple[int, str, int]:
    info = ctypes.create_string_buffer(256)
    _bpf(_OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", fd, len(info), ctypes.addressof(info)))
    # struct bpf_map_info: type, id, key_size, value_size, max_entries, map_flags, name.
    _, number, key_bytes, _, _, _, name = struct.unpack_from("=6I16s", info.raw)
    return number, name.rstrip(b"\0").decode(), key_bytes


def _count(fd: int, key_bytes: int) -> int:
    # One key is written and read: the next one of it.
    key = ctypes.create_string_buffer(key_bytes)
    known, count = 0, 0
    while True:
        try:
            _bpf(_MAP_GET_NEXT_KEY, struct.pack("=I4xQQ", fd, known, ctypes.addressof(key)))
        except FileNotFoundError:
            return count
        known, count = ctypes.addressof(key), count + 1


def _bpf(command: int, attributes: bytes) -> None:
    given = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    _checked(_libc.syscall(_BPF, command, given, len(given)))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
