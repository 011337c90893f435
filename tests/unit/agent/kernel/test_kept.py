"""The folder of compiled programs: only what its owner alone can have written is used."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kubestrace_agent.kernel.loader import kept
from kubestrace_agent.kernel.loader.kept import Folder, Kept, KeptError, KeptMap, KeptProgram

PROGRAMS = Kept(
    licence="GPL",
    programs=[KeptProgram("on_exit", (17, 0, 0), bytes(range(16)), {0: "rows"})],
    maps=[KeptMap("rows", (1, 4, 8, 16, 0)), KeptMap("all_rows", (12, 4, 4, 2, 0), inner="rows")],
    used_maps=["rows"],
    problems={"on_other": "This kernel lacks it."},
)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Give a folder that is ready."""
    made = Folder(tmp_path / "programs")
    made.prepare()
    return made


def test_what_is_kept_is_what_is_read(folder: Folder) -> None:
    """Whole; another name has nothing."""
    folder.write("one", PROGRAMS)

    assert folder.read("one") == PROGRAMS
    assert folder.read("other") is None
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in folder.path.iterdir()] == [0o600]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[:40],
        lambda data: data[:0],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: b"kubestrace programs 0\n" + data[22:],
        lambda _: PROGRAMS.packed("other"),
    ],
)
def test_a_damaged_file_is_told_and_can_be_replaced(folder: Folder, damage: Callable[[bytes], bytes]) -> None:
    """Whatever is wrong with it."""
    folder.write("one", PROGRAMS)
    path = next(folder.path.iterdir())
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(KeptError, match="cannot be used"):
        folder.read("one")
    folder.write("one", PROGRAMS)

    assert folder.read("one") == PROGRAMS
    assert len(list(folder.path.iterdir())) == 1


def test_a_file_that_others_may_have_written_is_not_used(folder: Folder, tmp_path: Path) -> None:
    """By its mode, or as a link to another file."""
    folder.write("one", PROGRAMS)
    path = next(folder.path.iterdir())
    path.chmod(0o620)
    with pytest.raises(KeptError, match="others than its owner"):
        folder.read("one")
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeptError, match="cannot be read"):
        folder.read("one")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_belongs_to_another_user_is_not_used(folder: Folder, what: str) -> None:
    """A file, or the folder."""
    folder.write("one", PROGRAMS)
    os.chown(next(folder.path.iterdir()) if what == "file" else folder.path, 1, -1)

    check = folder.prepare if what == "folder" else lambda: folder.read("one")
    with pytest.raises(KeptError, match=r"others than its owner|belongs to user 1"):
        check()


