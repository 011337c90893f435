"""The files of one container's cgroup, in whichever hierarchy they are, and what they say now.

On hybrid nodes the controllers of CPU and memory are in hierarchies of cgroup v1, pressure and CPU time in that of v2.
"""

from __future__ import annotations

import errno
import functools
import itertools
import os
import threading
import time
import weakref
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from kubestrace_agent.containers import cgroups, procfs
from kubestrace_agent.containers.held_files import HeldFile
from kubestrace_agent.views.resources import parsing
from kubestrace_agent.views.resources.asked import Asked
from kubestrace_agent.views.resources.values import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PROC = Path("/proc")
_BYTES = 65536
_RESOURCES = ("cpu", "memory", "io")
_PRESSURE = {each: functools.partial(parsing.pressure, resource=each) for each in _RESOURCES}
# The controllers of cgroup v1 that matter here.
_V1 = ("cpu", "memory", "pids")
# A process that is not in them stays where it is, mostly.
_V1_SECONDS = 10.0

_Value = TypeVar("_Value")


class GoneError(Exception):
    """The cgroup has been removed."""


class _Where(NamedTuple):
    """The folder of a controller, that of its hierarchy's root, and its version."""

    folder: Path
    root: Path
    version: int


@dataclass
class _Found:
    """A reading in the making."""

    grown: dict[str, int] = field(default_factory=dict)
    levels: dict[str, int] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)


