"""The view blockIO as text for people. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubestrace_operator.api.sizes import size
from kubestrace_operator.api.timestamps import duration

_MOST = 10
_SHARED, _WHOLE_NODE = "shared", "of the whole node"
_WHOSE = {
    "container": "",
    "pageOwner": "written back by others",
    "process": "",
    _SHARED: f"{_WHOLE_NODE}: journals, flushes",
}


def lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the rows of status.blockIO.devices as a table; sizes and times in the units that people read."""
    if not rows:
        yield "No disk did anything: what was read was in memory, and what was written has not been written back yet."
        return
    several_nodes = len({row["node"] for row in rows}) > 1
    yield f"{'requests':>10} {'bytes':>9} {'avg':>9} {'queue p99':>9} {'disk p50':>9} {'p99':>9} {'max':>9} disk"
    for row in rows[:_MOST]:
        times, queue = row["deviceTime"], row["queueTime"]
        mean = row["bytes"] // row["count"] if row["count"] else 0
        yield (
            f"{row['count']:>10} {size(row['bytes']):>9} {size(mean):>9} {duration(queue['p99Nanoseconds']):>9} "
            f"{duration(times['p50Nanoseconds']):>9} {duration(times['p99Nanoseconds']):>9} "
            f"{duration(times['maxNanoseconds']):>9} {_name(row, several_nodes=several_nodes)}"
        )
    if len(rows) > _MOST:
        yield f"and {len(rows) - _MOST} more in status.blockIO.devices"


def _name(row: Mapping[str, Any], *, several_nodes: bool) -> str:
    words = [row["device"], row["operation"]]
    # Somebody waits for each read.
    if row["sync"] and row["operation"] == "write":
        words.append("sync")
    if row["metadata"]:
        words.append("metadata")
    said = _WHOSE[row["attribution"]]
    if several_nodes and row["attribution"] == _SHARED:
        said = said.replace(_WHOLE_NODE, f"of all {row['node']}")
    elif several_nodes:
        words.append(f"on {row['node']}")
    whose = [f"({said})"] if said else []
    failed = [f"{row['errors']} failed"] if row["errors"] else []
    return " ".join([*words, *whose, *failed])
