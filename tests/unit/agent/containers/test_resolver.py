"""Containers resolved on a node made of folders, with a runtime that says what a test wants."""

from pathlib import Path

import pytest
from open_file_limits import no_open_files

from kubestrace_agent.containers import cgroups, cri
from kubestrace_agent.containers import resolver as containers
from kubestrace_protos.v1 import agent_pb2

ID = "0123456789abcdef" * 4
UID = "11111111-2222-3333-4444-555555555555"
OTHER_UID = "99999999-2222-3333-4444-555555555555"
START_NS = 1_700_000_000_000_000_000


class SaidByRuntime:
    """Answers every question alike."""

    def __init__(self, answer: cri.Status | Exception | None) -> None:
        self.answer = answer

    async def container_status(self, _: str) -> cri.Status | None:
        """Answer."""
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


NOBODY = cri.RuntimeUnavailableError("no container runtime answered")


class HostOfFolders:
    """A cgroup tree and a /proc."""

    def __init__(self, root: Path) -> None:
        self.cgroups, self.proc = root / "cgroup", root / "proc"
        self.cgroups.mkdir()
        self.proc.mkdir()

    def add(self, path: str, pid: int, seen_as: str = "") -> Path:
        """Make a container with one process; `seen_as`: its path as the agent's cgroup namespace shows it."""
        cgroup = self.cgroups / path.lstrip("/")
        cgroup.mkdir(parents=True)
        (cgroup / "cgroup.procs").write_text(f"{pid}\n")
        process = self.proc / str(pid)
        process.mkdir()
        (process / "cgroup").write_text(f"4:memory:/elsewhere\n0::{seen_as or path}\n")
        (process / "status").write_text(f"NSpid:\t{pid}\t1\n")
        (process / "stat").write_text(f"{pid} (app) S " + " ".join(["0"] * 18) + " 100 0\n")
        return cgroup

    def resolver(self, answer: cri.Status | Exception | None) -> containers.NodeResolver:
        """Give a resolver of this host."""
        hierarchy = cgroups.Hierarchy(agent_pb2.CGROUP_MODE_UNIFIED, self.cgroups)
        return containers.NodeResolver(hierarchy, self.proc, SaidByRuntime(answer))


@pytest.fixture
def host(tmp_path: Path) -> HostOfFolders:
    """Give a host on which nothing runs."""
    return HostOfFolders(tmp_path)


def status(pid: int = 0, cgroups_path: str = "", pod_uid: str = UID, *, running: bool = True) -> cri.Status:
    """Give what a runtime says."""
    return cri.Status(running, pod_uid, START_NS, pid, cgroups_path)


def asked(container_id: str = f"containerd://{ID}", pod_uid: str = UID) -> agent_pb2.Container:
    """Give what the operator asks for."""
    return agent_pb2.Container(pod_uid=pod_uid, container_name="app", container_id=container_id)


async def test_the_runtimes_pid_leads_to_the_cgroup(host: HostOfFolders) -> None:
    """With a pid in this /proc, its cgroup is the container's, and both pids are known."""
    cgroup = host.add(f"/kubepods/besteffort/pod{UID}/{ID}", pid=4711)

    found = await host.resolver(status(pid=4711)).resolve(asked())

    assert found == containers.Resolved(cgroup, cgroup.stat().st_ino, host_pid=4711, pid=1, start_time_unix_ns=START_NS)


async def test_a_process_deeper_inside_leads_to_the_whole_container(host: HostOfFolders) -> None:
    """A container whose first process sits in a nested cgroup is traced as a whole."""
    cgroup = host.add(f"/kubepods/pod{UID}/{ID}/init.scope", pid=4711).parent

    found = await host.resolver(status(pid=4711)).resolve(asked())

    assert found.cgroup == cgroup


async def test_the_runtimes_cgroup_path_serves_where_the_pid_cannot(host: HostOfFolders) -> None:
    """Seen from a cgroup namespace of its own, the agent uses the path that the runtime asked for."""
    slices = f"/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice"
    cgroup = host.add(f"{slices}/cri-containerd-{ID}.scope", 4711, seen_as=f"/../../x/cri-containerd-{ID}.scope")
    spec = f"kubepods-pod{UID.replace('-', '_')}.slice:cri-containerd:{ID}"

    found = await host.resolver(status(4711, spec)).resolve(asked())

    assert (found.cgroup, found.host_pid) == (cgroup, 4711)


@pytest.mark.parametrize("answer", [NOBODY, None, status()], ids=["no runtime", "unknown to it", "says little"])
async def test_the_cgroup_tree_is_the_second_way(host: HostOfFolders, answer: cri.Status | Exception | None) -> None:
    """Without help of the runtime the container is found by its id, however deep, and its first process too."""
    cgroup = host.add(f"/a/b/c/kubepods/burstable/pod{UID}/{ID}", pid=99)

    found = await host.resolver(answer).resolve(asked())

    assert (found.cgroup, found.host_pid, found.pid) == (cgroup, 99, 1)


