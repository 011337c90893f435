"""The view slowCalls: the slowest calls one by one, with their arguments and, on request, their stacks. Pure."""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.api.timestamps import precise, utc
from kubestrace_operator.results.places import Places
from kubestrace_operator.results.rows import shown_mark
from kubestrace_operator.status.sections import Section, listed
from kubestrace_operator.views.profiles import Profile
from kubestrace_operator.views.view import ContainerResult, Flag, Loss, Shown, Span, View
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import slow_calls_limits as limits
from kubestrace_protos.v1.views.slow_calls_pb2 import SlowCall, SlowCallsRequest, SlowCallsResult

DEFAULT_THRESHOLD_MILLISECONDS = 10
DEFAULT_LIMIT = 50
# Calls may take half of the room.
_SHARE = 2
_THRESHOLDS = limits.MIN_THRESHOLD_MILLISECONDS, limits.MAX_THRESHOLD_MILLISECONDS
_CALLS_LOST = Loss(
    "slowCalls", "slow call", "slow calls", "had no room: slowCalls may miss some.", reason="SlowCallsLost"
)
_STACKS_LOST = Loss("stacks", "stack", "stacks", "of slow calls could not be taken.")
# Of those that waited: idle workers wait long, and are well. The status has them all.
_SHOWN_WAITS = 10


@dataclass(frozen=True)
class Settings:
    """Which calls are candidates, and how many of them are shown."""

    threshold_milliseconds: int = DEFAULT_THRESHOLD_MILLISECONDS
    limit: int = DEFAULT_LIMIT
    # Whether each is shown with its stacks.
    stacks: bool = False


@dataclass(frozen=True)
class SlowCallRow:
    """One slow call, and where it was made."""

    call: SlowCall
    container: agent_pb2.Container
    node: str


class SlowCalls(View[Settings, SlowCallsResult, list[SlowCallRow]]):
    """The slice."""

    name = "slowCalls"
    profiles = frozenset({Profile.NETWORK, Profile.STORAGE})
    fields = ("thresholdMilliseconds", "limit", "stacks")
    result_type = SlowCallsResult
    known_losses = (_CALLS_LOST, _STACKS_LOST)
    example = "--slow 10 --stacks --pid 4711"
    flags = (
        Flag(
            "--slow",
            "list the slowest calls that took at least this long, with their arguments, like strace -T with a "
            f"threshold; {_THRESHOLDS[0]} to {_THRESHOLDS[1]} (default: the session's slowCalls view, else no list)",
            field="thresholdMilliseconds",
            metavar="MILLISECONDS",
            bounds=_THRESHOLDS,
            unit="whole milliseconds",
        ),
        Flag(
            "--stacks",
            "with each slow call, where in the kernel it waited longest and which functions made it; needs --slow "
            "or the session's slowCalls view",
            field="stacks",
            needs="--stacks needs slow calls: add --slow MILLISECONDS",
        ),
    )

    def parse(self, fields: Fields, duration_seconds: int) -> Settings:
        """Return the settings."""
        threshold = fields.integer("thresholdMilliseconds", DEFAULT_THRESHOLD_MILLISECONDS, *_THRESHOLDS)
        limit = fields.integer("limit", DEFAULT_LIMIT, 1, limits.MAX_LIMIT)
        return Settings(threshold, limit, stacks=fields.boolean("stacks"))

    def spec(self, settings: Settings) -> dict[str, Any]:
        """Return them as a spec has them; without stacks where they are off."""
        spec: dict[str, Any] = {"thresholdMilliseconds": settings.threshold_milliseconds, "limit": settings.limit}
        return spec | ({"stacks": True} if settings.stacks else {})

    def request(self, settings: Settings, span: Span) -> SlowCallsRequest:
        """Return what agents are asked for."""
        return SlowCallsRequest(
            threshold_nanoseconds=1_000_000 * settings.threshold_milliseconds,
            limit=settings.limit,
            stacks=settings.stacks,
        )

    def merge(self, results: Iterable[ContainerResult[SlowCallsResult]]) -> list[SlowCallRow]:
        """Return the slowest calls of a report."""
        return _slowest(
            SlowCallRow(call, each.container, each.key.node) for each in results for call in each.message.calls
        )

    def add(self, parts: Iterable[list[SlowCallRow]]) -> list[SlowCallRow]:
        """Return the slowest of all."""
        return _slowest(row for part in parts for row in part)

    def losses(self, settings: Settings) -> Sequence[Loss]:
        """Return the losses, without that of stacks where these are off."""
        return self.known_losses if settings.stacks else (_CALLS_LOST,)

    def sections(self, shown: Shown[Settings, list[SlowCallRow]]) -> Sequence[Section]:
        """Return status.slowCalls."""
        rows = [document(row) for row in shown.part[: shown.settings.limit]]
        return (listed(rows, "slowCalls", share=_SHARE, weight=4),)

    def details(self, status: Mapping[str, Any]) -> Iterator[str]:
        """Yield one line for each call, like strace -T, with when and who before it."""
        if "slowCalls" in status:
            yield from ("", *_lines(status["slowCalls"], Places(status)))


