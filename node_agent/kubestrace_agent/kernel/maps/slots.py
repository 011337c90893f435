"""What a slot stands for: a cgroup at some depth of the tree, or a process and its family."""

from dataclasses import dataclass, field
from pathlib import Path

from kubestrace_agent.containers import procfs
from kubestrace_agent.kernel.counters.counts import CallAtAttach, Row
from kubestrace_agent.kernel.counters.readings import Reading
from kubestrace_agent.syscalls import SyscallKey

_CGROUP_ROOT_INODE = 1
# The initial pid namespace's inode (Linux include/linux/proc_ns.h: PROC_PID_INIT_INO).
_INITIAL_PID_NAMESPACE = 0xEFFFFFFC


@dataclass(slots=True)
class Slot:
    """A slot of a Tracer, as user space knows it."""

    generation: int
    # Where it stands in the maps: the key of containers or processes.
    cgroup_id: int | None
    pid: int | None
    # Depth below the root of the cgroup tree; None where the root is not seen.
    level: int | None
    lost_before: int
    # What is counted; None: everything.
    wanted: frozenset[SyscallKey] | None = None
    # Nothing more is counted.
    stopped: bool = False
    # As RawCounts has them.
    at_attach: tuple[CallAtAttach, ...] = ()
    attach_first: int = 0
    # By the number of the row.
    readings: dict[int, Reading] = field(default_factory=dict)

    def rows(self) -> dict[SyscallKey, Row]:
        """What was read of it."""
        return {reading.key: reading.row for reading in self.readings.values()}


def depth(cgroup_path: Path) -> int | None:
    """Depth below the root of the cgroup2 tree; None in a cgroup namespace (a kind node), which hides the root."""
    path = cgroup_path.resolve()
    for levels, folder in enumerate((path, *path.parents)):
        if folder.stat().st_ino == _CGROUP_ROOT_INODE and (folder / "cgroup.procs").exists():
            return levels
    return None


def leader(pid: int) -> int:
    """The process that a thread belongs to."""
    return int(procfs.fields(Path(f"/proc/{pid}/status").read_bytes())[b"Tgid"])


def in_hosts_pid_namespace() -> bool:
    """Whether the PIDs that we see are those that the kernel's programs see."""
    return Path("/proc/self/ns/pid").stat().st_ino == _INITIAL_PID_NAMESPACE
