"""What the kernel's tables of the agent take: as the kernel accounts for them, and when they are full.

A table of rows (a hash that allocates as it fills) takes little until then. Linux kernel/bpf/hashtab.c has what a row
takes (htab_map_mem_usage, elem_size), kernel/bpf/memalloc.c that its unit is a row and a pointer, mm/slab_common.c the
sizes of units.
"""

from dataclasses import dataclass
from pathlib import Path

HASH, PERCPU_HASH, PERCPU_ARRAY = 1, 5, 6
NO_PREALLOC = 1
# What stands before a key, struct htab_elem; of each unit a pointer; of the values of CPUs two more.
_ELEMENT, _POINTER = 48, 8
_FIELDS = ("map_type", "key_size", "value_size", "max_entries", "map_flags", "memlock")
_SIZES = (8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192)


def _padded(size: int) -> int:
    return -(-size // 8) * 8


@dataclass(frozen=True)
class Table:
    """A map, as /proc/self/fdinfo has it."""

    kind: int
    key_bytes: int
    value_bytes: int
    entries: int
    flags: int
    # What it takes now.
    bytes: int

    @classmethod
    def of(cls, fd: int) -> "Table":
        """Read it."""
        lines = Path(f"/proc/self/fdinfo/{fd}").read_text(encoding="ascii").splitlines()
        of = {name: value for name, _, value in (line.partition(":") for line in lines)}
        return cls(*(int(of[name], 0) for name in _FIELDS))

    @property
    def fills(self) -> bool:
        """Whether it allocates as it fills."""
        return self.kind in {HASH, PERCPU_HASH} and bool(self.flags & NO_PREALLOC)

    @property
    def element_bytes(self) -> int:
        """What the kernel accounts for a row, without that of each CPU."""
        value = 3 * _POINTER if self.kind == PERCPU_HASH else _padded(self.value_bytes)
        return _ELEMENT + _POINTER + _padded(self.key_bytes) + value

    @property
    def cpu_bytes(self) -> int:
        """What each possible CPU adds when it is full."""
        return _padded(self.value_bytes) * self.entries if self.kind in {PERCPU_HASH, PERCPU_ARRAY} else 0

    def full(self, cpus: int, rows: int) -> int:
        """Return what it takes when it is full, without that of each CPU; it has `rows` rows now."""
        if not self.fills:
            return self.bytes - cpus * self.cpu_bytes
        empty = self.bytes - rows * (self.element_bytes + cpus * self.cpu_bytes // self.entries)
        return empty + self.entries * next(size for size in _SIZES if size >= self.element_bytes)
