"""Where the files of a container's processes can be reached from here. Used by naming, in its thread."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kubestrace_agent.containers import cgroups, procfs
from kubestrace_agent.symbols import container_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(eq=False, slots=True)
class Held:
    """A process that is held until it is counted: its life as the traced program begins with its release."""

    # As the host sees it.
    pid: int
    # CLOCK_MONOTONIC; 0: not yet.
    released_ns: int = 0
    # That it may have as that program, by their paths; they are taken out as they are looked at.
    likely_files: list[bytes] = field(default_factory=list)


@dataclass(unsafe_hash=True, slots=True)
class Owner:
    """Whose files these are: the container that is traced. Without an ID it is a process that a user traces locally."""

    # 64 hex digits; set later where the container does not exist yet.
    container_id: str = ""
    # A process that waits for the counting to begin before it becomes the program that is traced; None: there is none.
    held: Held | None = None


@dataclass
class Roots:
    """The roots to try, one after the other: a file counts by its build id, so that a wrong one does no harm."""

    proc: Path = Path("/proc")
    # The folder in which the container runtime has ID/rootfs of each container.
    runtime: Path | None = None
    # For processes that have ended.
    others: Sequence[Path] = ()

    @contextlib.contextmanager
    def opened(self, owner: Owner, pid: int, path: bytes) -> Iterator[container_files.File]:
        """Open a file by the path that it has for a process of the host. Raises OSError."""
        problem = OSError(0, "no root of the process can be reached")
        with contextlib.ExitStack() as kept:
            for root in self._roots(owner, pid, kept):
                try:
                    file = kept.enter_context(container_files.opened(root, path))
                    break
                except OSError as error:
                    problem = error
            else:
                raise problem
            yield file

    def _roots(self, owner: Owner, pid: int, kept: contextlib.ExitStack) -> Iterator[str]:
        """Through the process, for who may trace it; as its runtime has mounted them; elsewhere."""
        process = self._process(owner, pid, kept)
        if process is not None:
            yield process
        if self.runtime is not None and owner.container_id:
            yield str(self.runtime / owner.container_id / "rootfs")
        yield from map(str, self.others)

    def _process(self, owner: Owner, pid: int, kept: contextlib.ExitStack) -> str | None:
        """Give the root of a process that is still the owner's: its PID may have become that of another tenant's."""
        try:
            folder = os.open(self.proc / str(pid), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return None
        kept.callback(os.close, folder)
        # What is opened below this folder is of the process that was looked at, or fails: a new process of the same PID
        # has a folder of its own.
        process = Path(f"/proc/self/fd/{folder}")
        if owner.container_id:
            cgroup = procfs.cgroup_path(process.parent, folder) or ""
            if cgroups.container_part(cgroup, owner.container_id) is None:
                return None
        return str(process / "root")
