"""What one container's memory did in one session, as the wire carries it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from kubestrace_agent.views.growing import Growing
from kubestrace_agent.views.memory.sources import PART
from kubestrace_agent.views.memory.values import KINDS, RawMemory
from kubestrace_protos.v1.views import memory_pb2

if TYPE_CHECKING:
    from kubestrace_agent.symbols.roots import Held

NAME = "memory"
# Levels that are kept: of more, each second one is dropped, and those that follow are farther apart.
MAX_LEVELS = 60


@dataclass(eq=False)
class MemoryUse:
    """Levels by time, at least `apart_ns` from one another; the newest is always among them."""

    readings: list[RawMemory] = field(default_factory=list)
    apart_ns: int = 0

    def add(self, reading: RawMemory) -> None:
        """Take a further reading."""
        if len(self.readings) > 1 and self.readings[-1].time_ns - self.readings[-2].time_ns < self.apart_ns:
            self.readings.pop()
        self.readings.append(reading)
        if len(self.readings) > MAX_LEVELS:
            span_ns = self.readings[-1].time_ns - self.readings[0].time_ns
            self.apart_ns = max(2 * self.apart_ns, 2 * span_ns // MAX_LEVELS)
            self.readings = [*self.readings[:-1:2], self.readings[-1]]


@dataclass(eq=False)
class MemoryOfContainer(Growing[RawMemory]):
    """The memory of a container: the first reading is the start."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = PART

    # Set where a process is held until it is counted, and is another program until then.
    held: Held | None = None
    use: MemoryUse = field(default_factory=MemoryUse)

    def take(self, reported: RawMemory | None, lost: int, unix_minus_monotonic_ns: int) -> None:
        """Take the newest reading; a container whose last process has ended has no levels."""
        super().take(reported, lost, unix_minus_monotonic_ns)
        if reported is not None and reported.levels.processes and not self._is_held(reported):
            self.use.add(reported)

    def _is_held(self, reading: RawMemory) -> bool:
        return self.held is not None and not 0 < self.held.released_ns < reading.time_ns

    def began(self, monotonic_ns: int) -> None:
        """The container's program was executed then: what was before it was the runtime's."""
        self.use.readings = [each for each in self.use.readings if each.time_ns >= monotonic_ns]

    def told(self, start: RawMemory, now: RawMemory) -> memory_pb2.MemoryResult:
        """Return what was done since the start, and the levels."""
        result = memory_pb2.MemoryResult(unsized_calls=now.unsized - start.unsized)
        for kind, before, after in zip(KINDS, start.flows, now.flows, strict=True):
            flow = after.minus(before)
            if flow.calls:
                result.flows.add(
                    kind=kind, calls=flow.calls, failed=flow.failed, bytes=flow.bytes, total_nanoseconds=flow.total_ns
                )
        result.levels.extend(_levels(reading, start.time_ns) for reading in self.use.readings)
        return result


def _levels(reading: RawMemory, start_ns: int) -> memory_pb2.MemoryLevels:
    levels = reading.levels
    return memory_pb2.MemoryLevels(
        since_start_nanoseconds=reading.time_ns - start_ns,
        processes=levels.processes,
        anon_bytes=levels.anon,
        file_bytes=levels.file,
        shared_bytes=levels.shared,
        swap_bytes=levels.swap,
        virtual_bytes=levels.virtual,
        page_table_bytes=levels.page_tables,
        unread_processes=levels.unread,
    )
