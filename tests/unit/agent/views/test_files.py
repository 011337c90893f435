"""What a session sees of a slot's files: the difference of two readings, by path."""

import platform

import pytest
from view_messages import files

from kubestrace_agent.kernel.loader.btf import Btf, BtfError
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.views import file_paths as paths
from kubestrace_agent.views.files import classes, offsets
from kubestrace_agent.views.files.collector import FileUse
from kubestrace_agent.views.files.values import FileCounts, FileKey, FileKind, FileName, FilesWanted, RawFiles
from kubestrace_agent.views.redaction import Redaction
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import files_pb2

NUMBERS = header("kernel/bpf/calls.h")
CUT, DETACHED, DELETED = (NUMBERS.number(f"NAMES_{name}") for name in ("CUT", "DETACHED", "DELETED"))
ENOENT, EACCES = 2, 13
OTHERS = FileKey(1, FileKind.OTHERS)


def walk(path: str) -> bytes:
    """Return a path's names as the kernel gives them: the last first."""
    return b"".join(name.encode() + b"\0" for name in reversed(path.strip("/").split("/")) if name)


def counts(*, since_ns: int = 10, file: int = 0, **fields: int) -> FileCounts:
    """Return a row with these numbers."""
    return FileCounts(*(0,) * len(FileCounts._fields))._replace(
        since_ns=since_ns, file_inode=file, file_number=file, file_version=file, **fields
    )


def path_key(number: int) -> FileKey:
    """Return the key of a path."""
    return FileKey(1, FileKind.PATH, 0, number)


def file_key(number: int) -> FileKey:
    """Return the key of a file."""
    return FileKey(1, FileKind.FILE, number, number, number)


NAMES = {
    path_key(1): FileName(b"/data/./log", b"", 0),
    path_key(2): FileName(b"link", walk("/data"), 0o40000),
    file_key(3): FileName(b"", walk("/data/log"), 0o100644),
}


def report(*readings: RawFiles, calls: dict[str, int] | None = None) -> agent_pb2.ContainerReport:
    """Return what a session that began at 10 reports after these readings, and so many counted calls."""
    collector = FileUse()
    collector.begin(10, 0)
    for reading in readings:
        collector.take(reading, 0, 0)
    counted = [agent_pb2.SyscallCounts(name=name, calls=number) for name, number in (calls or {}).items()]
    into = agent_pb2.ContainerReport(syscalls=counted)
    collector.write(into)
    return into


def rows(found: agent_pb2.ContainerReport) -> dict[str, files_pb2.FileRow]:
    """Return the paths of a report."""
    return {row.path: row for row in files(found).paths}


def test_calls_by_path_and_by_descriptor_are_one_row_where_the_path_is_one() -> None:
    """Those before the session are left out; steps that lead nowhere make no other path."""
    before = RawFiles({path_key(1): counts(opens=5, total_ns=50)}, {}, NAMES)
    now = RawFiles(
        {
            path_key(1): counts(opens=7, failed=1, total_ns=90, max_ns=30),
            file_key(3): counts(reads=4, read_bytes=400, total_ns=8, max_ns=3),
        },
        {path_key(1): {ENOENT: 1}},
        NAMES,
    )

    found = rows(report(before, now, calls={"openat": 2, "read": 4}))

    (row,) = found.values()
    assert (row.path, row.opens, row.reads, row.read_bytes, row.failed) == ("/data/log", 2, 4, 400, 1)
    assert (row.total_nanoseconds, row.max_nanoseconds) == (48, 30)
    assert [(each.name, each.count) for each in row.errnos] == [("ENOENT", 1)]


def test_of_a_new_container_every_call_is_the_sessions() -> None:
    """Those among them that were made before the first reading: the session's counts have them too."""
    first = RawFiles({path_key(1): counts(opens=3)}, {}, NAMES)
    collector = FileUse()
    collector.begin(10, 0)
    collector.begin_counts(None, 10)
    collector.take(first, 0, 0)
    into = agent_pb2.ContainerReport(syscalls=[agent_pb2.SyscallCounts(name="open", calls=3)])
    collector.write(into)

    assert rows(into)["/data/log"].opens == 3
    assert not into.trust.losses


