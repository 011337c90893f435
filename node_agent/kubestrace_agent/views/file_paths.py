"""Paths as a container sees them, from what the kernel reported. Pure; bytes, as paths are, until they are shown.

Used by views that count by path.
"""

from __future__ import annotations

from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.text import safe

_HEADER = header("kernel/bpf/calls.h")
# Beside a file's mode: what is to be said of its names.
_CUT, _DETACHED, _DELETED = (_HEADER.number(f"NAMES_{name}") for name in ("CUT", "DETACHED", "DELETED"))
# Files of tmpfs that were never in a folder: memfd_create's, System V's, anonymous shared memory.
_IN_MEMORY = (b"memfd:", b"SYSV", b"dev/zero")
# A path has PATH_MAX bytes at most, and a folder before it as many.
_MOST_BYTES = 2 * 4096
_GONE = b" (deleted)"


def of_file(walk: bytes, mode: int) -> bytes:
    """The path of a file by its names, the last first, each with a NUL behind it, with what is to be said of them.

    What is in no folder is named by its kind: eventfds, timers and their like are one file of the kernel.
    """
    names = walk.split(b"\0")[:-1]
    if mode & _DETACHED:
        name = names[0] if names else b""
        return b"/" + name + _GONE if name.startswith(_IN_MEMORY) else b"anon_inode"
    cut, gone = b"..." if mode & _CUT else b"", _GONE if mode & _DELETED else b""
    return cut + b"/" + b"/".join(reversed(names)) + gone


def of_path(path: bytes, walk: bytes, mode: int) -> bytes:
    """A path as a program named it, with the folder before it where it is relative.

    Steps that lead nowhere are left out ("." and empty ones), and those that lead up at once from the folder, whose
    names are the real ones. Others may lead elsewhere than they seem to, through symbolic links: they stay.
    """
    steps = [step for step in path.split(b"/") if step not in (b"", b".")]
    if path.startswith(b"/"):
        return b"/" + b"/".join(steps)
    folder = of_file(walk, mode)
    while steps and steps[0] == b".." and not mode & _DELETED and folder.startswith(b"/"):
        del steps[0]
        folder = folder.rpartition(b"/")[0] or b"/"
    return folder.rstrip(b"/") + b"/" + b"/".join(steps) if steps else folder


def shown(path: bytes) -> str:
    """A path that is safe to print."""
    return safe(path, _MOST_BYTES)
