"""Which functions a program's stack is made of, by its container's own files. Used by names, in its thread."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from kubestrace_agent.symbols import cfi, elf, perf_maps, unwind
from kubestrace_agent.symbols.frames import CodeMapping, UserFrame
from kubestrace_agent.symbols.roots import Owner, Roots
from kubestrace_agent.symbols.time_budgets import TimeBudgets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

# Of each memory: cleared when it is full.
_MOST_KNOWN = 16384
# For one stack.
_MOST_SECONDS = 2.0
_MAP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Name:
    """A function, and how far behind its start an address is."""

    text: bytes
    plus: int


@dataclass(frozen=True, slots=True)
class Place:
    """An address of a program: in which code it is, if that is known, and what it is called, if that is."""

    frame: UserFrame
    mapping: CodeMapping | None = None
    name: Name | None = None

    @property
    def offset(self) -> int:
        """In the file."""
        mapping = self.mapping
        return self.frame.address - mapping.start + mapping.offset if mapping else self.frame.offset


@dataclass(frozen=True, slots=True)
class Stack:
    """What the kernel reported of a program's stack: frames by their frame pointers, and what to find others by."""

    # Whose names these are: those of one owner are never given for another's files, whatever build ids they claim.
    owner: Owner
    pid: int
    inner_pid: int
    followed: Sequence[UserFrame]
    mappings: Sequence[CodeMapping]
    # None where they are not known.
    registers: unwind.Registers | None = None

    def place(self, frame: UserFrame) -> Place:
        """Find the mapping of a frame."""
        found = (each for each in self.mappings if each.start <= frame.address < each.end)
        return Place(frame, next(found, None))


# The owner; the file by its build id, or else the process and its mapping; the offset in it.
_Key = tuple[Owner, object, int]


