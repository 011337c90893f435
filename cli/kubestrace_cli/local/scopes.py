"""A cgroup of COMMAND's own, below the caller's: what runs in it is COMMAND and what COMMAND started, nothing else."""

import os
import re
from pathlib import Path

from kubestrace_agent.containers import cgroups

# Processes that fork while they are moved out are found by looking again, not for ever.
_ROUNDS = 100


class ScopeError(Exception):
    """No cgroup could be made; the message says where, why and what to do."""


class Scope:
    """A cgroup v2 folder that lives as long as the trace."""

    def __init__(self, root: Path, own: str, name: str) -> None:
        """Make the cgroup `name` below the cgroup `own` (as /proc/self/cgroup has it) of the tree mounted at `root`."""
        # A path that climbs is outside our cgroup namespace, and of its tree we see only `root` and below.
        self.parent = root if own.startswith("/..") else root / own.lstrip("/")
        self.path = self.parent / name
        _remove_leftovers(self.parent, name)
        try:
            self.path.mkdir()
        except OSError as error:
            raise ScopeError(
                f"cannot make a cgroup for COMMAND in {self.parent}: {error.strerror}. COMMAND needs cgroup v2, "
                "mounted so that root may write to it. Start it by hand and trace it with --pid instead."
            ) from error

    def add(self, pid: int) -> None:
        """Move a process in."""
        try:
            _move(self.path, pid)
        except OSError as error:
            raise ScopeError(f"cannot move a process into the cgroup {self.path}: {error.strerror}") from error

    def processes(self) -> list[int]:
        """Return the processes that are in it now, and in those below."""
        return sorted(set(_processes(self.path)))

    def remove(self) -> int:
        """Move what still runs to the parent and remove the cgroup; returns how many processes were moved."""
        moved: set[int] = set()
        for _ in range(_ROUNDS):
            pids = _processes(self.path)
            for pid in pids:
                if _moved_out(self.parent, pid):
                    moved.add(pid)
            if not pids and _remove_folders(self.path):
                break
        return len(moved)


def _move(to: Path, pid: int) -> None:
    # One write(2) of the whole number: the kernel reads one number a call.
    file = os.open(to / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, str(pid).encode())
    finally:
        os.close(file)


def _moved_out(parent: Path, pid: int) -> bool:
    try:
        _move(parent, pid)
    except ProcessLookupError:  # it has ended meanwhile
        return False
    return True


def _processes(path: Path) -> list[int]:
    """Return the processes in this cgroup and below."""
    return [pid for folder in cgroups.below(path) for pid in _direct_processes(folder)]


def _direct_processes(folder: Path) -> list[int]:
    try:
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    except OSError:  # removed meanwhile, or a threaded cgroup, whose processes its parent lists
        return []


def _remove_leftovers(parent: Path, name: str) -> None:
    """Remove the empty cgroups of runs that were killed (`name` is as theirs: word, pid, chance)."""
    word = name.split("-", maxsplit=1)[0]
    for folder in parent.glob(f"{word}-*"):
        match = re.fullmatch(rf"{word}-(\d+)-[0-9a-f]+", folder.name)
        if match and not Path("/proc", match[1]).exists() and cgroups.populated(folder) is False:
            _remove_folders(folder)


def _remove_folders(path: Path) -> bool:
    """Remove the cgroup and those that COMMAND made below it, the innermost first; False when one is in use."""
    try:
        for folder in reversed(list(cgroups.below(path))):
            folder.rmdir()
    except OSError:
        return False
    return True
