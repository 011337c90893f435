"""A memory cgroup of a test's own, of either version."""

import os
import uuid

from engine_runs import cgroup_root


class Memory:
    """Made below the root; whoever enters it is charged there."""

    def __init__(self) -> None:
        legacy = cgroup_root().parent / "memory"
        self._v1 = (legacy / "memory.limit_in_bytes").exists()
        self._parent = legacy if self._v1 else cgroup_root()
        if not self._v1:
            (self._parent / "cgroup.subtree_control").write_text("+memory", encoding="ascii")
        self.path = self._parent / f"kubestrace-memory-{uuid.uuid4().hex[:12]}"
        self.path.mkdir()

    def enter(self) -> None:
        """Move this process into it."""
        (self.path / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

    def leave(self) -> None:
        """Move this process to the root, and remove the cgroup."""
        (self._parent / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        self.remove()

    def remove(self) -> None:
        """Remove it; nobody is in it."""
        self.path.rmdir()

    def used(self) -> int:
        """The bytes that are charged to it."""
        return self._read("memory.usage_in_bytes" if self._v1 else "memory.current")

    def kernel(self) -> int:
        """The bytes of these that the kernel has for itself, BPF maps among them."""
        if self._v1:
            return self._read("memory.kmem.usage_in_bytes")
        lines = (self.path / "memory.stat").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("kernel "))

    def limit(self, size: int) -> None:
        """Set its limit in bytes."""
        (self.path / ("memory.limit_in_bytes" if self._v1 else "memory.max")).write_text(str(size), encoding="ascii")

    def _read(self, file: str) -> int:
        return int((self.path / file).read_text(encoding="ascii"))
