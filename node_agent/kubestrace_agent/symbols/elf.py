"""Names of addresses in ELF files (man 5 elf) of containers, whose every byte may be hostile. Used by names.

Nothing is believed: counts and sizes have limits, what lies outside the file is not there, no loop is longer than the
limits, and a file that is none is an ElfError. Symbols are compared where they stand, none is kept: a table of any size
costs no memory. (pyelftools 0.33 makes an object of each: 80 ms for the 3,044 symbols of a libc, here 0.8 ms.)
"""

from __future__ import annotations

import bisect
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kubestrace_agent.symbols.cfi import CfiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_MOST_SEGMENTS = 256
_MOST_SECTIONS = 8192
# Of all tables of a file; each symbol has 24 bytes.
_MOST_SYMBOL_BYTES = 64 << 20
_CHUNK_SYMBOLS = 8192
_MOST_NAME_BYTES = 1024
_MOST_NOTE_BYTES = 1 << 16
# Several names of one address, of which the plainest is reported.
_MOST_NAMES = 8
_LOAD, _NOTE, _FRAME_HEADER = 1, 4, 0x6474E550
_SYMTAB, _DYNSYM = 2, 11
_FUNCTIONS = frozenset({2, 10})  # STT_FUNC, STT_GNU_IFUNC
_BUILD_ID = 3  # NT_GNU_BUILD_ID


class ElfError(Exception):
    """No ELF file that can be understood."""


class Readable(Protocol):
    """A file."""

    def read(self, at: int, length: int) -> bytes:
        """Give what is there, which may be less."""


@dataclass(frozen=True)
class Symbol:
    """The function that holds an address, and how far behind its start that is."""

    name: bytes
    plus: int


@dataclass(frozen=True)
class _Layout:
    """Of one class: where header and tables have what is needed."""

    # e_phoff, e_shoff, then e_phentsize, e_phnum, e_shentsize, e_shnum.
    header: struct.Struct
    segment: struct.Struct
    section: struct.Struct
    symbol: struct.Struct
    # Index of: p_offset, p_vaddr, p_filesz; sh_type, sh_offset, sh_size, sh_link; st_name, st_info, st_value, st_size.
    segment_at: tuple[int, int, int]
    section_at: tuple[int, int, int, int]
    symbol_at: tuple[int, int, int, int]


_LAYOUTS = {
    1: _Layout(
        struct.Struct("<28xII6xHHHH"),
        struct.Struct("<8I"),
        struct.Struct("<10I"),
        struct.Struct("<IIIBBH"),
        (1, 2, 4),
        (1, 4, 5, 6),
        (0, 3, 1, 2),
    ),
    2: _Layout(
        struct.Struct("<32xQQ6xHHHH"),
        struct.Struct("<II6Q"),
        struct.Struct("<IIQQQQIIQQ"),
        struct.Struct("<IBBHQQ"),
        (2, 3, 5),
        (1, 4, 5, 6),
        (0, 1, 4, 5),
    ),
}


