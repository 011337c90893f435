"""How large the rows of counters are on this machine, and how they are divided into chunks. Pure but for `of_machine`.

A row on each possible CPU takes 1.9 KiB a CPU, which is the fastest and fits up to some CPUs. On machines with more, a
row has a few copies of its counters, each shared by several CPUs, and only 48 bytes on each CPU.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.maps import layout

# Machines with up to so many possible CPUs have all counters on each CPU.
MAX_CPUS_WITH_COUNTERS = 16
# A power of two.
MAX_COPIES = 16
# The kernel makes rows by the chunk: of about a MiB each, but few enough chunks for the limit of open files.
_CHUNK_BYTES = 1 << 20
_MIN_CHUNK_ROWS, _MAX_CHUNK_ROWS = 64, 256
# What views keep on each CPU for a row, at most.
_VIEWS_ON_CPU_BYTES = 24
_ONLINE = Path("/sys/devices/system/cpu/online")


@dataclass(frozen=True)
class RowSizes:
    """What the programs are compiled for."""

    possible_cpus: int
    # Copies of a row's counters; 0: each possible CPU has its own.
    copies: int = 0
    # Two to this power CPUs with neighbouring numbers share a copy.
    copy_shift: int = 0

    @cached_property
    def row_on_cpu_bytes(self) -> int:
        """What of a row stands on each possible CPU."""
        return layout.ROW_START.size + (0 if self.copies else layout.COUNTERS_SIZE)

    @cached_property
    def row_bytes(self) -> int:
        """The memory of a row."""
        return self.possible_cpus * self.row_on_cpu_bytes + self.copies * layout.COUNTERS_SIZE

    @cached_property
    def chunk_rows(self) -> int:
        """Rows of a chunk: a power of two."""
        rows = _MAX_CHUNK_ROWS
        while rows > _MIN_CHUNK_ROWS and rows * self.row_bytes > _CHUNK_BYTES:
            rows //= 2
        return rows

    @cached_property
    def chunk_bytes(self) -> int:
        """The memory that a chunk takes in the end, with what views add to its rows."""
        return self.chunk_rows * (self.row_bytes + self.possible_cpus * _VIEWS_ON_CPU_BYTES)

    def definitions(self) -> dict[str, int]:
        """Constants of rows.bpf.c."""
        shared = {"COPIES": self.copies, "COPY_SHIFT": self.copy_shift} if self.copies else {}
        return {"CHUNK_ROWS": self.chunk_rows, **shared}


def for_cpus(possible: int, online: int) -> RowSizes:
    """Choose for a machine with so many possible CPUs, of which so many are online now.

    CPUs that come later share the copies as well: the counts stay exact.
    """
    if possible <= MAX_CPUS_WITH_COUNTERS:
        return RowSizes(possible)
    copies = min(MAX_COPIES, _power_of_two(online))
    return RowSizes(possible, copies, (_power_of_two(online) // copies).bit_length() - 1)


def of_machine() -> RowSizes:
    """Choose for this machine. Raises OSError."""
    return for_cpus(bpf_syscall.possible_cpus(), count_cpus(_ONLINE.read_text(encoding="ascii")))


def count_cpus(ranges: str) -> int:
    """Count the CPUs of a list as sysfs has it: "0-1,4"."""
    parts = (part.partition("-") for part in ranges.strip().split(","))
    return sum(int(last or first) - int(first) + 1 for first, _, last in parts)


def _power_of_two(number: int) -> int:
    """The least one that is not below a number."""
    return 1 << (number - 1).bit_length()
