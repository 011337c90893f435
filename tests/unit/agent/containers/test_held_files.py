"""Files that are held open: the same answers as without, and never at the cost of other files."""

import contextlib
import errno
import gc
import os
import resource
from pathlib import Path

import pytest

from kubestrace_agent.containers import held_files
from kubestrace_agent.containers.held_files import HeldFile


@pytest.fixture(autouse=True)
def _room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing held by others."""
    monkeypatch.setattr(held_files, "ROOM", held_files.Room())


def held(folder: Path) -> int:
    """Count the descriptors of files below a folder."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += str(link.readlink()).startswith(str(folder))
    return found


def test_each_value_is_that_of_now(tmp_path: Path) -> None:
    """Read by the same descriptor; what has not changed is not parsed again."""
    parsed: list[str] = []
    file = HeldFile(str(tmp_path / "a"), lambda text: (parsed.append(text), int(text))[1])
    (tmp_path / "a").write_text("1")
    assert (file.value(), file.value(), held(tmp_path)) == (1, 1, 1)
    (tmp_path / "a").write_text("22")

    assert file.value() == 22
    assert (parsed, held(tmp_path)) == (["1", "22"], 1)


def test_a_file_that_is_not_there_at_first_is_read_when_it_is(tmp_path: Path) -> None:
    """As when a controller is enabled later."""
    file = HeldFile(str(tmp_path / "a"), int)
    assert (file.value(), held(tmp_path)) == (None, 0)
    (tmp_path / "a").write_text("1")

    assert file.value() == 1


def test_a_long_text_is_read_whole(tmp_path: Path) -> None:
    """Also where it fills what is read at once."""
    file = HeldFile(str(tmp_path / "a"), len)
    for length in (0, 65535, 65536, 65537, 3 * 65536):
        (tmp_path / "a").write_text("x" * length)
        assert file.value() == length


def test_a_part_of_all_files_is_held_and_the_others_are_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quarter; what is not read any more makes room for others."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (40, 40))
    files = []
    for number in range(12):
        (tmp_path / str(number)).write_text(str(number))
        files.append(HeldFile(str(tmp_path / str(number)), int))

    assert [file.value() for file in files] == list(range(12))
    assert held(tmp_path) == 10
    del files[:5]
    gc.collect()
    assert [file.value() for file in files] == list(range(5, 12))
    assert held(tmp_path) == 7


def test_where_nothing_more_can_be_opened_all_held_files_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is read then, and none is held for a while."""
    for name in ("a", "b"):
        (tmp_path / name).write_text("1")
    first, second = (HeldFile(str(tmp_path / name), int) for name in ("a", "b"))
    assert (first.value(), held(tmp_path)) == (1, 1)
    real = os.open

    def full(*arguments: object) -> int:
        if held(tmp_path):
            raise OSError(errno.EMFILE, "too many open files")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", full)

    assert (second.value(), held(tmp_path)) == (1, 0)
    assert (first.value(), second.value(), held(tmp_path)) == (1, 1, 0)
