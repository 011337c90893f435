"""Stacks with the names of functions: a file is looked into once, and what was learned is good for that file alone."""

import contextlib
import dataclasses
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kubestrace_agent.symbols import elf, unwind
from kubestrace_agent.symbols.container_files import File, opened
from kubestrace_agent.symbols.frames import CodeMapping, UserFrame
from kubestrace_agent.symbols.learned import Files, Learned
from kubestrace_agent.symbols.naming import Naming, Place, Stack
from kubestrace_agent.symbols.processes import Process, Processes, Walks
from kubestrace_agent.symbols.roots import Held, Owner, Roots
from kubestrace_agent.symbols.unwind import Registers

SOURCE = (
    "int {0}(int x) {{ volatile int y[8] = {{0}}; y[x & 7] = x; return y[0]; }}\nint main(void) {{ return {0}(1); }}\n"
)
START = 0x400000


class Counted(Roots):
    """The node's own root, and how often a file was opened in it."""

    opens = 0

    @contextlib.contextmanager
    def opened(self, owner: Owner, pid: int, path: bytes) -> Iterator[File]:
        """Open it, and count that."""
        self.opens += 1
        with opened("/", path) as file:
            yield file


def built(folder: Path, function: str) -> Path:
    """Compile a program that has one function of this name beside main."""
    (folder / f"{function}.c").write_text(SOURCE.format(function))
    command = ["gcc", "-O1", "-fno-inline", "-Wl,--build-id", "-o", folder / function, folder / f"{function}.c"]
    subprocess.run(command, check=True, timeout=60)
    return folder / function


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two programs that differ in the name of a function."""
    folder = tmp_path_factory.mktemp("naming")
    return built(folder, "helper"), built(folder, "other_")


def mapped(path: Path, start: int = START) -> CodeMapping:
    """Map a whole file."""
    return CodeMapping(start, start + path.stat().st_size, 0, str(path).encode())


def function_at(path: Path, name: str) -> int:
    """Return where a function stands in a file."""
    lines = subprocess.run(["nm", path], check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()
    return next(int(line.split()[0], 16) for line in lines if line.endswith(f" {name}"))


def stack_in(path: Path, function: str, pid: int = 1, owner: Owner | None = None, build_id: bytes = b"") -> Stack:
    """Return a stack of one frame, in a function."""
    mapping = mapped(path)
    frame = UserFrame(START + function_at(path, function) + 4, build_id, function_at(path, function) + 4)
    return Stack(owner or Owner(), pid, pid, [frame], [mapping])


def names(places: Sequence[Place]) -> list[bytes | None]:
    """Return the functions' names."""
    return [place.name.text if place.name else None for place in places]


def test_a_place_is_sought_once(programs: tuple[Path, Path]) -> None:
    """Whoever asks again gets the same answer without a look at the file."""
    roots = Counted()
    naming, stack = Naming(roots), stack_in(programs[0], "helper")

    first = naming.named(stack)
    opens = roots.opens
    again = naming.named(dataclasses.replace(stack, mappings=list(stack.mappings)))

    assert names(first) == [b"helper"]
    assert again == first
    assert roots.opens == opens == 1


