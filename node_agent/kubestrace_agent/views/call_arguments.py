"""A single call in strace's words: its arguments, its thread and process. Pure.

Used by views that tell single calls, and by unreturned.

Everything that a container controls (paths, names, addresses) is made safe to print here.
"""

from __future__ import annotations

import socket
import stat
from functools import lru_cache
from typing import TYPE_CHECKING

from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.syscalls import arguments, name
from kubestrace_agent.syscalls import words as constants
from kubestrace_agent.syscalls.arguments import Kind
from kubestrace_agent.text import safe
from kubestrace_agent.views import polled

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubestrace_agent.kernel.counters.counts import RawCall
    from kubestrace_agent.syscalls import SyscallKey

# Characters of a path or an address, and of all arguments.
_MAX_TEXT = 256
_MAX_ARGUMENTS = 512
# Characters of a thread's name: the kernel's has 15 bytes.
_MAX_NAME = 64
_AT_FDCWD = -100
# O_CREAT and O_TMPFILE: only with them do these have a mode.
_CREATES = 0o100 | 0o20000000
_MAY_CREATE = frozenset({"open", "openat", "mq_open"})
_HEADER = header("kernel/bpf/calls.h")
# Of a string.
_MAX_STRING = _HEADER.number("STRING_BYTES") - 1
# Beside a file's mode.
_CUT, _DETACHED, _DELETED = (_HEADER.number(f"NAMES_{name}") for name in ("CUT", "DETACHED", "DELETED"))
# Files of tmpfs that were never in a folder: memfd_create's, System V's, anonymous shared memory.
_IN_MEMORY = (b"memfd:", b"SYSV", b"dev/zero")
_FILE_TYPES = {stat.S_IFSOCK: "socket", stat.S_IFIFO: "pipe"}


def described(call: RawCall) -> str:
    """The arguments in strace's words; nothing after an execve, which has replaced what they pointed at."""
    if call.result == 0 and name(call.key) in {"execve", "execveat"}:
        return ""
    return _described(call.key, call.arguments, call.captures)


# Each session that traces a container describes the same calls.
@lru_cache(maxsize=2048)
def _described(key: SyscallKey, values: tuple[int, ...], captures: tuple[tuple[int, bytes], ...]) -> str:
    called = name(key)
    contents = dict(zip(arguments.captured(called, key.abi), captures, strict=False))
    kinds = arguments.kinds(called, key.abi)
    if called in _MAY_CREATE:
        mode_at = kinds.index(Kind.MODE)
        kinds = kinds if values[mode_at - 1] & _CREATES else kinds[:mode_at]
    if constants.is_alone(called, key.abi, values[1]):
        kinds = kinds[:2]
    if Kind.SETS in kinds:
        # One capture tells all three.
        first = kinds.index(Kind.SETS)
        contents |= {at: contents[first] for at, kind in enumerate(kinds) if kind is Kind.SET and first in contents}
    words = [
        _named(key, called, at, values) or _word(key.abi, kind, values[at], contents.get(at), at)
        for at, kind in enumerate(kinds)
    ]
    if arguments.has_folder(called, key.abi) and len(captures) > 1 and captures[1][1]:
        at = kinds.index(Kind.PATH)
        words[at] = f"<{path(captures[1][1], captures[1][0])}>/{words[at]}"
    text = ", ".join(words)
    return text if len(text) <= _MAX_ARGUMENTS else text[: _MAX_ARGUMENTS - 3] + "..."


def names(call: RawCall) -> tuple[str, str]:
    """Thread and process, safe to print."""
    return safe(call.thread, _MAX_NAME), safe(call.process, _MAX_NAME)


def _named(key: SyscallKey, called: str, at: int, values: tuple[int, ...]) -> str:
    """An argument by the name of its number, where it has one."""
    return constants.word(called, key.abi, at, values[at]) or (constants.after(called, key.abi, at, values))


def _pointer(value: int) -> str:
    return f"{value:#x}" if value else "NULL"


def _word(abi: str, kind: Kind, value: int, captured: tuple[int, bytes] | None, at: int) -> str:
    mode, text = captured or (0, b"")
    match kind:
        case Kind.PATH if text:
            return _string(text)
        case Kind.ADDRESS | Kind.WRITTEN_ADDRESS | Kind.MESSAGE | Kind.WRITTEN_MESSAGE if address(text):
            return f"{{{address(text)}}}" if kind in _MESSAGES else address(text)
        case Kind.LOCK if text:
            return constants.lock(abi, text)
        case Kind.FILE | Kind.DIRECTORY:
            return _file(_signed(value, 32), mode, text)
        case Kind.POLLED | Kind.SETS | Kind.SET | Kind.EPOLL if text:
            return _polled(kind, value, text, at)
    return _PLAIN[kind](value)


