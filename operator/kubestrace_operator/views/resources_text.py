"""The numbers of resources as text for people. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kubestrace_operator.api.sizes import size
from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.results.places import place

_MOST = 10
_WAITS = ("cpuSomeNanoseconds", "memorySomeNanoseconds", "ioSomeNanoseconds")
_HEADS = ("cpu", "limit", "throttled", "memory", "limit", "peak", "oom kills", "waits cpu/mem/io")


class Row(NamedTuple):
    """A container and its numbers, as its row of status.containers has them."""

    pod: str
    container: str
    restarts: int
    row: Mapping[str, Any]


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a table of the containers, those that were throttled longest first; `?` is what could not be read."""
    known = [row for row in rows if {"cpu", "memory", "pressure"} & row.row.get("resources", {}).keys()]
    if not known:
        return
    ordered = sorted(known, key=_order)
    table = [(_HEADS, "container"), *((_cells(row), _name(row)) for row in ordered[:_MOST])]
    # As narrow as they can be: names of pods are long.
    widths = [max(map(len, column)) for column in zip(*(cells for cells, _ in table), strict=True)]
    for cells, name in table:
        yield f"  {' '.join(map(str.rjust, cells, widths))} {name}"
    if len(ordered) > _MOST:
        yield f"and {len(ordered) - _MOST} more in status.containers"


def _order(row: Row) -> tuple[int, int, int, str, str]:
    numbers = row.row["resources"]
    cpu, memory = numbers.get("cpu", {}), numbers.get("memory", {})
    worst = -memory.get("oomKills", 0), -cpu.get("throttledNanoseconds", 0), -cpu.get("usageNanoseconds", 0)
    return *worst, row.pod, row.container


def _cells(row: Row) -> tuple[str, ...]:
    numbers = row.row["resources"]
    cpu, memory, pressure = (numbers.get(name, {}) for name in ("cpu", "memory", "pressure"))
    unknown = {each["name"] for each in numbers.get("unavailable", ())}
    millicores, limit = cpu.get("limitMillicores"), memory.get("limitBytes")
    return (
        _told(cpu, "usageNanoseconds", duration),
        _limit(millicores and f"{millicores}m", bool(unknown & {"cpu", "cpu.limitMillicores"})),
        _throttled(cpu),
        _told(memory, "currentBytes", size),
        _limit(limit and size(limit), "memory" in unknown),
        _told(memory, "peakBytes", size),
        _told(memory, "oomKills", str),
        _waits(pressure),
    )


def _name(row: Row) -> str:
    life = f" (restart {row.restarts})" if row.restarts else ""
    unread = " [its end was not read]" if row.row["resources"].get("endedUnread") else ""
    return f"{place(row.pod, row.container)}{life}{unread}"


def _told(numbers: Mapping[str, int], name: str, text: Any) -> str:
    return str(text(numbers[name])) if name in numbers else "?"


def _limit(text: str | int | None, unknown: bool) -> str:
    return str(text) if text else "?" if unknown else "none"


def _throttled(cpu: Mapping[str, int]) -> str:
    if "periods" not in cpu:
        return "?"
    if not cpu["throttledPeriods"]:
        return "no"
    return f"{duration(cpu['throttledNanoseconds'])}, {100 * cpu['throttledPeriods'] // max(cpu['periods'], 1)}%"


def _waits(pressure: Mapping[str, int]) -> str:
    """Return for how long some of the container's threads waited for a resource."""
    return "/".join(_told(pressure, name, duration) for name in _WAITS)