class Elf:
    """One file's headers. Raises ElfError."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        head = file.read(0, 64)
        if head[:4] != b"\x7fELF" or len(head) < 52 or head[5] != 1 or head[4] not in _LAYOUTS:
            raise ElfError("no ELF file of this kind of machine")
        self._layout = layout = _LAYOUTS[head[4]]
        if len(head) < layout.header.size:
            raise ElfError("an ELF file that is cut short")
        segments_at, sections_at, segment_size, segments, section_size, sections = layout.header.unpack_from(head)
        self._segments = self._table(layout.segment, segments_at, segment_size, min(segments, _MOST_SEGMENTS))
        self._sections = self._table(layout.section, sections_at, section_size, min(sections, _MOST_SECTIONS))

    def _table(self, entry: struct.Struct, at: int, size: int, count: int) -> list[tuple[int, ...]]:
        if size != entry.size:
            return []
        data = self._file.read(at, size * count)
        return list(entry.iter_unpack(data[: len(data) // size * size]))

    def build_id(self) -> bytes:
        """What the linker called this file; empty where it did not."""
        at, _, size = self._layout.segment_at
        for segment in self._segments:
            if segment[0] == _NOTE:
                found = _build_id(self._file.read(segment[at], min(segment[size], _MOST_NOTE_BYTES)))
                if found:
                    return found
        return b""

    def address(self, offset: int) -> int | None:
        """Where a place in the file stands in memory, before it is moved as a whole."""
        at, address, size = self._layout.segment_at
        for segment in self._segments:
            if segment[0] == _LOAD and segment[at] <= offset < segment[at] + segment[size]:
                return segment[address] + offset - segment[at]
        return None

    def frame_header(self) -> int:
        """Give the address of .eh_frame_hdr. Raises CfiError."""
        for segment in self._segments:
            if segment[0] == _FRAME_HEADER:
                return segment[self._layout.segment_at[1]]
        raise CfiError("no .eh_frame_hdr")

    def at_address(self, address: int, length: int) -> bytes:
        """Read what a segment has at an address; what goes beyond it is not there."""
        at, start, size = self._layout.segment_at
        for segment in self._segments:
            if segment[0] == _LOAD and segment[start] <= address < segment[start] + segment[size]:
                into = address - segment[start]
                return self._file.read(segment[at] + into, min(length, segment[size] - into))
        return b""

    def symbols(self, offsets: Iterable[int], keep_on: Callable[[], bool]) -> dict[int, Symbol]:
        """Find the functions that hold these places in the file, as far as `keep_on` gives time."""
        wanted = sorted((address, offset) for offset in set(offsets) if (address := self.address(offset)) is not None)
        found: dict[int, Symbol] = {}
        left = _MOST_SYMBOL_BYTES
        kind, at, size, link = self._layout.section_at
        # The whole table first; a stripped file has the one for the dynamic linker only.
        for section in sorted((each for each in self._sections if each[kind] in {_SYMTAB, _DYNSYM}), key=_by(kind)):
            if not 0 <= section[link] < len(self._sections):
                continue
            strings = self._sections[section[link]]
            holders = self._holders([pair[0] for pair in wanted], section[at], min(section[size], left), keep_on)
            left -= min(section[size], left)
            for address, offset in wanted:
                if address in holders and (symbol := self._plainest(holders[address], strings, address)):
                    found[offset] = symbol
            wanted = [pair for pair in wanted if pair[1] not in found]
        return found

    def _holders(
        self, addresses: Sequence[int], at: int, size: int, keep_on: Callable[[], bool]
    ) -> dict[int, list[tuple[int, int]]]:
        """Address -> where the function's name stands among the strings, and its start."""
        found: dict[int, list[tuple[int, int]]] = {}
        entry, chunk = self._layout.symbol, _CHUNK_SYMBOLS * self._layout.symbol.size
        name, info, value, length = self._layout.symbol_at
        for begin in range(at, at + size, chunk) if addresses else ():
            data = self._file.read(begin, min(chunk, at + size - begin))
            if not data or not keep_on():
                break
            for symbol in entry.iter_unpack(data[: len(data) // entry.size * entry.size]):
                start = symbol[value]
                first = bisect.bisect_left(addresses, start)
                if first == len(addresses) or addresses[first] >= start + symbol[length]:
                    continue
                if symbol[info] & 15 in _FUNCTIONS:
                    last = bisect.bisect_left(addresses, start + symbol[length])
                    for address in addresses[first:last]:
                        names = found.setdefault(address, [])
                        if len(names) < _MOST_NAMES:
                            names.append((symbol[name], start))
        return found

    def _plainest(self, names: Sequence[tuple[int, int]], strings: tuple[int, ...], address: int) -> Symbol | None:
        """Of several names of a function the one that a person would use; the innermost of several functions."""
        _, at, size, _ = self._layout.section_at
        start = max(each for _, each in names)
        candidates = [
            self._file.read(strings[at] + name, min(_MOST_NAME_BYTES, strings[size] - name)).partition(b"\0")[0]
            for name, each in names
            if each == start and 0 <= name < strings[size]
        ]
        plainest = min(filter(None, candidates), key=_oddness, default=b"")
        return Symbol(plainest, address - start) if plainest else None


def _oddness(name: bytes) -> tuple[int, int]:
    return len(name) - len(name.lstrip(b"_")), len(name)


def _by(at: int) -> Callable[[tuple[int, ...]], int]:
    return lambda entry: entry[at]


def _build_id(notes: bytes) -> bytes:
    """Walk through a segment's notes: the lengths of name and content, the kind; both padded to 4 bytes."""
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from("<III", notes, at)
        name_at = at + 12
        content_at = name_at + -(-name_size // 4) * 4
        if kind == _BUILD_ID and notes[name_at : name_at + name_size] == b"GNU\0" and size <= 20:
            return notes[content_at : content_at + size]
        at = content_at + -(-size // 4) * 4
    return b""
