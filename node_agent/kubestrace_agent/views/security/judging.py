"""Whether what a program did is of interest, and what is said of it. Pure.

Nothing here is a proof: names may be chosen by whoever wants to be overlooked.
"""

from __future__ import annotations

import ipaddress
import socket
import stat
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from kubestrace_agent.syscalls import name, words
from kubestrace_agent.views import file_paths
from kubestrace_agent.views.call_arguments import address
from kubestrace_agent.views.security import shapes
from kubestrace_protos.v1.views.security_limits import CODE_PATHS, SENSITIVE_PATHS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kubestrace_agent.views.security.values import RawMatch, RawSecurityExec

_GONE = b" (deleted)"
# A path that was too long is told by its beginning and its end.
_CUT = b"/.../"
_AF_PACKET, _SOCK_RAW, _SOCK_PACKET = 17, 3, 10
_INTERNET = (socket.AF_INET, socket.AF_INET6)
# Linux include/uapi/linux/ptrace.h and asm/ptrace-abi.h: those that change or take another process.
_PTRACE = {
    0: "TRACEME",
    1: "PEEKTEXT",
    2: "PEEKDATA",
    3: "PEEKUSER",
    4: "POKETEXT",
    5: "POKEDATA",
    6: "POKEUSER",
    7: "CONT",
    8: "KILL",
    9: "SINGLESTEP",
    12: "GETREGS",
    13: "SETREGS",
    16: "ATTACH",
    17: "DETACH",
    24: "SYSCALL",
    0x4200: "SETOPTIONS",
    0x4204: "GETREGSET",
    0x4205: "SETREGSET",
    0x4206: "SEIZE",
}
# Linux include/uapi/linux/bpf.h, enum bpf_cmd.
_BPF = {0: "MAP_CREATE", 5: "PROG_LOAD", 8: "PROG_ATTACH", 17: "RAW_TRACEPOINT_OPEN", 18: "BTF_LOAD", 28: "LINK_CREATE"}
# A connect that goes on behind the program's back, or is there already.
_CONNECTING = frozenset({106, 114, 115})
# What runc and crun call the copy of themselves that they execute, and their own names.
_CLONES = (b"runc_cloned", b"crun_cloned", b"memfd:runc_cloned", b"memfd:crun_cloned")
_RUNTIMES = frozenset({b"runc", b"crun", b"runc-dmz", b"youki", b"runsc"})
_SHELLS = frozenset(b"sh ash bash dash zsh ksh ksh93 mksh fish csh tcsh rbash yash oksh".split(b" "))
_TERMINALS = frozenset({4, 5, *range(136, 144)})


def fits(pattern: str, path: bytes) -> bool:
    """Whether a path fits: "*" stands for any characters, all others for themselves.

    Each part is looked for from the left, so that a path costs no more than its length for each.
    """
    first, *rest = pattern.encode().split(b"*")
    if not rest:
        return path == first
    if not path.startswith(first):
        return False
    *between, last = rest
    at = len(first)
    for part in between:
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(path) - at >= len(last) and path.endswith(last)


@dataclass(frozen=True)
class Patterns:
    """What is looked for among paths."""

    sensitive: tuple[str, ...] = SENSITIVE_PATHS
    code: tuple[str, ...] = CODE_PATHS

    @classmethod
    def of(cls, own: Iterable[str]) -> Patterns:
        """Return a session's own patterns first, and the view's behind them."""
        return cls((*sorted(own), *SENSITIVE_PATHS))

    def secret(self, path: bytes) -> str:
        """Return the pattern of secrets that fits; "" where none does."""
        return next((pattern for pattern in self.sensitive if fits(pattern, path)), "")

    def runs(self, path: bytes) -> str:
        """Return the pattern of code that fits; "" where none does."""
        return next((pattern for pattern in self.code if fits(pattern, path)), "")


@dataclass(frozen=True)
class Judged:
    """What is said of calls that are of interest."""

    kind: str
    object: bytes = b""
    named: bytes = b""
    pattern: str = ""
    access: str = ""


