"""Which functions a program's stack is made of, by its container's own files. Used by names, in its thread."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from kubestrace_agent.symbols import cfi, elf, perf_maps, unwind
from kubestrace_agent.symbols.frames import CodeMapping, UserFrame
from kubestrace_agent.symbols.learned import Files, OpenFile
from kubestrace_agent.symbols.processes import Process, Processes, Region, Walks
from kubestrace_agent.symbols.roots import Owner, Roots
from kubestrace_agent.symbols.time_budgets import TimeBudgets

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

# Of each memory: cleared when it is full.
_MOST_KNOWN = 16384
# For one stack.
_MOST_SECONDS = 2.0
_BUILD_ID_BYTES = 20
_MAP_SECONDS, _NO_MAP_SECONDS = 5.0, 0.2


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
    # Of a process that has ended and said nothing of its files: that of another one which had the same.
    other_path: bytes = b""

    @property
    def path(self) -> bytes:
        """The file, as far as it is known."""
        return self.mapping.path if self.mapping else self.other_path

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
    known: dict[_Key, Name | None] = field(default_factory=dict)
    # By owner and build id: a process that has ended may have had the files of another one.
    paths: dict[tuple[Owner, bytes], bytes] = field(default_factory=dict)
    # By owner and process: what its perf map says of addresses, and until when that is believed.
    _compiled: dict[tuple[Owner, int], tuple[float, dict[int, perf_maps.Function | None]]] = field(default_factory=dict)
    _processes: Processes[Place] = field(default_factory=Processes)
    files: Files = field(default_factory=Files)
    walks: Walks[Place] = field(default_factory=Walks)
    _budgets: TimeBudgets = field(default_factory=TimeBudgets)

    def named(self, stack: Stack) -> list[Place]:
        """Give a stack's frames with their names, as far as its files can be read within the time for one."""
        memories: tuple[dict[Any, Any], ...] = (self.known, self.paths, self._compiled)
        for memory in memories:
            if len(memory) > _MOST_KNOWN:
                memory.clear()
        key = stack.owner, stack.pid
        process = self._processes.of(key, stack.mappings)
        if stack.registers is not None:
            known = self.walks.find(process, _walk_key(stack, stack.registers), stack.registers.words)
            if known is not None:
                self._processes.keep(key, process, changed=False)
                return list(known)
        with (
            self._budgets.spending(stack.owner, _MOST_SECONDS) as keep_on,
            _Naming(self, stack, process, keep_on) as naming,
        ):
            places = naming.places()
            self._processes.keep(key, process, changed=naming.changed)
            return places

    def name_compiled(self, stack: Stack, places: list[Place], keep_on: Callable[[], bool]) -> list[Place]:
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
            try:
                with self.roots.opened(stack.owner, stack.pid, perf_maps.path(stack.inner_pid)) as file:
                    known.update({**dict.fromkeys(new), **perf_maps.find(file, new, keep_on)})
            except OSError:
                # Most processes have none; one that has just begun may soon write it.
                until, known = min(until, time.monotonic() + _NO_MAP_SECONDS), dict.fromkeys(new) | known
        self._compiled[key] = until, known
        return known


