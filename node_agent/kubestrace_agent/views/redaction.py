"""What is not shown of paths, arguments and names: what a session says, and what looks like a secret by itself. Pure.

Applied before anything leaves the node, to the bytes as the kernel has them. What looks alike afterwards is one row
where rows are told by name, so that the sums stay.

In a pattern "*" stands for any characters, and all others for themselves. Of a path that fits, all is shown before what
the last "*" stands for, or its folder where the pattern does not end with one.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from kubestrace_agent.views.secret_words import HIDDEN, KNOWN_TOKEN, NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HIDDEN = HIDDEN.encode()
_TOKEN = re.compile(KNOWN_TOKEN.pattern.encode())
# NAME=VALUE in a name of a file or a folder; in a text it ends with the word.
_ASSIGNED = re.compile(rf"({NAME}=)[^/&;]+".encode(), re.IGNORECASE)
_ASSIGNED_IN_TEXT = re.compile(rf"({NAME}=)[^/&;\s\"']+".encode(), re.IGNORECASE)
# user:password@, as in a cache of repositories.
_USER = re.compile(rb"(:/{1,2}[^/:@]+:)[^/@]+(?=@)")
_GONE = b" (deleted)"
# Each place of a text may be where a path begins: a program that makes names of a megabyte must not cost seconds.
_MOST_TEXT = 2048
# Before a path whose first folders are not known.
_CUT = b"..."
# Steps that lead nowhere.
_NOWHERE = re.compile(rb"/(?:\.?/)+")
# Those, and steps that lead up.
_STEPS = re.compile(rb"/(?:/|\.(?:/|\.|$))")
# Where a path may begin within a text, and what is surely no part of it.
_ENDS = re.compile(rb"[\s\"'`()<>\[\]{},;|]+")
_BEGINS = re.compile(rb"(?:^|(?<=[\s\"'`()<>\[\]{},;|=:@&]))[^\s\"'`()<>\[\]{},;|]")


@dataclass(frozen=True)
class Redaction:
    """What one session does not show; without patterns only what looks like a secret."""

    patterns: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, patterns: Sequence[str]) -> Redaction:
        """Return that of a request's patterns."""
        return cls(tuple(pattern.encode() for pattern in patterns))

    def path(self, path: bytes) -> bytes:
        """Return a whole path as it is shown. One that begins with "..." may have any folder before."""
        if not self.patterns:
            return _without_secrets(path)
        if path.startswith(_CUT):
            return _HIDDEN
        kept = self._kept(path.removesuffix(_GONE))
        return _without_secrets(path) if kept is None else kept + _HIDDEN

    def relative(self, path: bytes, folder: bytes) -> bytes:
        """Return a path as a program gave it, as it is shown; a relative one begins in a folder; b"": not known."""
        if not self.patterns or path.startswith(b"/"):
            return self.path(path)
        if not folder or folder.startswith(_CUT):
            return _HIDDEN
        kept = self._kept(folder.removesuffix(_GONE).rstrip(b"/") + b"/" + path)
        if kept is None:
            return self.path(path)
        begin = folder.rstrip(b"/") + b"/"
        return (kept.removeprefix(begin) if kept.startswith(begin) else b"") + _HIDDEN

    def cut(self, path: bytes) -> bytes:
        """Return a part of a path, whose rest is not known: it may fit any pattern."""
        return _HIDDEN if self.patterns else self.path(path)

    def hides(self, path: bytes) -> bool:
        """Whether a pattern fits a path."""
        return self._kept(path.removesuffix(_GONE)) is not None

    def text(self, text: bytes) -> bytes:
        """Return a text of one line, such as a title, an argument or a function's name, as it is shown.

        A path that fits a pattern with "*" at its end may have spaces: nothing is shown behind it, and nothing at all
        of a text that is too long to be looked through.
        """
        return _text(self.patterns, text)

    def socket(self, name: bytes) -> bytes:
        """Return the name of a unix socket, as it is shown; "@" stands before an abstract one."""
        return self.path(name) if name.startswith(b"@") else self.relative(name, b"")

    def peer(self, address: str, port: int = 0) -> str:
        """Return an address as it is shown; patterns may have its port: "10.0.0.*", "10.0.0.7:443"."""
        if not self.patterns or not address:
            return address
        host = f"[{address}]" if ":" in address else address
        forms = [address, *([f"{host}:{port}"] if port else [])]
        return HIDDEN if any(self._kept(form.encode()) is not None for form in forms) else address

    def host(self, name: str) -> str:
        """Return the name of a host, such as one that is asked of DNS, as it is shown."""
        return HIDDEN if self._kept(name.encode()) is not None else self.text(name.encode()).decode()

    def _kept(self, path: bytes) -> bytes | None:
        """What is shown of a path before the hidden part; None: all of it.

        The shortest of what the patterns leave, as each one's secret is hidden. Also as the path reads without steps
        that lead nowhere or up, and a relative one from the root.
        """
        forms = [path, _normal(path)] if _STEPS.search(path) else [path]
        kept = [shown for form in forms for shown in _fitting(self.patterns, form)]
        if not kept and not path.startswith(b"/"):
            kept = [shown[1:] for shown in _fitting(self.patterns, b"/" + path)]
        return min(kept, key=len) if kept else None


