"""What the command line names, found in a tree of cgroups and processes made for the test."""

import subprocess
import sys
from pathlib import Path

import pytest

from kubestrace_cli.local import targets

FIRST = "3f4e" + "0" * 60
SECOND = "3f4f" + "1" * 60


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a cgroup tree with two containers, one of them with a nested cgroup, and a service."""
    tree = tmp_path / "cgroup"
    for path in (
        "kubepods.slice/kubepods-pod1.slice/cri-containerd-" + FIRST + ".scope/init.scope",
        f"docker/{SECOND}",
        "system.slice/nginx.service",
    ):
        (tree / path).mkdir(parents=True)
    for folder in [tree, *tree.rglob("*")]:
        (folder / "cgroup.procs").write_text("")
    return tree


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Make a /proc: process 41 (7 in its container), its thread 42, a dead one, 43, and one of the kernel, 2."""
    for pid, tgid, state, inside, flags in (
        (41, 41, "S", "41\t7", 0x400000),
        (42, 41, "S", "42\t8", 0x400000),
        (43, 43, "Z", "43", 0x400000),
        (2, 2, "S", "2", 0x208040),
    ):
        folder = tmp_path / "proc" / str(pid)
        folder.mkdir(parents=True)
        text = f"Name:\tweb\nState:\t{state} (x)\nTgid:\t{tgid}\nPid:\t{pid}\nNSpid:\t{inside}\n"
        (folder / "status").write_text(text)
        (folder / "comm").write_text("web\n")
        (folder / "cgroup").write_text("1:cpu:/x\n0::/system.slice/nginx.service\n")
        (folder / "stat").write_text(f"{pid} (web) S 1 0 0 0 0 {flags} {'0 ' * 12} 100 0\n")
    return tmp_path / "proc"


def test_a_process_is_found_with_its_name_both_pids_and_cgroup(root: Path, proc: Path) -> None:
    """The result's row shows the pid inside the container and the host's."""
    found = targets.process(41, root, proc)

    assert found == targets.Target("web", root / "system.slice/nginx.service", by_process=True, host_pid=41, pid=7)


@pytest.mark.parametrize(
    ("pid", "said"),
    [
        (40, "there is no process 40"),
        (42, "42 is a thread of process 41"),
        (43, "process 43 has ended"),
        (2, "process 2 is a thread of the kernel"),
    ],
)
def test_what_is_no_living_process_is_refused(root: Path, proc: Path, pid: int, said: str) -> None:
    """No such process, a thread, a zombie and a thread of the kernel are told apart."""
    with pytest.raises(targets.TargetError, match=said):
        targets.process(pid, root, proc)


def test_a_process_whose_first_thread_has_ended_lives_in_the_others(root: Path, proc: Path) -> None:
    """After a pthread_exit in main the process's own state is that of a dead one."""
    for tid, state in ((43, "Z"), (44, "S")):
        (proc / f"43/task/{tid}").mkdir(parents=True)
        (proc / f"43/task/{tid}/status").write_text(f"Name:\tweb\nState:\t{state} (x)\n")

    assert targets.process(43, root, proc).host_pid == 43
    (proc / "43/task/44/status").write_text("Name:\tweb\nState:\tZ (zombie)\n")
    with pytest.raises(targets.TargetError, match="process 43 has ended"):
        targets.process(43, root, proc)


def test_a_cgroup_of_a_name_that_no_file_can_have_is_not_there(root: Path, proc: Path) -> None:
    """Longer than the kernel takes."""
    with pytest.raises(targets.TargetError, match=r"there is no cgroup .*xxx"):
        targets.cgroup("x" * 300, root, proc)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Bestellprüüü".encode()[:15], r"Bestellpr\xc3\xbc\xc3\xbc\xc3\xbc"),
        ("Bestellpr_üüü".encode()[:15], r"Bestellpr_\xc3\xbc\xc3\xbc\xc3"),
        (b"a\x0cb", r"a\x0cb"),
        (b"x\x0cTgid:\t1", r"x\x0cTgid:\x091"),
        (b"a\n\\", r"a\x0a\\"),
        (b"", ""),
    ],
)
def test_a_process_is_found_whatever_its_name_is(name: bytes, shown: str) -> None:
    """A name may hold any byte, and the kernel cuts it wherever it ends; it is shown as the processes view does."""
    rename = f"import ctypes; ctypes.CDLL(None).prctl(15, {name!r}, 0, 0, 0); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", rename], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as named:
        assert named.stdout
        assert named.stdout.readline()

        found = targets.process(named.pid, Path("/sys/fs/cgroup"))
        named.kill()

    assert (found.name, found.host_pid, found.pid) == (shown, named.pid, named.pid)


