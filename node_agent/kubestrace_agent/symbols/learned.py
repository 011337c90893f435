"""What was learned of programs' files, kept by the file and not by who asked. Used by naming, in its thread.

Thousands of processes run a few files: a file is read once for each place in it, however many processes have it mapped.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubestrace_agent.symbols import cfi, elf

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

# Files, rows and names, of all files together: what was learned of the file that was asked for longest ago goes first.
_MOST_KNOWN = 32768


@dataclass(eq=False, slots=True)
class Learned:
    """What is known of one file, by places in it (bytes); None: it was looked for and is not there."""

    build_id: bytes = b""
    rows: dict[int, cfi.Row | None] = field(default_factory=dict)
    symbols: dict[int, elf.Symbol | None] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Count what is known: the file itself, rows and names."""
        return 1 + len(self.rows) + len(self.symbols)


class Files:
    """What is known of all files, by their identity: another content has another one."""

    def __init__(self, most: int = _MOST_KNOWN) -> None:
        self._most = most
        self._known: OrderedDict[Hashable, Learned] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """Count what is known of all."""
        return self._size

    def of(self, identity: Hashable) -> Learned | None:
        """Give what is known of a file; None: nothing yet."""
        found = self._known.get(identity)
        if found is not None:
            self._known.move_to_end(identity)
        return found

    def keep(self, identity: Hashable, learned: Learned, size_before: int) -> None:
        """Keep what has been learned of a file, of which so much was kept before; others may have to go for it."""
        kept = self._known.get(identity)
        self._size += learned.size - (size_before if kept is learned else kept.size if kept else 0)
        self._known[identity] = learned
        self._known.move_to_end(identity)
        while self._size > self._most:
            _, gone = self._known.popitem(last=False)
            self._size -= gone.size


class OpenFile:
    """A file that is open now, and what is known of it: it is looked into only for what is new."""

    def __init__(self, file: elf.Readable, identity: Hashable, files: Files) -> None:
        """Begin. Raises ElfError where it is none that can be understood, and OSError."""
        self._file = file
        self.identity = identity
        self._files = files
        self._elf: elf.Elf | None = None
        self._learned = files.of(identity) or Learned(self._read().build_id())

    def _read(self) -> elf.Elf:
        self._elf = self._elf or elf.Elf(self._file)
        return self._elf

    @property
    def build_id(self) -> bytes:
        """What the linker called it; empty where it did not."""
        return self._learned.build_id

    def row(self, offset: int) -> cfi.Row | None:
        """Give the row of a place; None where there is none. Raises ElfError and OSError."""
        rows = self._learned.rows
        if offset not in rows:
            row, read, before = None, self._read(), self._learned.size
            with suppress(cfi.CfiError):
                address = read.address(offset)
                row = None if address is None else cfi.row_at(read, address)
            rows[offset] = row
            self._files.keep(self.identity, self._learned, before)
            return row
        return rows[offset]

    def symbols(self, offsets: Iterable[int], keep_on: Callable[[], bool]) -> dict[int, elf.Symbol | None]:
        """Give the functions that hold these places, as far as `keep_on` gives time; None: none does."""
        wanted, known = set(offsets), self._learned.symbols
        if new := wanted - known.keys():
            before = self._learned.size
            found = self._read().symbols(new, keep_on)
            # Without time left it is not known whether there is another.
            known.update({**(dict.fromkeys(new) if keep_on() else {}), **found})
            self._files.keep(self.identity, self._learned, before)
        return {offset: known[offset] for offset in wanted if offset in known}
