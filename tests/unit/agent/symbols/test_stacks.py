"""Stacks from addresses to words, and files that are opened without trusting the container."""

import os
import threading
from pathlib import Path

import pytest

from kubestrace_agent.symbols import container_files, perf_maps, unwind
from kubestrace_agent.symbols.cfi import Row
from kubestrace_agent.symbols.frames import CodeMapping, UserFrame
from kubestrace_agent.symbols.names import Names, Question
from kubestrace_agent.symbols.naming import Name, Naming, Place, Stack
from kubestrace_agent.symbols.roots import Roots
from kubestrace_agent.views.slow_calls import stacks
from kubestrace_agent.views.slow_calls.values import RawStack

ID = bytes(range(20))
LIBC = CodeMapping(0x7F0000, 0x7F9000, 0x1000, b"/usr/lib/libc.so.6")


class Kernel:
    """Names addresses by their order."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def kernel_names(self, addresses: object) -> list[str]:
        """All of them."""
        return list(self.names)

    def mappings(self, pid: int) -> list[CodeMapping]:
        """None."""
        return []


def raw(*names: str, told: bool = True) -> RawStack:
    """A kernel's stack."""
    kernel = tuple(range(len(names))) if told else None
    return RawStack(kernel, 0, (), 0, 0, (), Kernel(*names))


def test_what_every_wait_has_is_left_out() -> None:
    """The scheduler, our program in it, and the entry of calls."""
    own = ("bpf_prog_1_on_stack_switch", "bpf_trace_run4", "__schedule", "schedule")
    waited = ("io_schedule", "ext4_sync_file [ext4]", "__x64_sys_fsync")

    words = stacks.kernel_words(raw(*own, *waited, "x64_sys_call", "do_syscall_64", "entry_SYSCALL_64_after_hwframe"))

    assert words == list(waited)


def test_without_a_wait_words_say_why() -> None:
    """It did not sleep, or it is not known; what has no name is none, and no address is shown."""
    assert stacks.kernel_words(raw()) == ["[did not sleep]"]
    assert stacks.kernel_words(raw("a", told=False)) == ["[not known]"]
    assert stacks.kernel_words(raw("", "fsync")) == ["[no name]", "fsync"]


@pytest.mark.parametrize(
    ("place", "word"),
    [
        (Place(UserFrame(0x7F0010, ID, 0x1010), LIBC, Name(b"fsync", 16)), "fsync+0x10 (libc.so.6)"),
        (Place(UserFrame(0x7F0010, ID, 0x1010), LIBC), f"libc.so.6+0x1010 (build id {ID.hex()})"),
        (Place(UserFrame(0x7F0010, ID, 0x1010)), f"[file]+0x1010 (build id {ID.hex()})"),
        (Place(UserFrame(0x7F0010), LIBC), "libc.so.6+0x1010"),
        (Place(UserFrame(0x10), CodeMapping(0, 0x100, 0, b"")), "[code of no file]"),
        (Place(UserFrame(0x10), CodeMapping(0, 0x100, 0, b""), Name(b"js:f\x1b[2J", 1)), "js:f\\x1b[2J+0x1"),
        (Place(UserFrame(0x10)), "[not known]"),
        (Place(UserFrame(0x10), CodeMapping(0, 0x100, 0, b"/a\x1b[1m (deleted)")), "a\\x1b[1m+0x10"),
    ],
)
def test_a_frame_in_words(place: Place, word: str) -> None:
    """As much as is known; what the container has named is safe to print."""
    assert stacks.user_word(place) == word


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"_ZN3app4http5serveE", b"app::http::serve"),
        (b"_ZNK3app5Store3getEi", b"app::Store::get"),
        (b"_ZN3std2io5Write9write_all17h0123456789abcdefE", b"std::io::Write::write_all"),
        (b"_ZN3appIiE1fE", b"_ZN3appIiE1fE"),
        (b"_ZN999app", b"_ZN999app"),
        (b"_ZN", b"_ZN"),
        (b"main", b"main"),
    ],
)
def test_names_of_cpp_and_rust(name: bytes, shown: bytes) -> None:
    """Those of plain names are written as in the source; the others stay."""
    assert stacks.plain(name) == shown


def walked(words: list[int], rows: dict[int, Row | None], frame_pointer: int = 0) -> tuple[list[int], bool]:
    """Walk up from 0x10, with the stack at 0x1000; code is below 0x100."""
    registers = unwind.Registers(0x10, 0x1000, frame_pointer, words)
    return unwind.walk(registers, lambda address, _: rows.get(address), lambda address: 0 < address < 0x100)


def test_frames_without_frame_pointers_are_walked() -> None:
    """The caller stands where the row says; undefined is the end."""
    rows = {0x10: Row(False, 8), 0x20: Row(False, 24), 0x30: Row(False, 8, None, None)}

    assert walked([0x20, 1, 2, 0x30], rows) == ([0x10, 0x20, 0x30], True)


