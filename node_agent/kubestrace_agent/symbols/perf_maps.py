"""Perf maps: what programs that compile their own code call its functions (Linux jit-interface.txt). Used by naming."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# A program that compiles much has some megabytes.
MOST_BYTES = 16 << 20
_LINE = re.compile(rb"^([0-9a-fA-F]{1,16}) ([0-9a-fA-F]{1,16}) ([^\n]{1,512})", re.MULTILINE)

# Start, end and name.
Function = tuple[int, int, bytes]


def path(pid: int) -> bytes:
    """Where a process writes it, by the PID that it knows itself."""
    return b"/tmp/perf-%d.map" % pid


def functions(text: bytes) -> list[Function]:
    """Read lines of start and size, in hexadecimal digits, and a name; others are passed over."""
    found = ((int(start, 16), int(size, 16), name) for start, size, name in _LINE.findall(text))
    return [(start, start + size, name) for start, size, name in found]


def at(address: int, known: Sequence[Function]) -> Function | None:
    """Find the function of an address. The last line counts: code is compiled anew where other code was."""
    return next((each for each in reversed(known) if each[0] <= address < each[1]), None)
