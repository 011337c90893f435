"""Where pods stand in the cgroup tree: a pod's own cgroup, and how deep containers of any pod are.

Used by traces for pods whose containers are counted from their first call (kernel.counters.pod_slots). Reads the tree.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from kubestrace_agent.containers import cgroups

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from kubestrace_agent.containers.cgroups import Hierarchy

# kubelet's root of all pods; deeper than this nobody puts it (Talos and kind have it at 2 to 4).
_KUBEPODS = ("kubepods", "kubepods.slice")
_KUBEPODS_SUFFIX = "-kubepods.slice"
_MAX_DEPTH = 8
# Levels from there to containers: of Guaranteed pods, and of those below a cgroup of their QoS class.
_TO_CONTAINERS = (2, 3)


def container_levels(hierarchy: Hierarchy) -> frozenset[int | None]:
    """Return the depths in the whole tree at which containers of pods stand; None: that cannot be told here."""
    if not hierarchy.whole:
        return frozenset({None})
    roots = list(_kubepods(hierarchy.root))
    levels = {len(path.relative_to(hierarchy.root).parts) + more for path in roots for more in _TO_CONTAINERS}
    return frozenset(levels) if levels else frozenset({None})


def find_pods(root: Path, uids: Collection[str]) -> dict[str, int]:
    """Find the cgroups of pods by their UIDs (32 hex digits): the ID of each that has one now."""
    found = {}
    for kubepods in _kubepods(root):
        for folder in (kubepods, *_folders(kubepods)):
            for path in _folders(folder):
                uid = cgroups.pod_of(path.name)
                if uid is not None and uid in uids:
                    with suppress(OSError):  # it has ended meanwhile
                        found[uid] = cgroups.cgroup_id(path)
    return found


def _kubepods(root: Path) -> Iterator[Path]:
    """Walk for kubelet's roots; a machine of tests has several. Nothing below one is looked at."""
    level = [root]
    for _ in range(_MAX_DEPTH):
        below = [path for folder in level for path in _folders(folder)]
        found = [path for path in below if path.name in _KUBEPODS or path.name.endswith(_KUBEPODS_SUFFIX)]
        yield from found
        level = [path for path in below if path not in found]


def _folders(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return [path / entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:  # it went away during the walk
        return []
