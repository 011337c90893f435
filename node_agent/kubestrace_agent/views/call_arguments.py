"""A single call in strace's words: its arguments, its thread and process. Pure.

Used by views that tell single calls, and by unreturned.

Everything that a container controls (paths, names, addresses) is made safe to print here, without what a session does
not show.
"""

from __future__ import annotations

import socket
import stat
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.syscalls import arguments, name
from kubestrace_agent.syscalls import words as constants
from kubestrace_agent.syscalls.arguments import Kind
from kubestrace_agent.text import safe
from kubestrace_agent.views import polled
from kubestrace_agent.views.redaction import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kubestrace_agent.kernel.counters.counts import RawCall
    from kubestrace_agent.syscalls import SyscallKey
    from kubestrace_agent.views.redaction import Redaction

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


def described(call: RawCall, redaction: Redaction = DEFAULT) -> str:
    """The arguments in strace's words; nothing after an execve, which has replaced what they pointed at."""
    if call.result == 0 and name(call.key) in {"execve", "execveat"}:
        return ""
    return _described(call.key, call.arguments, call.captures, redaction)


# Each session that traces a container describes the same calls.
@lru_cache(maxsize=2048)
def _described(
    key: SyscallKey, values: tuple[int, ...], captures: tuple[tuple[int, bytes], ...], redaction: Redaction
) -> str:
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
        _named(key, called, at, values)
        or (kind is Kind.PATH and _path_word(kinds, at, contents, _working_folder(key, called, captures), redaction))
        or _word(key.abi, kind, values[at], contents.get(at), at, redaction)
        for at, kind in enumerate(kinds)
    ]
    if folder := _working_folder(key, called, captures):
        at = kinds.index(Kind.PATH)
        words[at] = f"<{path(folder[1], folder[0], redaction)}>/{words[at]}"
    text = ", ".join(words)
    return text if len(text) <= _MAX_ARGUMENTS else text[: _MAX_ARGUMENTS - 3] + "..."


def names(call: RawCall, redaction: Redaction = DEFAULT) -> tuple[str, str]:
    """Thread and process, safe to print."""
    return safe(redaction.text(call.thread), _MAX_NAME), safe(redaction.text(call.process), _MAX_NAME)


_Capture = tuple[int, bytes]


def _working_folder(key: SyscallKey, called: str, captures: Sequence[_Capture]) -> _Capture | None:
    """The folder that a path begins in where the call names none; None: it is not known."""
    known = arguments.has_folder(called, key.abi) and len(captures) > 1 and captures[1][1]
    return captures[1] if known else None


def _path_word(
    kinds: Sequence[Kind],
    at: int,
    contents: Mapping[int, _Capture],
    working: _Capture | None,
    redaction: Redaction,
) -> str:
    """A path in quotes, without what is not shown of it behind its folder; empty where it could not be read."""
    _, text = contents.get(at, (0, b""))
    if not text:
        return ""
    directory = contents.get(at - 1) if at and kinds[at - 1] is Kind.DIRECTORY else working
    folder = _walked(directory[1], directory[0]) if directory and directory[1] else b""
    return _string(text, folder, redaction)


def _named(key: SyscallKey, called: str, at: int, values: tuple[int, ...]) -> str:
    """An argument by the name of its number, where it has one."""
    return constants.word(called, key.abi, at, values[at]) or (constants.after(called, key.abi, at, values))


def _pointer(value: int) -> str:
    return f"{value:#x}" if value else "NULL"


def _word(abi: str, kind: Kind, value: int, captured: _Capture | None, at: int, redaction: Redaction) -> str:
    mode, text = captured or (0, b"")
    match kind:
        case Kind.ADDRESS | Kind.WRITTEN_ADDRESS | Kind.MESSAGE | Kind.WRITTEN_MESSAGE if address(text, redaction):
            return f"{{{address(text, redaction)}}}" if kind in _MESSAGES else address(text, redaction)
        case Kind.LOCK if text:
            return constants.lock(abi, text)
        case Kind.FILE | Kind.DIRECTORY:
            return _file(redaction, _signed(value, 32), mode, text)
        case Kind.POLLED | Kind.SETS | Kind.SET | Kind.EPOLL if text:
            return _polled(kind, value, text, at, partial(_file, redaction))
    return _PLAIN[kind](value)