def test_names_that_are_no_text_are_made_safe(root: Path, proc: Path) -> None:
    """Of COMMAND's file, and of a cgroup."""
    (root / "a\udcff").mkdir()
    (root / "a\udcff" / "cgroup.procs").write_text("")

    assert targets.command("./t\udcff", root, 7).name == r"t\xff"
    assert targets.cgroup("a\udcff", root, proc).name == r"/a\xff"


def test_a_cgroup_is_found_by_each_way_to_write_it(root: Path, proc: Path) -> None:
    """A path works from the file system's root, and from the cgroup root with or without a slash."""
    (root / "system.slice/nginx.service/cgroup.procs").write_text("41\n")
    names = [str(root / "system.slice/nginx.service"), "/system.slice/nginx.service", "system.slice/nginx.service"]

    found = {targets.cgroup(name, root, proc) for name in names}

    assert found == {
        targets.Target("/system.slice/nginx.service", root / "system.slice/nginx.service", host_pid=41, pid=7)
    }


def test_a_cgroup_that_is_not_there_is_refused_with_the_place(root: Path, proc: Path) -> None:
    """The message names the folder that was looked for and the root."""
    with pytest.raises(targets.TargetError, match=f"no cgroup {root}/nowhere"):
        targets.cgroup("nowhere", root, proc)


@pytest.mark.parametrize("name", ["{mount}/cpu/web", "/cpu/web", "cpu/web"])
def test_a_cgroup_of_v1_is_told(root: Path, proc: Path, tmp_path: Path, name: str) -> None:
    """Beside v2, in systemd's hybrid mode, its path is not looked for in the tree of v2."""
    (tmp_path / "mount/cpu/web").mkdir(parents=True)
    (tmp_path / "mount/cpu/web/tasks").touch()

    with pytest.raises(targets.TargetError, match=r"/cpu/web is a cgroup of v1; .* v2 only, mounted at .*/cgroup$"):
        targets.cgroup(name.format(mount=tmp_path / "mount"), root, proc, tmp_path / "mount")


@pytest.mark.parametrize("text", [FIRST, f"containerd://{FIRST}", "3f4e"])
def test_a_container_is_found_by_its_id_and_by_a_beginning(root: Path, proc: Path, text: str) -> None:
    """The full id, the pod status's form and a unique prefix find the container's own cgroup, not a nested one."""
    found = targets.container(text, root, proc)

    assert found.cgroup.name == f"cri-containerd-{FIRST}.scope"
    assert (found.name, found.container_id) == (FIRST[:12], FIRST)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("abcd", "no running container has an id that begins with 'abcd'"),
        ("nginx", "'nginx' is not a container ID"),
        ("3f4", "'3f4' is not a container ID: at least 4 hex digits"),
    ],
)
def test_a_container_that_is_not_here_is_refused(root: Path, proc: Path, text: str, said: str) -> None:
    """Nothing that begins so, and what is no id at all, are told apart."""
    with pytest.raises(targets.TargetError, match=said):
        targets.container(text, root, proc)


def test_a_beginning_of_two_ids_is_refused_with_both(root: Path, proc: Path) -> None:
    """An ambiguous prefix lists the candidates."""
    (root / "docker" / ("3f4e" + "2" * 60)).mkdir()

    with pytest.raises(targets.TargetError, match=r"2 containers .* 3f4e00000000, 3f4e22222222"):
        targets.container("3f4e", root, proc)
