"""Processes as /proc shows them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kubestrace_agent.containers import procfs
from kubestrace_agent.kernel.maps import slots


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (b"0::/kubepods/podx/y\n", "/kubepods/podx/y"),
        (b"9:name=systemd:/v1\n4:memory:/v1\n0::/v2\n", "/v2"),
        (b"0::/../../sibling\n", "/../../sibling"),
        (b"0::/gone (deleted)\n", "/gone"),
        (b"4:memory:/x\x0c0::/spoof\n0::/a\x1c0::/b\xff\n", "/a\x1c0::/b\udcff"),
        (b"4:memory:/v1\n", None),
        (b"", None),
    ],
)
def test_the_v2_line_is_taken(text: bytes, path: str | None) -> None:
    """Of a unified, hybrid or legacy listing only the line without controllers counts."""
    assert procfs.unified_path(text) == path


def test_this_process_is_known() -> None:
    """A living process has a cgroup, a pid of its own namespace and a start that lies in the past."""
    proc = Path("/proc")

    assert procfs.pid_in_container(proc, os.getpid()) == os.getpid()
    assert 0 < procfs.start_time_unix_ns(proc, os.getpid()) <= time.time_ns() + 2 * 10**9


@pytest.mark.parametrize("name", [b"x\x0cNSpid:\tzz", b"x\x0cNSpid:\t77", b"x\x1eTgid:\t1", b"a\nNSpid:\t77", b"\xc3"])
def test_a_process_does_not_say_by_its_name_who_it_is(name: bytes) -> None:
    """A name that looks like other lines of /proc/PID/status, or is no text, changes nothing."""
    rename = f"import ctypes; ctypes.CDLL(None).prctl(15, {name!r}, 0, 0, 0); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", rename], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as named:
        assert named.stdout
        assert named.stdout.readline()

        assert procfs.pid_in_container(Path("/proc"), named.pid) == named.pid
        assert slots.leader(named.pid) == named.pid
        assert procfs.start_time_unix_ns(Path("/proc"), named.pid) > 0
        named.kill()


def test_what_is_gone_is_nothing(tmp_path: Path) -> None:
    """A process that has ended raises nothing."""
    assert procfs.cgroup_path(tmp_path, 1) is None
    assert procfs.pid_in_container(tmp_path, 1) == 0
    assert procfs.start_time_unix_ns(tmp_path, 1) == 0
    assert procfs.first_process(tmp_path, tmp_path) == 0


def make_process(proc: Path, pid: int, inner: int, ticks: int, name: str = "app") -> None:
    """Lay out the files of one process."""
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "status").write_text(f"Name:\t{name}\nNSpid:\t{pid}\t7\t{inner}\n")
    (folder / "stat").write_text(f"{pid} ({name}) S " + " ".join(["0"] * 18) + f" {ticks} 0 0\n")


def test_the_first_process_is_the_one_with_pid_1_inside(tmp_path: Path) -> None:
    """Of the processes of a container and of the cgroups nested in it, the one numbered 1 inside is the first."""
    proc, cgroup = tmp_path / "proc", tmp_path / "cgroup"
    (cgroup / "init.scope").mkdir(parents=True)
    (cgroup / "cgroup.procs").write_text("300\n0\n")
    (cgroup / "init.scope" / "cgroup.procs").write_text("200\n")
    make_process(proc, 300, inner=12, ticks=100)
    make_process(proc, 200, inner=1, ticks=900)

    assert procfs.first_process(proc, cgroup) == 200


def test_without_a_namespace_the_oldest_process_is_the_first(tmp_path: Path) -> None:
    """A container that shares its pid namespace has no pid 1: age decides, whatever the names hold."""
    proc, cgroup = tmp_path / "proc", tmp_path / "cgroup"
    cgroup.mkdir()
    (cgroup / "cgroup.procs").write_text("200\n300\n")
    make_process(proc, 200, inner=200, ticks=900, name="a) R 1 (b")
    make_process(proc, 300, inner=300, ticks=100)

    assert procfs.first_process(proc, cgroup) == 300


def test_the_threads_of_a_process_are_listed() -> None:
    """This process has one at least; one that is gone has none."""
    process = subprocess.Popen(["true"])
    process.wait(timeout=200)

    assert str(os.getpid()) in {each.name for each in procfs.threads(Path("/proc"), os.getpid())}
    assert procfs.threads(Path("/proc"), process.pid) == []
