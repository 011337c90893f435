"""The structs of slots in an array map, by the names of their fields."""

import struct
from typing import Any

import pytest

from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.slot_words import SlotWords

LAYOUT = header("views/locks/locks.h").struct("lock_slot")
SLOTS = 3


class Maps:
    """One array map of this process's memory."""

    def __init__(self) -> None:
        self.memory = bytearray(b"\xff" * LAYOUT.size * SLOTS)
        self.views = 0

    def check_size(self, name: str, size: int) -> None:
        """Take the right size alone."""
        assert (name, size) == ("lock_slots", LAYOUT.size)

    def view(self, name: str, item: str) -> memoryview:
        """Map it."""
        assert name == "lock_slots"
        self.views += 1
        return memoryview(self.memory).cast(item)


@pytest.fixture
def maps() -> Any:
    """Give a map that is full of ones."""
    return Maps()


def test_a_slot_begins_with_nothing_but_its_generation(maps: Any) -> None:
    """Whatever stood there; the others stay as they are."""
    slots = SlotWords(maps, "lock_slots", LAYOUT)
    slots.open()
    slots.begin(1, 7)

    assert slots.read_many(1, "generation", LAYOUT.size // 8) == [7] + [0] * (LAYOUT.size // 8 - 1)
    others = maps.memory[: LAYOUT.size] + maps.memory[2 * LAYOUT.size :]
    assert set(others) == {0xFF}


def test_fields_are_where_the_header_has_them(maps: Any) -> None:
    """Both sides see what the other writes."""
    slots = SlotWords(maps, "lock_slots", LAYOUT)
    slots.open()
    slots.begin(2, 1)
    slots.write(2, "other_ns", 1 << 40)
    struct.pack_into("=Q", maps.memory, 2 * LAYOUT.size + LAYOUT.offset("lost"), 5)

    assert (slots.read(2, "other_ns"), slots.read(2, "lost"), slots.read(2, "other_waits")) == (1 << 40, 5, 0)


def test_it_is_mapped_once_and_only_where_it_is_used(maps: Any) -> None:
    """Nothing is held for a view that nobody asks for."""
    slots = SlotWords(maps, "lock_slots", LAYOUT)
    assert (slots.is_open, maps.views) == (False, 0)

    slots.open()
    slots.open()

    assert (slots.is_open, maps.views) == (True, 1)
    slots.close()