# Without patterns of a session.
DEFAULT = Redaction()


@lru_cache(maxsize=1024)
def _text(patterns: tuple[bytes, ...], text: bytes) -> bytes:
    if patterns and len(text) > _MOST_TEXT:
        return _HIDDEN
    if patterns:
        text = _NOWHERE.sub(b"/", text)
        for pattern in patterns:
            text = _without(pattern, text)
    return _without_secrets(text, _ASSIGNED_IN_TEXT)


def _without(pattern: bytes, text: bytes) -> bytes:
    """Hide each path of a text that fits one pattern."""
    if pattern.endswith(b"*"):
        shown = [text[:begin] + kept for begin, kept in _kept_from(pattern, text)]
        return min(shown, key=len) + _HIDDEN if shown else text
    if _within(pattern, text) is not None:
        return _folder(text) + _HIDDEN
    words, at = bytearray(), 0
    for begin, end in _words(text):
        if any(_within(pattern, text[start:end]) is not None for start in _starts(text, begin, end)):
            words += text[at:begin] + _folder(text[begin:end]) + _HIDDEN
            at = end
    return bytes(words) + text[at:]


def _kept_from(pattern: bytes, text: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield where a path may begin, and what is shown from there, for each that fits a pattern up to the text's end."""
    for begin in dict.fromkeys([0, *(found.start() for found in _BEGINS.finditer(text))]):
        if (kept := _within(pattern, text[begin:])) is not None:
            yield begin, kept


def _within(pattern: bytes, path: bytes) -> bytes | None:
    """What is shown of a path within a text; a relative one may begin in the root."""
    kept = _fits(pattern, path)
    if kept is None and not path.startswith(b"/"):
        kept = _fits(pattern, b"/" + path)
        return kept if kept is None else kept[1:]
    return kept


def _words(text: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    for found in _ENDS.finditer(text):
        if found.start() > at:
            yield at, found.start()
        at = found.end()
    if at < len(text):
        yield at, len(text)


def _starts(text: bytes, begin: int, end: int) -> Iterator[int]:
    yield from (found.start() for found in _BEGINS.finditer(text, begin, end))


def _fitting(patterns: Sequence[bytes], path: bytes) -> list[bytes]:
    return [kept for pattern in patterns if (kept := _fits(pattern, path)) is not None]


def _fits(pattern: bytes, path: bytes) -> bytes | None:
    """What is shown of a path that fits a pattern: all before what its last "*" stands for, or the folder; else None.

    Each part of a pattern is looked for from the left, so that a path costs no more than its length for each.
    """
    parts, longest = _parts(pattern)
    if longest not in path:
        return None
    first, *rest = parts
    if not rest:
        return _folder(path) if path == pattern else None
    if not path.startswith(first):
        return None
    *between, last = rest
    at = len(first)
    for part in between:
        found = path.find(part, at)
        if found < 0:
            return None
        at = found + len(part)
    if not last:
        return path[:at]
    return _folder(path) if len(path) - at >= len(last) and path.endswith(last) else None


@lru_cache(maxsize=1024)
def _parts(pattern: bytes) -> tuple[list[bytes], bytes]:
    """Return what stands between the stars of a pattern, and the longest of that."""
    parts = pattern.split(b"*")
    return parts, max(parts, key=len)


def _normal(path: bytes) -> bytes:
    """A path without steps that lead nowhere or up; one that ends with "/" keeps that."""
    normal = posixpath.normpath(path) if path else path
    normal = normal[1:] if normal.startswith(b"//") else normal
    return normal + b"/" if path.endswith(b"/") and normal != b"/" else normal


def _folder(path: bytes) -> bytes:
    folder, slash, _ = path.rpartition(b"/")
    return folder + slash


def _without_secrets(text: bytes, assigned: re.Pattern[bytes] = _ASSIGNED) -> bytes:
    text = _TOKEN.sub(_HIDDEN, text)
    text = assigned.sub(rb"\1" + _HIDDEN, text)
    return _USER.sub(rb"\1" + _HIDDEN, text)
