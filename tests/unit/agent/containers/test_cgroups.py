"""Cgroup paths in every form that runtimes make, and the search in a tree."""

import resource
from pathlib import Path

import pytest
from open_file_limits import no_open_files

from kubestrace_agent import open_files
from kubestrace_agent.containers import cgroups
from kubestrace_protos.v1 import agent_pb2

ID = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
UID = "11111111-2222-3333-4444-555555555555"
UNDERSCORED = UID.replace("-", "_")
BARE = UID.replace("-", "")
NODE = f"/system.slice/docker-{OTHER}.scope"

FORMS = [
    # containerd, systemd driver; each quality of service
    (f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/cri-containerd-{ID}.scope", BARE, "cri-containerd"),
    (
        f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UNDERSCORED}.slice/cri-containerd-{ID}.scope",
        BARE,
        "cri-containerd",
    ),
    (
        f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UNDERSCORED}.slice/cri-containerd-{ID}.scope",
        BARE,
        "cri-containerd",
    ),
    # nested inside the container
    (f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/cri-containerd-{ID}.scope/init.scope", BARE, "cri-containerd"),
    # CRI-O, systemd and cgroupfs drivers
    (
        f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UNDERSCORED}.slice/crio-{ID}.scope",
        BARE,
        "crio",
    ),
    (f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/crio-{ID}.scope/container", BARE, "crio"),
    (f"/kubepods/burstable/pod{UID}/crio-{ID}", BARE, "crio"),
    # docker
    (f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/docker-{ID}.scope", BARE, "docker"),
    (f"/system.slice/docker-{ID}.scope", None, "docker"),
    (f"/docker/{ID}", None, None),
    # cgroupfs driver
    (f"/kubepods/besteffort/pod{UID}/{ID}", BARE, None),
    (f"/kubepods/pod{UID}/{ID}", BARE, None),
    # kubelet and runtime disagree about the driver
    (
        f"/system.slice/containerd.service/kubepods-besteffort-pod{UNDERSCORED}.slice:cri-containerd:{ID}",
        BARE,
        "cri-containerd",
    ),
    (f"/kubepods-pod{UNDERSCORED}.slice:cri-containerd:{ID}", BARE, "cri-containerd"),
    # kind and minikube: the node is a container itself
    (f"{NODE}/kubelet/kubepods/besteffort/pod{UID}/{ID}", BARE, None),
    (
        f"{NODE}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
        f"kubelet-kubepods-besteffort-pod{UNDERSCORED}.slice/cri-containerd-{ID}.scope",
        BARE,
        "cri-containerd",
    ),
    (f"{NODE}/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/cri-containerd-{ID}.scope", BARE, "cri-containerd"),
    (
        f"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{UNDERSCORED}.slice/cri-containerd-{ID}.scope",
        BARE,
        "cri-containerd",
    ),
    # more levels above kubepods (Talos), a root per node (the test rig)
    (f"/podruntime/runtime/kubepods/burstable/pod{UID}/{ID}", BARE, None),
    (f"/node-1/kubepods/pod{UID}/{ID}", BARE, None),
    # others
    (f"/system.slice/nerdctl-{ID}.scope", None, "nerdctl"),
    (f"/machine.slice/libpod-{ID}.scope", None, "libpod"),
    (f"/machine.slice/libpod-{ID}.scope/container", None, "libpod"),
    (f"/user.slice/libpod-payload-{ID}", None, "libpod-payload"),
    # a static pod: kubelet's own UID, bare digits
    (f"/kubepods/burstable/pod{BARE}/{ID}", BARE, None),
    (
        f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{BARE}.slice/cri-containerd-{ID}.scope",
        BARE,
        "cri-containerd",
    ),
    # outside the reader's cgroup namespace
    (f"/../../kubepods/besteffort/pod{UID}/{ID}", BARE, None),
    (f"/../cri-containerd-{ID}.scope", None, "cri-containerd"),
    # a container in a container: the inner one
    (f"/kubepods/pod{UID}/{OTHER}/docker/{ID}", BARE, None),
]


@pytest.mark.parametrize(("path", "pod_uid", "runtime"), FORMS)
def test_every_form_names_its_container_and_pod(path: str, pod_uid: str | None, runtime: str | None) -> None:
    """Each form resolves to the innermost container id and to the pod around it."""
    place = cgroups.parse(path)

    assert place == cgroups.Place(ID, pod_uid, runtime)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/init.scope",
        "/system.slice/containerd.service",
        f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice",
        f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/crio-conmon-{ID}.scope",
        f"/machine.slice/libpod-conmon-{ID}.scope",
        f"/docker/{ID[:-1]}",
        f"/docker/{ID}0",
        f"/docker/{ID.upper()}",
        f"/docker/x{ID}",
        f"/docker/{ID}.service",
    ],
)
def test_what_is_no_container_names_none(path: str) -> None:
    """Slices, services, monitors of containers and ids of a wrong form are no containers."""
    assert cgroups.parse(path) is None


