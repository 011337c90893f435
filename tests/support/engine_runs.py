"""How the tests run programs in cgroups of their own and read what was counted."""

import contextlib
import itertools
import os
import platform
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import pytest
from google.protobuf import any_pb2

from kubestrace_agent.containers import procfs
from kubestrace_agent.kernel.counters.tracer import RawCounts, Tracer
from kubestrace_agent.kernel.maps import row_sizes
from kubestrace_agent.symbols.names import Names
from kubestrace_agent.symbols.naming import Naming
from kubestrace_agent.symbols.roots import Owner
from kubestrace_agent.traces.counter import CgroupPlace
from kubestrace_agent.traces.delta import Difference, difference
from kubestrace_agent.traces.session import Node, Session
from kubestrace_agent.traces.shared_counters import Asked, Counters
from kubestrace_agent.views import registry
from kubestrace_agent.views.processes.values import RawProcesses
from kubestrace_protos.v1 import agent_pb2

PROGRAMS = Path(__file__).parents[1] / "kernel/engine/programs"
# Constants of programs that are loaded to be looked at.
SMALL = {"MAX_SLOTS": 3, "MAX_ROWS": 1024, "SLOT_ROWS": 640} | row_sizes.of_machine().definitions()
# name, ABI -> calls, errors, interrupted, timed; -1: not told.
Counts = dict[tuple[str, str], tuple[int, ...]]


def cgroup_root() -> Path:
    """Where the cgroup2 tree is mounted, unified or hybrid."""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, folder, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(folder)
    raise AssertionError("no cgroup2 tree is mounted: these tests need one")


# By the program's name, where that is not static and with threads. Who asks for stacks sees what distributions build.
_OPTIONS = {
    "life": ["-nostdlib", "-ffreestanding", "-static"],
    "pure32": ["-m32", "-nostdlib", "-ffreestanding", "-static"],
    "stacks": [],
    "growth": [],
    "compiles": [],
    "stripped": ["-s", "-Wl,--build-id=0x0123456789abcdef0123456789abcdef01234567"],
}


def compiled(source: Path, target: Path) -> Path:
    """Compile a program, or take it from KUBESTRACE_PROGRAMS; one without a library is a 32-bit one."""
    made = os.environ.get("KUBESTRACE_PROGRAMS")
    if made:
        return Path(made) / source.stem
    own = _OPTIONS.get(source.stem, ["-pthread", "-static"])
    subprocess.run(["gcc", "-O1", "-Wall", "-Wextra", *own, "-o", target, source], check=True, timeout=200)
    return target


def links() -> list[str]:
    """BPF links that this process holds: each is an attached program."""
    found = []
    for fd in Path("/proc/self/fd").iterdir():
        try:
            text = Path(f"/proc/self/fdinfo/{fd.name}").read_text(encoding="utf-8")
        except OSError:
            continue
        found += [line.split()[1] for line in text.splitlines() if line.startswith("link_type:")]
    return found


