"""Stacks from addresses to words, and files that are opened without trusting the container."""

import os
import threading
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest

from kubestrace_agent.symbols import container_files, perf_maps, unwind
from kubestrace_agent.symbols.cfi import Row
from kubestrace_agent.symbols.frames import CodeMapping, UserFrame, UserStack
from kubestrace_agent.symbols.names import Names, Question
from kubestrace_agent.symbols.naming import Name, Naming, Place, Stack
from kubestrace_agent.symbols.roots import Owner, Roots
from kubestrace_agent.symbols.time_budgets import TimeBudgets
from kubestrace_agent.views import user_stacks
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

    def mappings(self, pid: int, frames: Sequence[UserFrame]) -> list[CodeMapping]:
        """None."""
        return []


def raw(*names: str, told: bool = True) -> RawStack:
    """A kernel's stack."""
    kernel = tuple(range(len(names))) if told else None
    return RawStack(kernel, 0, UserStack((), 0, 0, ()), Kernel(*names))


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


def test_what_is_no_address_of_code_is_left_out() -> None:
    """Where the frame pointer holds something else: small numbers, and places between two mappings."""
    libc = UserFrame(0x7F0010, ID, 0x1010)

    assert user_stacks.code_frames([libc, UserFrame(0x2A), UserFrame(0x7E0000, ID, 0xFFFF_AA51_A129_B080), libc]) == (
        libc,
        libc,
    )


@pytest.mark.parametrize(
    ("place", "word"),
    [
        (Place(UserFrame(0x7F0010, ID, 0x1010), LIBC, Name(b"fsync", 16)), "fsync+0x10 (libc.so.6)"),
        (Place(UserFrame(0x7F0010, ID, 0x1010), LIBC), f"libc.so.6+0x1010 (build id {ID.hex()})"),
        (Place(UserFrame(0x7F0010, ID, 0x1010)), f"[file]+0x1010 (build id {ID.hex()})"),
        (
            Place(UserFrame(0x7F0010, ID, 0x1010), other_path=b"/bin/busybox (deleted)"),
            f"busybox+0x1010 (build id {ID.hex()})",
        ),
        (
            Place(UserFrame(0x7F0010, ID, 0x1010), None, Name(b"fsync", 16), b"/lib/libc.so.6"),
            "fsync+0x10 (libc.so.6)",
        ),
        (Place(UserFrame(0x7F0010), LIBC), "libc.so.6+0x1010"),
        (Place(UserFrame(0x10), CodeMapping(0, 0x100, 0, b"")), "[code of no file]"),
        (Place(UserFrame(0x10), CodeMapping(0, 0x100, 0, b""), Name(b"js:f\x1b[2J", 1)), "js:f\\x1b[2J+0x1"),
        (Place(UserFrame(0x10)), "[not known]"),
        (Place(UserFrame(0x10), CodeMapping(0, 0x100, 0, b"/a\x1b[1m (deleted)")), "a\\x1b[1m+0x10"),
    ],
)
def test_a_frame_in_words(place: Place, word: str) -> None:
    """As much as is known; what the container has named is safe to print."""
    assert user_stacks.user_word(place) == word


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
    assert user_stacks.plain(name) == shown


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


def process(proc: Path, pid: int, container: str) -> Path:
    """Make a process of a container with a root of its own."""
    folder = proc / str(pid)
    (folder / "root").mkdir(parents=True)
    (folder / "cgroup").write_text(f"0::/kubepods.slice/cri-containerd-{container}.scope/init.scope\n")
    return folder


def test_files_are_reached_as_the_runtime_has_mounted_them(tmp_path: Path) -> None:
    """Where a process's own root is closed to us; also when it has ended; no other container's."""
    container, other = "ab" * 32, "cd" * 32
    rootfs = tmp_path / "run" / container / "rootfs"
    rootfs.mkdir(parents=True)
    (rootfs / "app").write_text("program")
    folder = process(tmp_path / "proc", 7, container)
    roots = Roots(tmp_path / "proc", tmp_path / "run")

    with roots.opened(Owner(container), 7, b"/app") as file:
        assert file.read(0, 10) == b"program"
    (folder / "cgroup").unlink()
    with roots.opened(Owner(container), 7, b"/app") as file:
        assert file.read(0, 10) == b"program"
    with pytest.raises(OSError), roots.opened(Owner(other), 7, b"/app"):
        pass


