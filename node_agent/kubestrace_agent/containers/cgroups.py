"""The host's cgroup tree: which hierarchy is there, what a path says, where a container's directory is.

Used by containers (to find a directory) and main (to say what the node has). Reads the tree, never writes it.
The path forms are those of containerd, CRI-O, Docker, nerdctl and Podman under both cgroup drivers, at any depth.
"""

from __future__ import annotations

import os
import re
from collections import deque
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from kubestrace_agent.containers import procfs
from kubestrace_agent.containers.held_files import HeldFile
from kubestrace_protos.v1 import agent_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

# A walk ends here: far above any node (kubelet stops at 110 pods by default), far below what could stall the agent.
MAX_DIRECTORIES = 100_000

_ID = "[0-9a-f]{64}"
# With dashes, with underscores, or as bare hex digits, but never mixed.
_POD_UID = "[0-9a-f]{8}(?P<dash>[-_]?)" + "[0-9a-f]{4}(?P=dash)" * 3 + "[0-9a-f]{12}"

# cri-containerd-<id>.scope, crio-<id>[.scope], docker-<id>.scope, libpod[-payload]-<id>.scope, <id>
_CONTAINER = re.compile(rf"(?:(?P<runtime>[a-z][a-z-]*)-)?(?P<id>{_ID})(?:\.scope)?")
# kubepods-<qos>-pod<uid_>.slice:cri-containerd:<id>, made when kubelet and the runtime disagree about the driver
_MISMATCHED = re.compile(rf"(?P<slice>[^:]+):(?P<runtime>[a-z][a-z-]*):(?P<id>{_ID})")
# pod<uid>, kubepods[-<qos>]-pod<uid>.slice, kubelet-kubepods-...-pod<uid>.slice
_POD = re.compile(rf"(?:[\w.-]+-)?pod(?P<uid>{_POD_UID})(?:\.slice)?", re.ASCII)
_UID = re.compile(_POD_UID)


class UnsupportedCgroupsError(Exception):
    """This node's cgroups cannot be followed."""

    reason = "UnsupportedCgroups"

    def __init__(self, message: str, mode: agent_pb2.CgroupMode = agent_pb2.CGROUP_MODE_UNSPECIFIED) -> None:
        super().__init__(message)
        self.mode = mode


@dataclass(frozen=True)
class Hierarchy:
    """The cgroup v2 tree of a node."""

    mode: agent_pb2.CgroupMode
    root: Path
    # False when the mount begins below the host's own root, as inside a kind node: levels then count from there.
    whole: bool = True


@dataclass(frozen=True)
class Place:
    """What a cgroup path says: the innermost container and the pod that it stands in (bare hex digits, or none)."""

    container_id: str
    pod_uid: str | None
    runtime: str | None


def detect(mount: Path) -> Hierarchy:
    """Find the v2 tree at a cgroup mount, usually /sys/fs/cgroup; `cgroup.controllers` is in v2 trees only."""
    if (mount / "cgroup.controllers").exists():
        mode, root = agent_pb2.CGROUP_MODE_UNIFIED, mount
    elif (mount / "unified" / "cgroup.controllers").exists():
        mode, root = agent_pb2.CGROUP_MODE_HYBRID, mount / "unified"
    elif mount.is_dir() and any(mount.iterdir()):
        raise UnsupportedCgroupsError(
            f"{mount} holds cgroup v1 only; containers are identified by their cgroup v2 IDs. "
            "Boot the node with systemd.unified_cgroup_hierarchy=1",
            agent_pb2.CGROUP_MODE_LEGACY,
        )
    else:
        raise UnsupportedCgroupsError(f"no cgroup file system at {mount}: mount the host's /sys/fs/cgroup there")
    # kernfs numbers the root 1; any other inode is a cgroup namespace's root (or a part of the tree bound there).
    return Hierarchy(mode, root, whole=root.stat().st_ino == 1)


def bare_uid(uid: str) -> str | None:
    """Give a pod's UID as 32 hex digits; None when it has no form of a UID (dashes, underscores or neither)."""
    match = _UID.fullmatch(uid)
    return uid.replace(match["dash"] or "-", "") if match else None