def judged(match: RawMatch, patterns: Patterns) -> Judged | None:
    """Return what is to be said of calls; None where they are of no interest."""
    called = name(match.call)
    if called in shapes.OPENS:
        return _opened(match, patterns)
    if called in shapes.MOVES:
        return _moved(called, match, patterns)
    if called in shapes.WRITES:
        return _written(_named(match), patterns) if not match.error else None
    if called in shapes.PEERS:
        return _peer(match, patterns)
    return _asked(called, match)


def _asked(called: str, match: RawMatch) -> Judged | None:
    """Of calls that name nothing but what they ask for."""
    if called in shapes.KERNEL_SURFACE:
        command = f"BPF_{_BPF.get(match.detail, match.detail)}" if called == "bpf" else ""
        return Judged("kernelSurface", command.encode())
    if called in shapes.NAMESPACES:
        return Judged("namespace", _named(match) if called == "mount" else _spaces(match.detail))
    if called in shapes.TRACING:
        if called.startswith("process_vm") and not match.detail:
            return None
        request = f"PTRACE_{_PTRACE.get(match.detail, hex(match.detail))}" if called == "ptrace" else ""
        return Judged("tracing", request.encode())
    family, kind = match.detail >> 4, match.detail & 0xF
    is_raw = family == _AF_PACKET or (family in _INTERNET and kind in {_SOCK_RAW, _SOCK_PACKET})
    if not is_raw:
        return None
    spoken = (words.word("socket", match.call.abi, at, value) for at, value in enumerate((family, kind)))
    return Judged("rawSocket", " ".join(spoken).encode())


def _spaces(flags: int) -> bytes:
    return words.word("unshare", "x86_64", 0, flags).encode() if flags else b""


def _text(match: RawMatch) -> bytes:
    first, _, rest = match.text.partition(b"\0")
    last = rest.partition(b"\0")[0]
    return first.rpartition(b"/")[0] + _CUT + last.partition(b"/")[2] if last else first


def _named(match: RawMatch) -> bytes:
    """A path as it was named, with the folder before it where it is relative."""
    text = _text(match)
    return file_paths.of_path(text, match.names, match.mode) if text else b""


def _opened(match: RawMatch, patterns: Patterns) -> Judged | None:
    named = _text(match)
    path = _named(match) if match.error else file_paths.of_file(match.names, match.mode).removesuffix(_GONE)
    access = "write" if match.detail else "read"
    if match.detail and not match.error and (found := _written(path, patterns)):
        return found
    pattern = patterns.secret(path)
    if not pattern or _is_own(path, match.inner_pid):
        return None
    return Judged("sensitivePath", path, named if named != path else b"", pattern, access)


def _is_own(path: bytes, inner_pid: int) -> bool:
    """Whether a process asks for what /proc tells of itself."""
    return path.startswith((b"/proc/self/", b"/proc/thread-self/", f"/proc/{inner_pid}/".encode()))


def _moved(called: str, match: RawMatch, patterns: Patterns) -> Judged | None:
    if called.startswith("symlink") and match.side == 0:
        return None
    path = _named(match)
    if match.side and not match.error and (found := _written(path, patterns)):
        return found
    pattern = patterns.secret(path)
    return Judged("sensitivePath", path, b"", pattern, "write" if match.side else "read") if pattern else None


def _written(path: bytes, patterns: Patterns) -> Judged | None:
    pattern = patterns.runs(path)
    return Judged("codeWrite", path, b"", pattern, "write") if pattern else None


def _peer(match: RawMatch, patterns: Patterns) -> Judged | None:
    if len(match.text) < 2:
        return None
    family = int.from_bytes(match.text[:2], "little")
    if family == socket.AF_UNIX:
        path = match.text[2:].partition(b"\0")[0]
        pattern = patterns.secret(path) if path else ""
        return Judged("sensitivePath", path, b"", pattern, "write") if pattern else None
    peer = _internet(match.text, family)
    return Judged("peer", peer.encode()) if peer else None


