"""What the kernel holds for this process: maps and their memory, programs and their run time.

Read from /proc/self/fdinfo, so it needs neither the tracer's thread nor a right, and includes what was made since the
start, such as rows and rings. Used by the agent's metrics.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SELF = Path("/proc/self")
_STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
_MAP, _PROGRAM, _LINK = "anon_inode:bpf-map", "anon_inode:bpf-prog", "anon_inode:bpf_link"


@dataclass
class ProgramUse:
    """Programs of one part. A program that another one calls runs on the caller's account."""

    loaded: int = 0
    # Time and number of their runs, which the kernel counts only while its statistics are on.
    run_ns: int = 0
    runs: int = 0
    # How often the kernel did not run one, as it ran on that CPU already.
    skipped: int = 0


@dataclass
class Usage:
    """One reading."""

    maps: int = 0
    # As the kernel accounts for them; before Linux 6.4 it estimates, and leaves out further CPUs of per-CPU maps.
    map_bytes: int = 0
    program_bytes: int = 0
    # Attached programs and those that iterate over tasks at this moment.
    links: int = 0
    # By part of views; "counting" is what all share.
    programs: dict[str, ProgramUse] = field(default_factory=dict)
    # Whether the node's owner has the kernel count run times (kernel.bpf_stats_enabled).
    stats_enabled: bool = False

    @property
    def has_run_times(self) -> bool:
        """Whether run times mean something: statistics are on now, or were."""
        return self.stats_enabled or any(use.runs for use in self.programs.values())


def read(parts: Mapping[int, str], *, process: Path = _SELF, stats: Path = _STATS) -> Usage:
    """Read what this process holds; `parts` gives the part of each program by its file descriptor."""
    usage = Usage(stats_enabled=_enabled(stats))
    seen: set[str] = set()
    for fd, kind, info in _open_files(process):
        if kind == _LINK:
            usage.links += 1
            continue
        identity = kind + info.get("map_id" if kind == _MAP else "prog_id", "")
        if identity in seen:
            continue
        seen.add(identity)
        if kind == _MAP:
            usage.maps += 1
            usage.map_bytes += _number(info, "memlock")
        else:
            usage.program_bytes += _number(info, "memlock")
            _add(usage.programs.setdefault(parts.get(fd) or "counting", ProgramUse()), info)
    return usage


def _add(use: ProgramUse, info: Mapping[str, str]) -> None:
    use.loaded += 1
    use.run_ns += _number(info, "run_time_ns")
    use.runs += _number(info, "run_cnt")
    use.skipped += _number(info, "recursion_misses")


def _open_files(process: Path) -> Iterator[tuple[int, str, dict[str, str]]]:
    for entry in (process / "fd").iterdir():
        # Others open and close files meanwhile.
        with contextlib.suppress(OSError):
            kind = str(entry.readlink())
            if kind in {_MAP, _PROGRAM, _LINK}:
                text = (process / "fdinfo" / entry.name).read_text(encoding="ascii", errors="replace")
                yield int(entry.name), kind, dict(_fields(text))


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, _, value = line.partition(":")
        yield name, value.strip()


def _number(info: Mapping[str, str], name: str) -> int:
    value = info.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else 0


def _enabled(stats: Path) -> bool:
    try:
        return stats.read_text(encoding="ascii").strip() not in {"", "0"}
    except OSError:
        return False
