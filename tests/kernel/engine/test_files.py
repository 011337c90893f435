"""What programs do with files, against a program that knows."""

import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from engine_runs import Run, Runs, agree
from view_messages import files

from kubestrace_agent.views.files.collector import FileUse
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import files_pb2


def on_disk() -> Iterator[Path]:
    """Give a folder on a disk: the one for temporary files may be in memory."""
    path = Path.home() / f"kubestrace-{uuid.uuid4().hex[:12]}"
    path.mkdir()
    yield path
    shutil.rmtree(path)


def in_memory() -> Iterator[Path]:
    """Give a folder on a tmpfs."""
    path = Path("/dev/shm") / f"kubestrace-{uuid.uuid4().hex[:12]}"  # noqa: S108 - its name is nobody else's
    path.mkdir()
    yield path
    shutil.rmtree(path)


@contextmanager
def on_overlay() -> Iterator[Path]:
    """Give a folder as containers have it: layers over each other, on a disk where that is no overlay itself."""
    of_root = Path("/proc/self/mounts").read_text(encoding="utf-8")
    layers_on = in_memory if " / overlay " in of_root else on_disk
    with contextmanager(layers_on)() as below:
        for name in ("lower", "upper", "work", "merged"):
            (below / name).mkdir()
        layers = f"lowerdir={below}/lower,upperdir={below}/upper,workdir={below}/work"
        subprocess.run(["mount", "-t", "overlay", "-o", layers, "overlay", below / "merged"], check=True, timeout=200)
        try:
            yield below / "merged"
        finally:
            subprocess.run(["umount", "-l", below / "merged"], check=True, timeout=200)


PLACES = {"disk": contextmanager(on_disk), "tmpfs": contextmanager(in_memory), "overlay": on_overlay}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder."""
    with PLACES["disk"]() as path:
        yield path


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Give a folder on each kind of file system."""
    with PLACES[request.param]() as path:
        yield path


class Watched:
    """A program in a container with the view, collected as a session does."""

    def __init__(self, runs: Runs, *arguments: str) -> None:
        self.runs = runs
        cgroup = runs.cgroup()
        self.run: Run = runs.start(cgroup, "files", *arguments)
        while self.run.states() != ["S"]:
            time.sleep(0.01)
        self.slot = runs.trace(cgroup)
        self.collector = FileUse()
        self.collector.begin(time.monotonic_ns(), 0)
        runs.tracer.enable("files", self.slot, self.collector.wanted)
        self.start = runs.snapshot(self.slot)
        self.read()

    def read(self) -> None:
        """Take what there is."""
        self.collector.take(self.runs.tracer.read("files").get(self.slot), 0, 0)

    def finish(self) -> files_pb2.FilesResult:
        """Have it done, and give what was reported: all that the counting knows of."""
        assert self.run.say() == b"done"
        self.runs.tracer.stop([self.slot])
        self.read()
        self.counted = self.runs.since(self.slot, self.start)
        report = agent_pb2.ContainerReport(syscalls=self.counted.syscalls)
        self.collector.write(report)
        self.losses = dict(report.trust.losses)
        return files(report)

    def calls(self, name: str) -> int:
        """Give how many calls of this name the summary has."""
        return sum(each.calls for each in self.counted.syscalls if each.name == name)

    def rows(self) -> dict[str, files_pb2.FileRow]:
        """Give the rows by path, where nothing was lost."""
        found = {row.path: row for row in self.finish().paths}
        assert not self.losses
        return found


def facts(row: files_pb2.FileRow) -> dict[str, object]:
    """Give what is not zero, without times."""
    found: dict[str, object] = {
        field.name: value
        for field, value in row.ListFields()
        if field.name not in {"path", "errnos", "total_nanoseconds", "max_nanoseconds"}
    }
    return found | {each.name: each.count for each in row.errnos}


def test_each_way_to_read_and_write_is_counted(runs: Runs, place: Path) -> None:
    """Calls, bytes and syncs, of calls with two files on both."""
    watched = Watched(runs, str(place), "moves")

    found = watched.finish()

    by_path = {row.path: facts(row) for row in found.paths}
    assert not watched.losses
    reads = 7 * 1 + 150 + 150 + 4096 + 150
    assert by_path[f"{place}/source"] == {
        "opens": 1,
        "other": 1,
        "writes": 10 + 4,
        "write_bytes": 10 * 4096 + 1000 + 3 * 150,
        "synced_writes": 1,
        "reads": 7 + 4 + 3 + 1,
        "read_bytes": reads + 3000 + 2000 + 500,
        "syncs": 4,
        "failed": 1,
        "EFAULT": 1,
    }
    assert by_path[f"{place}/sent"] == {"opens": 1, "writes": 1, "write_bytes": 3000}
    assert by_path[f"{place}/copied"] == {"opens": 1, "writes": 1, "write_bytes": 2000}
    assert by_path[f"{place}/spliced"] == {"opens": 1, "writes": 1, "write_bytes": 500}
    assert by_path[f"{place}/synced"] == {"opens": 1, "writes": 2, "write_bytes": 20, "synced_writes": 2}
    others = {row.path: facts(row) for row in found.others}
    assert others["closed"] == {"writes": 1, "failed": 1, "EBADF": 1}
    # Splices, and the program's words.
    assert (others["pipe"]["writes"], others["pipe"]["write_bytes"]) == (2, 505)


