"""The rows in the kernel: who owns which, how many are free, and what was counted in them.

Rows stand in chunks (row_sizes.py). The programs take free rows by themselves; here chunks are added so that rows stay
free, changed rows are read, and rows of ended slots come back.
"""

import bisect
import contextlib
import ctypes
import mmap
import os
import struct
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from kubestrace_agent.containers import memory_limit
from kubestrace_agent.containers.memory_limit import Room
from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.maps import Maps
from kubestrace_agent.kernel.maps.row_sizes import RowSizes

# Rows kept free beyond those promised to containers: one program may need hundreds at once.
SPARE_ROWS = 384
# Rows promised to a container until it has used more.
ROWS_A_CONTAINER = 60
# Of the memory that is left, what rows never take: the agent needs it to read them and to report.
KEPT_FREE_BYTES = 32 << 20
# A program runs for microseconds with preemption disabled: whoever still knew an ended slot is done after this.
GRACE_SECONDS = 1.0

_NULL_ROW = 0
# Of layout.ROW_START.
_FIELDS = 8
# A call of the kernel takes as long as the copies of so many rows.
_MOST_APART = 4


class NoRowsError(Exception):
    """The node's table of rows is as large as it may be."""


class NoMemoryError(Exception):
    """The rows that are needed do not fit into the memory that is left."""

    def __init__(self, needed_bytes: int, room: Room, sizes: RowSizes) -> None:
        bound = f"the memory limit of {_mib(room.limit_bytes)}" if room.limit_bytes else "this machine's memory"
        super().__init__(
            f"Further tables of counters need {_mib(needed_bytes)} of kernel memory, and {bound} leaves "
            f"{_mib(max(0, room.available_bytes))}, of which {_mib(KEPT_FREE_BYTES)} stay free for the agent. Each "
            f"system call of a container takes {-(-sizes.row_bytes >> 10)} KiB, as this machine has "
            f"{sizes.possible_cpus} possible CPUs. Raise the memory limit (agent.resources.limits.memory of the chart) "
            "or trace fewer containers at once."
        )


def _mib(size: int) -> str:
    """In MiB, rounded up."""
    return f"{-(-size >> 20)} MiB"


class RowValues(NamedTuple):
    """A row as it is in the kernel."""

    # The fields of layout.ROW_START on the first possible CPU, then on the next one.
    on_cpus: tuple[int, ...]
    # Memory with all copies of struct counters, and where in it each begins.
    counters: memoryview
    copies: range

    def by_field(self) -> list[tuple[int, ...]]:
        """The values of each field of layout.ROW_START on all CPUs."""
        return [self.on_cpus[field::_FIELDS] for field in range(_FIELDS)]


