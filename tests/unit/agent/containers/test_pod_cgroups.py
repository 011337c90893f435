"""Pods in a cgroup tree: found by UID in every form, with what they hold."""

import uuid
from pathlib import Path

import pytest

from kubestrace_agent.containers import pod_cgroups
from kubestrace_agent.containers.cgroups import Hierarchy
from kubestrace_protos.v1 import agent_pb2

UID = "0a1b2c3d-0000-4000-8000-0123456789ab"
BARE = UID.replace("-", "")
ID = "4d3a" * 16


def tree(root: Path, *paths: str) -> Path:
    """Make folders."""
    for path in paths:
        (root / path).mkdir(parents=True)
    return root


def hierarchy(root: Path, *, whole: bool = True) -> Hierarchy:
    """As cgroups.detect finds it."""
    return Hierarchy(agent_pb2.CGROUP_MODE_UNIFIED, root, whole)


@pytest.mark.parametrize(
    "pod",
    [
        f"kubepods/pod{UID}",
        f"node-1/kubepods/burstable/pod{UID}",
        f"kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID.replace('-', '_')}.slice",
        f"a/b/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{BARE}.slice",
    ],
)
def test_a_pod_is_found_by_its_uid(tmp_path: Path, pod: str) -> None:
    """Among others, whatever it holds."""
    names = (f"cri-containerd-{ID}.scope", f"crio-conmon-{ID}.scope", "other")
    root = tree(tmp_path, f"kubepods/burstable/pod{uuid.uuid4()}", *(f"{pod}/{name}" for name in names))

    assert pod_cgroups.find_pods(root, {BARE, uuid.uuid4().hex}) == {BARE: (root / pod).stat().st_ino}


def test_a_pod_that_is_not_there(tmp_path: Path) -> None:
    """Neither by another UID, nor outside of kubelet's tree, nor without any tree."""
    root = tree(tmp_path, f"kubepods/pod{uuid.uuid4()}", f"user.slice/pod{UID}")

    assert pod_cgroups.find_pods(root, {BARE}) == {}
    assert pod_cgroups.find_pods(root / "gone", {BARE}) == {}


def test_levels_of_containers(tmp_path: Path) -> None:
    """Below the pod, with and without a cgroup of the QoS class, in each of kubelet's trees."""
    root = tree(tmp_path, "kubepods/burstable", "one/kubelet/kubepods", "system.slice/a.service")

    assert pod_cgroups.container_levels(hierarchy(root)) == {3, 4, 5, 6}
    assert pod_cgroups.container_levels(hierarchy(root / "system.slice")) == {None}
    assert pod_cgroups.container_levels(hierarchy(root, whole=False)) == {None}
