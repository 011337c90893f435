"""What the command line names, found on this machine: a process, a cgroup, a container or COMMAND's own cgroup."""

import contextlib
import os
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kubestrace_agent.containers import cgroups, procfs
from kubestrace_agent.text import safe

CGROUP_MOUNT = Path("/sys/fs/cgroup")
PROC = Path("/proc")
# "containerd://3f4e..." as in a pod's status, or any beginning of the id; fewer digits say too little.
_ID = re.compile(r"(?:[a-z][a-z0-9-]*://)?(?P<digits>[0-9a-f]{4,64})")
_SHOWN_DIGITS = 12
# Of a cgroup's path: the longest that a path can be (linux/limits.h: PATH_MAX).
_MAX_NAME = 4096


class TargetError(Exception):
    """The target is not here; the message says where it was looked for."""


@dataclass(frozen=True)
class Target:
    """Something to trace: the process `pid` with what it starts, or else everything in `cgroup` and below."""

    # How the result's rows call it: safe to print.
    name: str
    cgroup: Path
    by_process: bool = False
    # Of a process, or of the first process of a cgroup: as this machine and as its own pid namespace see it, 0: none.
    host_pid: int = 0
    pid: int = 0
    container_id: str = ""


def find(pid: int | None, cgroup_name: str | None, container_id: str | None, root: Path) -> Target:
    """Find the one that is named. Raises TargetError."""
    if pid is not None:
        return process(pid, root)
    return cgroup(cgroup_name, root) if cgroup_name is not None else container(container_id or "", root)


def process(pid: int, root: Path, proc: Path = PROC) -> Target:
    """Find a process by its id. Raises TargetError."""
    try:
        status = procfs.fields((proc / str(pid) / "status").read_bytes())
        # In its own file nothing of the name is escaped.
        name = (proc / str(pid) / "comm").read_bytes().removesuffix(b"\n")
    except OSError as error:
        raise TargetError(f"there is no process {pid}") from error
    leader = int(status[b"Tgid"])
    if leader != pid:
        raise TargetError(f"{pid} is a thread of process {leader}; name the process")
    # Of its first thread, which may end long before the others.
    if _is_over(status) and not lives(pid, proc):
        raise TargetError(f"process {pid} has ended; its parent has not asked for its exit code yet")
    if procfs.is_of_kernel(proc / str(pid)):
        raise TargetError(f"process {pid} is a thread of the kernel, which makes no system calls")
    path = procfs.cgroup_path(proc, pid) or "/"
    inside = int(status[b"NSpid"].split()[-1])
    return Target(name=_shown(name), cgroup=root / path.lstrip("/"), by_process=True, host_pid=pid, pid=inside)


def named(pid: int, proc: Path = PROC) -> str:
    """Return a process's name with its number, safe to print: "redis-server (4711)"."""
    try:
        name = (proc / str(pid) / "comm").read_bytes().removesuffix(b"\n")
    except OSError:  # gone meanwhile
        return f"process {pid}"
    return f"{_shown(name)} ({pid})"


def lives(pid: int, proc: Path = PROC) -> bool:
    """Tell whether a process is there and has not ended."""
    return any(map(_lives, procfs.threads(proc, pid)))


def descendants(pid: int, proc: Path = PROC) -> list[int]:
    """Return the living children of a process, and theirs, as far as /proc has them at one look."""
    children: dict[int, list[int]] = {}
    for folder in proc.iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError, KeyError, ValueError):
                status = procfs.fields((folder / "status").read_bytes())
                if not _is_over(status):
                    children.setdefault(int(status[b"PPid"]), []).append(int(folder.name))
    found, waiting = [], list(children.get(pid, []))
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return sorted(found)


def family(pid: int, proc: Path = PROC) -> list[int]:
    """Return a process with its living children and theirs, by their parents alone: quick, but who forks may be missed.

    Without /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN) it is the process alone.
    """
    found: dict[int, None] = {}
    waiting = [pid]
    while waiting:
        found[each := waiting.pop()] = None
        for thread in procfs.threads(proc, each):
            with contextlib.suppress(OSError):
                children = (thread / "children").read_text().split()
                waiting += [child for child in map(int, children) if child not in found]
    return list(found)