def _polled(kind: Kind, value: int, text: bytes, at: int, worded: Callable[[int, int, bytes], str]) -> str:
    """The descriptors that are polled, where they are known."""
    if kind is Kind.EPOLL:
        return f"{_signed(value, 32)}<epoll {polled.epoll(text, worded)}>"
    if not value:
        return "NULL"
    # The sets are the arguments 1, 2 and 3.
    return polled.array(text, worded) if kind is Kind.POLLED else polled.of_set(text, at - 1, worded)


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
_NUL, _MORE = b"\0", b"..."


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _file(redaction: Redaction, number: int, mode: int, text: bytes) -> str:
    if number == _AT_FDCWD:
        return f"AT_FDCWD<{path(text, mode, redaction)}>" if text else "AT_FDCWD"
    kind = _FILE_TYPES.get(stat.S_IFMT(mode))
    if kind == "socket":
        return f"{number}<{address(text, redaction) or kind}>"
    if kind:
        return f"{number}<{kind}>"
    named = path(text, mode, redaction)
    return f"{number}<{named}>" if named else str(number)


def _string(text: bytes, folder: bytes, redaction: Redaction) -> str:
    """A path in quotes. Of a long one its beginning and its end, in whole names where that leaves some of both."""
    first, _, rest = text.partition(_NUL)
    last = rest.partition(_NUL)[0]
    if not last:
        cut = len(first) > _MAX_STRING
        shown = redaction.cut(first) if cut else redaction.relative(first, folder)
        return f'"{safe(shown, _MAX_STRING)}"' + ("..." if cut else "")
    if (hidden := redaction.cut(first)) != first:
        return f'"{safe(hidden, _MAX_STRING)}"...'
    head, _, _ = first.rpartition(b"/")
    _, _, tail = last.partition(b"/")
    return f'"{safe(head or first, _MAX_STRING)}/.../{safe(tail or last, _MAX_STRING)}"'


def path(text: bytes, mode: int, redaction: Redaction = DEFAULT) -> str:
    """A file's path from its names, the last first, each with a NUL behind it; empty where it has none.

    What stands in no folder is named as /proc/PID/fd does, where that has a name of its own.
    """
    names = text.split(_NUL)[:-1]
    if mode & _DETACHED:
        name_of_it = names[0] if names else b""
        if name_of_it.startswith(_IN_MEMORY):
            return f"{safe(redaction.path(b'/' + name_of_it), _MAX_TEXT)} (deleted)"
        return f"anon_inode:{safe(redaction.text(name_of_it), _MAX_TEXT)}" if name_of_it.strip(b"/") else ""
    if not names and not mode:
        return ""
    # "..." before a path is not a part of it that counts as its length.
    most = _MAX_TEXT + (len(_MORE) if mode & _CUT else 0)
    return safe(redaction.path(_walked(text, mode)), most) + (" (deleted)" if mode & _DELETED else "")


def _walked(text: bytes, mode: int) -> bytes:
    """A path from its names; "..." before it where it has more."""
    return (_MORE if mode & _CUT else b"") + b"/" + b"/".join(reversed(text.split(_NUL)[:-1]))


def address(text: bytes, redaction: Redaction = DEFAULT) -> str:
    """A socket address: 10.0.0.1:443, [::1]:443, unix:/run/x, unix:@abstract; empty where it says nothing."""
    if len(text) < 2:
        return ""
    family = int.from_bytes(text[:2], "little")
    if family == socket.AF_UNIX:
        # A path ends at a NUL, an abstract name has one before it and may have others.
        name_of_it = b"@" + text[3:] if text[2:3] == _NUL else text[2:].partition(_NUL)[0]
        return f"unix:{safe(redaction.socket(name_of_it), _MAX_TEXT)}" if name_of_it else "unix"
    port = int.from_bytes(text[2:4], "big")
    if family == socket.AF_INET and len(text) >= 8:
        return _endpoint("{}:{}", socket.inet_ntop(socket.AF_INET, text[4:8]), port, redaction)
    if family == socket.AF_INET6 and len(text) >= 24:
        return _endpoint("[{}]:{}", socket.inet_ntop(socket.AF_INET6, text[8:24]), port, redaction)
    return f"family {family}"


def _endpoint(form: str, shown: str, port: int, redaction: Redaction) -> str:
    hidden = redaction.peer(shown, port)
    return form.format(shown, port) if hidden == shown else hidden