def parse(path: str) -> Place | None:
    """Read a cgroup path (or any part of one that ends in or below a container); None when it names no container."""
    found: Place | None = None
    pod: str | None = None
    for part in PurePosixPath(path).parts:
        container_id, runtime, slice_ = _container(part)
        pod = pod_of(slice_ or part) or pod
        if container_id:
            found = Place(container_id, pod, runtime)
    return found


def _container(part: str) -> tuple[str | None, str | None, str | None]:
    if match := _MISMATCHED.fullmatch(part):
        return match["id"], match["runtime"], match["slice"]
    match = _CONTAINER.fullmatch(part)
    # conmon watches a container from a cgroup beside it, named after it; its calls are not the container's.
    if match is None or (match["runtime"] or "").endswith("conmon"):
        return None, None, None
    return match["id"], match["runtime"], None


def pod_of(part: str) -> str | None:
    """Give the UID (32 hex digits) that one path component names as a pod's own cgroup; None when it is none."""
    match = _POD.fullmatch(part)
    return bare_uid(match["uid"]) if match else None


def names(part: str, container_id: str) -> bool:
    """Tell whether one path component is that container's own cgroup."""
    return _container(part)[0] == container_id


def container_part(path: str, container_id: str) -> str | None:
    """Cut a process's path down to its container's own cgroup: what nests below (init.scope, ...) belongs to it."""
    parts = PurePosixPath(path).parts
    for index, part in enumerate(parts):
        if names(part, container_id):
            return str(PurePosixPath(*parts[: index + 1]))
    return None


def runtime_spec_paths(cgroups_path: str) -> list[str]:
    """List where a runtime makes the cgroup that an OCI spec's linux.cgroupsPath asks for, likeliest first.

    `slice:prefix:name` is the systemd driver's form, and means a scope below that slice.
    """
    if ".." in PurePosixPath(cgroups_path).parts:
        return []
    literal = "/" + cgroups_path.lstrip("/")
    match cgroups_path.split(":"):
        case [slice_, prefix, name] if slice_.endswith(".slice") and "/" not in slice_:
            return [f"{_slice_path(slice_)}/{prefix}-{name}.scope", literal]
    return [literal]


def _slice_path(slice_: str) -> str:
    """Nest a slice as systemd does: a-b.slice is /a.slice/a-b.slice (systemd.slice(5))."""
    words = slice_.removesuffix(".slice").split("-")
    return "".join("/" + "-".join(words[: end + 1]) + ".slice" for end in range(len(words)))


def find(root: Path, container_id: str, limit: int = MAX_DIRECTORIES) -> Iterator[Path]:
    """Walk the tree for a container's own directories, nearest to the root first; nothing below a match is looked at.

    Gives up silently after `limit` directories: the caller then says that the container was not found. Raises OSError
    when a directory that is there cannot be read.
    """
    waiting = deque([root])
    seen = 0
    while waiting and seen < limit:
        for child in _directories(waiting.popleft()):
            seen += 1
            if names(child.name, container_id):
                yield Path(child.path)
            else:
                waiting.append(Path(child.path))


def below(path: Path) -> Iterator[Path]:
    """Give a cgroup's directory and all below it, each before what is in it. Any may be gone by then: that is no error.

    Raises OSError when a directory that is there cannot be read.
    """
    waiting = [path]
    while waiting:
        yield (folder := waiting.pop())
        waiting += [Path(child.path) for child in _directories(folder)]


def _directories(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        if error.errno in procfs.GONE:  # during the walk
            return []
        raise


def cgroup_id(path: Path) -> int:
    """Give the kernel's 64-bit id of a cgroup: the inode of its directory. OSError when it is gone."""
    return path.stat().st_ino


def events(path: Path) -> HeldFile[bool]:
    """Give what tells whether a process lives in a cgroup or below it, as `populated`, again and again.

    A cgroup that is made later in the same place is another one.
    """
    return HeldFile(f"{path}/cgroup.events", _is_populated, again=False)


def populated(path: Path) -> bool | None:
    """Tell whether a process lives in a cgroup or below it; None when the cgroup is gone.

    Raises OSError when that cannot be read, for instance with too many open files: the cgroup may well be there.
    """
    try:
        return _is_populated((path / "cgroup.events").read_text())
    except OSError as error:
        if error.errno in procfs.GONE:
            return None
        raise


def _is_populated(text: str) -> bool:
    return "populated 1" in text