def test_a_folder_that_others_may_write_is_refused(folder: Folder, tmp_path: Path) -> None:
    """Itself with something in it, or one above it; an empty one, as volumes are at first, is made private."""
    folder.path.chmod(0o777)
    folder.prepare()
    assert folder.path.stat().st_mode & 0o777 == 0o700

    folder.write("one", PROGRAMS)
    folder.path.chmod(0o777)
    with pytest.raises(KeptError, match=r"others than its owner may write .*programs: remove it, or run chmod"):
        folder.prepare()

    folder.path.chmod(0o700)
    tmp_path.chmod(0o777)
    with pytest.raises(KeptError, match=f"others than root may write {tmp_path}"):
        folder.prepare()


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    """A link may lead anywhere; below a file no folder can be made."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").touch()

    with pytest.raises(KeptError, match="symbolic link"):
        Folder(tmp_path / "link").prepare()
    with pytest.raises(KeptError, match="cannot be used"):
        Folder(tmp_path / "file" / "programs").prepare()


def test_programs_of_another_compiler_are_made_anew(folder: Folder, tmp_path: Path) -> None:
    """Its file has changed, or is gone."""
    library = tmp_path / "libbcc.so.0"
    library.write_bytes(b"old")
    state = library.stat()
    folder.write("one", replace(PROGRAMS, compiler={str(library): (state.st_size, state.st_mtime_ns)}))
    assert folder.read("one") is not None

    library.write_bytes(b"newer")
    assert folder.read("one") is None
    library.unlink()
    assert folder.read("one") is None


def test_the_oldest_files_go(folder: Folder) -> None:
    """The folder does not grow with each version."""
    for number in range(20):
        folder.write(f"n{number}", PROGRAMS)
        os.utime(folder.path / f"n{number}.programs", ns=(number, number))
    folder.write("last", PROGRAMS)

    names = {path.stem for path in folder.path.iterdir()}
    assert len(names) == 16
    assert {"last", "n19"} <= names
    assert "n0" not in names


def test_the_folder_stays_small(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """By bytes too; a file that is too large is not written."""
    monkeypatch.setattr(kept, "_MOST_FOLDER_BYTES", 3 * len(PROGRAMS.packed("n0")))
    for number in range(5):
        folder.write(f"n{number}", PROGRAMS)
        os.utime(folder.path / f"n{number}.programs", ns=(number, number))
    folder.write("last", PROGRAMS)
    assert {path.stem for path in folder.path.iterdir()} == {"last", "n4", "n3"}

    monkeypatch.setattr(kept, "_MOST_BYTES", 10)
    with pytest.raises(OSError, match="more than the 10"):
        folder.write("large", PROGRAMS)


def test_what_an_ended_start_left_goes(folder: Folder) -> None:
    """Not what another start writes now."""
    for name, changed in ((".passing-old", 1), (".passing-new", time.time())):
        (folder.path / name).write_bytes(b"half")
        os.utime(folder.path / name, (changed, changed))

    folder.write("one", PROGRAMS)

    assert {path.name for path in folder.path.iterdir()} == {".passing-new", "one.programs"}


def test_nothing_is_left_of_what_cannot_be_written(folder: Folder) -> None:
    """The place of the file is taken by a folder."""
    (folder.path / "one.programs").mkdir()

    with pytest.raises(OSError, match="Is a directory"):
        folder.write("one", PROGRAMS)

    assert [path.name for path in folder.path.iterdir()] == ["one.programs"]


@pytest.mark.parametrize("other", ["release", "version", "machine"])
def test_another_kernel_has_another_name(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By each of what uname says of it."""
    name, real = kept.key({}, []), platform.uname()
    monkeypatch.setattr(kept.platform, "uname", lambda: real._replace(**{other: "another"}))

    assert kept.key({}, []) != name


def test_other_types_and_sources_have_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel of the same name may be built anew; a source is never that of an earlier start."""
    (tmp_path / "one.bpf.c").write_text("int one;")
    monkeypatch.setattr(kept, "PACKAGE", tmp_path)
    monkeypatch.setattr(kept, "_BTF", tmp_path / "btf")
    names = set()
    for file, text in (("btf", "first"), ("btf", "second"), ("one.bpf.c", "int two;"), ("two.h", ""), ("two.h", "1")):
        (tmp_path / file).write_text(text)
        names.add(kept.key({}, []))

    assert len(names) == 5


def test_what_python_keeps_beside_the_sources_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes and goes, with its folders, while the sources are read."""
    monkeypatch.setattr(kept, "PACKAGE", tmp_path)
    (tmp_path / "view").mkdir()
    (tmp_path / "view" / "view.py").write_text("view")
    before = kept.key({}, [])
    (tmp_path / "view" / "__pycache__").mkdir()
    (tmp_path / "view" / "__pycache__" / "view.py").write_text("other")

    assert kept.key({}, []) == before


def test_the_name_changes_with_all_that_programs_depend_on() -> None:
    """The order of parts does not matter."""
    name = kept.key({"MAX_SLOTS": 3}, ["a", "b"])

    assert name == kept.key({"MAX_SLOTS": 3}, ["b", "a"])
    assert name != kept.key({"MAX_SLOTS": 4}, ["a", "b"])
    assert name != kept.key({"MAX_SLOTS": 3}, ["a"])


def test_the_setting() -> None:
    """The usual folder, one of one's own, or none."""
    assert kept.folder_named("") == kept.DEFAULT_FOLDER
    assert kept.folder_named("/x") == Path("/x")
    assert kept.folder_named("x") == Path.cwd() / "x"
    assert kept.folder_named("none") is None
