"""What disks do for a container, against what programs wrote and read, whoever handed it to the disk."""

import mmap
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_runs import Cgroup, Runs, cgroup_root, links
from view_messages import block_io

from kubestrace_agent.views.block_io.collector import BlockRequests
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import block_io_pb2

MIB = 1 << 20
# On a busy machine some requests of a new container were not charged to it. Supposed, not seen: the kernel charges the
# root while it has no memory for a new group, and the page tells whose a request is then.
OWN = ("container", "pageOwner")
# The hierarchies of cgroup v1 that requests and pages are charged in; none on a machine with v2 alone.
V1 = [path for path in map(Path, ("/sys/fs/cgroup/blkio", "/sys/fs/cgroup/memory")) if (path / "tasks").exists()]


class Place:
    """A container's cgroups: one name in all hierarchies, as runtimes create them."""

    def __init__(self, requests: bool = True) -> None:
        """Make them: its pages are charged to it, and its requests where that is asked for."""
        if not V1:
            control(("+io" if requests else "-io") + " +memory")
        self.v2 = Cgroup(cgroup_root())
        roots = [root for root in V1 if requests or root.name != "blkio"]
        self.others = [Cgroup.__new__(Cgroup) for _ in roots]
        for other, root in zip(self.others, roots, strict=True):
            other.path = root / self.v2.path.name
            other.path.mkdir()

    def enter(self) -> None:
        """Move the calling process into them."""
        for each in (self.v2, *self.others):
            each.enter()

    def remove(self) -> None:
        """End what is in them and remove them."""
        for each in (self.v2, *self.others):
            each.remove()


def control(what: str) -> None:
    """Say what is charged to the cgroups of version 2."""
    (cgroup_root() / "cgroup.subtree_control").write_text(what, encoding="ascii")


@pytest.fixture
def place() -> Iterator[Place]:
    """Give a container's cgroups."""
    made = Place()
    yield made
    made.remove()


@pytest.fixture
def file() -> Iterator[Path]:
    """Give a file on a disk: the folder for temporary files may be in memory."""
    path = Path.home() / f"kubestrace-{uuid.uuid4().hex[:12]}"
    yield path
    path.unlink(missing_ok=True)


def fill(file: Path, blocks: int) -> None:
    """Write a file past the page cache: a direct write to cached pages that are in use would be their owner's."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
    with mmap.mmap(-1, 4096) as buffer:
        for number in range(blocks):
            assert os.pwrite(descriptor, buffer, 4096 * number) == 4096
    os.close(descriptor)
    os.sync()


class Watched:
    """A container with the view, collected as a session does."""

    def __init__(self, runs: Runs, slot: int) -> None:
        self.runs, self.slot = runs, slot
        self.collector = BlockRequests()
        self.collector.begin(time.monotonic_ns(), 0)
        runs.tracer.enable("block_io", self.slot, True)
        self.read()

    def read(self) -> None:
        """Take what there is."""
        told = self.runs.tracer.read("block_io").get(self.slot)
        self.collector.take(told, self.runs.tracer.lost("block_io", self.slot), 0)

    def rows(self) -> list[block_io_pb2.BlockRow]:
        """Give the rows once nothing is under way any more."""
        time.sleep(0.2)
        self.read()
        report = agent_pb2.ContainerReport()
        self.collector.write(report)
        assert not report.trust.losses
        return list(block_io(report))

    def bytes(self, operation: str, *attributions: str, metadata: bool = False) -> int:
        """Give how much was moved."""
        return sum(
            row.bytes
            for row in self.rows()
            if row.operation == operation and row.attribution in attributions and row.metadata == metadata
        )


def python(enter: Callable[[], None], script: str, *arguments: str | Path) -> None:
    """Run a script of Python in a container."""
    subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        preexec_fn=enter,
        check=True,
        timeout=200,
    )


DIRECT = """
import mmap, os, sys
path, mode, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
buffer = mmap.mmap(-1, 4096)
fd = os.open(path, (os.O_RDONLY if mode == "read" else os.O_WRONLY | os.O_CREAT) | os.O_DIRECT)
for number in range(count):
    if mode == "read":
        assert os.preadv(fd, [buffer], 4096 * number) == 4096
    else:
        assert os.pwritev(fd, [buffer], 4096 * number) == 4096
"""
BUFFERED = """
import os, sys
path, size, sync = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "sync"
fd = os.open(path, os.O_WRONLY | os.O_CREAT)
assert os.write(fd, b"x" * size) == size
if sync:
    os.fsync(fd)