def _is_over(status: Mapping[bytes, bytes]) -> bool:
    return status[b"State"].startswith((b"Z", b"X"))


def _lives(thread: Path) -> bool:
    try:
        return not _is_over(procfs.fields((thread / "status").read_bytes()))
    except OSError:  # gone meanwhile
        return False


def cgroup(name: str, root: Path, proc: Path = PROC, mount: Path = CGROUP_MOUNT) -> Target:
    """Find a cgroup by its absolute path or from the root of the tree on. Raises TargetError."""
    tried = [root / name.lstrip("/")]
    if Path(name).is_relative_to(root):
        tried.insert(0, Path(name))
    for path in tried:
        if _exists(path / "cgroup.procs"):
            return _of_cgroup(f"/{path.relative_to(root)}".removesuffix("/."), path, proc)
    for path in (Path("/", name), mount / name.lstrip("/")):
        # This file is in trees of v1 only.
        if _exists(path / "tasks"):
            raise TargetError(f"{path} is a cgroup of v1; kubestrace supports cgroup v2 only, mounted at {root}")
    raise TargetError(f"there is no cgroup {tried[-1]} (cgroup v2 is mounted at {root})")


def container(text: str, root: Path, proc: Path = PROC) -> Target:
    """Find a running container by its id, or by a beginning that only one has. Raises TargetError."""
    match = _ID.fullmatch(text)
    if match is None:
        raise TargetError(
            f"{text!r} is not a container ID: at least 4 hex digits, as crictl ps or docker ps print them"
        )
    found = _containers(root, match["digits"])
    if not found:
        raise TargetError(
            f"no running container has an id that begins with {text!r}: no cgroup below {root} is its own"
        )
    if len(found) > 1:
        names = ", ".join(sorted(identifier[:_SHOWN_DIGITS] for identifier in found))
        raise TargetError(f"{len(found)} containers have ids that begin with {text!r}: {names}")
    [(identifier, path)] = found.items()
    return _of_cgroup(identifier[:_SHOWN_DIGITS], path, proc, identifier)


@contextlib.contextmanager
def process_file(target: Target) -> Iterator[int]:
    """Yield a file descriptor that is readable when the target's process has ended. Raises TargetError."""
    try:
        pidfd = os.pidfd_open(target.host_pid)
    except ProcessLookupError as error:
        raise TargetError(f"process {target.host_pid} has just ended") from error
    try:
        yield pidfd
    finally:
        os.close(pidfd)


def command(name: str, scope: Path, pid: int) -> Target:
    """Return the target for a COMMAND that waits in a cgroup of its own."""
    return Target(name=_shown(Path(name).name), cgroup=scope, host_pid=pid, pid=pid)


def _exists(path: Path) -> bool:
    """Tell whether it is there; a name that no file can have is not."""
    try:
        return path.exists()
    except OSError:
        return False


def _of_cgroup(name: str, path: Path, proc: Path, container_id: str = "") -> Target:
    host_pid = procfs.first_process(proc, path)
    inside = procfs.pid_in_container(proc, host_pid) if host_pid else 0
    return Target(name=_shown(name), cgroup=path, host_pid=host_pid, pid=inside, container_id=container_id)


def _shown(name: str | bytes) -> str:
    """Make a name safe to print: it may hold any byte."""
    return safe(os.fsencode(name), _MAX_NAME)


def _containers(root: Path, digits: str) -> dict[str, Path]:
    """Return the containers whose ids begin with these digits, each with its outermost cgroup."""
    found: dict[str, Path] = {}
    waiting = deque([root])
    while waiting:
        for folder in _folders(waiting.popleft()):
            place = cgroups.parse(folder.name)
            if place and place.container_id.startswith(digits):
                found.setdefault(place.container_id, folder)
            else:
                waiting.append(folder)
    return found


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(folder for folder in path.iterdir() if folder.is_dir() and not folder.is_symlink())
    except OSError:  # removed meanwhile
        return []