@pytest.mark.parametrize("uid", [UID, UNDERSCORED, BARE])
def test_a_uid_reads_the_same_in_each_form(uid: str) -> None:
    """Dashes, underscores or neither: the same pod."""
    assert cgroups.bare_uid(uid) == BARE


@pytest.mark.parametrize(
    "uid", ["", "..", UID.upper().replace("1", "A"), UID + "/..", UID[:-1], "a-b", UID.replace("-", "_", 1)]
)
def test_what_is_no_uid_is_refused(uid: str) -> None:
    """Nothing but hex digits in the form of a UUID passes."""
    assert cgroups.bare_uid(uid) is None


def test_a_process_in_a_nested_cgroup_belongs_to_its_container() -> None:
    """What systemd or a runtime makes inside a container is cut off."""
    scope = f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/crio-{ID}.scope"

    assert cgroups.container_part(f"{scope}/container/system.slice", ID) == scope
    assert cgroups.container_part(scope, ID) == scope
    assert cgroups.container_part(scope, OTHER) is None


def test_a_spec_in_systemd_form_means_a_scope_below_nested_slices() -> None:
    """`slice:prefix:name` is found where systemd makes it, or as it stands when the runtime took it literally."""
    given = f"kubepods-besteffort-pod{UNDERSCORED}.slice:cri-containerd:{ID}"

    paths = cgroups.runtime_spec_paths(given)

    assert paths == [
        f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UNDERSCORED}.slice/cri-containerd-{ID}.scope",
        f"/{given}",
    ]


def test_a_spec_in_cgroupfs_form_is_a_path() -> None:
    """A plain path is taken as it is."""
    assert cgroups.runtime_spec_paths(f"/node/kubepods/pod{UID}/{ID}") == [f"/node/kubepods/pod{UID}/{ID}"]


def test_a_spec_that_climbs_is_refused() -> None:
    """No path of a runtime leads out of the tree."""
    assert cgroups.runtime_spec_paths(f"/kubepods/../../etc/{ID}") == []


def test_the_search_finds_the_container_and_not_its_monitor(tmp_path: Path) -> None:
    """Of a container, its monitor and what nests below it, the container's own cgroup is found, once."""
    pod = tmp_path / "kubepods.slice" / f"kubepods-pod{UNDERSCORED}.slice"
    for name in (f"crio-{ID}.scope/container", f"crio-conmon-{ID}.scope", f"crio-{OTHER}.scope"):
        (pod / name).mkdir(parents=True)

    found = list(cgroups.find(tmp_path, ID))

    assert found == [pod / f"crio-{ID}.scope"]