def _polled(kind: Kind, value: int, text: bytes, at: int) -> str:
    """The descriptors that are polled, where they are known."""
    if kind is Kind.EPOLL:
        return f"{_signed(value, 32)}<epoll {polled.epoll(text, _file)}>"
    if not value:
        return "NULL"
    # The sets are the arguments 1, 2 and 3.
    return polled.array(text, _file) if kind is Kind.POLLED else polled.of_set(text, at - 1, _file)


_MESSAGES = (Kind.MESSAGE, Kind.WRITTEN_MESSAGE)
_HIDDEN = (Kind.HIDDEN, *_MESSAGES, Kind.POLLED, Kind.SETS, Kind.SET)
_PLAIN: dict[Kind, Callable[[int], str]] = {
    Kind.NUMBER: lambda value: str(_signed(value, 32)),
    Kind.OFFSET: lambda value: str(_signed(value, 64)),
    Kind.SIZE: str,
    Kind.MODE: lambda value: f"0{value & 0o7777:o}",
    Kind.FLAGS: lambda value: f"{value & 0xFFFFFFFF:#x}" if value else "0",
    Kind.POINTER: _pointer,
    Kind.LOCK: lambda value: f"{value:#x}" if value >> 16 else str(value),
    Kind.EPOLL: lambda value: str(_signed(value, 32)),
    **dict.fromkeys((Kind.PATH, Kind.ADDRESS, Kind.WRITTEN_ADDRESS), _pointer),
    **dict.fromkeys(_HIDDEN, lambda value: "..." if value else "NULL"),
}
_NUL = b"\0"


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _file(number: int, mode: int, text: bytes) -> str:
    if number == _AT_FDCWD:
        return f"AT_FDCWD<{path(text, mode)}>" if text else "AT_FDCWD"
    kind = _FILE_TYPES.get(stat.S_IFMT(mode))
    if kind == "socket":
        return f"{number}<{address(text) or kind}>"
    if kind:
        return f"{number}<{kind}>"
    named = path(text, mode)
    return f"{number}<{named}>" if named else str(number)


def _string(text: bytes) -> str:
    """A path in quotes. Of a long one its beginning and its end, in whole names where that leaves some of both."""
    first, _, rest = text.partition(_NUL)
    last = rest.partition(_NUL)[0]
    if not last:
        return f'"{safe(first, _MAX_STRING)}"' + ("..." if len(first) > _MAX_STRING else "")
    head, _, _ = first.rpartition(b"/")
    _, _, tail = last.partition(b"/")
    return f'"{safe(head or first, _MAX_STRING)}/.../{safe(tail or last, _MAX_STRING)}"'


def path(text: bytes, mode: int) -> str:
    """A file's path from its names, the last first, each with a NUL behind it; empty where it has none.

    What stands in no folder is named as /proc/PID/fd does, where that has a name of its own.
    """
    names = text.split(_NUL)[:-1]
    if mode & _DETACHED:
        name_of_it = names[0] if names else b""
        if name_of_it.startswith(_IN_MEMORY):
            return f"/{safe(name_of_it, _MAX_TEXT)} (deleted)"
        return f"anon_inode:{safe(name_of_it, _MAX_TEXT)}" if name_of_it.strip(b"/") else ""
    if not names and not mode:
        return ""
    cut, deleted = "..." if mode & _CUT else "", " (deleted)" if mode & _DELETED else ""
    return cut + safe(b"/" + b"/".join(reversed(names)), _MAX_TEXT) + deleted


def address(text: bytes) -> str:
    """A socket address: 10.0.0.1:443, [::1]:443, unix:/run/x, unix:@abstract; empty where it says nothing."""
    if len(text) < 2:
        return ""
    family = int.from_bytes(text[:2], "little")
    if family == socket.AF_UNIX:
        # A path ends at a NUL, an abstract name has one before it and may have others.
        name_of_it = b"@" + text[3:] if text[2:3] == _NUL else text[2:].partition(_NUL)[0]
        return f"unix:{safe(name_of_it, _MAX_TEXT)}" if name_of_it else "unix"
    port = int.from_bytes(text[2:4], "big")
    if family == socket.AF_INET and len(text) >= 8:
        return f"{socket.inet_ntop(socket.AF_INET, text[4:8])}:{port}"
    if family == socket.AF_INET6 and len(text) >= 24:
        return f"[{socket.inet_ntop(socket.AF_INET6, text[8:24])}]:{port}"
    return f"family {family}"