def test_a_process_that_has_ended_has_the_files_of_another_one_with_the_same_build_id() -> None:
    """Also those without symbols: one function is not two, with and without its file. No other container's."""
    frame = UserFrame(0x7F0010, ID, 0x1010)
    naming = Naming()

    (living,) = naming.named(Stack(Owner("ab"), 7, 7, (frame,), (LIBC,)))
    (ended,) = naming.named(Stack(Owner("ab"), 8, 8, (frame,), ()))
    (others,) = naming.named(Stack(Owner("cd"), 9, 9, (frame,), ()))

    assert user_stacks.user_word(living) == user_stacks.user_word(ended) == f"libc.so.6+0x1010 (build id {ID.hex()})"
    assert user_stacks.user_word(others).startswith("[file]+0x1010 ")


def test_a_pid_that_has_come_back_opens_no_other_tenants_files(tmp_path: Path) -> None:
    """Its root counts for the container that it is in; for the one that had the PID before, the runtime's does."""
    mine, neighbour = "ab" * 32, "cd" * 32
    (process(tmp_path / "proc", 7, neighbour) / "root" / "app").write_text("neighbour")
    rootfs = tmp_path / "run" / mine / "rootfs"
    rootfs.mkdir(parents=True)
    (rootfs / "app").write_text("mine")
    roots = Roots(tmp_path / "proc", tmp_path / "run")

    with roots.opened(Owner(mine), 7, b"/app") as file:
        assert file.read(0, 10) == b"mine"
    with roots.opened(Owner(neighbour), 7, b"/app") as file:
        assert file.read(0, 10) == b"neighbour"
    with pytest.raises(OSError), Roots(tmp_path / "proc").opened(Owner(mine), 7, b"/app"):
        pass


class Text:
    """A file, and the most that was read of it at once."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.most = 0
        self.reads = 0

    def read(self, at: int, length: int) -> bytes:
        """Read a part."""
        self.most, self.reads = max(self.most, length), self.reads + 1
        return self.text[at : at + length]


def found(text: bytes, *addresses: int, seconds: float = 60) -> dict[int, perf_maps.Function]:
    """Look addresses up, with some time."""
    end = time.monotonic() + seconds
    return perf_maps.find(Text(text), addresses, lambda: time.monotonic() < end)


def test_a_perf_map_names_what_was_compiled_last() -> None:
    """Lines that are none are passed over."""
    text = b"10 20 old\nzz 1 bad\n\n10 8 new name\n" + b"f" * 40 + b" 1 x\n40 1 no newline"

    assert found(text, 0x14, 0x20, 0x30, 0x40) == {
        0x14: (0x10, 0x18, b"new name"),
        0x20: (0x10, 0x30, b"old"),
        0x40: (0x40, 0x41, b"no newline"),
    }


def test_a_perf_map_may_have_numbers_with_a_prefix() -> None:
    """As HotSpot writes them."""
    assert found(b"0x0000000000000010 0x0000000000000020 int Shop.often()\n", 0x14) == {
        0x14: (0x10, 0x30, b"int Shop.often()")
    }


def test_lines_of_a_perf_map_that_stand_in_two_pieces_are_whole() -> None:
    """Wherever the file is cut; a line that is longer than any name has its beginning."""
    lines = [b"%x 10 function_%d" % (0x1000 + 16 * number, number) for number in range(20_000)]
    lines[10_000] += b"x" * 200_000

    names = found(b"\n".join(lines), *(0x1000 + 16 * number for number in range(20_000)))

    assert len(names) == 20_000
    assert all(
        names[0x1000 + 16 * number][2] == b"function_%d" % number for number in range(20_000) if number != 10_000
    )
    assert names[0x1000 + 16 * 10_000][2].startswith(b"function_10000xxx")


def test_a_hostile_perf_map_takes_little_memory(tmp_path: Path) -> None:
    """16 MiB of short lines that all hold the address, of which one is kept."""
    text = Text(b"0 ffffffffffffffff a\n" * ((16 << 20) // 21))

    tracemalloc.start()
    try:
        names = perf_maps.find(text, range(40), lambda: True)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(names) == 40
    assert text.most <= 1 << 20
    assert most < 2 << 20


def test_the_reading_of_a_perf_map_ends_with_its_time() -> None:
    """No piece is read after that."""
    text = Text(b"0 1 a\n" * 1_000_000)

    perf_maps.find(text, [0], lambda: text.reads < 3)

    assert text.reads == 3


class Clocks:
    """Time that passes, and what a thread took of a CPU."""

    def __init__(self) -> None:
        self.wall = self.cpu = 100.0

    def spend(self, cpu: float, wall: float) -> None:
        """Let time pass."""
        self.cpu += cpu
        self.wall += wall

    def budgets(self) -> TimeBudgets:
        """Give budgets by these clocks."""
        return TimeBudgets(lambda: self.wall, lambda: self.cpu)


def test_each_owner_has_time_of_its_own() -> None:
    """What is spent comes back slowly, and is nobody else's."""
    clocks = Clocks()
    budgets = clocks.budgets()
    with budgets.spending("hostile", 2.0) as keep_on:
        assert keep_on()
        clocks.spend(cpu=2.0, wall=2.0)
        assert not keep_on()
    with budgets.spending("hostile", 2.0):
        clocks.spend(cpu=2.0, wall=2.0)

    assert budgets.left("hostile") == 0
    assert budgets.left("other") == 4.0
    clocks.spend(cpu=0, wall=20.0)
    assert budgets.left("hostile") == 2.0