def test_a_frame_pointer_is_followed_and_given_back() -> None:
    """One that is saved at -16 is the caller's again."""
    rows = {0x10: Row(False, 8), 0x20: Row(True, 16, -16), 0x30: Row(False, 8, None, None)}

    assert walked([0x20, 7, 0x2000, 0x30], rows, frame_pointer=0x1010) == ([0x10, 0x20, 0x30], True)


def test_a_walk_ends_where_the_words_do() -> None:
    """And where the stack would not grow, where no code is, and after so many frames."""
    assert walked([0x20], {0x10: Row(False, 8), 0x20: Row(False, 800)}) == ([0x10, 0x20], False)
    assert walked([0x999], {0x10: Row(False, 8)}) == ([0x10], False)
    assert walked([0x10] * 90, {0x10: Row(False, 0, None, 0)}) == ([0x10], False)
    assert len(walked([0x10] * 90, {0x10: Row(False, 8)})[0]) == 40


def test_what_the_kernel_followed_goes_on_behind_the_walk() -> None:
    """From the last frame that both have; a walk that reached the end needs nothing."""
    assert unwind.joined([1, 2, 3], False, [1, 3, 4]) == [1, 2, 3, 4]
    assert unwind.joined([1, 2], True, [1, 9]) == [1, 2]
    assert unwind.joined([1], False, [1, 5]) == [1, 5]
    assert unwind.joined([1, 2], False, [1, 5]) == [1, 2]


def test_no_path_leaves_a_containers_root(tmp_path: Path) -> None:
    """Neither by .. nor by links; and only regular files are read, without waiting for a pipe's writer."""
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("outside")
    (root / "secret").write_text("inside")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to("../secret")
    os.mkfifo(root / "pipe")

    for path in (b"/../secret", b"up"):
        with container_files.opened(str(root), path) as file:
            assert file.read(0, 100) == b"inside"
    for path in (b"link", b"pipe", b"/", b"/proc/self/exe"):
        with pytest.raises(OSError), container_files.opened(str(root), path):
            pass


def test_files_are_reached_as_the_runtime_has_mounted_them(tmp_path: Path) -> None:
    """Where a process's own root is closed to us; also when it has ended, for whoever traces the same container."""
    container, owner, other = "ab" * 32, object(), object()
    rootfs, process = tmp_path / "run" / container / "rootfs", tmp_path / "proc/7"
    rootfs.mkdir(parents=True)
    process.mkdir(parents=True)
    (rootfs / "app").write_text("program")
    (process / "cgroup").write_text(f"0::/kubepods.slice/cri-containerd-{container}.scope\n")
    roots = Roots(tmp_path / "proc", tmp_path / "run")

    with roots.opened(owner, 7, b"/app") as file:
        assert file.read(0, 10) == b"program"
    (process / "cgroup").unlink()
    with roots.opened(owner, 7, b"/app") as file:
        assert file.read(0, 10) == b"program"
    with pytest.raises(OSError), roots.opened(other, 7, b"/app"):
        pass


def test_a_perf_map_names_what_was_compiled_last() -> None:
    """Lines that are none are passed over."""
    known = perf_maps.functions(b"10 20 old\nzz 1 bad\n\n10 8 new name\n" + b"f" * 40 + b" 1 x\n")

    assert perf_maps.at(0x14, known) == (0x10, 0x18, b"new name")
    assert perf_maps.at(0x20, known) == (0x10, 0x30, b"old")
    assert perf_maps.at(0x30, known) is None


class Stuck(Naming):
    """Waits as for a file on a dead network."""

    def __init__(self) -> None:
        super().__init__(Roots())
        self.free = threading.Event()

    def named(self, stack: Stack) -> list[Place]:
        """Not before it is told to."""
        self.free.wait(30)
        return [stack.place(frame) for frame in stack.followed]


def test_who_asks_for_names_is_not_held_up() -> None:
    """Waiting ends with the patience, and later answers come by themselves."""
    naming = Stuck()
    names = Names(naming)
    question = Question(Stack(object(), 1, 1, [UserFrame(7)], []))

    names.ask([question])
    names.wait([question])
    assert question.answer is None
    naming.free.set()

    assert question.done.wait(30)
    assert question.answer == [Place(UserFrame(7))]


def test_a_file_that_breaks_the_reader_ends_nothing() -> None:
    """The next stack is named."""

    class Broken(Naming):
        def named(self, stack: Stack) -> list[Place]:
            if stack.pid == 1:
                raise ValueError("hostile")
            return []

    names = Names(Broken())
    first, second = (Question(Stack(object(), pid, pid, [], [])) for pid in (1, 2))

    names.ask([first, second])

    assert second.done.wait(30)
    assert (first.answer, second.answer) == (None, [])
