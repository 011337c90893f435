"""Where the files of a container's processes can be reached from here. Used by naming, in its thread."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kubestrace_agent.containers import cgroups, procfs
from kubestrace_agent.symbols import container_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MOST_OWNERS = 4096


@dataclass
class Roots:
    """The roots to try, one after the other: a file counts by its build id, so that a wrong one does no harm."""

    proc: Path = Path("/proc")
    # The folder in which the container runtime has ID/rootfs of each container.
    runtime: Path | None = None
    # For processes that have ended.
    others: Sequence[Path] = ()
    # Owner (whoever traces one container) -> the container's id, when one of its processes lived.
    _containers: dict[object, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def opened(self, owner: object, pid: int, path: bytes) -> Iterator[container_files.File]:
        """Open a file by the path that it has for a process of the host. Raises OSError."""
        problem = OSError(0, "no root of the process can be reached")
        with contextlib.ExitStack() as kept:
            for root in self._roots(owner, pid):
                try:
                    file = kept.enter_context(container_files.opened(str(root), path))
                    break
                except OSError as error:
                    problem = error
            else:
                raise problem
            yield file

    def _roots(self, owner: object, pid: int) -> Iterator[Path]:
        """Through the process, for who may trace it; as its runtime has mounted them; elsewhere."""
        yield self.proc / str(pid) / "root"
        if self.runtime is not None:
            place = cgroups.parse(procfs.cgroup_path(self.proc, pid) or "")
            if place is not None:
                if len(self._containers) >= _MOST_OWNERS:
                    self._containers.clear()
                self._containers[owner] = place.container_id
            if owner in self._containers:
                yield self.runtime / self._containers[owner] / "rootfs"
        yield from self.others
