"""ELF files of containers: what is read of a good one, and that a hostile one costs nothing but its names."""

import contextlib
import random
import subprocess
from pathlib import Path

import pytest

from kubestrace_agent.symbols import cfi, elf
from kubestrace_agent.symbols.container_files import opened

SOURCE = """
int helper(int x) { volatile int y[8] = {0}; y[x & 7] = x; return y[0]; }
int _Z6insidei(int x) { return helper(x) + 1; }
int main(int argc, char **argv) { return _Z6insidei(argc); }
"""
LIMIT_READS = 20_000


class Memory:
    """A file in memory that counts how often it is read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.reads = 0

    def read(self, at: int, length: int) -> bytes:
        """Give what is there."""
        self.reads += 1
        assert length >= 0
        assert self.reads < LIMIT_READS, "no end"
        return self.data[at : at + length] if 0 <= at < len(self.data) else b""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small program."""
    folder = tmp_path_factory.mktemp("elf")
    (folder / "a.c").write_text(SOURCE)
    subprocess.run(
        ["gcc", "-O1", "-fno-inline", "-Wl,--build-id", "-o", folder / "a", folder / "a.c"], check=True, timeout=60
    )
    return folder / "a"


def symbols(program: Path) -> dict[str, tuple[int, int]]:
    """Name -> address and size, as nm has them."""
    lines = subprocess.run(
        ["nm", "-S", program], check=True, capture_output=True, text=True, timeout=60
    ).stdout.splitlines()
    return {name: (int(at, 16), int(size, 16)) for at, size, _, name in (x.split() for x in lines if x.count(" ") == 3)}


def everything(data: bytes) -> int:
    """Ask a file everything that is asked of one; how often it was read."""
    file = Memory(data)
    try:
        read = elf.Elf(file)
        read.build_id()
        read.symbols(range(0, len(data), 512), lambda: True)
        for offset in range(0, len(data), 512):
            address = read.address(offset)
            if address is not None:
                with contextlib.suppress(cfi.CfiError):
                    cfi.row_at(read, address)
    except elf.ElfError:
        pass
    return file.reads


def test_functions_are_named(program: Path) -> None:
    """By any address within them."""
    known = symbols(program)
    with opened("/", str(program).encode()) as file:
        read = elf.Elf(file)
        wanted = {name: known[name][0] + 3 for name in ("helper", "_Z6insidei", "main")}
        # Text is mapped where it stands in the file, in a program of this size.
        found = read.symbols(wanted.values(), lambda: True)
        missing = read.symbols([known["main"][0] + known["main"][1] + 4096], lambda: True)

    assert {name: (found[at].name.decode(), found[at].plus) for name, at in wanted.items()} == {
        name: (name, 3) for name in wanted
    }
    assert missing == {}


def test_the_build_id_is_the_linkers(program: Path) -> None:
    """As readelf says it."""
    notes = subprocess.run(["readelf", "-n", program], check=True, capture_output=True, text=True, timeout=60).stdout
    with opened("/", str(program).encode()) as file:
        assert f"Build ID: {elf.Elf(file).build_id().hex()}" in notes


def test_frames_are_found_at_each_instruction(program: Path) -> None:
    """The CFA as readelf works it out."""
    known = symbols(program)
    with opened("/", str(program).encode()) as file:
        read = elf.Elf(file)
        first = cfi.row_at(read, known["helper"][0])
        rows = [cfi.row_at(read, known["main"][0] + at) for at in range(known["main"][1])]
    decoded = subprocess.run(
        ["readelf", "-wF", program], check=True, capture_output=True, text=True, timeout=60
    ).stdout.splitlines()
    table = [line.split() for line in decoded if line.startswith("0") and "rsp+" in line]
    expected = {int(words[0], 16): int(words[1].removeprefix("rsp+")) for words in table}

    assert first == cfi.Row(by_frame_pointer=False, cfa_offset=8)
    begin, length = known["main"]
    assert length
    wanted = [max((at, offset) for at, offset in expected.items() if at <= begin + i)[1] for i in range(length)]
    assert [row.cfa_offset for row in rows] == wanted


def test_a_file_that_is_cut_short_is_read_as_far_as_it_goes(program: Path) -> None:
    """Wherever it ends."""
    data = program.read_bytes()

    for end in [*range(0, 300, 7), *range(300, len(data), 997)]:
        everything(data[:end])


def test_a_hostile_file_has_no_endless_tables(program: Path) -> None:
    """Whatever its bytes say: reading it ends, and raises nothing but its own errors."""
    data = program.read_bytes()
    chance = random.Random(7)  # noqa: S311 - the same bytes each time

    for _ in range(150):
        hostile = bytearray(data)
        for _ in range(chance.randrange(1, 40)):
            # Headers and tables decide most: half of the changes are there.
            end = chance.choice([64, 1024, len(data)])
            hostile[chance.randrange(4, end)] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        everything(bytes(hostile))


def test_huge_counts_are_bounded(program: Path) -> None:
    """A table of symbols that claims 2^60 bytes is read to the file's end only."""
    data = bytearray(program.read_bytes())
    sections_at = int.from_bytes(data[40:48], "little")
    for number in range(int.from_bytes(data[60:62], "little")):
        at = sections_at + 64 * number
        if int.from_bytes(data[at + 4 : at + 8], "little") in {2, 11}:
            data[at + 32 : at + 40] = (2**60).to_bytes(8, "little")

    assert everything(bytes(data)) < LIMIT_READS


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"#!/bin/sh\n" * 100, b"\x7fELF\x02\x02" + bytes(60)])
def test_what_is_no_elf_file_says_so(data: bytes) -> None:
    """Scripts, empty files, other byte orders."""
    with pytest.raises(elf.ElfError):
        elf.Elf(Memory(data))


def test_remembered_registers_are_bounded() -> None:
    """A state that is remembered is a copy: of thousands of registers, thousands of times, it would take seconds."""
    registers = b"".join(b"\x05" + bytes([0x80 | number & 127, 1 + (number >> 7)]) + b"\x01" for number in range(2000))

    with pytest.raises(cfi.CfiError, match="more registers"):
        cfi._Rules(cfi._Common(1, 1, 0, b""), 0).run(registers + b"\x0a\x0b" * 4000, None)