def _slowest(rows: Iterable[SlowCallRow]) -> list[SlowCallRow]:
    """Return the slowest calls that work by length, then those that wait: as many as any session may ask for.

    The slowest of all are among the slowest of each part.
    """
    return heapq.nsmallest(limits.MAX_LIMIT, rows, key=_order)


def _order(row: SlowCallRow) -> tuple[bool, int, int, str, str, int]:
    call = row.call
    place = row.node, row.container.container_id, call.host_tid
    return call.wait, -call.nanoseconds, call.start_time_unix_nanoseconds, *place


def document(row: SlowCallRow) -> dict[str, Any]:
    """Return a row of slowCalls. The agent bounds the length of its texts."""
    call = row.call
    document: dict[str, Any] = {"time": precise(utc(call.start_time_unix_nanoseconds)), "syscall": call.name}
    if call.abi:
        document["abi"] = call.abi
    document |= {"nanoseconds": call.nanoseconds, "wait": call.wait, "arguments": call.arguments}
    if call.HasField("cpu_nanoseconds"):
        document |= {"cpuNanoseconds": call.cpu_nanoseconds, "runnableNanoseconds": call.runnable_nanoseconds}
    document |= {"errno": call.errno} if call.errno else {"result": call.result}
    stacks = {"kernelStack": list(call.kernel_stack), "userStack": list(call.user_stack)}
    document |= {name: words for name, words in stacks.items() if words}
    return document | {
        "pid": call.pid,
        "tid": call.tid,
        "hostPid": call.host_pid,
        "process": call.process,
        "thread": call.thread,
        "pod": row.container.pod_name,
        "container": row.container.container_name,
        "node": row.node,
    }


def _lines(rows: Sequence[Mapping[str, Any]], places: Places) -> Iterator[str]:
    if not rows:
        yield "No call was slow."
        return
    yield "slow calls, those that wait at the end"
    on_cpu = any("cpuNanoseconds" in row for row in rows)
    yield f"time (UTC)            msec{'     on cpu' * on_cpu}   pid   tid  thread           call"
    waited = [row for row in rows if row["wait"]]
    for row in [row for row in rows if not row["wait"]] + waited[:_SHOWN_WAITS]:
        yield f"{_line(row, on_cpu=on_cpu)}{places.behind(row)}"
        yield from _stack("kernel", row.get("kernelStack", ()))
        yield from _stack("user", row.get("userStack", ()))
    if len(waited) > _SHOWN_WAITS:
        yield f"({len(waited) - _SHOWN_WAITS} more that waited)"


def _line(row: Mapping[str, Any], *, on_cpu: bool) -> str:
    result = f"-1 {row['errno']}" if "errno" in row else row["result"]
    mark = shown_mark(row.get("abi", ""), wait=row["wait"])
    call = f"{row['syscall']}({row['arguments']}) = {result}  {mark}".rstrip()
    lengths = [row["nanoseconds"], *([row.get("cpuNanoseconds")] if on_cpu else [])]
    shown = " ".join(f"{'' if length is None else f'{length / 1e6:.3f}':>10}" for length in lengths)
    return f"{row['time'][11:26]} {shown} {row['pid']:5} {row['tid']:5}  {row['thread']:<16} {call}"


def _stack(whose: str, words: Sequence[str]) -> Iterator[str]:
    """Yield a stack below its call, the innermost function first."""
    for at, word in enumerate(words):
        yield f"{'' if at else whose + ':':>43} {word}"
