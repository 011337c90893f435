"""The rows in the kernel: who owns which, how many are free, and what was counted in them.

Rows stand in chunks, per-CPU arrays of 256 rows of about 1.9 KiB on each CPU. The programs take free rows by
themselves; here chunks are added so that rows stay free, changed rows are read, and rows of ended slots come back.
"""

import contextlib
import ctypes
import os
import time
from collections import deque
from collections.abc import Iterable

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.maps import Maps

# Rows kept free beyond those promised to containers: one program may need hundreds at once.
SPARE_ROWS = 384
# Rows promised to a container until it has used more.
ROWS_A_CONTAINER = 60
# A program runs for microseconds with preemption disabled: whoever still knew an ended slot is done after this.
GRACE_SECONDS = 1.0

_NULL_ROW = 0


class NoRowsError(Exception):
    """The node's table of rows is as large as it may be."""


class Rows:
    """All rows of the node."""

    def __init__(self, maps: Maps) -> None:
        self._maps = maps
        self._chunks: list[int] = []
        self._heads = maps.view("heads", "I")
        self._words = layout.HEAD_BYTES // 4
        self._touched_at = layout.HEAD.at("touched")
        self._buffer = ctypes.create_string_buffer(maps.cpus * layout.ROW_SIZE)
        # Rows whose slot has ended: (when, row, key of the row's own look-up).
        self._ended: deque[tuple[float, int, bytes]] = deque()

    @property
    def capacity(self) -> int:
        """Rows that exist, used or not."""
        return len(self._chunks) * layout.CHUNK_ROWS

    def used(self) -> int:
        """Rows that have an owner or wait for their grace to pass."""
        end = self.capacity * self._words
        return self.capacity - self._heads[0 : end : self._words].tolist().count(0) + len(self._ended)

    def reserve(self, promised: int) -> None:
        """Makes rows until the promised ones and a spare are free.

        Raises NoRowsError at the node's cap, and OSError where the kernel makes none.
        """
        self.recycle()
        missing = promised + SPARE_ROWS - (self.capacity - self.used())
        if missing <= 0:
            return
        # A quarter more than is there: each addition waits for the kernel's grace period (some 10 ms).
        more = max(-(-missing // layout.CHUNK_ROWS), len(self._chunks) // 4)
        room = self._maps.entries("chunks") - len(self._chunks)
        if room * layout.CHUNK_ROWS < missing:
            raise NoRowsError
        self._add_chunks(min(more, room))

    def _add_chunks(self, count: int) -> None:
        first = len(self._chunks)
        made: list[int] = []
        with contextlib.ExitStack() as undo:
            for _ in range(count):
                made.append(bpf_syscall.create_percpu_array("ks_rows", layout.ROW_SIZE, layout.CHUNK_ROWS))
                undo.callback(os.close, made[-1])
            entries = [(bpf_syscall.key_u32(first + n), bpf_syscall.key_u32(fd)) for n, fd in enumerate(made)]
            bpf_syscall.update_batch(self._maps.fd("chunks"), entries)
            undo.pop_all()
        self._chunks += made
        for row in range(first * layout.CHUNK_ROWS, len(self._chunks) * layout.CHUNK_ROWS):
            if row not in {_NULL_ROW, layout.ROW_MASK}:
                bpf_syscall.push(self._maps.fd("free_rows"), bpf_syscall.key_u32(row))

    def touched_since(self, epoch: int) -> list[int]:
        """Rows in which anything was counted in this epoch or later."""
        end = self.capacity * self._words
        return [
            row for row, last in enumerate(self._heads[self._touched_at : end : self._words].tolist()) if last >= epoch
        ]

    def owned_by(self, generations: Iterable[int]) -> list[int]:
        """Rows whose owner is among these slot generations."""
        end, wanted = self.capacity * self._words, frozenset(generations)
        return [row for row, owner in enumerate(self._heads[0 : end : self._words].tolist()) if owner in wanted]

    def owner(self, row: int) -> tuple[int, int, int]:
        """Slot generation, ABI and number of a row."""
        generation, abi, nr = layout.HEAD_OWNER.unpack_from(self._heads, layout.HEAD_BYTES * row)
        return generation, abi, nr

    def read(self, row: int) -> "ctypes.Array[ctypes.c_char]":
        """The row's values, one after the other for each possible CPU; good until the next call."""
        chunk, at = divmod(row, layout.CHUNK_ROWS)
        bpf_syscall.lookup(self._chunks[chunk], bpf_syscall.key_u32(at), self._buffer)
        return self._buffer

    def end(self, generation: int) -> None:
        """Takes the rows away from a slot: calls that return from now on find that their row has another owner."""
        now = time.monotonic()
        for row in self.owned_by([generation]):
            _, abi, nr = self.owner(row)
            self._heads[row * self._words] = 0
            self._ended.append((now, row, layout.ROW_KEY.pack(generation, abi, nr)))

    def recycle(self) -> None:
        """Gives ended rows back, zeroed, once nobody can write to them any more."""
        zeros = bytes(len(self._buffer))
        while self._ended and self._ended[0][0] + GRACE_SECONDS < time.monotonic():
            _, row, key = self._ended.popleft()
            bpf_syscall.delete(self._maps.fd("rows_by_key"), key)
            chunk, at = divmod(row, layout.CHUNK_ROWS)
            bpf_syscall.update(self._chunks[chunk], bpf_syscall.key_u32(at), zeros)
            self._heads[row * self._words + self._touched_at] = 0
            bpf_syscall.push(self._maps.fd("free_rows"), bpf_syscall.key_u32(row))

    def close(self) -> None:
        """Gives the chunks back."""
        self._heads.release()
        for fd in self._chunks:
            os.close(fd)
        self._chunks.clear()
