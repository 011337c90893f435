"""The descriptors that a call polls, as polls.bpf.c tells them, and in strace's words. Pure.

Used by call_arguments, and by unreturned.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kubestrace_agent.kernel.maps.headers import header

_HEADER = header("kernel/bpf/calls.h")
_TOLD = _HEADER.struct("told_descriptor").fields("fd", "events", "mode", "text_bytes")
_MORE = struct.Struct("=I")
# Linux include/uapi/asm-generic/poll.h.
_POLL = (
    *((0x1, "IN"), (0x2, "PRI"), (0x4, "OUT"), (0x8, "ERR"), (0x10, "HUP"), (0x20, "NVAL"), (0x40, "RDNORM")),
    *((0x80, "RDBAND"), (0x100, "WRNORM"), (0x200, "WRBAND"), (0x400, "MSG"), (0x2000, "RDHUP")),
)
# Linux include/uapi/linux/eventpoll.h.
_EPOLL = (
    *((bit, name) for bit, name in _POLL if name != "NVAL"),
    *((1 << 28, "EXCLUSIVE"), (1 << 29, "WAKEUP"), (1 << 30, "ONESHOT"), (1 << 31, "ET")),
)
# The kernel adds these to every file of an epoll.
_ALWAYS = 0x8 | 0x10
# Where a select has them: read, write, except.
_SETS = tuple(_HEADER.number(f"SET_{name}") for name in ("READ", "WRITE", "EXCEPT"))

# A descriptor in strace's words, from its number, its mode and the text of what is behind it.
_Worded = Callable[[int, int, bytes], str]


@dataclass(frozen=True)
class Descriptor:
    """One of those that are polled; `mode` and `text` are those of a capture."""

    fd: int
    events: int
    mode: int
    text: bytes


def descriptors(capture: bytes) -> tuple[list[Descriptor], bool]:
    """Return those that were told, and whether there are more."""
    return list(_each(capture)), len(capture) >= _MORE.size and _MORE.unpack_from(capture)[0] != 0


def _each(capture: bytes) -> Iterator[Descriptor]:
    at = _MORE.size
    while at + _TOLD.size <= len(capture):
        fd, events, mode, size = _TOLD.unpack_from(capture, at)
        at += _TOLD.size
        yield Descriptor(fd, events, mode, capture[at : at + size])
        at += size


def without_names(capture: bytes, told_mode: Callable[[int], int]) -> bytes:
    """Return a capture that says nothing of what is behind descriptors but what `told_mode` leaves of the mode."""
    each = (_TOLD.pack(known.fd, known.events, told_mode(known.mode), 0) for known in _each(capture))
    return capture[: _MORE.size] + b"".join(each)


def array(capture: bytes, worded: _Worded) -> str:
    """What poll is told: [{fd=3<10.0.0.5:5432>, events=POLLIN}]."""
    return _listed(capture, worded, "POLL", _POLL)


def epoll(capture: bytes, worded: _Worded) -> str:
    """What an epoll has: [{fd=3<10.0.0.5:5432>, events=EPOLLIN|EPOLLET}]."""
    return _listed(capture, worded, "EPOLL", _EPOLL, without=_ALWAYS)


def _listed(capture: bytes, worded: _Worded, prefix: str, names: Sequence[tuple[int, str]], without: int = 0) -> str:
    found, more = descriptors(capture)
    told = ((worded(each.fd, each.mode, each.text), _flags(each.events & ~without, prefix, names)) for each in found)
    words = [f"{{fd={fd}, events={events}}}" for fd, events in told]
    return f"[{', '.join([*words, '...'] if more else words)}]"


def of_set(capture: bytes, which: int, worded: _Worded) -> str:
    """What is in one of select's sets (0 to read, 1 to write, 2 exceptions): [3<10.0.0.5:5432> 5<pipe>]."""
    found, more = descriptors(capture)
    words = [worded(each.fd, each.mode, each.text) for each in found if each.events & _SETS[which]]
    return f"[{' '.join([*words, '...'] if more else words)}]"


def _flags(value: int, prefix: str, names: Sequence[tuple[int, str]]) -> str:
    words = [prefix + name for bit, name in names if value & bit]
    rest = value & ~sum(bit for bit, _ in names)
    return "|".join([*words, *([f"{rest:#x}"] if rest else [])]) or "0"
