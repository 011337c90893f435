"""Perf maps: what programs that compile their own code call its functions (Linux jit-interface.txt). Used by naming.

A container writes the file and may write anything: it is read in pieces, and only what is asked for is kept.
"""

from __future__ import annotations

import bisect
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kubestrace_agent.symbols.elf import Readable

# A program that compiles much has some megabytes.
MOST_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 16
_MOST_NAME_BYTES = 512
# Two numbers of 16 digits with 0x before them, and a name; a longer line is cut.
_MOST_LINE_BYTES = 2 * 19 + _MOST_NAME_BYTES
# HotSpot writes 0x before its numbers.
_LINE = re.compile(
    rb"^(?:0x)?([0-9a-fA-F]{1,16}) (?:0x)?([0-9a-fA-F]{1,16}) ([^\n]{1,%d})" % _MOST_NAME_BYTES, re.MULTILINE
)

# Start, end and name.
Function = tuple[int, int, bytes]


def path(pid: int) -> bytes:
    """Where a process writes it, by the PID that it knows itself."""
    return b"/tmp/perf-%d.map" % pid


def find(file: Readable, addresses: Iterable[int], keep_on: Callable[[], bool]) -> dict[int, Function]:
    """Find the functions of addresses, as far as `keep_on` gives time.

    Of several lines the last one counts: code is compiled anew where other code was. Other lines are passed over.
    """
    wanted = sorted(set(addresses))
    found: dict[int, Function] = {}
    for text in _whole_lines(file, keep_on) if wanted else ():
        for line in _LINE.finditer(text):
            start = int(line[1], 16)
            first = bisect.bisect_left(wanted, start)
            if first == len(wanted):
                continue
            end = start + int(line[2], 16)
            for address in wanted[first : bisect.bisect_left(wanted, end)]:
                found[address] = start, end, line[3]
    return found


def _whole_lines(file: Readable, keep_on: Callable[[], bool]) -> Iterator[bytes]:
    """Give the file in pieces that end where lines do; of a line that is too long the beginning."""
    rest = b""
    for at in range(0, MOST_BYTES, _CHUNK_BYTES):
        data = file.read(at, _CHUNK_BYTES)
        if not data or not keep_on():
            break
        lines, _, last = (rest + data).rpartition(b"\n")
        yield lines
        rest = last[:_MOST_LINE_BYTES]
    yield rest
