"""The files of one container's cgroup, in whichever hierarchy they are, and what they say now.

On hybrid nodes the controllers of CPU and memory are in hierarchies of cgroup v1, pressure and CPU time in that of v2.
"""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from kubestrace_agent.containers import procfs
from kubestrace_agent.views.resources import parsing
from kubestrace_agent.views.resources.asked import Asked
from kubestrace_agent.views.resources.values import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PROC = Path("/proc")
_BYTES = 65536
_RESOURCES = ("cpu", "memory", "io")
# The controllers of cgroup v1 that matter here.
_V1 = ("cpu", "memory", "pids")


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
        self._proc = proc
        self._root = _root(cgroup)
        self._asked = Asked(proc)
        # By controller; found when a process is there to be asked.
        self._v1: dict[str, _Where] = {}
        self._v1_problems: dict[str, str] = {}

    def read(self) -> Reading:
        """Read everything that there is. Raises GoneError."""
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
        if not self.cgroup.is_dir():
            raise GoneError(str(self.cgroup))
        network = self._asked.network(after_end=after_end)
        levels, unavailable = found.levels | self._asked.levels(), found.unavailable | self._asked.problems()
        return Reading(time.monotonic_ns(), found.grown, levels, unavailable, network, after_end)

    def _populated(self) -> bool:
        try:
            text = _text(self.cgroup / "cgroup.events")
        except OSError as error:
            raise GoneError(str(self.cgroup)) from error
        if text is None:
            raise GoneError(str(self.cgroup))
        return "populated 1" in text

    def _cpu(self, found: _Found) -> None:
        # Use of CPU is there in each cgroup of v2, with the controller or without.
        if (text := _text(self.cgroup / "cpu.stat")) is not None:
            found.grown |= parsing.cpu_stat(text)
        where, problem = self._where("cpu", "cpu.max")
        if where is None:
            found.unavailable |= dict.fromkeys(("cpu.periods", "cpu.limitMillicores"), problem)
            return
        found.grown |= parsing.cpu_stat(_text(where.folder / "cpu.stat") or "")
        read = _cpu_limit if where.version == 2 else _cpu_limit_v1
        if (limit := _tightest(where, read)) is not None:
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
        grown, levels, inactive = parsing.memory_stat(_text(folder / "memory.stat") or "", version=version)
        found.grown |= grown | parsing.memory_events(_text(folder / events) or "")
        found.levels |= levels
        if (used := _text(folder / current)) is not None:
            found.levels["memory.currentBytes"] = int(used)
            found.levels["memory.workingSetBytes"] = max(0, int(used) - inactive)
        if (most := _text(folder / peak)) is not None:
            found.levels["memory.peakBytes"] = int(most)
        else:
            found.unavailable["memory.peakBytes"] = f"this kernel has no {peak} (Linux has it since 5.19)"
        if (bytes_ := _tightest(where, lambda each: _memory_limit(each / limit))) is not None:
            found.levels["memory.limitBytes"] = bytes_
        if version == 1:
            found.grown["memory.maxEvents"] = int(_text(folder / "memory.failcnt") or 0)
            reason = "cgroup v1 does not count it"
            found.unavailable |= dict.fromkeys(("memory.highEvents", "memory.ooms"), reason)

    def _pressure(self, found: _Found) -> None:
        for resource in _RESOURCES:
            name = f"{resource}.pressure"
            try:
                text = _text(self.cgroup / name)
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:
                    raise
                text = None
            numbers = parsing.pressure(text or "", resource)
            found.grown |= numbers
            if not numbers:
                why = "this kernel has no PSI, or it is off (psi=1 on the kernel's command line turns it on)"
                found.unavailable[f"pressure.{resource}"] = f"no {name}: {why}"

    def _pids(self, found: _Found) -> None:
        """Read how many threads there are, and the tightest limit of the container and the cgroups above it."""
        where, problem = self._where("pids", "pids.current")
        if where is None:
            found.unavailable["pids"] = problem
            return
        found.levels["pids.current"] = int(_text(where.folder / "pids.current") or 0)
        limits = {folder: limit for folder in _upward(where) if (limit := _pids_limit(folder)) is not None}
        limiting = min(limits, key=lambda folder: limits[folder], default=where.folder)
        if limits:
            found.levels["pids.limit"] = limits[limiting]
            found.levels["pids.underLimit"] = int(_text(limiting / "pids.current") or 0)
        # Before Linux 6.11 the cgroup of who was refused counts it, since then that with the limit and those above it.
        events = [parsing.keyed(_text(each / "pids.events") or "") for each in (where.folder, limiting)]
        found.grown["pids.maxEvents"] = max(each.get("max", 0) for each in events)

    def _where(self, controller: str, file: str) -> tuple[_Where | None, str]:
        """Find where a controller's files are, or say why there are none."""
        if controller in self._v1:
            return self._v1[controller], ""
        if os.access(self.cgroup / file, os.F_OK):
            return _Where(self.cgroup, self._root, 2), ""
        missing = f"the controller {controller!r} is not enabled for this cgroup (there is no {file})"
        return None, self._v1_problems.get(controller, missing)

    def _find_v1(self) -> None:
        """Find the folders of cgroup v1 by a process of the container; once found they stay."""
        if self._root.name != "unified" or len(self._v1) == len(_V1):
            return
        paths = self._v1_of_process()
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

    def _v1_of_process(self) -> dict[str, str]:
        for pid in self._processes():
            text = _text(self._proc / pid / "cgroup")
            if text:
                return dict(parsing.v1_paths(text))
        return {}

    def _processes(self) -> Iterator[str]:
        for folder in (self.cgroup, *sorted(self.cgroup.rglob("*/"))):
            # 0 stands for one outside our PID namespace.
            yield from (pid for pid in (_text(folder / "cgroup.procs") or "").split() if pid != "0")

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


def _tightest(where: _Where, limit_of: Callable[[Path], int | None]) -> int | None:
    """Return the lowest limit of a cgroup and those above it; None: there is none."""
    return min((limit for folder in _upward(where) if (limit := limit_of(folder)) is not None), default=None)


def _upward(where: _Where) -> Iterator[Path]:
    """Yield a cgroup and those above it, but for the root."""
    folder = where.folder
    while folder != where.root:
        yield folder
        folder = folder.parent


def _pids_limit(folder: Path) -> int | None:
    text = (_text(folder / "pids.max") or "max").strip()
    return None if text == "max" else int(text)


def _cpu_limit(folder: Path) -> int | None:
    text = _text(folder / "cpu.max")
    return parsing.cpu_limit(text) if text else None


def _cpu_limit_v1(folder: Path) -> int | None:
    quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    return parsing.cpu_limit_v1(quota, period) if quota and period else None


def _memory_limit(file: Path) -> int | None:
    text = _text(file)
    return parsing.memory_limit(text) if text else None


def _text(file: Path) -> str | None:
    """Read a file; None where there is none. A reading has twenty of them: this takes a third of Path.read_text."""
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
