"""An array map with a struct for each slot, whose words programs and agent both read and write. Used by views."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubestrace_agent.kernel.maps.headers import Layout
    from kubestrace_agent.kernel.maps.maps import Maps


class SlotWords:
    """The structs of all slots, by the names of their fields, which are words of 8 bytes; mapped when it is opened."""

    def __init__(self, maps: Maps, name: str, layout: Layout) -> None:
        self._maps = maps
        self._name = name
        self._layout = layout
        self._size = layout.size // 8
        self._words = memoryview(b"")

    @property
    def is_open(self) -> bool:
        """Whether it is mapped."""
        return bool(self._words)

    def open(self) -> None:
        """Map it. Idempotent."""
        if not self._words:
            self._maps.check_size(self._name, self._layout.size)
            self._words = self._maps.view(self._name, "Q")

    def begin(self, slot: int, generation: int) -> None:
        """Clear a slot's struct, and say whose it is from now on; 0: nobody's."""
        self.write(slot, "generation", 0)
        for word in range(slot * self._size, (slot + 1) * self._size):
            self._words[word] = 0
        self.write(slot, "generation", generation)

    def read(self, slot: int, field: str) -> int:
        """Return a field."""
        return self._words[slot * self._size + self._layout.at(field)]

    def read_many(self, slot: int, field: str, count: int) -> list[int]:
        """Return so many words from a field on."""
        at = slot * self._size + self._layout.offset(field) // 8
        return self._words[at : at + count].tolist()

    def write(self, slot: int, field: str, value: int) -> None:
        """Set a field."""
        self._words[slot * self._size + self._layout.at(field)] = value

    def close(self) -> None:
        """Give the memory back."""
        self._words.release()