class _Naming(contextlib.ExitStack):
    """The naming of one stack: each of its files is opened once, and only where something new is sought in it."""

    def __init__(self, known: Naming, stack: Stack, process: Process[Place], keep_on: Callable[[], bool]) -> None:
        super().__init__()
        self._all = known
        self._stack = stack
        self._process = process
        self._keep_on = keep_on
        # By path; None: it cannot be read.
        self._open: dict[bytes, OpenFile | None] = {}
        # Something was found out about the process.
        self.changed = False

    def places(self) -> list[Place]:
        """Give the frames with their names, as far as there is time."""
        frames, used = self._frames()
        known = [self._settled(frame) for frame in frames]
        new = [self._place(frame) for frame, place in zip(frames, known, strict=True) if place is None]
        if not new:
            places = [place for place in known if place is not None]
            self._remember(places, used)
            return places
        self._seek(new)
        named = iter(self._named(new))
        return [next(named) if place is None else place for place in known]

    def _remember(self, places: Sequence[Place], used: Mapping[int, int]) -> None:
        """Remember a stack of which nothing more can be found out: the same words lead to the same frames."""
        registers = self._stack.registers
        if registers is not None and used and self._keep_on():
            self._all.walks.add(self._process, _walk_key(self._stack, registers), used, places)

    def _frames(self) -> tuple[list[UserFrame], Mapping[int, int]]:
        """Those that the kernel has followed, and those that it could not; and the words that led to them."""
        stack = self._stack
        followed = {frame.address: frame for frame in stack.followed}
        if stack.registers is None or not stack.followed:
            return list(followed.values()), {}
        recorded = unwind.Recorded(stack.registers)
        walked, complete = unwind.walk(
            stack.registers, self._row, lambda address: self._process.region(address) is not None, recorded.word
        )
        joined = unwind.joined(walked, complete, [*followed])
        return [followed.get(address) or self._identified(address) for address in joined], recorded.used

    def _identified(self, address: int) -> UserFrame:
        """A frame that the kernel has not seen, with the build id of the file by which it was found."""
        region = self._process.region(address)
        if region is None or not region.build_id:
            return UserFrame(address)
        return UserFrame(address, region.build_id, address - region.mapping.start + region.mapping.offset)

    def _row(self, address: int, first: bool) -> cfi.Row | None:
        """How to find the caller of what runs at a place."""
        region = self._process.region(address)
        if region is None or not region.mapping.path:
            return None
        # A return address may stand behind its function, whose last instruction was the call.
        place = address if first else address - 1
        if place not in region.rows and self._keep_on():
            self.changed = True
            region.rows[place] = self._found_row(region, place - region.mapping.start + region.mapping.offset)
        return region.rows.get(place)

    def _found_row(self, region: Region[Place], offset: int) -> cfi.Row | None:
        learned = self._all.files.of(region.identity)
        if learned is not None and offset in learned.rows:
            return learned.rows[offset]
        with contextlib.suppress(OSError, elf.ElfError):
            if (file := self._file(region.mapping.path)) is not None:
                region.build_id, region.identity = file.build_id, file.identity
                return file.row(offset)
        return None

    def _file(self, path: bytes) -> OpenFile | None:
        """Open a file; None where it cannot be read."""
        if path not in self._open:
            self._open[path] = None
            with contextlib.suppress(OSError, elf.ElfError):
                file = self.enter_context(self._all.roots.opened(self._stack.owner, self._stack.pid, path))
                self._open[path] = OpenFile(file, file.identity, self._all.files)
        return self._open[path]

    def _settled(self, frame: UserFrame) -> Place | None:
        """Give a place of which nothing more can be found out; None: there may be more."""
        region = self._process.region(frame.address)
        return None if region is None else region.settled.get((frame.address, frame.build_id))

    def _place(self, frame: UserFrame) -> Place:
        region = self._process.region(frame.address)
        return Place(frame, region.mapping if region else None)

    def _seek(self, places: Sequence[Place]) -> None:
        files: dict[bytes, list[Place]] = defaultdict(list)
        for place in places:
            path = self._path(place)
            if path and _key(self._stack, place) not in self._all.known:
                files[path].append(place)
        for path, found in files.items():
            if self._knows(found):
                continue
            if not self._keep_on():
                break
            with contextlib.suppress(OSError, elf.ElfError):
                if (file := self._file(path)) is not None:
                    for region in self._regions(found):
                        region.build_id, region.identity = file.build_id, file.identity
                    self._learn(file, found)

    def _regions(self, places: Iterable[Place]) -> list[Region[Place]]:
        regions = (self._process.region(place.frame.address) for place in places)
        return [region for region in regions if region is not None]

    def _knows(self, places: Sequence[Place]) -> bool:
        """Take the names of places in one file, if all are known of it."""
        identities = {region.identity for region in self._regions(places)}
        learned = self._all.files.of(*identities) if len(identities) == 1 else None
        if learned is None or not all(place.offset - 1 in learned.symbols for place in places):
            return False
        self._take_names(places, learned.build_id, learned.symbols)
        return True

    def _path(self, place: Place) -> bytes:
        key = self._stack.owner, place.frame.build_id
        if place.mapping is None:
            if place.frame.build_id and key not in self._all.paths:
                self._look_at_likely()
            return self._all.paths.get(key, b"") if place.frame.build_id else b""
        if place.frame.build_id:
            self._all.paths[key] = place.mapping.path
        return place.mapping.path

    def _look_at_likely(self) -> None:
        """Find the files of a program that may have ended before its mappings could be read."""
        held = self._stack.owner.held
        while held and held.likely_files and self._keep_on():
            path = held.likely_files.pop()
            with contextlib.suppress(OSError, elf.ElfError):
                if (file := self._file(path)) is not None and file.build_id:
                    # As the kernel gives it.
                    key = self._stack.owner, file.build_id.ljust(_BUILD_ID_BYTES, b"\0")
                    self._all.paths.setdefault(key, path)

    def _learn(self, file: OpenFile, places: Sequence[Place]) -> None:
        # Another file may have taken the path.
        own = [place for place in places if _is_of(place.frame, file.build_id)]
        self._take_names(own, file.build_id, file.symbols([place.offset - 1 for place in own], self._keep_on))

    def _take_names(self, places: Sequence[Place], build_id: bytes, symbols: Mapping[int, elf.Symbol | None]) -> None:
        for place in places:
            if place.offset - 1 in symbols and _is_of(place.frame, build_id):
                symbol = symbols[place.offset - 1]
                name = Name(symbol.name, symbol.plus + 1) if symbol else None
                self._all.known[_key(self._stack, place)] = name

    def _told(self, place: Place) -> Place:
        name = self._all.known.get(_key(self._stack, place))
        return Place(place.frame, place.mapping, name, b"" if place.mapping else self._path(place))

    def _named(self, places: Sequence[Place]) -> list[Place]:
        """Name places as far as that is possible now, and remember those of which no more can be found out."""
        known = self._all.known
        named = [self._told(place) for place in places]
        for place in named:
            region = self._process.region(place.frame.address)
            # Code that the program has compiled itself may get a name later.
            final = place.name is not None or (place.frame.build_id and _key(self._stack, place) in known)
            if region is not None and final:
                self.changed = True
                region.settled[place.frame.address, place.frame.build_id] = place
        return self._all.name_compiled(self._stack, named, self._keep_on)


def _key(stack: Stack, place: Place) -> _Key:
    """Of a file without a build id the mapping says where it is, which is true of this process only."""
    return stack.owner, place.frame.build_id or (stack.pid, place.mapping), place.offset


def _is_of(frame: UserFrame, build_id: bytes) -> bool:
    """Tell whether a frame may be of a file with this build id: the kernel's is padded."""
    return not frame.build_id or frame.build_id[: len(build_id)] == build_id


def _walk_key(stack: Stack, registers: unwind.Registers) -> Hashable:
    """Of stacks that are the same if the words are that lead from frame to frame."""
    addresses = tuple([frame.address for frame in stack.followed])
    followed = addresses, sum([frame.build_id != b"" for frame in stack.followed])
    pointers = registers.instruction_pointer, registers.stack_pointer, registers.frame_pointer
    return *pointers, len(registers.words), followed
