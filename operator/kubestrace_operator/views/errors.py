"""What the view of errors says of each system call and errno: first and last time, and some calls. Pure.

Used by merge and status.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kubestrace_operator.api.timestamps import moment, precise
from kubestrace_protos.v1 import agent_pb2

# As many as a session may ask for.
MAX_SAMPLES = 10


class ErrorKey(NamedTuple):
    """How calls of one kind failed; `abi` as SyscallKey has it."""

    name: str
    abi: str
    errno: str


@dataclass(frozen=True)
class SampleRow:
    """One call that failed, and where it was made."""

    sample: agent_pb2.ErrorSample
    container: agent_pb2.Container
    node: str


@dataclass
class ErrorDetail:
    """Unix times in nanoseconds; samples of different arguments, those that came again and again first."""

    first_ns: int
    last_ns: int
    samples: list[SampleRow] = field(default_factory=list)


Details = dict[ErrorKey, ErrorDetail]


def from_report(report: agent_pb2.Report) -> Details:
    """Return what one report says."""
    return _added(_each(report))


def add(parts: Iterable[Details]) -> Details:
    """Return the sum of any number of parts, which stay as they are."""
    return _added(each for part in parts for each in part.items())


def _each(report: agent_pb2.Report) -> Iterable[tuple[ErrorKey, ErrorDetail]]:
    for each in report.containers:
        for counts in each.syscalls:
            for errno in counts.errnos:
                if errno.first_time_unix_nanoseconds:
                    samples = [SampleRow(sample, each.state.container, report.node) for sample in errno.samples]
                    times = errno.first_time_unix_nanoseconds, errno.last_time_unix_nanoseconds
                    yield ErrorKey(counts.name, counts.abi, errno.name), ErrorDetail(*times, samples)


def _added(each: Iterable[tuple[ErrorKey, ErrorDetail]]) -> Details:
    total: Details = {}
    samples: dict[ErrorKey, list[SampleRow]] = {}
    for key, detail in each:
        known = total.setdefault(key, ErrorDetail(detail.first_ns, detail.last_ns))
        known.first_ns = min(known.first_ns, detail.first_ns)
        known.last_ns = max(known.last_ns, detail.last_ns)
        samples.setdefault(key, []).extend(detail.samples)
    for key, detail in total.items():
        detail.samples = _best(samples[key])
    return total


def _best(rows: Iterable[SampleRow]) -> list[SampleRow]:
    by_arguments: dict[str, SampleRow] = {}
    for row in rows:
        known = by_arguments.get(row.sample.arguments)
        if known is None or _order(row) < _order(known):
            by_arguments[row.sample.arguments] = row
    return heapq.nsmallest(MAX_SAMPLES, by_arguments.values(), key=_order)


def _order(row: SampleRow) -> tuple[int, int, str, str, int, str]:
    sample = row.sample
    place = row.node, row.container.container_id, sample.host_tid
    return -sample.alike, -sample.time_unix_nanoseconds, *place, sample.arguments


def times(row: Mapping[str, Any], details: Details) -> dict[str, Any]:
    """Return a row of errorCounts with its times, where they are known."""
    detail = _of(row, details)
    if detail is None:
        return dict(row)
    return {**row, "firstTime": precise(moment(detail.first_ns)), "lastTime": precise(moment(detail.last_ns))}


def samples(row: Mapping[str, Any], details: Details, limit: int) -> list[dict[str, Any]]:
    """Return the samples of a row of errorCounts."""
    detail = _of(row, details)
    return [_sample(each) for each in (detail.samples[:limit] if detail else ())]


def with_samples(
    rows: Sequence[Mapping[str, Any]], samples: Sequence[list[dict[str, Any]]], limit: int
) -> list[dict[str, Any]]:
    """Return rows, so many of the first ones with their samples."""
    return [
        {**row, "samples": told} if told and position < limit else dict(row)
        for position, (row, told) in enumerate(zip(rows, samples, strict=False))
    ]


def _of(row: Mapping[str, Any], details: Details) -> ErrorDetail | None:
    return details.get(ErrorKey(row["syscall"], row.get("abi", ""), row["errno"]))


def _sample(row: SampleRow) -> dict[str, Any]:
    """What came from an agent is bounded there."""
    sample = row.sample
    return {
        "time": precise(moment(sample.time_unix_nanoseconds)),
        "arguments": sample.arguments,
        "pid": sample.pid,
        "tid": sample.tid,
        "hostPid": sample.host_pid,
        "process": sample.process,
        "thread": sample.thread,
        "pod": row.container.pod_name,
        "container": row.container.container_name,
        "node": row.node,
    }