def test_a_path_says_where_it_leads() -> None:
    """The file has a row of its own."""
    now = RawFiles({path_key(2): counts(opens=1, file=3), file_key(3): counts(reads=1)}, {}, NAMES)

    found = rows(report(RawFiles(), now))

    assert found["/data/link"].file == "/data/log"
    assert found["/data/log"].file == ""


def test_the_sums_are_compared_with_those_of_the_summary() -> None:
    """A call with two files counts twice; what has no path and no row counts too."""
    now = RawFiles(
        {
            path_key(1): counts(opens=1, other=2),
            FileKey(1, FileKind.SOCKET): counts(writes=1),
            file_key(3): counts(reads=1),
            OTHERS: counts(stats=3, failed=3),
        },
        {OTHERS: {ENOENT: 3}},
        NAMES,
    )
    calls = {"openat": 1, "rename": 1, "sendfile": 1, "statx": 3, "close": 9, "futex": 9}

    exact, off = report(RawFiles(), now, calls=calls), report(RawFiles(), now, calls=calls | {"write": 5})

    assert dict(exact.trust.losses) == {"filePaths": 3}
    assert dict(off.trust.losses) == {"filePaths": 3, "fileCalls": 5}
    assert files(exact).other_paths.stats == 3
    assert [(each.name, each.count) for each in files(exact).other_paths.errnos] == [("ENOENT", 3)]
    assert [(row.path, row.writes) for row in files(exact).others] == [("socket", 1)]


def test_a_row_whose_name_has_found_no_room_yet_is_among_the_others() -> None:
    """It has one with a later call, or it is told."""
    found = report(RawFiles(), RawFiles({path_key(9): counts(opens=2)}, {}, NAMES), calls={"open": 2})

    assert not files(found).paths
    assert files(found).other_paths.opens == 2
    assert dict(found.trust.losses) == {"filePaths": 2}


def test_the_longest_is_the_sessions_own() -> None:
    """Another session that begins has the kernel begin its maxima anew; what was longest until then is kept."""
    long = RawFiles({path_key(1): counts(opens=1, max_ns=900)}, {}, NAMES)
    anew = RawFiles({path_key(1): counts(opens=2, max_ns=20, since_ns=50)}, {}, NAMES)
    older = RawFiles({path_key(1): counts(opens=1, max_ns=900, since_ns=5)}, {}, NAMES)
    own = RawFiles({path_key(1): counts(opens=2, max_ns=20, since_ns=10)}, {}, NAMES)

    assert rows(report(RawFiles(), long, anew))["/data/log"].max_nanoseconds == 900
    assert rows(report(older, own))["/data/log"].max_nanoseconds == 20
    assert FileUse.union([FilesWanted(10), FilesWanted(50), FilesWanted(20)]) == FilesWanted(50)


def test_of_many_paths_those_are_reported_that_lead_by_any_measure() -> None:
    """The others are in one row, and none is lost."""
    many = range(2000)
    names = {path_key(number): FileName(b"/f%d" % number, b"", 0) for number in many}
    now = {path_key(number): counts(stats=2, total_ns=1) for number in many}
    now[path_key(7)] = counts(stats=2, failed=2)
    now[path_key(8)] = counts(reads=1, read_bytes=9)

    found = files(report(RawFiles(), RawFiles(now, {}, names)))

    shown = {row.path for row in found.paths}
    assert {"/f7", "/f8"} <= shown
    assert len(shown) + found.other_path_count == 2000
    assert sum(row.stats for row in found.paths) + found.other_paths.stats == 2 * 1999