class Cgroup:
    """A cgroup that nobody else uses."""

    def __init__(self, parent: Path) -> None:
        self.path = parent / f"kubestrace-engine-{uuid.uuid4().hex[:12]}"
        self.path.mkdir()

    def enter(self) -> None:
        """Move the calling process into it: between fork and execve."""
        fd = os.open(self.path / "cgroup.procs", os.O_WRONLY)
        os.write(fd, b"0")
        os.close(fd)

    def take(self, pid: int) -> None:
        """Move a process into it."""
        (self.path / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def pids(self) -> list[int]:
        """Its processes."""
        return [int(pid) for pid in (self.path / "cgroup.procs").read_text(encoding="ascii").split()]

    def remove(self) -> None:
        """End what is in it, which is all ours, and remove it."""
        deadline = time.monotonic() + 60
        while self.path.exists() and time.monotonic() < deadline:
            for pid in self.pids():
                os.kill(pid, 9)
            try:
                self.path.rmdir()
            except OSError:
                time.sleep(0.01)


class Run:
    """A program at work in a cgroup."""

    def __init__(self, cgroup: Cgroup | None, *command: str | Path) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            preexec_fn=cgroup.enter if cgroup else None,  # noqa: PLW1509 - no threads here; it must be inside at execve
        )

    @property
    def stdin(self) -> IO[bytes]:
        """Where its words come from."""
        assert self.process.stdin
        return self.process.stdin

    def say(self, word: bytes = b"x") -> bytes:
        """Send a byte and give the line that answers."""
        self.stdin.write(word)
        return self.hear()

    def hear(self) -> bytes:
        """Give its next line, once it waits for the next word."""
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        while any(state not in "SZ" for state in self.states()):
            time.sleep(0.001)
        return line

    def states(self) -> list[str]:
        """S is asleep, Z a zombie: one letter for each of its threads."""
        found = []
        for task in procfs.threads(Path("/proc"), self.process.pid):
            with contextlib.suppress(OSError):  # a thread that has ended meanwhile
                found.append((task / "stat").read_text(errors="replace").rsplit(")", 1)[1].split()[0])
        return found

    def say_and_finish(self) -> str:
        """Send the byte that it waits for, wait for its end, give its output."""
        self.stdin.write(b"x")
        return self.finish()

    def finish(self) -> str:
        """Close its input, wait for its end, give the rest of its output."""
        return self.finish_with(0)

    def finish_with(self, exit_code: int) -> str:
        """Finish a program that ends with this exit code."""
        output, _ = self.process.communicate(timeout=200)
        assert self.process.returncode == exit_code, self.process.returncode
        return output.decode()

    def end(self) -> None:
        """End it where it stands."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=200)


def told(output: str) -> Counts:
    """What a program counted itself."""
    lines = [line.split() for line in output.splitlines() if line.count(" ") == 5]
    return {(name, "" if abi == "-" else abi): tuple(map(int, numbers)) for name, abi, *numbers in lines}


def moved(syscalls: list[agent_pb2.SyscallCounts]) -> Counts:
    """As told: bytes and zero results of those that worked, then of those that waited."""
    rows = {(row.name, row.abi, row.wait): (row.bytes, row.zero_results) for row in syscalls}
    return {key[:2]: (*rows.get((*key[:2], False), (0, 0)), *rows.get((*key[:2], True), (0, 0))) for key in rows}


def counted(syscalls: list[agent_pb2.SyscallCounts]) -> Counts:
    """What was traced, in the same shape."""
    found: Counts = {}
    for each in syscalls:
        numbers = each.calls, each.errors, each.interrupted, each.timed
        # Those calls that waited stand apart.
        before = found.get((each.name, each.abi), (0, 0, 0, 0))
        found[each.name, each.abi] = tuple(map(sum, zip(before, numbers, strict=True)))
    return found


def agree(expected: Counts, found: Counts, lost: int = 0) -> None:
    """Compare all that the program told; if calls were lost, only how many there are in all, with those."""
    assert expected
    if lost:
        missing = sum(numbers[0] - found.get(key, (0,))[0] for key, numbers in expected.items())
        assert missing == pytest.approx(lost, rel=0.1, abs=10)
        return
    for key, numbers in expected.items():
        ours = found.get(key, (0, 0, 0, 0))
        assert [own if own >= 0 else None for own in numbers] == [
            traced if own >= 0 else None for own, traced in zip(numbers, ours, strict=True)
        ], key


def threads_calls(told: RawProcesses) -> int:
    """The calls of all threads that the view of processes tells."""
    return sum(used.calls for thread in told.threads for used in thread.used)


class Runs:
    """Programs and the slots that their cgroups have."""

    def __init__(self, tracer: Tracer, cgroup: Callable[..., Cgroup], program: Callable[[str], Path]) -> None:
        self.tracer = tracer
        self.cgroup = cgroup
        self.program = program
        self.slots: list[int] = []
        self.running: list[Run] = []

    def start(self, cgroup: Cgroup | None, name: str, *arguments: str) -> Run:
        """Start a program."""
        self.running.append(Run(cgroup, self.program(name), *arguments))
        return self.running[-1]

    def start_shell(self, cgroup: Cgroup, script: str) -> Run:
        """Start a shell script."""
        self.running.append(Run(cgroup, "/bin/sh", "-c", script))
        return self.running[-1]

    def trace(self, cgroup: Cgroup) -> int:
        """Begin to count a cgroup."""
        self.slots.append(self.tracer.add_container(cgroup.path, wanted=None))
        return self.slots[-1]

    def disable(self, slot: int) -> None:
        """End the counting of a cgroup."""
        self.slots.remove(slot)
        self.tracer.remove(slot)

    def snapshot(self, slot: int) -> RawCounts:
        """One slot's counters."""
        return self.tracer.snapshot([slot])[slot]

    def since(self, slot: int, start: RawCounts | None = None) -> Difference:
        """What was counted since an earlier snapshot, or since the slot was made."""
        return difference(start, self.snapshot(slot), wanted=None, architecture=platform.machine())

    def calls(self, slot: int) -> int:
        """All calls that were counted in a slot."""
        return sum(each.calls for each in self.since(slot).syscalls)

    def may_lose(self, difference: Difference) -> int:
        """Calls lost because the kernel preempts programs, as Linux 7 does; elsewhere none may be."""
        lost = difference.trust.lost_calls
        assert not lost or "on_sys_exit_again" in self.tracer.active
        return lost

    def whole(self, name: str, *arguments: str) -> tuple[str, Difference]:
        """Trace a program from its execve to its end: its own words, and what was counted."""
        cgroup = self.cgroup()
        slot = self.trace(cgroup)
        output = self.start(cgroup, name, *arguments).finish()
        return output, self.since(slot)

    def end(self) -> None:
        """End the programs and their tracing."""
        for run in self.running:
            run.end()
        for slot in self.slots:
            self.tracer.remove(slot)
        self.slots.clear()


def session_with(tracer: Tracer, views: Mapping[str, any_pb2.Any]) -> Session:
    """Make a session as the agent does it; the tracer stays the tests': nothing closes these counters."""
    return Session(
        node=Node("n1", "agent-1"),
        sequence=itertools.count(1),
        session_uid="s1",
        counters=Counters(tracer),
        wanted=None,
        views=registry.requests(views),
        start_ns=time.time_ns(),
    )


def asked(session: Session, cgroup: Cgroup) -> Asked:
    """Make what a session asks of a cgroup."""
    place = CgroupPlace(cgroup.path, cgroup.path.stat().st_ino)
    return session.asks(place, Names(Naming()), Owner())