@dataclass
class Naming:
    """Finds names, and remembers them."""

    roots: Roots = field(default_factory=Roots)
    _known: dict[_Key, Name | None] = field(default_factory=dict)
    _rows: dict[_Key, cfi.Row | None] = field(default_factory=dict)
    # By owner, process and mapping.
    _build_ids: dict[tuple[Owner, int, CodeMapping | None], bytes] = field(default_factory=dict)
    # By owner and build id: a process that has ended may have had the files of another one.
    _paths: dict[tuple[Owner, bytes], bytes] = field(default_factory=dict)
    # By owner and process: what its perf map says of addresses, and until when that is believed.
    _compiled: dict[tuple[Owner, int], tuple[float, dict[int, perf_maps.Function | None]]] = field(default_factory=dict)
    _budgets: TimeBudgets = field(default_factory=TimeBudgets)

    def named(self, stack: Stack) -> list[Place]:
        """Give a stack's frames with their names, as far as its files can be read within the time for one."""
        memories: tuple[dict[Any, Any], ...] = (self._known, self._rows, self._build_ids, self._paths, self._compiled)
        for memory in memories:
            if len(memory) > _MOST_KNOWN:
                memory.clear()
        with self._budgets.spending(stack.owner, _MOST_SECONDS) as keep_on:
            places = self._frames(stack, keep_on)
            self._seek(stack, places, keep_on)
            named = [replace(place, name=self._known.get(_key(stack, place))) for place in places]
            return self._name_compiled(stack, named, keep_on)

    def _frames(self, stack: Stack, keep_on: Callable[[], bool]) -> list[Place]:
        """Those that the kernel has followed, and those that it could not."""
        followed = {frame.address: stack.place(frame) for frame in stack.followed}
        if stack.registers is None or not stack.followed:
            return list(followed.values())

        def row_of(address: int, first: bool) -> cfi.Row | None:
            return self._row(stack, stack.place(UserFrame(address)), first=first) if keep_on() else None

        walked, complete = unwind.walk(
            stack.registers, row_of, lambda address: stack.place(UserFrame(address)).mapping is not None
        )
        joined = unwind.joined(walked, complete, [*followed])
        return [followed.get(address) or self._identified(stack, address) for address in joined]

    def _identified(self, stack: Stack, address: int) -> Place:
        """A frame that the kernel has not seen, with the build id of the file by which it was found."""
        place = stack.place(UserFrame(address))
        build_id = self._build_ids.get((stack.owner, stack.pid, place.mapping), b"")
        return replace(place, frame=UserFrame(address, build_id, place.offset)) if build_id else place

    def _row(self, stack: Stack, place: Place, *, first: bool) -> cfi.Row | None:
        """How to find the caller of what runs at a place."""
        if place.mapping is None or not place.mapping.path:
            return None
        # A return address may stand behind its function, whose last instruction was the call.
        offset = place.offset - (0 if first else 1)
        key = stack.owner, (stack.pid, place.mapping), offset
        if key not in self._rows:
            self._rows[key] = None
            with (
                contextlib.suppress(OSError, elf.ElfError, cfi.CfiError),
                self.roots.opened(stack.owner, stack.pid, place.mapping.path) as file,
            ):
                read = elf.Elf(file)
                self._build_ids[stack.owner, stack.pid, place.mapping] = read.build_id()
                address = read.address(offset)
                self._rows[key] = None if address is None else cfi.row_at(read, address)
        return self._rows[key]

    def _seek(self, stack: Stack, places: Sequence[Place], keep_on: Callable[[], bool]) -> None:
        files: dict[bytes, list[Place]] = defaultdict(list)
        for place in places:
            path = self._path(stack, place)
            if path and _key(stack, place) not in self._known:
                files[path].append(place)
        for path, found in files.items():
            if not keep_on():
                break
            with (
                contextlib.suppress(OSError, elf.ElfError),
                self.roots.opened(stack.owner, stack.pid, path) as file,
            ):
                self._learn(stack, elf.Elf(file), found, keep_on)

    def _path(self, stack: Stack, place: Place) -> bytes:
        build_id = place.frame.build_id
        if place.mapping is None:
            return self._paths.get((stack.owner, build_id), b"") if build_id else b""
        if build_id:
            self._paths[stack.owner, build_id] = place.mapping.path
        return place.mapping.path

    def _learn(self, stack: Stack, file: elf.Elf, places: Sequence[Place], keep_on: Callable[[], bool]) -> None:
        build_id = file.build_id()
        symbols = file.symbols([place.offset - 1 for place in places], keep_on)
        for place in places:
            if place.frame.build_id and place.frame.build_id[: len(build_id)] != build_id:
                continue  # another file has taken the path
            symbol = symbols.get(place.offset - 1)
            if symbol is not None:
                self._known[_key(stack, place)] = Name(symbol.name, symbol.plus + 1)
            elif keep_on():
                self._known[_key(stack, place)] = None

    def _name_compiled(self, stack: Stack, places: list[Place], keep_on: Callable[[], bool]) -> list[Place]:
        """Name code that the program has compiled itself."""
        compiled = {
            place.frame.address - 1
            for place in places
            if place.name is None and place.mapping is not None and not place.frame.build_id
        }
        if not compiled:
            return places
        functions = self._functions(stack, compiled, keep_on)

        def name(place: Place) -> Name | None:
            found = functions.get(place.frame.address - 1) if place.name is None else None
            return Name(found[2], place.frame.address - found[0]) if found else place.name

        return [replace(place, name=name(place)) for place in places]

    def _functions(
        self, stack: Stack, addresses: Iterable[int], keep_on: Callable[[], bool]
    ) -> dict[int, perf_maps.Function | None]:
        """Look addresses up in the process's perf map, all at once; the file is not read again for those known."""
        key = stack.owner, stack.pid
        until, known = self._compiled.get(key, (0.0, {}))
        if time.monotonic() > until or len(known) > _MOST_KNOWN:
            until, known = time.monotonic() + _MAP_SECONDS, {}
        new = set(addresses) - known.keys()
        if new and keep_on():
            with (
                contextlib.suppress(OSError),
                self.roots.opened(stack.owner, stack.pid, perf_maps.path(stack.inner_pid)) as file,
            ):
                known.update({**dict.fromkeys(new), **perf_maps.find(file, new, keep_on)})
        self._compiled[key] = until, known
        return known


def _key(stack: Stack, place: Place) -> _Key:
    """Of a file without a build id the mapping says where it is, which is true of this process only."""
    return stack.owner, place.frame.build_id or (stack.pid, place.mapping), place.offset