def test_waiting_for_a_cpu_is_not_an_owners_fault() -> None:
    """On a node whose CPUs are busy everything takes longer; only where files do not come at all it ends."""
    clocks = Clocks()
    budgets = clocks.budgets()
    with budgets.spending("starved", 2.0) as keep_on:
        clocks.spend(cpu=0.5, wall=5.0)
        assert keep_on()
    assert budgets.left("starved") == pytest.approx(3.5)

    with budgets.spending("hostile", 2.0) as keep_on:
        clocks.spend(cpu=0, wall=6.0)
        assert not keep_on()
    with budgets.spending("hostile", 2.0):
        clocks.spend(cpu=0, wall=60.0)  # a dead file system kept it
    with budgets.spending("hostile", 2.0) as keep_on:
        assert not keep_on()
    assert budgets.left("hostile") < 0
    clocks.spend(cpu=0, wall=600.0)
    assert budgets.left("hostile") == 4.0


class Stuck(Naming):
    """Waits as for a file on a dead network."""

    def __init__(self) -> None:
        super().__init__(Roots())
        self.free = threading.Event()

    def named(self, stack: Stack) -> list[Place]:
        """Not before it is told to."""
        self.free.wait(30)
        return [stack.place(frame) for frame in stack.followed]


def answered(question: Question) -> bool:
    """Wait for an answer, whatever patience is left."""
    deadline = time.monotonic() + 30
    while not question.done and time.monotonic() < deadline:
        time.sleep(0.01)
    return question.done


def test_who_asks_for_names_is_not_held_up() -> None:
    """Waiting ends with the patience, and later answers come by themselves."""
    naming = Stuck()
    names = Names(naming)
    question = Question(Stack(Owner(), 1, 1, [UserFrame(7)], []))

    names.ask([question])
    names.wait([question])
    assert question.answer is None
    naming.free.set()

    assert answered(question)
    assert question.answer == [Place(UserFrame(7))]


def test_a_file_that_breaks_the_reader_ends_nothing() -> None:
    """The next stack is named."""

    class Broken(Naming):
        def named(self, stack: Stack) -> list[Place]:
            if stack.pid == 1:
                raise ValueError("hostile")
            return []

    names = Names(Broken())
    first, second = (Question(Stack(Owner(), pid, pid, [], [])) for pid in (1, 2))

    names.ask([first, second])

    assert answered(second)
    assert (first.answer, second.answer) == (None, [])


def test_owners_are_named_in_turn() -> None:
    """One with many stacks holds up another by one of them, and takes no more room than its own."""
    order: list[str] = []

    class Noting(Stuck):
        def named(self, stack: Stack) -> list[Place]:
            order.append(stack.owner.container_id)
            return super().named(stack)

    naming = Noting()
    names = Names(naming)
    many = [Question(Stack(Owner("busy"), 1, 1, [], [])) for _ in range(1000)]
    few = [Question(Stack(Owner("quiet"), 2, 2, [], [])) for _ in range(3)]

    names.ask(many)
    names.ask(few)
    naming.free.set()

    assert all(answered(question) for question in few)
    assert [position for position, owner in enumerate(order) if owner == "quiet"][-1] <= 7
    assert 0 < sum(question.asked for question in many) < 1000
    assert all(question.asked for question in few)
