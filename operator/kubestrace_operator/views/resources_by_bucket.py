"""The numbers of resources by time: merged, as the status has them, and as lines of a chart. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubestrace_operator.api.sizes import size
from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.views.view import Bars
from kubestrace_protos.v1.views.resources_names import GROWN_BY_BUCKET, LEVELS_BY_BUCKET
from kubestrace_protos.v1.views.resources_pb2 import ResourcesBuckets

# Lines of the chart: the name, and what it is where that does not say it. Those of the second kind are left out where
# all is zero.
_ALWAYS = {"cpu.usageNanoseconds": ("cpu", ""), "memory.currentBytes": ("memory", "")}
_IF_ANY = {
    "cpu.throttledNanoseconds": ("capped", "throttled"),
    "memory.anonBytes": ("anon", ""),
    "memory.fileBytes": ("file", ""),
    "pressure.cpuSomeNanoseconds": ("queued", "waited for a CPU"),
    "pressure.memorySomeNanoseconds": ("stall", "waited for memory"),
    "pressure.ioSomeNanoseconds": ("disk", "waited for disks"),
}
# The most telling first: where there is no room, the last are left out.
_ORDER = tuple(dict.fromkeys((*_ALWAYS, *_IF_ANY, *GROWN_BY_BUCKET, *LEVELS_BY_BUCKET)))


@dataclass
class Series:
    """The buckets that hold something: by name and index."""

    values: dict[str, dict[int, int]] = field(default_factory=dict)
    # Indexes of all that were filled.
    filled: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, message: ResourcesBuckets) -> "Series":
        """Return what the wire carries; series that are of no use here are left out."""
        values = {
            name: dict(zip(message.buckets, message.series[name].values, strict=True))
            for name in (*GROWN_BY_BUCKET, *LEVELS_BY_BUCKET)
            if name in message.series
        }
        return cls(values, set(message.buckets))

    def then(self, later: "Series") -> "Series":
        """Return what two agents, one after the other, read of one container: the later level stays."""
        whole = Series({name: dict(values) for name, values in self.values.items()}, self.filled | later.filled)
        for name, values in later.values.items():
            known = whole.values.setdefault(name, {})
            for index, value in values.items():
                known[index] = value if name in LEVELS_BY_BUCKET else known.get(index, 0) + value
        return whole

    def columns(self, length: int) -> dict[str, Any]:
        """Return a number for each bucket, by the names of the status."""
        named = {name.partition(".")[2]: self.values[name] for name in _ORDER if name in self.values}
        return {name: [values.get(index, 0) for index in range(length)] for name, values in named.items()}


def total(parts: Iterable[Series]) -> Series:
    """Return the sum over containers; of pressure the most of any, as it is no sum. The parts stay as they are."""
    whole = Series()
    for part in parts:
        whole.filled |= part.filled
        for name, values in part.values.items():
            known = whole.values.setdefault(name, {})
            for index, value in values.items():
                before = known.get(index, 0)
                known[index] = max(before, value) if name.startswith("pressure.") else before + value
    return whole


def length(parts: Iterable[Series]) -> int:
    """Return how many buckets hold something or come before one that does."""
    return max((index + 1 for part in parts for index in part.filled), default=0)


def bars(whole: Series) -> list[Bars]:
    """Return the lines of a chart."""
    lines = []
    for of, (name, what) in (_ALWAYS | _IF_ANY).items():
        values: Mapping[int, int] = whole.values.get(of, {})
        if values and (of in _ALWAYS or any(values.values())):
            level = of in LEVELS_BY_BUCKET
            lines.append(Bars(name, values, size if level else duration, level, what))
    return lines
