"""A call that failed, in words for who has never read a system call. Pure."""

import re
from collections.abc import Container, Iterable, Mapping
from typing import Any

from kubestrace_operator.findings.finding import cut

# Of a look-up by DNS, which is no call.
NO_NAME = "NXDOMAIN"
# Calls that take file locks, what they fail with where another process has it, and what to do then.
LOCKS, HELD = ("flock", "fcntl"), ("EAGAIN", "EACCES")
WHO_HAS_IT = (
    "Find out who has it (/proc/locks on the node): another replica on the same volume, or a pod that has not ended."
)
_VERBS = {
    **dict.fromkeys(("open", "openat", "openat2", "creat"), "open"),
    **dict.fromkeys(("execve", "execveat"), "execute"),
    **dict.fromkeys(("mkdir", "mkdirat"), "make the folder"),
    **dict.fromkeys(("rename", "renameat", "renameat2"), "rename"),
    **dict.fromkeys(("unlink", "unlinkat"), "remove"),
    **dict.fromkeys(("write", "pwrite64", "writev", "pwritev"), "write to"),
    **dict.fromkeys(("read", "pread64", "readv", "preadv"), "read"),
    **dict.fromkeys(("fsync", "fdatasync", "sync_file_range"), "sync"),
    **dict.fromkeys(("flock", "fcntl"), "lock"),
    **dict.fromkeys(("stat", "lstat", "newfstatat", "statx", "access", "faccessat2"), "look at"),
    "getdents64": "list",
    "connect": "connect to",
    "bind": "listen at",
    "listen": "accept connections at",
    "chdir": "enter the folder",
    **dict.fromkeys(("ftruncate", "fallocate"), "make room in"),
    **dict.fromkeys(("chown", "lchown", "fchownat"), "change the owner of"),
    **dict.fromkeys(("chmod", "fchmodat"), "change the mode of"),
    **dict.fromkeys(("symlink", "symlinkat", "link", "linkat"), "make the link"),
    "inotify_add_watch": "watch",
}
# Calls whose arguments say nothing.
_WITHOUT_OBJECT = {
    **dict.fromkeys(("clone", "clone3"), "start a process or a thread"),
    **dict.fromkeys(("fork", "vfork"), "start a process"),
    **dict.fromkeys(("inotify_init", "inotify_init1"), "watch files"),
}
_WHY = {
    "EACCES": "permission denied",
    "EADDRINUSE": "the address is in use",
    "EADDRNOTAVAIL": "the address is none of this pod's",
    "EDQUOT": "the quota is used up",
    "EISDIR": "it is a folder",
    "ENOEXEC": "it is no program for this machine",
    "ENOTDIR": "a part of its path is no folder",
    NO_NAME: "no server knows the name",
    "ECONNREFUSED": "the connection was refused",
    "EHOSTUNREACH": "there is no way there",
    "ENETUNREACH": "there is no way there",
    "ENOENT": "no such file",
    "ENOSPC": "no space is left",
    "EPERM": "not permitted",
    "EROFS": "the file system is read-only",
    "ETIMEDOUT": "nobody answered",
}
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"(?:\.\.\.)?')
# A descriptor with what it is: 3</data/log>, 7<socket>.
_DESCRIPTOR = re.compile(r"\d+<(?P<file>.*?)>")
# 3<socket>, 10.0.0.5:80, 16
_ADDRESS = re.compile(r"\d+(?:<[^>]*>)?, (?P<address>.+?)(?:, \d+)?$")
_OF_SOCKETS = frozenset({"connect", "bind"})
_OF_OPEN_FILES = frozenset({"write to", "read", "sync", "lock", "list", "make room in", "accept connections at"})
_OF_DESCRIPTORS = frozenset({call for call, verb in _VERBS.items() if verb in _OF_OPEN_FILES})
# What stands for arguments that nobody could read.
_UNKNOWN = "..."


def tried(syscall: str, arguments: str) -> str:
    """Return what a program tried to do: open "/etc/app.yaml"; as a call where its words are not known."""
    if syscall in _WITHOUT_OBJECT:
        return _WITHOUT_OBJECT[syscall]
    verb = _VERBS.get(syscall, "")
    if what := _object(syscall, arguments) if verb else "":
        return f"{verb} {cut(what)}"
    return f"call {syscall}({cut(arguments)})"


def why(errno: str, syscall: str = "") -> str:
    """Return an error in words, with its name: no such file (ENOENT)."""
    if syscall in LOCKS and errno in HELD:
        return f"another process holds it ({errno})"
    return f"{_WHY[errno]} ({errno})" if errno in _WHY else errno


def example(status: Mapping[str, Any], errnos: Iterable[str], syscalls: Container[str]) -> str:
    """Return a sentence about one of the calls that failed so, behind another; empty where there are no samples."""
    counts: list[Mapping[str, Any]] = status.get("summary", {}).get("errorCounts", [])
    for row in counts:
        if row["errno"] in errnos and row["syscall"] in syscalls and row.get("samples"):
            sample = row["samples"][0]
            who = sample.get("process") or "one"
            return f" For example {who} could not {tried(row['syscall'], sample['arguments'])}."
    return ""


def address(arguments: str) -> str:
    """Return the address that a connect or a bind names; empty: it is not known."""
    called = _ADDRESS.match(arguments)
    return called["address"] if called and called["address"] != _UNKNOWN else ""


def endpoint(host: str, port: int) -> str:
    """Return the address of a peer as arguments have it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _object(syscall: str, arguments: str) -> str:
    """Return the file or the address that a call is about."""
    if syscall in _OF_SOCKETS:
        return address(arguments)
    found = _DESCRIPTOR.match(arguments)
    file = found["file"] if found else ""
    if syscall in _OF_DESCRIPTORS:
        return file
    names = _QUOTED.findall(arguments)
    is_below = len(names) == 1 and file.startswith("/") and not names[0].startswith('"/')
    return f"{names[0]} in {file}" if is_below else " to ".join(names)
