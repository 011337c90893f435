"""How a ring buffer is read, and its room divided."""

import struct

import pytest

from kubestrace_agent.kernel.maps import rings
from kubestrace_agent.kernel.maps.rings import Ring


@pytest.mark.parametrize("cpus", [2, 16, 256])
@pytest.mark.parametrize("parties", [1, 4, 64])
def test_a_part_holds_many_records_whatever_the_number_of_cpus(cpus: int, parties: int) -> None:
    """All parts fit into the ring, and hundreds of CPUs leave nobody with a single record."""
    ring = object.__new__(Ring)
    ring.bytes = 1 << 20
    part = ring.part(parties, cpus, record_bytes=1000)

    assert part * parties <= ring.bytes
    assert part >= ring.bytes // parties // 2


class Memory(bytearray):
    """Memory that notes by whom and where it is read and written, in one list with the fences."""

    def __init__(self, size: int, name: str, log: list[str]) -> None:
        super().__init__(size)
        self.name, self.log = name, log

    def __getitem__(self, key: object) -> object:  # type: ignore[override]
        """Note a reading."""
        self.log.append(f"read {self.name}")
        return super().__getitem__(key)  # type: ignore[index]


RECORDS = ((b"first", 0), (b"lost", rings._DISCARDED), (b"second!!", 0), (b"unfinished", rings._BUSY))


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> tuple[Ring, list[str]]:
    """A ring with records: complete, discarded, and one that is still being written; and what is done to its memory."""
    log: list[str] = []
    ring, page, size = object.__new__(Ring), 4096, 4096
    ring.bytes, ring._data_at, ring._stands_in = size, page, None
    producer, consumer = Memory(page + 2 * size, "producer", log), Memory(page, "consumer", log)
    at = page
    for data, flags in RECORDS:
        struct.pack_into("=II", producer, at, len(data) | flags, 0)
        producer[at + 8 : at + 8 + len(data)] = data
        at += 8 + -(-len(data) // 8) * 8
    struct.pack_into("=Q", producer, 0, at - page)
    ring._producer, ring._consumer = producer, consumer  # type: ignore[assignment]
    monkeypatch.setattr(rings, "fence", lambda: log.append("fence"))
    return ring, log


def test_records_are_read_behind_what_says_that_they_are_complete(filled: tuple[Ring, list[str]]) -> None:
    """The position, then the heads, then the data, then the room is given back: a processor may load in any order."""
    ring, log = filled

    assert list(ring.read()) == [b"first", b"second!!"]
    assert log == ["read consumer", "read producer", "fence", "fence", "read producer", "read producer", "fence"]
    assert int.from_bytes(bytes(ring._consumer[:8]), "little") == 16 + 16 + 16


def test_what_is_still_being_written_comes_next_time(filled: tuple[Ring, list[str]]) -> None:
    """And what was read does not."""
    ring, _ = filled
    list(ring.read())
    struct.pack_into("=I", ring._producer, 4096 + 48, len(b"unfinished"))

    assert list(ring.read()) == [b"unfinished"]
    assert list(ring.read()) == []