@pytest.mark.parametrize(
    ("path", "folder", "mode", "expected"),
    [
        ("/a//b/./c/", "", 0, "/a/b/c"),
        ("/", "", 0, "/"),
        (".", "/", 0, "/"),
        ("x", "/", 0, "/x"),
        ("x", "/a/b", 0, "/a/b/x"),
        ("../../x", "/a/b", 0, "/x"),
        ("../../../x", "/a/b", 0, "/x"),
        # What stands before it may be a link to elsewhere.
        ("c/../x", "/a/b", 0, "/a/b/c/../x"),
        ("/a/../x", "", 0, "/a/../x"),
        ("../x", "/a/b", DELETED, "/a/b (deleted)/../x"),
        ("x", "/b/c", CUT, ".../b/c/x"),
    ],
)
def test_paths_are_whole(path: str, folder: str, mode: int, expected: str) -> None:
    """Behind their folders, and simpler only where that cannot make them others."""
    assert paths.of_path(path.encode(), walk(folder), mode) == expected.encode()


@pytest.mark.parametrize(
    ("names", "mode", "expected"),
    [
        (walk("/a/b"), 0o100644, "/a/b"),
        (b"", 0o40755, "/"),
        (walk("/a/b"), DELETED, "/a/b (deleted)"),
        (b"memfd:x\0", DETACHED, "/memfd:x (deleted)"),
        (b"[eventfd]\0", DETACHED, "anon_inode"),
    ],
)
def test_files_are_named_as_the_kernel_does(names: bytes, mode: int, expected: str) -> None:
    """Those in no folder by what they are."""
    assert paths.of_file(names, mode) == expected.encode()


def test_paths_are_shown_as_printable_ascii() -> None:
    """Whole, up to the longest path behind the longest folder."""
    assert paths.shown(b'/a\xff\n"b') == '/a\\xff\\x0a\\"b'
    assert paths.shown(b"/" + b"x" * 8000) == "/" + "x" * 8000


@pytest.mark.parametrize("abi", [platform.machine(), "i386", "x32"])
def test_every_call_of_a_class_names_a_file(abi: str) -> None:
    """Else the program would not count it, and the sums would be too small."""
    counted = {name for names in classes._BY_CLASS.values() for name in names.split()}

    assert [name for name in counted if not classes.shape(name, abi)] == []
    assert classes.sides("renameat2", abi) == classes.sides("sendfile", abi) == 2
    assert classes.sides("symlinkat", abi) == classes.sides("openat", abi) == 1
    assert classes.sides("mmap", abi) == classes.sides("close", abi) == 0


def test_a_kernel_whose_structs_are_larger_is_told() -> None:
    """One piece of memory holds what is read of each."""

    class Large(Btf):
        def __init__(self) -> None:
            """Read nothing."""

        def offset(self, path: str) -> int:
            return 5000 if path == "inode.i_generation" else 8

        def names(self, name: str) -> bool:
            return True

    with pytest.raises(BtfError, match="struct inode"):
        offsets.definitions("x86_64", Large())


def test_hidden_paths_are_one_row_with_their_sums() -> None:
    """Nothing of them is in the report, not in what a link leads to either."""
    names = {
        path_key(1): FileName(b"/secrets/one", b"", 0),
        path_key(2): FileName(b"/secrets/two", b"", 0),
        path_key(3): FileName(b"/link", b"", 0),
        file_key(4): FileName(b"", walk("/secrets/one"), 0),
    }
    rows_now = {path_key(1): counts(opens=1), path_key(2): counts(opens=2), path_key(3): counts(opens=4, file=4)}
    collector = FileUse()
    collector.redaction = Redaction.of(["*/secrets/*"])
    collector.begin(10, 0)
    for reading in (RawFiles(), RawFiles(rows_now, {}, names)):
        collector.take(reading, 0, 0)
    into = agent_pb2.ContainerReport()
    collector.write(into)

    found = rows(into)
    assert found["/secrets/***"].opens == 3
    assert found["/link"].file == "/secrets/***"
    assert b"one" not in into.SerializeToString()