def test_files_have_the_paths_that_the_program_sees(runs: Runs, place: Path) -> None:
    """Relative ones, those by a descriptor, through links, renamed, deleted and odd ones."""
    watched = Watched(runs, str(place), "names")

    found = watched.finish()

    by_path = {row.path: facts(row) for row in found.paths}
    assert not watched.losses
    file = by_path[f"{place}/sub/file"]
    # One upward from a descriptor's place, whose names are the real ones.
    assert (file["opens"], file["stats"]) == (1, 5 + 4 + 3 + 1 + 6)
    # link(2) names both; a hard link is the same file.
    assert (file["other"], file["reads"], file["writes"], file["write_bytes"]) == (1, 6, 1, 3)
    assert by_path[f"{place}/way/file"] == {"opens": 6, "file": f"{place}/sub/file"}
    assert by_path[f"{place}/sub/hard"] == {"opens": 1, "other": 1, "file": f"{place}/sub/file"}
    assert by_path[f"{place}/missing"] == {"opens": 9, "failed": 9, "ENOENT": 9}
    assert by_path[f"{place}/sub/file/below"] == {"opens": 2, "failed": 2, "ENOTDIR": 2}
    assert by_path[f"{place}/sub"] == {"opens": 1, "other": 2, "failed": 1, "EEXIST": 1}
    # Named as it was opened.
    assert by_path[f"{place}/before"] == {"opens": 1, "other": 1, "writes": 1, "write_bytes": 11}
    assert by_path[f"{place}/after"] == {"other": 1}
    assert by_path[f"{place}/gone"] == {"opens": 1, "other": 1, "writes": 8, "write_bytes": 16}
    assert by_path[f'{place}/odd\\xff\\x0a\\"name'] == {"opens": 1, "writes": 1, "write_bytes": 1}
    assert by_path["/memfd:memory (deleted)"] == {"writes": 1, "write_bytes": 5}
    assert {row.path: facts(row) for row in found.others}["unreadable"] == {"opens": 1, "failed": 1, "EFAULT": 1}


def test_a_file_that_takes_the_inode_of_a_deleted_one_is_another(runs: Runs, place: Path) -> None:
    """File systems give the number of a deleted file to the next."""
    watched = Watched(runs, str(place), "reused", "50")

    rows = watched.rows()

    for number in range(50):
        assert facts(rows[f"{place}/temporary-{number}"]) == {
            "opens": 1,
            "other": 1,
            "writes": 1,
            "write_bytes": number + 1,
        }


def test_paths_are_whole_up_to_the_longest(runs: Runs, folder: Path) -> None:
    """Each length is counted apart."""
    watched = Watched(runs, str(folder), "long")
    sizes = (2, 7, 8, 9, 63, 64, 65, 254, 255, 256, 257, 1023, 1024, 4087, 4088, 4089, 4094, 4095)

    rows = watched.finish()

    paths = ["".join("x" if at % 200 else "/" for at in range(size)) for size in sizes]
    found = {row.path: row.stats for row in rows.paths}
    for times, path in enumerate(paths, start=1):
        # A slash at the end is left out.
        assert found[path.rstrip("/")] == times, len(path)
    assert not watched.losses


def test_threads_lose_no_call_of_each_other(runs: Runs, folder: Path) -> None:
    """Rows are shared by all CPUs, those of errnos too. What the kernel kept from the counting, no file has either."""
    watched = Watched(runs, str(folder), "threads")

    rows = watched.rows()

    reads, stats, opens = watched.calls("pread64"), watched.calls("newfstatat"), watched.calls("openat") - 1
    assert facts(rows[f"{folder}/shared"]) == {
        "opens": 1,
        "writes": 1,
        "write_bytes": 1,
        "reads": reads,
        "read_bytes": reads,
        "stats": stats,
    }
    assert facts(rows[f"{folder}/absent"]) == {"opens": opens, "failed": opens, "ENOENT": opens}
    agree({("all", ""): (3 * 160_000,)}, {("all", ""): (reads + stats + opens,)}, runs.may_lose(watched.counted))


def test_containers_have_files_of_their_own(runs: Runs, folder: Path) -> None:
    """Also of one path; one that ends leaves the other's as they are."""
    (folder / "one").mkdir()
    first, second = Watched(runs, str(folder), "moves"), Watched(runs, str(folder / "one"), "names")

    of_first = {row.path for row in first.finish().paths}
    runs.tracer.enable("files", first.slot, None)
    of_second = second.rows()

    assert f"{folder}/source" in of_first
    assert not any(path.startswith(f"{folder}/one") for path in of_first)
    assert of_second[f"{folder}/one/missing"].opens == 9
    assert f"{folder}/source" not in of_second


def test_sums_stay_exact_beyond_the_bound(runs: Runs, folder: Path) -> None:
    """Of 100,000 names 4,096 have rows of their own."""
    watched = Watched(runs, str(folder), "many", "100000")

    found = watched.finish()

    rows = [*found.paths, found.other_paths]
    assert sum(row.stats for row in rows) == 200_000
    assert sum(row.failed for row in rows) == 200_000
    assert len(found.paths) + found.other_path_count == 4096
    # Each that has a row was counted there twice, or once where the kernel had no memory for it the first time.
    assert 200_000 - 2 * 4096 <= watched.losses.pop("filePaths") <= 200_000 - 4096
    assert not watched.losses