def test_the_search_ends_at_its_bound(tmp_path: Path) -> None:
    """A tree that is larger than any node's does not stall the agent."""
    for index in range(20):
        (tmp_path / str(index)).mkdir()
    (tmp_path / "0" / ID).mkdir()

    found = list(cgroups.find(tmp_path, ID, limit=10))

    assert found == []


def test_a_unified_tree_is_told_from_a_hybrid_one(tmp_path: Path) -> None:
    """`cgroup.controllers` at the mount is cgroup v2 alone; below `unified` it is beside v1."""
    unified, hybrid = tmp_path / "unified-node", tmp_path / "hybrid-node"
    (hybrid / "unified").mkdir(parents=True)
    unified.mkdir()
    (unified / "cgroup.controllers").touch()
    (hybrid / "unified" / "cgroup.controllers").touch()

    assert cgroups.detect(unified) == cgroups.Hierarchy(agent_pb2.CGROUP_MODE_UNIFIED, unified, whole=False)
    assert cgroups.detect(hybrid) == cgroups.Hierarchy(agent_pb2.CGROUP_MODE_HYBRID, hybrid / "unified", whole=False)


def test_v1_alone_is_refused_with_advice(tmp_path: Path) -> None:
    """A node with cgroup v1 only says so, and what to do."""
    (tmp_path / "memory").mkdir()

    with pytest.raises(cgroups.UnsupportedCgroupsError, match="unified_cgroup_hierarchy=1") as raised:
        cgroups.detect(tmp_path)

    assert raised.value.mode == agent_pb2.CGROUP_MODE_LEGACY


def test_a_mount_that_is_missing_is_not_taken_for_v1(tmp_path: Path) -> None:
    """Nothing mounted is another mistake than an old hierarchy."""
    with pytest.raises(cgroups.UnsupportedCgroupsError, match="mount the host's") as raised:
        cgroups.detect(tmp_path / "nowhere")

    assert raised.value.mode == agent_pb2.CGROUP_MODE_UNSPECIFIED


def test_population_is_read_from_the_events_file(tmp_path: Path) -> None:
    """Populated, empty and gone are three answers."""
    events = tmp_path / "cgroup.events"

    events.write_text("populated 1\nfrozen 0\n")
    assert cgroups.populated(tmp_path) is True

    events.write_text("populated 0\nfrozen 0\n")
    assert cgroups.populated(tmp_path) is False

    events.unlink()
    assert cgroups.populated(tmp_path) is None


def test_a_cgroup_that_cannot_be_read_has_not_ended(tmp_path: Path) -> None:
    """Too many open files say nothing of it."""
    (tmp_path / "cgroup.events").write_text("populated 1\nfrozen 0\n")

    with no_open_files(), pytest.raises(OSError, match="Too many open files"):
        cgroups.populated(tmp_path)
    with no_open_files(), pytest.raises(OSError, match="Too many open files"):
        list(cgroups.find(tmp_path, "0" * 64))


def test_the_soft_limit_of_open_files_is_raised() -> None:
    """To the hard one."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
    try:
        open_files.raise_limit()

        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_what_lies_below_is_given_innermost_last(tmp_path: Path) -> None:
    """A folder comes before what is in it; files and links are none."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "cgroup.procs").touch()
    (tmp_path / "link").symlink_to("a")

    found = [str(each.relative_to(tmp_path)) for each in cgroups.below(tmp_path)]

    assert sorted(found) == [".", "a", "a/b", "c"]
    assert found.index(".") < found.index("a") < found.index("a/b")


def test_a_folder_that_goes_during_the_walk_is_no_error(tmp_path: Path) -> None:
    """Other programs make and remove cgroups at any moment."""
    for name in "abc":
        (tmp_path / name / "below").mkdir(parents=True)
    walk = cgroups.below(tmp_path)
    next(walk)
    first = next(walk)
    for name in "abc":
        (tmp_path / name / "below").rmdir()
        (tmp_path / name).rmdir()

    assert first.parent == tmp_path
    assert not [each for each in walk if each.name == "below"]