"""


def test_direct_reads_are_counted_one_by_one(runs: Runs, place: Place, file: Path) -> None:
    """As many requests and bytes as the program made, each with its time."""
    fill(file, 100)
    watched = Watched(runs, runs.trace(place.v2))

    python(place.enter, DIRECT, file, "read", "100")

    # What Python itself reads from the disk goes through the page cache, in larger pieces or not at all.
    rows = [row for row in watched.rows() if row.operation == "read" and row.attribution in OWN]
    assert sum(row.count for row in rows) >= 100, watched.rows()
    assert sum(row.bytes for row in rows) >= 100 * 4096
    data = [row for row in rows if not row.metadata]
    assert all(row.sync for row in data)
    assert sum(row.sequential for row in data) >= 90
    assert all(sum(row.device_time.counts) == row.count for row in data)
    assert all(0 < row.device_time.max_nanoseconds <= row.device_time.total_nanoseconds for row in data)


def test_direct_writes(runs: Runs, place: Place, file: Path) -> None:
    """Their bytes are those that the program wrote."""
    fill(file, 100)
    watched = Watched(runs, runs.trace(place.v2))

    python(place.enter, DIRECT, file, "write", "100")

    assert watched.bytes("write", *OWN) == 100 * 4096, watched.rows()


def test_a_write_and_fsync_is_the_containers(runs: Runs, place: Place, file: Path) -> None:
    """The data are its own; the journal may be nobody's."""
    watched = Watched(runs, runs.trace(place.v2))

    python(place.enter, BUFFERED, file, str(8 * MIB), "sync")

    assert watched.bytes("write", *OWN) == 8 * MIB
    assert all(row.sync for row in watched.rows() if row.operation == "write" and row.attribution == "container")


@pytest.mark.parametrize("by", ["sync", "fdatasync of another"])
def test_what_others_write_back_is_the_containers(runs: Runs, place: Place, file: Path, by: str) -> None:
    """The flusher and other processes hand it to the disk, long after the program has ended."""
    watched = Watched(runs, runs.trace(place.v2))
    python(place.enter, BUFFERED, file, str(8 * MIB), "")

    if by == "sync":
        os.sync()
    else:
        with file.open("rb+") as opened:
            os.fdatasync(opened.fileno())

    assert watched.bytes("write", *OWN) == 8 * MIB


def test_a_neighbours_requests_are_not_told(runs: Runs, place: Place, file: Path) -> None:
    """Neither as the container's nor as shared ones."""
    fill(file, 200)
    neighbour = Place()
    try:
        watched = Watched(runs, runs.trace(place.v2))
        python(neighbour.enter, DIRECT, file, "write", "200")

        assert watched.bytes("write", *OWN) == 0
        assert watched.bytes("write", "shared") < 200 * 4096
    finally:
        neighbour.remove()


def test_a_second_session_begins_at_zero(runs: Runs, place: Place, file: Path) -> None:
    """What was counted before is not its own, nor the longest time of that."""
    fill(file, 50)
    first = Watched(runs, runs.trace(place.v2))
    python(place.enter, DIRECT, file, "write", "50")
    second = BlockRequests()
    first.read()
    second.begin(0, 0)
    second.take(first.collector.now, 0, 0)
    report = agent_pb2.ContainerReport()
    second.write(report)

    assert first.bytes("write", *OWN) == 50 * 4096, first.rows()
    assert block_io(report) == []


def test_nothing_is_attached_or_held_afterwards(runs: Runs, place: Place, file: Path) -> None:
    """The last slot's end detaches the programs and empties the maps."""
    watched = Watched(runs, runs.trace(place.v2))
    assert len(links()) > 2
    python(place.enter, BUFFERED, file, str(MIB), "sync")
    assert watched.rows()

    runs.disable(watched.slot)

    assert links() == []


@pytest.mark.parametrize("followed", ["by its PID", "in a cgroup that charges nothing"])
def test_what_a_process_hands_to_the_disk_itself(
    runs: Runs, cgroup: Callable[..., Cgroup], file: Path, followed: str
) -> None:
    """There is no cgroup by which its requests could be known."""
    if not V1 and followed != "by its PID":
        control("-io -memory")
    fill(file, 100)
    own = cgroup()
    enter = own.enter if followed != "by its PID" else None
    command = [sys.executable, "-c", f"input()\n{DIRECT}", file, "write", "100"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, preexec_fn=enter)  # noqa: PLW1509 - no threads
    slot = runs.tracer.add_process(process.pid, wanted=None) if enter is None else runs.trace(own)
    if enter is None:
        runs.slots.append(slot)
    watched = Watched(runs, slot)

    process.communicate(b"\n", timeout=200)

    assert process.returncode == 0
    assert watched.bytes("write", "process") == 100 * 4096
    assert watched.bytes("write", *OWN) == 0


# Writes of 4 KiB from the second, third ... page of a huge page: what the disk takes them from is no first page.
HUGE = """
import ctypes, mmap, os, sys
path, count, size = sys.argv[1], int(sys.argv[2]), 2 << 20
buffer = mmap.mmap(-1, 2 * size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
buffer.madvise(mmap.MADV_HUGEPAGE)
start = -ctypes.addressof(ctypes.c_char.from_buffer(buffer)) % size
buffer[start:start + size] = b"x" * size
smaps = open("/proc/self/smaps").read()
assert any(int(line.split()[1]) >= 2048 for line in smaps.splitlines() if line.startswith("AnonHugePages:")), smaps
fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
view = memoryview(buffer)
for number in range(count):
    at = start + 4096 * (number + 1)
    assert os.pwritev(fd, [view[at:at + 4096]], 4096 * number) == 4096
os._exit(0)  # the memory view has pointers, and its end would complain
"""


def test_a_later_page_of_a_huge_one_has_its_owner(runs: Runs, file: Path) -> None:
    """The first page knows whom it is charged to, where requests are charged to nobody."""
    fill(file, 100)
    place = Place(requests=False)
    try:
        watched = Watched(runs, runs.trace(place.v2))

        python(place.enter, HUGE, file, "100")

        assert watched.bytes("write", "pageOwner") == 100 * 4096, watched.rows()
    finally:
        place.remove()
