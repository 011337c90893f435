"""What the threads of a target are inside of, as /proc says: the reason when nothing was counted."""

import platform
from collections import Counter
from pathlib import Path

from kubestrace_agent import syscalls
from kubestrace_agent.containers import cgroups, procfs
from kubestrace_cli.local.targets import PROC, Target

# Threads looked at, and different calls named: enough for a sentence.
_MAX_THREADS = 1000
_MAX_NAMES = 4
# The fifth byte of an ELF file (EI_CLASS): 2 is 64 bits.
_ELF_64_BITS = 2


def described(target: Target, proc: Path = PROC) -> str:
    """Return what its threads wait in: "its 3 threads wait in futex (2), read (1)"; empty when it has none."""
    inside = _inside(target, proc)
    if not inside:
        return ""
    threads = inside.total()
    names = [f"{name} ({count})" for name, count in inside.most_common(_MAX_NAMES)]
    more = [f"{len(inside) - _MAX_NAMES} more"] if len(inside) > _MAX_NAMES else []
    subject = "its only thread is" if threads == 1 else f"its {threads} threads are"
    return f"{subject} inside {', '.join([*names, *more]) if threads > 1 else next(iter(inside))}"


def _inside(target: Target, proc: Path) -> Counter[str]:
    inside: Counter[str] = Counter()
    for pid in [target.host_pid] if target.by_process else _processes(target.cgroup):
        for thread in procfs.threads(proc, pid):
            # The kernel's own threads in a process (io_uring) are none of the program's.
            if inside.total() < _MAX_THREADS and not procfs.is_of_kernel(thread):
                inside[_call(proc / str(pid), thread)] += 1
    return inside


def _processes(cgroup: Path) -> list[int]:
    pids = []
    for folder in cgroups.below(cgroup):
        try:
            pids += [int(line) for line in (folder / "cgroup.procs").read_text().split()]
        except OSError:  # removed meanwhile
            continue
    return pids


def _call(process: Path, thread: Path) -> str:
    """Return the name of the call that a thread is inside of (proc(5): /proc/PID/syscall)."""
    try:
        number = (thread / "syscall").read_text("ascii").split()[0]
    except OSError:
        return "something unknown"
    if number in {"running", "-1"}:
        return "no call"
    if not _is_native(process):
        return f"32-bit call {number}"
    return syscalls.name(syscalls.SyscallKey(syscalls.abi_names(platform.machine())[0], int(number)))


def _is_native(process: Path) -> bool:
    try:
        with (process / "exe").open("rb") as program:
            return program.read(5)[4] == _ELF_64_BITS
    except (OSError, IndexError):
        return True
