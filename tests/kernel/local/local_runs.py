"""Runs `kubestrace local` for real: real BPF, real cgroups, a program whose calls are known."""

import ctypes
import json
import os
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from kubestrace_agent.containers import cgroups
from kubestrace_agent.kernel import bpf_syscall

KUBESTRACE = str(Path(sys.executable).parent / "kubestrace")
SOURCE = Path(__file__).parent / "known_calls.c"
FORK = "fork" if platform.machine() == "x86_64" else "clone"

Document = dict[str, Any]


@dataclass(frozen=True)
class Known:
    """The program of known_calls.c and the numbers that its source says."""

    path: str
    # What make_known_calls makes, and nothing but it.
    body: ClassVar = {"getppid": 1000, "openat": 300, "close": 200, "write": 1}
    # A whole run without arguments.
    calls: ClassVar = {**body, "execve": 1, "exit_group": 1}
    # With a child: everything twice.
    with_child: ClassVar = {
        "getppid": 2000,
        "openat": 600,
        "close": 400,
        "write": 2,
        "exit_group": 2,
        "read": 1,
        FORK: 1,
        "wait4": 1,
    }
    errors: ClassVar = [
        {"syscall": "openat", "errno": "ENOENT", "count": 300},
        {"syscall": "close", "errno": "EBADF", "count": 200},
    ]
    exit_code = 7


def kubestrace(*words: str, **others: Any) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [KUBESTRACE, *words], capture_output=True, text=True, timeout=200, check=False, **{"input": "", **others}
    )


def counted(document: Document) -> dict[str, int]:
    """Return the calls of a result by name; those that waited stand apart there."""
    found: Counter[str] = Counter()
    for row in document["status"]["summary"]["syscalls"]:
        found[row["name"]] += row["calls"]
    return dict(found)


def condition(document: Document, kind: str) -> Document:
    """Return one of the conditions of a result."""
    return next(each for each in document["status"]["conditions"] if each["type"] == kind)


class Running:
    """The command in the background, with its result in a file."""

    def __init__(self, to: Path, *words: str) -> None:
        self.to = to
        self.process = subprocess.Popen(
            [KUBESTRACE, "local", "-o", "json", "--to", str(to), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def started(self) -> "Running":
        """Wait until it counts."""
        until(lambda: counts(self.process.pid))
        return self

    def ended(self, number: int | None = None) -> Document:
        """Send a signal if one is given, wait for the end, and return the result."""
        if number is not None:
            self.process.send_signal(number)
        _, said = self.process.communicate(timeout=200)
        assert self.process.returncode == 0, said
        document: Document = json.loads(self.to.read_text())
        return document


def counts(pid: int) -> int:
    """Return how many containers and processes a process counts: keys of its maps of them (to struct slot_ref)."""
    found = 0
    for file in Path(f"/proc/{pid}/fdinfo").glob("*"):
        try:
            fields = dict(line.split(":\t") for line in file.read_text().splitlines() if ":\t" in line)
            if fields.get("map_type") == "1" and fields["key_size"] in {"4", "8"} and fields["value_size"] == "8":
                fd = ctypes.CDLL("libbpf.so.1").bpf_map_get_fd_by_id(int(fields["map_id"]))
                with os.fdopen(fd):
                    found += sum(1 for _ in bpf_syscall.keys(fd, int(fields["key_size"])))
        except OSError:
            continue
    return found


def until(done: Callable[[], Any], seconds: float = 200) -> Any:
    """Wait for something to become true; return it."""
    deadline = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


class Group:
    """A cgroup of a test's own, with processes that wait in it for a word."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = path.parent
        self._waiting: list[subprocess.Popen[bytes]] = []
        path.mkdir()

    def waiting(self, *words: str, below: str = "") -> subprocess.Popen[bytes]:
        """Start a program in the cgroup, or in one below it; it reads its standard input before it goes on."""
        folder = self.path / below
        folder.mkdir(exist_ok=True)
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        (folder / "cgroup.procs").write_text(str(process.pid))
        # It has not only been started but waits in its read: what it did before is no part of what is counted.
        until(lambda: Path(f"/proc/{process.pid}/syscall").read_text().startswith(("0 0x0", "63 0x0")))
        self._waiting.append(process)
        return process

    def remove(self) -> None:
        """End what is left and remove the cgroup."""
        for process in self._waiting:
            process.kill()
            process.wait(timeout=200)
        for folder in reversed(list(cgroups.below(self.path))):
            folder.rmdir()


def say_go(process: subprocess.Popen[bytes]) -> int:
    """Let a waiting program go on, and return its exit code."""
    assert process.stdin is not None
    process.stdin.write(b"x")
    process.stdin.close()
    return process.wait(timeout=200)