def runs(rows: Sequence[int], chunk_rows: int) -> Iterator[tuple[int, int]]:
    """The first and last of rows (ascending) that are read together: of one chunk, and with few others between them."""
    first = last = -1
    for row in rows:
        if first >= 0 and (row - last > _MOST_APART or row // chunk_rows != first // chunk_rows):
            yield first, last
            first = row
        first, last = (row if first < 0 else first), row
    if first >= 0:
        yield first, last


def on_all_cpus(cpus: int, sizes: RowSizes) -> struct.Struct:
    """layout.ROW_START of a row on each possible CPU, without the counters."""
    padding = sizes.row_on_cpu_bytes - layout.ROW_START.size
    return struct.Struct("=" + f"{layout.ROW_START.format.lstrip('=')}{padding}x" * cpus)


class _Chunk:
    """The file descriptors of a chunk's maps; counters that CPUs share are in memory of both sides."""

    def __init__(self, rows_fd: int, counters_fd: int | None, counters_bytes: int) -> None:
        self.rows_fd = rows_fd
        self.counters_fd = counters_fd
        self._mapped = (
            None if counters_fd is None else mmap.mmap(counters_fd, -(-counters_bytes // mmap.PAGESIZE) * mmap.PAGESIZE)
        )
        self.counters = memoryview(b"" if self._mapped is None else self._mapped)

    def close(self) -> None:
        self.counters.release()
        if self._mapped is not None:
            self._mapped.close()
        for fd in (self.rows_fd, self.counters_fd):
            if fd is not None:
                os.close(fd)


class Rows:
    """All rows of the node."""

    def __init__(self, maps: Maps, sizes: RowSizes, room: Callable[[], Room] = memory_limit.room) -> None:
        self._maps = maps
        self._sizes = sizes
        self._room = room
        self._chunks: list[_Chunk] = []
        self._heads = maps.view("heads", "I")
        self._words = layout.HEAD_BYTES // 4
        self._touched_at = layout.HEAD.at("touched")
        # The kernel aligns the values of CPUs to 8 bytes, as struct row is.
        self._row_bytes = maps.cpus * sizes.row_on_cpu_bytes
        self._buffer = ctypes.create_string_buffer(self._row_bytes)
        self._memory = memoryview(self._buffer)
        self._starts = on_all_cpus(maps.cpus, sizes)
        # Rows whose slot has ended: (when, row, key of the row's own look-up).
        self._ended: deque[tuple[float, int, bytes]] = deque()

    @property
    def capacity(self) -> int:
        """Rows that exist, used or not."""
        return len(self._chunks) * self._sizes.chunk_rows

    def used(self) -> int:
        """Rows that have an owner or wait for their grace to pass."""
        end = self.capacity * self._words
        return self.capacity - self._heads[0 : end : self._words].tolist().count(0) + len(self._ended)

    def reserve(self, promised: int) -> None:
        """Make rows until the promised ones and a spare are free.

        Raises NoRowsError at the node's cap, NoMemoryError before a memory limit kills this process, and OSError where
        the kernel makes none.
        """
        self.recycle()
        missing = promised + SPARE_ROWS - (self.capacity - self.used())
        if missing <= 0:
            return
        chunks = -(-missing // self._sizes.chunk_rows)
        room = self._maps.entries("chunks") - len(self._chunks)
        if room < chunks:
            raise NoRowsError
        # A quarter more than is there: each addition waits for the kernel's grace period (some 10 ms).
        self._add_chunks(min(max(chunks, len(self._chunks) // 4), room, self._affordable(chunks)))

    def _affordable(self, needed: int) -> int:
        """How many chunks the memory has room for. Raises NoMemoryError where these are fewer than needed."""
        room = self._room()
        affordable = (room.available_bytes - KEPT_FREE_BYTES) // self._sizes.chunk_bytes
        if affordable < needed:
            raise NoMemoryError(needed * self._sizes.chunk_bytes, room, self._sizes)
        return affordable

    def _add_chunks(self, count: int) -> None:
        first = len(self._chunks)
        with contextlib.ExitStack() as undo:
            made: list[_Chunk] = []
            for n in range(first, first + count):
                made.append(self._new_chunk(first=n == 0))
                undo.callback(made[-1].close)
            keys = [bpf_syscall.key_u32(first + n) for n in range(count)]
            if self._sizes.copies:
                counters = [bpf_syscall.key_u32(each.counters_fd or 0) for each in made]
                bpf_syscall.update_batch(self._maps.fd("counter_chunks"), list(zip(keys, counters, strict=True)))
            rows = [bpf_syscall.key_u32(each.rows_fd) for each in made]
            bpf_syscall.update_batch(self._maps.fd("chunks"), list(zip(keys, rows, strict=True)))
            undo.pop_all()
        start = self.capacity
        self._chunks += made
        for row in range(start, self.capacity):
            if row not in {_NULL_ROW, layout.ROW_MASK}:
                bpf_syscall.push(self._maps.fd("free_rows"), bpf_syscall.key_u32(row))

    def _new_chunk(self, *, first: bool) -> _Chunk:
        """Make a chunk; the first one is there already, as the pattern of the others."""
        sizes = self._sizes
        entries = sizes.chunk_rows * sizes.copies
        with contextlib.ExitStack() as undo:
            if first:
                rows = os.dup(self._maps.fd("first_chunk"))
            else:
                rows = bpf_syscall.create_percpu_array("ks_rows", sizes.row_on_cpu_bytes, sizes.chunk_rows)
            undo.callback(os.close, rows)
            counters = None
            if sizes.copies and first:
                counters = os.dup(self._maps.fd("first_counters"))
            elif sizes.copies:
                counters = bpf_syscall.create_shared_array("ks_counters", layout.COUNTERS_SIZE, entries)
            if counters is not None:
                undo.callback(os.close, counters)
            chunk = _Chunk(rows, counters, entries * layout.COUNTERS_SIZE)
            undo.pop_all()
            return chunk

    def touched_since(self, epoch: int, generations: Collection[int]) -> dict[int, int]:
        """Rows of these slot generations in which anything was counted in this epoch or later, each with its owner."""
        end = self.capacity * self._words
        owners = self._heads[0 : end : self._words].tolist()
        touched = self._heads[self._touched_at : end : self._words].tolist()
        return {
            row: owner
            for row, (owner, last) in enumerate(zip(owners, touched, strict=True))
            if last >= epoch and owner in generations
        }

    def owned_by(self, generations: Iterable[int]) -> list[int]:
        """Rows whose owner is among these slot generations."""
        end, wanted = self.capacity * self._words, frozenset(generations)
        return [row for row, owner in enumerate(self._heads[0 : end : self._words].tolist()) if owner in wanted]

    def owner(self, row: int) -> tuple[int, int, int]:
        """Slot generation, ABI and number of a row."""
        generation, abi, nr = layout.HEAD_OWNER.unpack_from(self._heads, layout.HEAD_BYTES * row)
        return generation, abi, nr

    def read(self, rows: Sequence[int]) -> Iterator[tuple[int, RowValues]]:
        """Rows (ascending) with their values, which are good until the next: neighbours are read in one go."""
        for first, last in runs(rows, self._sizes.chunk_rows):
            self._read_run(first, last - first + 1)
            for row in rows[bisect.bisect_left(rows, first) : bisect.bisect_right(rows, last)]:
                yield row, self._values(row, (row - first) * self._row_bytes)

    def _read_run(self, first: int, count: int) -> None:
        """Read rows of one chunk into the buffer."""
        number, at = divmod(first, self._sizes.chunk_rows)
        fd = self._chunks[number].rows_fd
        if len(self._buffer) < count * self._row_bytes:
            self._memory.release()
            self._buffer = ctypes.create_string_buffer(count * self._row_bytes)
            self._memory = memoryview(self._buffer)
        bpf_syscall.lookup_run(fd, at, count, self._buffer, self._row_bytes)

    def _values(self, row: int, offset: int) -> RowValues:
        starts = self._starts.unpack_from(self._memory, offset)
        number, at = divmod(row, self._sizes.chunk_rows)
        if self._sizes.copies:
            return RowValues(starts, self._chunks[number].counters, self._copies(at))
        copies = range(offset + layout.ROW_START.size, offset + self._row_bytes, self._sizes.row_on_cpu_bytes)
        return RowValues(starts, self._memory, copies)

    def _copies(self, at: int) -> range:
        """Where the copies of a row's counters begin in its chunk."""
        start, step = at * self._sizes.copies * layout.COUNTERS_SIZE, layout.COUNTERS_SIZE
        return range(start, start + self._sizes.copies * step, step)

    def stop(self, generations: Collection[int]) -> None:
        """Have nothing more counted in the rows of these slots, and wait until no program is in the middle of that.

        The slots take no further rows: a program that was about to take one is done after the wait.
        """
        while True:
            counting = [row for row in self.owned_by(generations) if not self._heads[self._stopped_at(row)]]
            for row in counting:
                self._heads[self._stopped_at(row)] = 1
            self._wait_for_programs()
            if not counting:
                return

    def resume(self, generation: int) -> None:
        """Have the rows of a slot counted again."""
        for row in self.owned_by([generation]):
            self._heads[self._stopped_at(row)] = 0

    def _stopped_at(self, row: int) -> int:
        return row * self._words + layout.HEAD.at("stopped")

    def _wait_for_programs(self) -> None:
        """Wait until all programs that run now have ended, as an update of an array of maps does (Linux 4.19)."""
        first = bpf_syscall.key_u32(self._chunks[0].rows_fd)
        bpf_syscall.update(self._maps.fd("chunks"), bpf_syscall.key_u32(0), first)

    def end(self, generation: int) -> None:
        """Takes the rows away from a slot: calls that return from now on find that their row has another owner."""
        now = time.monotonic()
        for row in self.owned_by([generation]):
            _, abi, nr = self.owner(row)
            self._heads[row * self._words] = 0
            self._ended.append((now, row, layout.ROW_KEY.pack(generation, abi, nr)))

    def recycle(self) -> None:
        """Gives ended rows back, zeroed, once nobody can write to them any more."""
        zeros = bytes(self._row_bytes)
        while self._ended and self._ended[0][0] + GRACE_SECONDS < time.monotonic():
            _, row, key = self._ended.popleft()
            bpf_syscall.delete(self._maps.fd("rows_by_key"), key)
            number, at = divmod(row, self._sizes.chunk_rows)
            chunk = self._chunks[number]
            bpf_syscall.update(chunk.rows_fd, bpf_syscall.key_u32(at), zeros)
            if copies := self._copies(at):
                chunk.counters[copies.start : copies.stop] = bytes(copies.stop - copies.start)
            self._heads[row * self._words + self._touched_at] = 0
            bpf_syscall.push(self._maps.fd("free_rows"), bpf_syscall.key_u32(row))

    def close(self) -> None:
        """Gives the chunks back."""
        self._heads.release()
        for chunk in self._chunks:
            chunk.close()
        self._chunks.clear()
