"""What is not shown of paths: what a session says, and what looks like a secret by itself. Pure.

Applied before anything leaves the node. Paths that look alike afterwards are one row, so that the sums stay.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from kubestrace_agent.views.secret_words import HIDDEN, KNOWN_TOKEN, NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HIDDEN = HIDDEN.encode()
_TOKEN = re.compile(KNOWN_TOKEN.pattern.encode())
# NAME=VALUE in a name of a file or a folder.
_ASSIGNED = re.compile(rf"({NAME}=)[^/&;]+".encode(), re.IGNORECASE)
# user:password@, as in a cache of repositories.
_USER = re.compile(rb"(:/{1,2}[^/:@]+:)[^/@]+(?=@)")
_GONE = b" (deleted)"


def hiding(patterns: Sequence[str]) -> Callable[[bytes], bytes]:
    """Return what hides paths; in patterns "*" stands for any characters, and all others for themselves."""
    return partial(_hidden, tuple(pattern.encode() for pattern in patterns))


def _hidden(patterns: Sequence[bytes], path: bytes) -> bytes:
    bare = path.removesuffix(_GONE)
    shown = [kept for pattern in patterns if (kept := _kept(pattern, bare)) is not None]
    if shown:
        # The shortest: each pattern's secret is hidden.
        return min(shown, key=len) + _HIDDEN
    path = _TOKEN.sub(_HIDDEN, path)
    path = _ASSIGNED.sub(rb"\1" + _HIDDEN, path)
    return _USER.sub(rb"\1" + _HIDDEN, path)


def _kept(pattern: bytes, path: bytes) -> bytes | None:
    """What is shown of a path that fits a pattern: all before what its last "*" stands for, or the folder; else None.

    Each part of a pattern is looked for from the left, so that a path costs no more than its length for each.
    """
    first, *rest = pattern.split(b"*")
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


def _folder(path: bytes) -> bytes:
    return path.rpartition(b"/")[0] + b"/"
