"""Single calls among the sums: those that were slow, and those that have not returned. Used by merge."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from kubestrace_protos.v1 import agent_pb2

# As many as a session may ask for: the slowest of all are among the slowest of each part.
MAX_SLOW_CALLS = 200
# Calls that have not returned, of all containers; each agent tells fewer of each.
MAX_UNRETURNED = 50


@dataclass(frozen=True)
class SlowCallRow:
    """One slow call, and where it was made."""

    call: agent_pb2.SlowCall
    container: agent_pb2.Container
    node: str


@dataclass(frozen=True)
class UnreturnedRow:
    """One call that has not returned, and where it was made."""

    call: agent_pb2.UnreturnedCall
    container: agent_pb2.Container
    node: str


def slowest(rows: Iterable[SlowCallRow]) -> list[SlowCallRow]:
    """Return the slowest calls that work by length, then those that wait, as many as any session shows."""
    return heapq.nsmallest(MAX_SLOW_CALLS, rows, key=_slow_order)


def _slow_order(row: SlowCallRow) -> tuple[bool, int, int, str, str, int]:
    call = row.call
    place = row.node, row.container.container_id, call.host_tid
    return call.wait, -call.nanoseconds, call.start_time_unix_nanoseconds, *place


def oldest(rows: Iterable[UnreturnedRow]) -> list[UnreturnedRow]:
    """Return the oldest calls that work by age, then those that wait, as many as any session shows."""
    return heapq.nsmallest(MAX_UNRETURNED, rows, key=_unreturned_order)


def _unreturned_order(row: UnreturnedRow) -> tuple[bool, int, str, str, int]:
    call = row.call
    return call.wait, -call.age_nanoseconds, row.node, row.container.container_id, call.host_tid
