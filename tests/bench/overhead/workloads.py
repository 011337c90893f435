"""The workloads: each starts one process to be traced in a cgroup of its own and says what one unit of its work took.

Loops and walks read orders from their input, so that the tracer is there before the work and its end is in sight.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine_runs import Cgroup, cgroup_root
from tracers import Target

PROGRAMS = Path(__file__).parent / "programs"
# The traced process runs on the one CPU, what drives a service on the other.
CPU, CLIENT_CPU = 0, 1
# Enough calls for a walk to last some milliseconds, few enough for it to end under strace.
_FOLDERS, _FILES_IN_EACH = 40, 50
_WARM_UP_MS = 30


@dataclass(frozen=True)
class Work:
    """Measured: nanoseconds of one unit, and at least so many calls of the traced process, 0 if not known."""

    ns: float
    calls: int


@dataclass(frozen=True)
class Running:
    """A workload that waits: what to trace, and how to let it work for so many milliseconds."""

    target: Target
    work: Callable[[int], Work]


Prefix = Sequence[str]


@dataclass(frozen=True)
class Workload:
    """What is run: `unit` is what its nanoseconds are of; traced: the work that is measured is what is traced."""

    name: str
    unit: str
    says: str
    start: Callable[[Path, Prefix], AbstractContextManager[Running]]
    needs: Sequence[str] = ()
    traced: bool = True


def pinned(cpu: int) -> list[str]:
    """Words before a command that keep it on a CPU."""
    return ["taskset", "-c", str(cpu)]


@contextmanager
def own_cgroup() -> Iterator[Cgroup]:
    """A cgroup for one process; what is still in it at the end is ours and ends too."""
    cgroup = Cgroup(cgroup_root())
    try:
        yield cgroup
    finally:
        cgroup.remove()


class Ordered:
    """A program that answers each line with its calls and the nanoseconds of a unit."""

    def __init__(self, command: Sequence[str | Path], cgroup: Cgroup) -> None:
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=cgroup.enter,  # noqa: PLW1509 - no threads here; it must be inside at execve
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n", f"{command} does not start"

    def work(self, milliseconds: int) -> Work:
        """Let it warm up and work."""
        warm = self._order(min(_WARM_UP_MS, milliseconds))
        done = self._order(milliseconds)
        return Work(done.ns, warm.calls + done.calls)

    def _order(self, milliseconds: int) -> Work:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{milliseconds}\n")
        self.process.stdin.flush()
        calls, ns = self.process.stdout.readline().split()
        return Work(float(ns), int(calls))

    def end(self) -> None:
        """Close its input: it ends by itself, and whoever waits for it does."""
        self.process.communicate(timeout=20)


@contextmanager
def _ordered(folder: Path, prefix: Prefix, *command: str | Path, cpu: int | None = CPU) -> Iterator[Running]:
    pin = [] if cpu is None else pinned(cpu)
    with own_cgroup() as cgroup:
        program = Ordered([*prefix, *pin, *command], cgroup)
        yield Running(Target(program.process.pid, cgroup.path, folder), program.work)
        program.end()


def compiled(folder: Path, name: str) -> Path:
    """A program, compiled once in this folder."""
    program = folder / name
    if not program.exists():
        subprocess.run(["gcc", "-O2", "-pthread", "-o", program, PROGRAMS / f"{name}.c"], check=True, timeout=600)
    return program


def loop(folder: Path) -> Path:
    """The loop of cheap calls."""
    return compiled(folder, "loop")


def paths(folder: Path, prefix: Prefix) -> AbstractContextManager[Running]:
    """Stat, open, read and close of 50 files."""
    return _ordered(folder, prefix, compiled(folder, "objects"), "paths", folder)


def connections(folder: Path, prefix: Prefix) -> AbstractContextManager[Running]:
    """Connections over loopback, both ends."""
    return _ordered(folder, prefix, compiled(folder, "objects"), "connections", folder)


@contextmanager
def blocks(folder: Path, prefix: Prefix) -> Iterator[Running]:
    """Reads past the page cache. The folder for temporary files may be in memory: another one holds the file."""
    with (
        tempfile.TemporaryDirectory(dir=Path.home(), prefix="kubestrace-overhead-") as place,
        _ordered(folder, prefix, compiled(folder, "objects"), "blocks", place) as running,
    ):
        yield running


def getppid(folder: Path, prefix: Prefix) -> AbstractContextManager[Running]:
    """The cheapest call that there is."""
    return _ordered(folder, prefix, loop(folder), "getppid")


def read(folder: Path, prefix: Prefix) -> AbstractContextManager[Running]:
    """The smallest read."""
    return _ordered(folder, prefix, loop(folder), "read")


def storm(folder: Path, prefix: Prefix) -> AbstractContextManager[Running]:
    """A thread on each CPU."""
    return _ordered(folder, prefix, loop(folder), "storm", cpu=None)


@contextmanager
def neighbour(folder: Path, prefix: Prefix) -> Iterator[Running]:
    """A loop that nobody traces, while something that sleeps is traced: the target is the sleeper."""
    with _beside(folder, prefix, loop(folder), "getppid") as running:
        yield running


@contextmanager
def connecting_neighbour(folder: Path, prefix: Prefix) -> Iterator[Running]:
    """Connections that nobody traces, while something that sleeps is traced."""
    with _beside(folder, prefix, compiled(folder, "objects"), "connections", folder) as running:
        yield running


@contextmanager
def _beside(folder: Path, prefix: Prefix, *command: str | Path) -> Iterator[Running]:
    with _ordered(folder, prefix, loop(folder), "getppid") as sleeper, own_cgroup() as cgroup:
        untraced = Ordered([*pinned(CPU), *command], cgroup)
        yield Running(sleeper.target, lambda milliseconds: Work(untraced.work(milliseconds).ns, 0))
        untraced.end()


def tree(folder: Path, prefix: Prefix) -> AbstractContextManager[Running]:
    """A walk over files of our own in Python."""
    root = folder / "tree"
    for number in range(0 if root.exists() else _FOLDERS):
        place = root / f"folder-{number}"
        place.mkdir(parents=True)
        for name in range(_FILES_IN_EACH):
            (place / f"file-{name}").touch()
    return _ordered(folder, prefix, sys.executable, "-S", PROGRAMS / "walk.py", root)