def _internet(text: bytes, family: int) -> str:
    """An address with its port; "" for those of the pod itself, and for none."""
    if family not in _INTERNET or len(text) < (8 if family == socket.AF_INET else 24):
        return ""
    port = int.from_bytes(text[2:4], "big")
    known = ipaddress.ip_address(text[4:8] if family == socket.AF_INET else text[8:24])
    if isinstance(known, ipaddress.IPv6Address) and known.ipv4_mapped:
        known = known.ipv4_mapped
    if not port or known.is_loopback or known.is_unspecified:
        return ""
    return f"{known}:{port}" if known.version == 4 else f"[{known}]:{port}"


def error_of(match: RawMatch) -> int:
    """Return the errno; 0 also where a connect goes on in the background."""
    return 0 if name(match.call) == "connect" and match.error in _CONNECTING else match.error


def is_runtime(program: bytes, process: bytes, inner_pid: int, *, entered: bool) -> bool:
    """Whether it is the container's runtime, on its way into the container: its first process, or one from outside."""
    if inner_pid != 1 and not entered:
        return False
    return program in _RUNTIMES or program.startswith(_CLONES) or process.startswith((b"runc:[", b"crun:["))


@dataclass(frozen=True)
class JudgedExec:
    """What is said of a program that was executed."""

    path: bytes
    program: bytes
    place: str
    shell: bool
    # A shell without a command or a script.
    interactive: bool
    signs: tuple[str, ...]
    peer: str
    rights: str


def exec_judged(raw: RawSecurityExec) -> JudgedExec:
    """Return what is said of an execution; without signs it is of no interest."""
    path = file_paths.of_file(raw.names, raw.names_mode)
    program = raw.names.partition(b"\0")[0] or raw.path.rpartition(b"/")[2]
    place, shell, rights = _place(raw, path), is_shell(program, raw.argument), _rights(raw)
    peer = next((address(each.peer) for each in raw.descriptors if each.peer), "")
    signs = {
        "memory": place in {"memory", "deleted"},
        "notInImage": place in {"upperLayer", "volume"},
        "socket": bool(peer),
        "terminal": shell and raw.has_terminal and _is_terminal(raw),
        "listeningParent": shell and raw.parent_listens,
        "rights": bool(rights),
    }
    interactive = shell and (raw.second is None or raw.second in {b"-i", b"-l", b"-il", b"--login"})
    told = tuple(sign for sign, seen in signs.items() if seen)
    return JudgedExec(path, program, place, shell, interactive, told, peer, rights)


def _place(raw: RawSecurityExec, path: bytes) -> str:
    places: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("memory", lambda: raw.detached or path.startswith(b"/dev/shm/")),
        ("deleted", lambda: raw.deleted),
        ("upperLayer", lambda: raw.is_upper),
        ("image", lambda: raw.is_overlay),
        ("rootFileSystem", lambda: raw.is_of_root),
    )
    return next((place for place, holds in places if holds()), "volume")


def _rights(raw: RawSecurityExec) -> str:
    real, effective = raw.users
    if raw.file_mode & stat.S_ISUID and real and effective != real:
        return "setuid"
    if raw.file_mode & stat.S_ISGID and raw.groups[0] != raw.groups[1]:
        return "setgid"
    return "capabilities" if real and effective == real and raw.granted else ""


def _is_terminal(raw: RawSecurityExec) -> bool:
    """Whether the first descriptor is a terminal; the kernel's own dev_t has the major number from bit 20 on."""
    first = raw.descriptors[0] if raw.descriptors else None
    return first is not None and stat.S_ISCHR(first.mode) and first.device >> 20 in _TERMINALS


@lru_cache(maxsize=1024)
def is_shell(program: bytes, argument: bytes) -> bool:
    """Whether a program is a shell, by its file, or as busybox by what it is called."""
    called = argument.rpartition(b"/")[2].removeprefix(b"-")
    return program in _SHELLS or (program.startswith(b"busybox") and called in _SHELLS)
