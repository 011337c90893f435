"""What threads are inside of: real processes of our own."""

import platform
import subprocess
import time
from pathlib import Path

from kubestrace_cli.local import targets, waits


def process(folder: Path, pid: int, *calls: str) -> None:
    """Make a process in a /proc of the test's own, with a thread for each line of its `syscall` file."""
    for index, text in enumerate(calls):
        (folder / str(pid) / "task" / str(pid + index)).mkdir(parents=True)
        (folder / str(pid) / "task" / str(pid + index) / "syscall").write_text(text)


def target(pid: int) -> targets.Target:
    """Make the target for a process."""
    return targets.Target("x", Path("/nowhere"), by_process=True, host_pid=pid, pid=pid)


def test_a_sleeping_process_is_inside_of_its_sleep() -> None:
    """A real process: its one thread and the call are named."""
    sleeping = subprocess.Popen(["sleep", "30"])
    try:
        deadline = time.monotonic() + 10
        while "nanosleep" not in waits.described(target(sleeping.pid)):
            assert time.monotonic() < deadline, waits.described(target(sleeping.pid))
            time.sleep(0.01)
        assert waits.described(target(sleeping.pid)).startswith("its only thread is inside ")
    finally:
        sleeping.kill()
        sleeping.wait(timeout=30)


def test_threads_are_counted_by_call(tmp_path: Path) -> None:
    """Several threads are summed; a thread that runs is inside of no call."""
    number = {"x86_64": 232, "aarch64": 22}[platform.machine()]
    name = {"x86_64": "epoll_wait", "aarch64": "epoll_pwait"}[platform.machine()]
    process(tmp_path, 41, f"{number} 0x1 0x2\n", f"{number} 0x1 0x2\n", "running\n")

    assert waits.described(target(41), tmp_path) == f"its 3 threads are inside {name} (2), no call (1)"


def test_a_cgroups_processes_are_all_looked_at(tmp_path: Path) -> None:
    """Nested cgroups belong to it."""
    (tmp_path / "group/nested").mkdir(parents=True)
    (tmp_path / "group/cgroup.procs").write_text("41\n")
    (tmp_path / "group/nested/cgroup.procs").write_text("51\n")
    process(tmp_path, 41, "running\n")
    process(tmp_path, 51, "-1 0x1 0x2\n")

    described = waits.described(targets.Target("x", tmp_path / "group"), tmp_path)

    assert described == "its 2 threads are inside no call (2)"


def test_nobody_is_nothing(tmp_path: Path) -> None:
    """A process that has gone has nothing to be said of it."""
    assert waits.described(target(41), tmp_path) == ""


def test_threads_of_the_kernel_are_none_of_the_programs(tmp_path: Path) -> None:
    """Io_uring's stand among them; their flags say what they are, behind a name that may hold anything."""
    process(tmp_path, 41, "running\n", "0 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0\n")
    for folder, flags in (("41/task/41", 4194304), ("41/task/42", 4194320)):
        (tmp_path / folder / "stat").write_bytes(b"2 (a) \xc3\x0c) S 0 0 0 0 -1 %d 0 0 0\n" % flags)

    assert waits.described(target(41), tmp_path) == "its only thread is inside no call"
