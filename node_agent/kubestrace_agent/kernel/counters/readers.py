"""Reads what the programs have counted into the slots' readings: rows that changed, and calls that are kept apart.

Owned by tracer.
"""

import ctypes
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters.counts import CallAtAttach
from kubestrace_agent.kernel.counters.readings import Reading
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.maps import Maps
from kubestrace_agent.kernel.maps.rows import Rows
from kubestrace_agent.kernel.maps.slots import Slot
from kubestrace_agent.syscalls import SyscallKey

# A write that began before the last snapshot may land after it: rows are read again for this long.
_LATE_NS = 50_000_000
# Calls that are kept apart end soon after a trace has joined: what met some is read again.
_SETTLING_READS = 8
_NONE: Mapping[int, int] = {}


class Reader:
    """Reads all slots at once."""

    def __init__(self, maps: Maps, rows: Rows, abis: Sequence[str]) -> None:
        self._maps = maps
        self._rows = rows
        self._abis = abis
        self._config = maps.view("config", "I")
        self._epoch_at = layout.CONFIG.at("epoch")
        self._config[self._epoch_at] = 1
        self._epochs: deque[tuple[int, int]] = deque()

    def next_epoch(self) -> tuple[int, int]:
        """Ends the running epoch: its number, and when (CLOCK_MONOTONIC)."""
        epoch, now = self._config[self._epoch_at], time.monotonic_ns()
        self._config[self._epoch_at] = epoch + 1
        self._epochs.append((epoch, now))
        while len(self._epochs) > 2 and self._epochs[1][1] < now - _LATE_NS:
            self._epochs.popleft()
        return epoch, now

    @property
    def last_epoch(self) -> int:
        """The one that ended last; 0: none has."""
        return self._epochs[-1][0] if self._epochs else 0

    def read(self, slots: Collection[Slot], rows_of: Collection[Slot]) -> None:
        """Rows of some slots that changed, and all calls that are kept apart: of these each is in both or in neither.

        Rows of other slots must be read before the end of the next epoch, whose longest calls take their place.
        """
        by_generation = {slot.generation: slot for slot in slots}
        wanted = {slot.generation: slot for slot in rows_of}
        # The first epoch whose rows may have changed since they were read last.
        epoch = self._epochs[0][0] if self._epochs else 1
        for _ in range(_SETTLING_READS):
            self._read_rows(epoch, wanted)
            if not self._read_attach_calls(by_generation):
                return

    def odd_errnos(self) -> list[bytes]:
        """Keys of the numbers that are no known errno, as seccomp filters may return: few, usually none."""
        return list(bpf_syscall.keys(self._maps.fd("odd_errnos"), layout.ODD_ERRNO.size))

    def close(self) -> None:
        """Let go of the maps' memory."""
        self._config.release()

    def _read_rows(self, epoch: int, slots: dict[int, Slot]) -> None:
        odd = self._odd_errnos_by_row()
        owners = self._rows.touched_since(epoch, slots)
        for row, values in self._rows.read(list(owners)):
            generation = owners[row]
            readings = slots[generation].readings
            reading = readings.get(row)
            if reading is None:
                _, abi, number = self._rows.owner(row)
                reading = readings[row] = Reading(self._key(abi, number))
            reading.take(values, odd.get((generation, row), _NONE))

    def _read_attach_calls(self, slots: dict[int, Slot]) -> bool:
        """Whether any came."""
        value = ctypes.create_string_buffer(layout.ATTACH_CALL.size)
        came: dict[int, list[CallAtAttach]] = {}
        any_came = False
        while bpf_syscall.pop(self._maps.fd("attach_calls"), value):
            any_came = True
            start, length, generation, row = layout.ATTACH_CALL.unpack(value.raw)
            owner, abi, number = self._rows.owner(row)
            if owner == generation and generation in slots:
                came.setdefault(generation, []).append(CallAtAttach(self._key(abi, number), start, length))
        for generation, calls in came.items():
            slots[generation].at_attach += tuple(calls)
        return any_came

    def _odd_errnos_by_row(self) -> dict[tuple[int, int], dict[int, int]]:
        found: dict[tuple[int, int], dict[int, int]] = {}
        values = ctypes.create_string_buffer(8 * self._maps.cpus)
        for key in self.odd_errnos():
            generation, row, number = layout.ODD_ERRNO.unpack(key)
            if bpf_syscall.lookup(self._maps.fd("odd_errnos"), key, values):
                found.setdefault((generation, row), {})[number] = sum(memoryview(values.raw).cast("Q"))
        return found

    def _key(self, abi: int, number: int) -> SyscallKey:
        return layout.syscall_key(self._abis, abi, number)
