"""What addresses of a program are called, by its container's own files. Used by names, in its thread."""

from __future__ import annotations

import contextlib
import itertools
import platform
import re
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kubestrace_agent import cgroups, container_files, elf, processes, returns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kubestrace_agent.kernel.counts import CodeMapping, UserFrame

_MOST_KNOWN = 16384
# For one stack.
_MOST_SECONDS = 2.0
# Of a perf map, which a busy program changes all the time.
_MOST_MAP_BYTES = 16 << 20
_MAP_SECONDS = 5.0
_MAP_LINE = re.compile(rb"^([0-9a-fA-F]{1,16}) ([0-9a-fA-F]{1,16}) (.{1,512})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Name:
    """A function, and how far behind its start an address is; `start_offset` is where it begins in its file."""

    text: bytes
    plus: int
    start_offset: int = -1


@dataclass(frozen=True, slots=True)
class Place:
    """An address of a program: in which code it is, if that is known."""

    frame: UserFrame
    mapping: CodeMapping | None

    @property
    def offset(self) -> int:
        """In the file."""
        mapping = self.mapping
        return self.frame.address - mapping.start + mapping.offset if mapping else self.frame.offset


@dataclass(frozen=True, slots=True)
class Stack:
    """A program's frames, the innermost first, and the code addresses at the top of its stack by their distance."""

    # Whose names these are: those of one owner are never told of another's files, whatever build ids they claim.
    owner: object
    pid: int
    inner_pid: int
    frames: Sequence[Place]
    top: Sequence[tuple[int, Place]] = ()


@dataclass(frozen=True, slots=True)
class Named:
    """The names beside the frames, None where there is none; and who called the first one, where that was hidden.

    `sure`: it can be no other; else it is likely only.
    """

    names: Sequence[Name | None]
    hidden: Place | None = None
    hidden_name: Name | None = None
    sure: bool = False


_Key = tuple[object, object, int]


@dataclass
class Naming:
    """Finds names, and remembers them by the files' build ids."""

    proc: Path = Path("/proc")
    # The folder in which the container runtime has ID/rootfs of each container.
    runtime_roots: Path | None = None
    machine: str = field(default_factory=platform.machine)
    # Where else to look for the files of a process that has ended: what has the right build id is the right file.
    other_roots: Sequence[Path] = ()
    _known: dict[_Key, Name | None] = field(default_factory=dict)
    # By owner and build id.
    _paths: dict[tuple[object, bytes], bytes] = field(default_factory=dict)
    # The container of an owner.
    _containers: dict[object, str] = field(default_factory=dict)
    # The last perf map that was read: whose, until when it is not read again, its functions' starts, ends and names.
    _map: tuple[object, float, list[tuple[int, int, bytes]]] = (None, 0, [])

    def named(self, stack: Stack) -> Named:
        """Give the names of a stack, as far as its files can be read within the time for one."""
        end = time.monotonic() + _MOST_SECONDS
        names = self._names(stack, stack.frames, lambda: time.monotonic() < end)
        hidden, sure = self._hidden(stack, names[0] if names else None)
        if hidden is None:
            return Named(names)
        (hidden_name,) = self._names(stack, [hidden], lambda: time.monotonic() < end)
        return Named(names, hidden, hidden_name, sure)

    def _names(self, stack: Stack, places: Sequence[Place], keep_on: Callable[[], bool]) -> list[Name | None]:
        files: dict[bytes, list[Place]] = defaultdict(list)
        for place in places:
            path = self._path(stack, place)
            if path and _key(stack, place) not in self._known:
                files[path].append(place)
        for path, found in files.items():
            with contextlib.suppress(OSError, elf.ElfError), self._opened(stack, path) as file:
                self._learn(stack, file, found, keep_on)
        return [self._known.get(_key(stack, place)) or self._compiled(stack, place) for place in places]

    def _path(self, stack: Stack, place: Place) -> bytes:
        """Where the place's file is: a process that has ended may have had what another one has."""
        build_id = place.frame.build_id
        if place.mapping is None:
            return self._paths.get((stack.owner, build_id), b"") if build_id else b""
        if build_id and len(self._paths) < _MOST_KNOWN:
            self._paths[stack.owner, build_id] = place.mapping.path
        return place.mapping.path

    def _learn(
        self, stack: Stack, file: container_files.File, places: Sequence[Place], keep_on: Callable[[], bool]
    ) -> None:
        read = elf.Elf(file)
        build_id = read.build_id()
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        # Of a return address the byte before counts: a call may be a function's last instruction.
        symbols = read.symbols([place.offset - 1 for place in places], keep_on)
        for place in places:
            if place.frame.build_id and place.frame.build_id[: len(build_id)] != build_id:
                continue  # another file has taken the path
            symbol = symbols.get(place.offset - 1)
            if symbol is not None:
                self._known[_key(stack, place)] = Name(symbol.name, symbol.plus + 1, symbol.start_offset)
            elif keep_on():
                self._known[_key(stack, place)] = None

    def _hidden(self, stack: Stack, innermost: Name | None) -> tuple[Place | None, bool]:
        """Who called the innermost function, if that has no frame pointer: the kernel's walk left it out."""
        if not stack.frames or not stack.top:
            return None, False
        first, *others = stack.frames
        if innermost and innermost.start_offset >= 0 and self._has_frame_pointer(stack, first, innermost.start_offset):
            return None, False
        told = {place.frame.address for place in others}
        for distance, place in itertools.takewhile(lambda pair: pair[1].frame.address not in told, stack.top):
            # Not at the very top only behind a function that is known to hide its caller.
            if (distance == 0 or innermost) and self._follows_call(stack, place):
                return place, distance == 0
        return None, False

    def _has_frame_pointer(self, stack: Stack, place: Place, start: int) -> bool:
        return returns.has_frame_pointer(self.machine, self._code(stack, place, start, returns.PROLOGUE_BYTES))

    def _follows_call(self, stack: Stack, place: Place) -> bool:
        code = self._code(stack, place, place.offset - returns.CALL_BYTES, returns.CALL_BYTES)
        return returns.follows_call(self.machine, code)

    def _code(self, stack: Stack, place: Place, at: int, length: int) -> bytes:
        if place.mapping and place.mapping.path:
            with contextlib.suppress(OSError), self._opened(stack, place.mapping.path) as file:
                return file.read(at, length)
        return b""

    @contextlib.contextmanager
    def _opened(self, stack: Stack, path: bytes) -> Iterator[container_files.File]:
        """Open a file of the stack's process. Raises OSError."""
        problem = OSError(0, "no root of the process can be reached")
        with contextlib.ExitStack() as kept:
            for root in self._roots(stack):
                try:
                    file = kept.enter_context(container_files.opened(str(root), path))
                    break
                except OSError as error:
                    problem = error
            else:
                raise problem
            yield file

    def _roots(self, stack: Stack) -> Iterator[Path]:
        """Where its files may be reached: through the process for who may trace it, or as its runtime mounted them."""
        yield self.proc / str(stack.pid) / "root"
        if self.runtime_roots is not None:
            place = cgroups.parse(processes.cgroup_path(self.proc, stack.pid) or "")
            if place is not None and len(self._containers) < _MOST_KNOWN:
                self._containers[stack.owner] = place.container_id
            if stack.owner in self._containers:
                yield self.runtime_roots / self._containers[stack.owner] / "rootfs"
        yield from self.other_roots

    def _compiled(self, stack: Stack, place: Place) -> Name | None:
        """Name code that a program has compiled itself, if it has written a perf map (Linux jit-interface.txt)."""
        if place.frame.build_id or place.mapping is None:
            return None
        address = place.frame.address - 1
        # The last line counts: code is compiled anew where other code was.
        for start, end, name in reversed(self._perf_map(stack)):
            if start <= address < end:
                return Name(name, address + 1 - start)
        return None

    def _perf_map(self, stack: Stack) -> list[tuple[int, int, bytes]]:
        owner, until, functions = self._map
        if owner != (stack.owner, stack.pid) or time.monotonic() > until:
            path, functions = b"/tmp/perf-%d.map" % stack.inner_pid, []
            with contextlib.suppress(OSError), self._opened(stack, path) as file:
                functions = _functions(file.read(0, _MOST_MAP_BYTES))
            self._map = (stack.owner, stack.pid), time.monotonic() + _MAP_SECONDS, functions
        return functions


def _key(stack: Stack, place: Place) -> _Key:
    """Of a file without a build id the mapping says where it is, which is true of this process only."""
    return stack.owner, place.frame.build_id or (stack.pid, place.mapping), place.offset


def _functions(text: bytes) -> list[tuple[int, int, bytes]]:
    """Read a perf map: start and size in hexadecimal digits, and a name."""
    found = ((int(start, 16), int(size, 16), name) for start, size, name in _MAP_LINE.findall(text))
    return [(start, start + size, name) for start, size, name in found]