def test_a_file_is_looked_into_once_for_all_who_have_it_mapped(
    programs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes and containers that have the very same file."""
    naming = Naming(Counted())
    first = naming.named(stack_in(programs[0], "helper"))
    monkeypatch.setattr(elf.Elf, "symbols", lambda *_: pytest.fail("its symbols are known"))

    others = [
        naming.named(stack_in(programs[0], "helper", pid=2)),
        naming.named(stack_in(programs[0], "helper", pid=1, owner=Owner("ab" * 32))),
    ]

    assert [names(each) for each in others] == [names(first), names(first)]


def test_a_file_is_opened_once_by_a_process_for_what_is_known_of_it(programs: tuple[Path, Path]) -> None:
    """Other processes have found that out."""
    roots = Counted()
    naming = Naming(roots)
    for function in ("helper", "main"):
        naming.named(stack_in(programs[0], function))
    naming.named(stack_in(programs[0], "helper", pid=2))
    opens = roots.opens

    main = naming.named(stack_in(programs[0], "main", pid=2))

    assert names(main) == [b"main"]
    assert roots.opens == opens


def test_a_file_that_was_replaced_or_written_has_its_own_names(programs: tuple[Path, Path], tmp_path: Path) -> None:
    """Of the same path; the same size and time of writing do not hide that."""
    path = tmp_path / "app"
    shutil.copy(programs[0], path)
    naming = Naming(Counted())
    before = naming.named(stack_in(path, "helper"))
    time_ns = path.stat().st_mtime_ns
    path.write_bytes(programs[1].read_bytes().ljust(path.stat().st_size, b"\0"))
    os.utime(path, ns=(time_ns, time_ns))

    after = naming.named(stack_in(path, "other_", pid=2))

    assert (names(before), names(after)) == ([b"helper"], [b"other_"])


def test_another_file_that_is_mapped_at_the_same_place_has_its_own_names(programs: tuple[Path, Path]) -> None:
    """As after an exec, or when a library is replaced."""
    naming = Naming(Counted())
    before = naming.named(stack_in(programs[0], "helper"))

    after = naming.named(stack_in(programs[1], "other_"))
    back = naming.named(stack_in(programs[0], "helper"))

    assert (names(before), names(after), names(back)) == ([b"helper"], [b"other_"], [b"helper"])


def test_a_program_that_has_ended_may_have_had_likely_files(programs: tuple[Path, Path]) -> None:
    """It was over before its mappings could be read; only files of its build ID count."""
    with opened("/", os.fsencode(programs[0])) as file:
        build_id = elf.Elf(file).build_id()
    held = Held(1, likely_files=[b"/no/such/file", os.fsencode(programs[0]), b"/bin/sh"])
    frame = UserFrame(0x1000, build_id, function_at(programs[0], "helper") + 4)
    naming = Naming(Roots(others=[Path("/")]))

    places = naming.named(Stack(Owner(held=held), 1 << 30, 1, [frame], []))
    others = naming.named(Stack(Owner(), 1 << 30, 1, [frame], []))

    assert (names(places), places[0].path) == ([b"helper"], os.fsencode(programs[0]))
    assert names(others) == [None]
    assert held.likely_files == []


def test_a_file_with_another_build_id_is_not_believed(programs: tuple[Path, Path]) -> None:
    """Also when what it says is known already."""
    naming = Naming(Counted())
    assert names(naming.named(stack_in(programs[0], "helper"))) == [b"helper"]

    claimed = naming.named(stack_in(programs[0], "helper", pid=2, build_id=b"\x01" * 20))

    assert names(claimed) == [None]


def test_a_walked_stack_is_the_same_when_it_is_known(programs: tuple[Path, Path]) -> None:
    """The caller that the kernel has not followed is found each time, with the build ID of its file."""
    roots = Counted()
    naming, path = Naming(roots), programs[0]
    inner, caller = (START + function_at(path, name) for name in ("helper", "main"))
    words = [0] * 64
    words[0] = caller + 9
    registers = Registers(inner, 0x7000_0000, 0, words)
    stack = Stack(Owner(), 1, 1, [UserFrame(inner)], [mapped(path)], registers)

    first = naming.named(stack)
    opens = roots.opens
    again = naming.named(stack)

    assert names(first)[1] == b"main"
    assert first[1].frame.build_id
    assert again == first
    assert roots.opens == opens


def test_a_stack_whose_frames_are_found_by_the_same_words_is_not_walked_again(
    programs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other words make no difference; those that lead from frame to frame do, and so does a shorter stack."""
    naming, path = Naming(Counted()), programs[0]
    inner, main = (START + function_at(path, name) + 1 for name in ("helper", "main"))

    def walked(pointer: int = 0x7000_0000, length: int = 64, mappings: int = 1, **words: int) -> list[bytes | None]:
        stood = [words.get(f"at{place}", 0) for place in range(length)]
        mapped_now = [mapped(path), mapped(path, START * 4)][:mappings]
        registers = Registers(inner, pointer, 0, stood)
        return names(naming.named(Stack(Owner(), 1, 1, [UserFrame(inner)], mapped_now, registers)))

    whole = [walked(at0=main + 8) for _ in range(2)][1]
    with monkeypatch.context() as patch:
        patch.setattr(unwind, "walk", lambda *_: pytest.fail("it is known"))
        assert walked(at0=main + 8, at40=7) == whole == [b"helper", b"main"]

    assert walked(at0=inner + 8, at40=7)[:2] == [b"helper", b"helper"]
    assert walked(at0=7) == [b"helper"]
    assert walked(length=0) == [b"helper"]
    assert walked(at0=main + 8, pointer=0x7000_0100) == whole
    assert walked(at0=main + 8, mappings=2) == whole


def test_what_is_known_of_files_is_bounded() -> None:
    """The file that was asked for longest ago goes first, with all that is known of it."""
    files = Files(most=10)
    for name in ("a", "b"):
        learned = Learned(rows=dict.fromkeys(range(3)))
        files.keep(name, learned, 0)
    assert files.of("a")

    more = Learned(symbols=dict.fromkeys(range(4)))
    files.keep("c", more, 0)

    assert (files.of("b"), files.size) == (None, 9)
    assert files.of("a")
    before = more.size
    more.rows.update(dict.fromkeys(range(20)))
    files.keep("c", more, before)
    assert (files.of("a"), files.of("c"), files.size) == (None, None, 0)


def test_what_is_known_of_processes_is_bounded() -> None:
    """The process that was asked for longest ago goes first; what it says of its mappings stays while they do."""
    processes: Processes[Place] = Processes(most=8)
    mappings = [CodeMapping(0, 10, 0, b"/a"), CodeMapping(20, 30, 0, b"/b")]
    for pid in (1, 2):
        processes.keep(pid, processes.of(pid, mappings), changed=True)
    assert processes.size == 6
    first = processes.of(1, list(mappings))
    processes.keep(1, first, changed=False)
    third: Process[Place] = processes.of(3, mappings[:1])
    third.regions[0].rows[3] = None

    processes.keep(3, third, changed=True)

    assert processes.size == 6
    assert processes.of(1, mappings) is first
    remapped = processes.of(3, [mappings[1], mappings[0]])
    assert remapped.regions[0] is third.regions[0]
    assert [remapped.region(at) is not None for at in (0, 9, 10, 19, 20, 30)] == [True, True, False, False, True, False]


def test_whole_stacks_that_are_remembered_are_bounded() -> None:
    """The one that was asked for longest ago goes; of a process with other mappings none is known."""
    walks: Walks[str] = Walks(most=2)
    process: Process[str] = Process([])
    for key in ("a", "b"):
        walks.add(process, key, {1: 7, 0: 5}, [key])
    assert walks.find(process, "a", [5, 7]) == ("a",)
    walks.add(process, "c", {0: 1}, ["c"])

    assert walks.find(process, "b", [5, 7]) is None
    assert walks.find(process, "a", [5, 8]) is None
    assert walks.find(process, "a", [5, 7, 9]) == ("a",)
    assert walks.find(Process([]), "a", [5, 7]) is None
