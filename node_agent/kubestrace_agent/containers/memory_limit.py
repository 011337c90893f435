"""How much memory this process's cgroups and the machine have left. Used by kernel.maps.rows.

The kernel charges BPF maps to the memory cgroup of the process that makes them, and kills that process at the limit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_PROC = Path("/proc")
# Limit, use, and the statistics with the field of page cache that the kernel drops before it kills.
_V2 = ("memory.max", "memory.current", "inactive_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


@dataclass(frozen=True)
class Room:
    """What is left below the narrowest limit."""

    available_bytes: int
    # 0: no cgroup has a limit, and the machine's free memory is what bounds.
    limit_bytes: int = 0


def room(proc: Path = _PROC, mount: Path = _MOUNT) -> Room:
    """Find the limit that is reached first: of this process's cgroup, of one above it, or the machine's memory."""
    rooms = [_of_machine(proc), *_of_cgroups(proc, mount)]
    return min(rooms, key=lambda each: each.available_bytes)


def _of_machine(proc: Path) -> Room:
    for line in (proc / "meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return Room(int(line.split()[1]) * 1024)
    raise AssertionError("/proc/meminfo has no MemAvailable (Linux has it since 3.14)")


def _of_cgroups(proc: Path, mount: Path) -> Iterator[Room]:
    for line in (proc / "self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _up(mount, path, _V2)
        elif "memory" in controllers.split(","):
            yield from _up(mount / "memory", path, _V1)


def _up(root: Path, path: str, files: tuple[str, str, str]) -> Iterator[Room]:
    """The cgroup and those above it, as far as this mount shows them: a container's mount may begin at its own."""
    folder = root / path.lstrip("/")
    while folder != root:
        yield from _of_folder(folder, files)
        folder = folder.parent
    yield from _of_folder(root, files)


def _of_folder(folder: Path, files: tuple[str, str, str]) -> Iterator[Room]:
    limit_file, use_file, cache = files
    try:
        limit = (folder / limit_file).read_text(encoding="ascii").strip()
        used = int((folder / use_file).read_text(encoding="ascii"))
        statistics = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return  # not mounted here, or the root, which has no limit
    if limit == "max" or int(limit) >= 1 << 62:
        return
    dropped = sum(int(line.split()[1]) for line in statistics if line.split()[0] == cache)
    yield Room(int(limit) - used + dropped, int(limit))