@pytest.mark.parametrize("answer", [NOBODY, status(pid=99, pod_uid="0123456789abcdef" * 2)], ids=["tree", "runtime"])
async def test_a_static_pod_is_found_by_its_hash(host: HostOfFolders, answer: cri.Status | Exception) -> None:
    """Its cgroup and the runtime's label carry the hash of its manifest, without dashes."""
    static = "0123456789abcdef" * 2
    cgroup = host.add(f"/kubepods.slice/kubepods-burstable-pod{static}.slice/cri-containerd-{ID}.scope", pid=99)

    found = await host.resolver(answer).resolve(asked(pod_uid=static))

    assert (found.cgroup, found.host_pid) == (cgroup, 99)


async def test_too_many_open_files_are_no_end_of_a_container(host: HostOfFolders) -> None:
    """What cannot be read now is an error of its own: nobody says that the container is gone."""
    host.add(f"/a/kubepods/pod{UID}/{ID}", pid=99)
    resolver = host.resolver(NOBODY)

    with no_open_files(), pytest.raises(OSError, match="Too many open files"):
        await resolver.resolve(asked())

    assert (await resolver.resolve(asked())).host_pid == 99


async def test_a_pid_of_another_namespace_is_not_believed(host: HostOfFolders) -> None:
    """Where the runtime's pid is some other process here, it is not reported as the container's."""
    host.add("/system.slice/sshd.service", pid=4711)
    cgroup = host.add(f"/kubepods/pod{UID}/{ID}", pid=99)

    found = await host.resolver(status(pid=4711)).resolve(asked())

    assert (found.cgroup, found.host_pid) == (cgroup, 99)


@pytest.mark.parametrize("answer", [status(pid=4711), status(), NOBODY], ids=["pid", "says little", "no runtime"])
async def test_a_cgroup_with_another_containers_name_is_not_taken_for_it(
    host: HostOfFolders, answer: cri.Status | Exception
) -> None:
    """Who may make cgroups within a container may call them like those of another pod's container."""
    lie = f"/kubepods/pod{OTHER_UID}/{'f' * 64}/kubepods-pod{UID}.slice:cri-containerd:{ID}"
    host.add(lie, pid=12)
    real = host.add(f"/kubepods/besteffort/pod{UID}/{ID}", pid=4711)

    found = await host.resolver(answer).resolve(asked())

    assert (found.cgroup, found.host_pid) == (real, 4711)


async def test_a_container_of_another_pod_is_refused_by_the_runtimes_word(host: HostOfFolders) -> None:
    """The pod that the runtime names must be the one asked for."""
    host.add(f"/kubepods/pod{UID}/{ID}", pid=4711)

    with pytest.raises(containers.UnresolvedError, match="belongs to pod") as raised:
        await host.resolver(status(4711, pod_uid=OTHER_UID)).resolve(asked())

    assert raised.value.reason == "ContainerNotFound"


@pytest.mark.parametrize("answer", [NOBODY, None, status(pid=4711)])
async def test_a_container_of_another_pod_is_refused_by_its_path(
    host: HostOfFolders, answer: cri.Status | None
) -> None:
    """The pod that the path names must be the one asked for, whatever the runtime says."""
    host.add(f"/kubepods/pod{OTHER_UID}/{ID}", pid=4711)

    with pytest.raises(containers.UnresolvedError) as raised:
        await host.resolver(answer).resolve(asked())

    assert raised.value.reason in {"ContainerNotFound", "CgroupNotFound"}


async def test_a_path_without_a_pod_needs_the_runtimes_word(host: HostOfFolders) -> None:
    """A cgroup that names no pod is accepted only if the runtime vouches for the pod."""
    cgroup = host.add(f"/docker/{ID}", pid=4711)

    found = await host.resolver(status(pid=4711)).resolve(asked())
    with pytest.raises(containers.UnresolvedError):
        await host.resolver(NOBODY).resolve(asked())

    assert found.cgroup == cgroup


async def test_a_container_that_has_ended_is_refused(host: HostOfFolders) -> None:
    """Known to the runtime but not running: the reason says so."""
    with pytest.raises(containers.UnresolvedError, match="not running") as raised:
        await host.resolver(status(running=False)).resolve(asked())

    assert raised.value.reason == "ContainerNotRunning"


async def test_a_container_that_is_not_here_is_refused(host: HostOfFolders) -> None:
    """No cgroup of that id: nothing is traced, and the reason says why."""
    with pytest.raises(containers.UnresolvedError, match="no cgroup of container 'app'") as raised:
        await host.resolver(None).resolve(asked())

    assert raised.value.reason == "ContainerNotFound"


@pytest.mark.parametrize(
    "container",
    [
        asked(container_id="containerd://../../etc"),
        asked(container_id=f"containerd://{ID}/.."),
        asked(container_id=f"{ID[:-1]}"),
        asked(container_id=f"a/b://{ID}"),
        asked(container_id=f"containerd://{ID}\n"),
        asked(container_id=""),
        asked(pod_uid="../.."),
        asked(pod_uid=""),
        asked(pod_uid="pod"),
    ],
)
async def test_ids_of_a_wrong_form_touch_nothing(host: HostOfFolders, container: agent_pb2.Container) -> None:
    """What is not a container ID or pod UID is refused before anything is looked up."""
    resolver = host.resolver(AssertionError("the runtime was asked"))

    with pytest.raises(containers.UnresolvedError) as raised:
        await resolver.resolve(container)

    assert raised.value.reason == "InvalidContainer"
