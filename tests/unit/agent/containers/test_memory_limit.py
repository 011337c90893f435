"""How much memory is left below the narrowest limit."""

from pathlib import Path

import pytest

from kubestrace_agent.containers.memory_limit import Room, room

MIB = 1 << 20


class Node:
    """Files as /proc and /sys/fs/cgroup have them."""

    def __init__(self, folder: Path, cgroup: str, available_mib: int = 8000) -> None:
        self.proc, self.mount = folder / "proc", folder / "cgroup"
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "self/cgroup").write_text(cgroup)
        (self.proc / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable: {available_mib * 1024} kB\n")

    def v2(self, path: str, limit: str, used: int, cache: int = 0) -> None:
        """A cgroup; sizes in bytes."""
        self._write(self.mount / path, "memory.max", limit, "memory.current", used, f"inactive_file {cache}")

    def v1(self, path: str, limit: int, used: int, cache: int = 0) -> None:
        """A cgroup of the memory controller."""
        names = "memory.limit_in_bytes", "memory.usage_in_bytes"
        self._write(self.mount / "memory" / path, names[0], limit, names[1], used, f"total_inactive_file {cache}")

    @staticmethod
    def _write(folder: Path, limit_file: str, limit: str | int, use_file: str, used: int, cache: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / limit_file).write_text(f"{limit}\n")
        (folder / use_file).write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 5\n{cache}\n")

    def room(self) -> Room:
        """Ask."""
        return room(self.proc, self.mount)


def test_a_container_sees_its_own_cgroup_as_the_root(tmp_path: Path) -> None:
    """In a cgroup namespace, as a pod has it; cache that can be dropped is no use of memory."""
    node = Node(tmp_path, "0::/\n")
    node.v2("", str(1024 * MIB), 300 * MIB, 100 * MIB)

    assert node.room() == Room(824 * MIB, 1024 * MIB)


@pytest.mark.parametrize("outer", [600, 2000])
def test_the_limit_that_is_reached_first_counts(tmp_path: Path, outer: int) -> None:
    """The pod's or the container's."""
    node = Node(tmp_path, "0::/pods/agent\n")
    node.v2("pods", str(outer * MIB), 200 * MIB)
    node.v2("pods/agent", str(1024 * MIB), 100 * MIB)

    assert node.room() == min(
        Room((outer - 200) * MIB, outer * MIB), Room(924 * MIB, 1024 * MIB), key=lambda each: each.available_bytes
    )


def test_a_memory_controller_of_its_own(tmp_path: Path) -> None:
    """Hybrid cgroups; and where the path is not to be seen, the mount begins at it."""
    node = Node(tmp_path, "4:cpu,memory:/kubepods/agent\n0::/kubepods/agent\n")
    node.v1("", 512 * MIB, 500 * MIB, 20 * MIB)

    assert node.room() == Room(32 * MIB, 512 * MIB)


def test_without_a_limit_the_machines_memory_bounds(tmp_path: Path) -> None:
    """Unlimited in v1 is a number of pages."""
    node = Node(tmp_path, "4:memory:/\n0::/system.slice\n", available_mib=700)
    node.v1("", 9223372036854771712, 5 * MIB)
    node.v2("system.slice", "max", 5 * MIB)

    assert node.room() == Room(700 * MIB)