class CgroupFiles:
    """Reads the numbers of one cgroup (a folder of the cgroup v2 tree)."""

    def __init__(self, cgroup: Path, proc: Path = _PROC) -> None:
        self.cgroup = cgroup
        self._path = str(cgroup)
        self._proc = proc
        self._root = _root(cgroup)
        self._asked = Asked(proc)
        # By controller; found when a process is there to be asked.
        self._v1: dict[str, _Where] = {}
        self._v1_problems: dict[str, str] = {}
        # What a process said last of where it is, and when one is asked again; None: nobody was asked.
        self._v1_text: str | None = None
        self._v1_next = 0.0
        # By their paths.
        self._held: dict[str, HeldFile[Any]] = {}
        self._above: dict[Path, Sequence[str]] = {}
        self._events = cgroups.events(cgroup)

    def read(self, *, fresh: bool = False) -> Reading:
        """Read everything that there is; if `fresh`, what containers share is read anew, too. Raises GoneError."""
        found = _Found()
        after_end = not self._populated()
        self._asked.ask(self._processes)
        self._find_v1()
        groups = {"cpu": self._cpu, "memory": self._memory, "pressure": self._pressure, "pids": self._pids}
        for group, read in groups.items():
            try:
                read(found)
            except (OSError, ValueError) as error:
                found.unavailable[group] = f"cannot be read: {error}"
        if not os.path.isdir(self._path):  # noqa: PTH112 - half the time of Path.is_dir
            raise GoneError(str(self.cgroup))
        network = self._asked.network(after_end=after_end, fresh=fresh)
        levels, unavailable = found.levels | self._asked.levels(), found.unavailable | self._asked.problems()
        return Reading(time.monotonic_ns(), found.grown, levels, unavailable, network, after_end)

    def _populated(self) -> bool:
        try:
            populated = self._events.value()
        except OSError as error:
            raise GoneError(str(self.cgroup)) from error
        if populated is None:
            raise GoneError(str(self.cgroup))
        return populated

    def _value(self, path: str, parse: Callable[[str], _Value]) -> _Value | None:
        """Read one of its files; None where there is none. A path goes with one way to parse it."""
        file: HeldFile[_Value] | None = self._held.get(path)
        if file is None:
            file = self._held[path] = _held_by_all(path, parse)
        return file.value()

    def _tightest(self, where: _Where, limit_of: Callable[[str], int | None]) -> int | None:
        """Return the lowest limit of a cgroup and those above it; None: there is none."""
        return min((limit for folder in self._upward(where) if (limit := limit_of(folder)) is not None), default=None)

    def _upward(self, where: _Where) -> Sequence[str]:
        """List a cgroup and those above it, but for the root."""
        found = self._above.get(where.folder)
        if found is None:
            above = itertools.takewhile(lambda each: each != where.root, (where.folder, *where.folder.parents))
            found = self._above[where.folder] = tuple(map(str, above))
        return found

    def _cpu_limit(self, folder: str) -> int | None:
        return self._value(f"{folder}/cpu.max", parsing.cpu_limit)

    def _cpu_limit_v1(self, folder: str) -> int | None:
        quota = self._value(f"{folder}/cpu.cfs_quota_us", int)
        period = self._value(f"{folder}/cpu.cfs_period_us", int)
        return None if quota is None or period is None else parsing.cpu_limit_v1(quota, period)

    def _cpu(self, found: _Found) -> None:
        # Use of CPU is there in each cgroup of v2, with the controller or without.
        found.grown |= self._value(f"{self._path}/cpu.stat", parsing.cpu_stat) or {}
        where, problem = self._where("cpu", "cpu.max")
        if where is None:
            found.unavailable |= dict.fromkeys(("cpu.periods", "cpu.limitMillicores"), problem)
            return
        if where.version == 1:
            found.grown |= self._value(f"{where.folder}/cpu.stat", parsing.cpu_stat) or {}
        read = self._cpu_limit if where.version == 2 else self._cpu_limit_v1
        if (limit := self._tightest(where, read)) is not None:
            found.levels["cpu.limitMillicores"] = limit

    def _memory(self, found: _Found) -> None:
        where, problem = self._where("memory", "memory.current")
        if where is None:
            found.unavailable["memory"] = problem
            return
        folder, _, version = where
        names = ("memory.current", "memory.peak", "memory.max", "memory.events")
        v1_names = ("memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.limit_in_bytes", "memory.oom_control")
        current, peak, limit, events = names if version == 2 else v1_names
        parse = parsing.memory_stat_v1 if version == 1 else parsing.memory_stat_v2
        grown, levels, inactive = self._value(f"{folder}/memory.stat", parse) or ({}, {}, 0)
        found.grown |= {**grown, **(self._value(f"{folder}/{events}", parsing.memory_events) or {})}
        found.levels |= levels
        if (used := self._value(f"{folder}/{current}", int)) is not None:
            found.levels["memory.currentBytes"] = used
            found.levels["memory.workingSetBytes"] = max(0, used - inactive)
        if (most := self._value(f"{folder}/{peak}", int)) is not None:
            found.levels["memory.peakBytes"] = most
        else:
            found.unavailable["memory.peakBytes"] = f"this kernel has no {peak} (Linux has it since 5.19)"
        bytes_ = self._tightest(where, lambda each: self._value(f"{each}/{limit}", parsing.memory_limit))
        if bytes_ is not None:
            found.levels["memory.limitBytes"] = bytes_
        if version == 1:
            found.grown["memory.maxEvents"] = self._value(f"{folder}/memory.failcnt", int) or 0
            reason = "cgroup v1 does not count it"
            found.unavailable |= dict.fromkeys(("memory.highEvents", "memory.ooms"), reason)

    def _pressure(self, found: _Found) -> None:
        for resource in _RESOURCES:
            name = f"{resource}.pressure"
            try:
                numbers = self._value(f"{self._path}/{name}", _PRESSURE[resource])
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:
                    raise
                numbers = None
            if numbers:
                found.grown |= numbers
            else:
                why = "this kernel has no PSI, or it is off (psi=1 on the kernel's command line turns it on)"
                found.unavailable[f"pressure.{resource}"] = f"no {name}: {why}"

    def _pids(self, found: _Found) -> None:
        """Read how many threads there are, and the tightest limit of the container and the cgroups above it."""
        where, problem = self._where("pids", "pids.current")
        if where is None:
            found.unavailable["pids"] = problem
            return
        own = str(where.folder)
        found.levels["pids.current"] = self._value(f"{own}/pids.current", int) or 0
        read = {folder: self._value(f"{folder}/pids.max", parsing.pids_limit) for folder in self._upward(where)}
        limits = {folder: limit for folder, limit in read.items() if limit is not None}
        limiting = min(limits, key=lambda folder: limits[folder], default=own)
        if limits:
            found.levels["pids.limit"] = limits[limiting]
            found.levels["pids.underLimit"] = self._value(f"{limiting}/pids.current", int) or 0
        # Before Linux 6.11 the cgroup of who was refused counts it, since then that with the limit and those above it.
        events = [self._value(f"{each}/pids.events", parsing.keyed) or {} for each in {own, limiting}]
        found.grown["pids.maxEvents"] = max(each.get("max", 0) for each in events)

    def _where(self, controller: str, file: str) -> tuple[_Where | None, str]:
        """Find where a controller's files are, or say why there are none."""
        if controller in self._v1:
            return self._v1[controller], ""
        if os.access(f"{self._path}/{file}", os.F_OK):
            return _Where(self.cgroup, self._root, 2), ""
        missing = f"the controller {controller!r} is not enabled for this cgroup (there is no {file})"
        return None, self._v1_problems.get(controller, missing)

    def _find_v1(self) -> None:
        """Find the folders of cgroup v1 by a process of the container; once found they stay."""
        now = time.monotonic()
        if self._root.name != "unified" or len(self._v1) == len(_V1) or now < self._v1_next:
            return
        text = self._v1_of_process()
        # The same words have the same meaning, but for paths that are not seen from here.
        if text == self._v1_text and "/.." not in text:
            self._v1_next = now + _V1_SECONDS if text else now
            return
        self._v1_text, paths = text, dict(parsing.v1_paths(text))
        for controller in _V1:
            root = self._root.parent / controller
            if not root.is_dir():
                self._v1_problems[controller] = f"this node has no controller {controller!r}"
                continue
            folder = self._v1_folder(root, paths.get(controller))
            if folder is not None:
                self._v1[controller] = _Where(folder, root, 1)
            else:
                where = f" {paths[controller]}" if controller in paths else ""
                self._v1_problems[controller] = (
                    f"the container has no cgroup of its own for the controller {controller!r} (cgroup v1): its "
                    f"processes share the cgroup{where} with others"
                )

    def _v1_of_process(self) -> str:
        texts = (_text(f"{self._proc}/{pid}/cgroup") for pid in self._processes())
        return next(filter(None, texts), "")

    def _processes(self) -> Iterator[str]:
        for folder in cgroups.below(self.cgroup):
            yield from _pids(f"{folder}/cgroup.procs")

    def _v1_folder(self, root: Path, path: str | None) -> Path | None:
        """Return the container's folder of a hierarchy of cgroup v1; None where it has none of its own."""
        below = str(self.cgroup.relative_to(self._root))
        # A path that climbs is outside our cgroup namespace: runtimes give the same path to each hierarchy.
        if path is None or path.startswith("/.."):
            path = f"/{below}"
        parts = PurePosixPath(path).parts
        if self.cgroup.name not in parts:
            return None
        own = root.joinpath(*parts[1 : parts.index(self.cgroup.name) + 1])
        return own if own.is_dir() else None


def _root(cgroup: Path) -> Path:
    """Return the highest folder of the cgroup v2 tree that is mounted here."""
    root = cgroup
    while (root.parent / "cgroup.controllers").exists():
        root = root.parent
    return root


_lock = threading.Lock()
_known: weakref.WeakValueDictionary[str, HeldFile[Any]] = weakref.WeakValueDictionary()


def _held_by_all(path: str, parse: Callable[[str], _Value]) -> HeldFile[_Value]:
    """Return a file that all hold together: the limits above a container are those of all others there."""
    with _lock:
        found: HeldFile[_Value] | None = _known.get(path)
        if found is None:
            found = _known[path] = HeldFile(path, parse)
        return found


def _pids(path: str) -> Iterator[str]:
    # 0 stands for one outside our PID namespace.
    return (pid for pid in (_text(path) or "").split() if pid != "0")


def _text(file: str) -> str | None:
    """Read a file; None where there is none. This takes a third of Path.read_text."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
        return None
    try:
        parts = []
        while part := os.read(descriptor, _BYTES):
            parts.append(part)
        return b"".join(parts).decode(errors="replace")
    except OSError as error:
        if error.errno in procfs.GONE:  # removed while it was open
            return None
        raise
    finally:
        os.close(descriptor)
