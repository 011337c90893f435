"""The parts of a status as documents: one function for each kind of row. Pure. Used by builder."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubestrace_operator.api.conditions import Outcome
from kubestrace_operator.api.timestamps import precise, utc
from kubestrace_operator.results.merge import Merged, Trust
from kubestrace_operator.results.rows import ContainerRow, SyscallRow, UnreturnedRow, first
from kubestrace_operator.status.progress import Failure
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.limits import MAX_RING_USERS

MAX_MESSAGE_CHARACTERS = 1024


def shortened(outcome: Outcome) -> Outcome:
    """Return the outcome with a message of at most MAX_MESSAGE_CHARACTERS."""
    message = outcome.message
    if len(message) > MAX_MESSAGE_CHARACTERS:
        message = message[: MAX_MESSAGE_CHARACTERS - 3] + "..."
    return Outcome(outcome.phase, outcome.reason, message)


def syscall(row: SyscallRow, added: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of summary.syscalls; `added` is what views have to say of it."""
    document: dict[str, Any] = {"name": row.name}
    if row.abi:
        document["abi"] = row.abi
    document |= {"calls": row.calls, "errors": row.errors, "interrupted": row.interrupted}
    document["totalNanoseconds"] = row.total_ns
    document |= added
    if row.timed:
        middle, p95, p99 = row.percentiles(50, 95, 99)
        document |= {
            "avgNanoseconds": row.average_ns,
            "p50Nanoseconds": middle,
            "p95Nanoseconds": p95,
            "p99Nanoseconds": p99,
            "maxNanoseconds": row.max_ns,
        }
    if row.bytes or row.zero_results:
        document |= {"bytes": row.bytes, "zeroResults": row.zero_results}
    document["wait"] = row.wait
    return document


def names(merged: Merged, architectures: Iterable[str]) -> dict[str, Any]:
    """Return the names of all calls that were seen, with those that have not returned: they are never cut."""
    seen = {_marked(row.name, row.abi) for row in merged.syscalls.values() if row.calls}
    seen |= {name for row in merged.containers.values() for name in row.unreturned_names}
    first_seen: dict[str, int] = {}
    for row in merged.syscalls.values():
        name = _marked(row.name, row.abi)
        first_seen[name] = first(first_seen.get(name, 0), row.first_seen_ns)
    document: dict[str, Any] = {"syscallNames": sorted(seen)}
    if refused := _denied(merged):
        document["deniedSyscalls"] = sorted(refused)
    if last := max(first_seen.values(), default=0):
        document["lastNewCallTime"] = precise(utc(last))
    if known := sorted(architectures):
        document["architectures"] = known
    return document


def _denied(merged: Merged) -> set[str]:
    """Return the calls of which each was denied by seccomp: all failed, and none began.

    What was under way when counting began has no length either: so many calls may be those.
    """
    calls: Counter[str] = Counter()
    begun: Counter[str] = Counter()
    for row in merged.syscalls.values():
        name = _marked(row.name, row.abi)
        calls[name] += row.calls
        begun[name] += row.calls - min(row.errors, row.calls - row.timed)
    inside = {name for row in merged.containers.values() for name in row.unreturned_names}
    return {name for name, count in calls.items() if not begun[name] and count > merged.trust.unmatched_calls} - inside


def _marked(name: str, abi: str) -> str:
    return f"{abi}:{name}" if abi else name


def error_counts(rows: Sequence[SyscallRow]) -> list[dict[str, Any]]:
    """Return summary.errorCounts, the most frequent first."""
    counted: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        for errno, count in row.errnos.items():
            counted[row.name, row.abi, errno] += count
    return [
        {"syscall": name, **({"abi": abi} if abi else {}), "errno": errno, "count": count}
        for (name, abi, errno), count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    ]


def ordered_containers(rows: Iterable[ContainerRow]) -> list[ContainerRow]:
    """Return the containers that were traced, by pod, name and life."""
    traced = [row for row in rows if row.state.phase != agent_pb2.ContainerState.PHASE_FAILED]
    return sorted(
        traced,
        key=lambda row: (
            row.state.container.pod_name,
            row.state.container.container_name,
            row.state.container.restart_count,
            row.node,
        ),
    )


def container(row: ContainerRow) -> dict[str, Any]:
    """Return a row of containers."""
    container = row.state.container
    kind = {"kind": container.kind} if container.kind else {}
    return {
        "pod": container.pod_name,
        "container": container.container_name,
        **kind,
        **({"fromStart": True} if row.state.from_start else {}),
        **_ending(row.state),
        "node": row.node,
        "restarts": container.restart_count,
        "pid": row.state.pid,
        "hostPid": row.state.host_pid,
        "calls": row.calls,
        "errors": row.errors,
        "totalNanoseconds": row.total_ns,
        "waitNanoseconds": row.wait_ns,
    }


def _ending(state: agent_pb2.ContainerState) -> dict[str, Any]:
    """Return how a life ended, as far as that is known."""
    if not state.HasField("exit_code"):
        return {}
    document: dict[str, Any] = {"exitCode": state.exit_code}
    if state.exit_reason:
        document["reason"] = state.exit_reason
    if state.finish_time_unix_nanoseconds:
        document["finishTime"] = precise(utc(state.finish_time_unix_nanoseconds))
    return document


def unreturned(row: UnreturnedRow) -> dict[str, Any]:
    """Return a row of unreturned. The agent bounds the length of its texts."""
    call = row.call
    document: dict[str, Any] = {"syscall": call.name}
    if call.abi:
        document["abi"] = call.abi
    document |= {"wait": call.wait, "ageNanoseconds": call.age_nanoseconds, "beganEarlier": call.began_earlier}
    if call.tid:
        document |= {"arguments": call.arguments, "pid": call.pid, "tid": call.tid}
        document |= {"process": call.process, "thread": call.thread}
    return document | {
        "hostPid": call.host_pid,
        "hostTid": call.host_tid,
        "pod": row.container.pod_name,
        "container": row.container.container_name,
        "node": row.node,
    }


def failure(failure: Failure) -> dict[str, str]:
    """Return a row of failures."""
    document = {"node": failure.node, "pod": failure.pod, "container": failure.container}
    named = {name: value for name, value in document.items() if value}
    return named | {"reason": failure.reason, "message": failure.message[:MAX_MESSAGE_CHARACTERS]}


def gap_order(gap: agent_pb2.Gap) -> tuple[int, str, str, str]:
    """Return what gaps are ordered by."""
    return (
        gap.start_time_unix_nanoseconds,
        gap.node,
        gap.container.pod_name,
        gap.container.container_name,
    )


def gap(gap: agent_pb2.Gap) -> dict[str, str]:
    """Return a row of trust.gaps."""
    document = {"node": gap.node, "pod": gap.container.pod_name, "container": gap.container.container_name}
    document = {name: value for name, value in document.items() if value}
    document |= {"reason": gap.reason, "message": gap.message[:MAX_MESSAGE_CHARACTERS]}
    if gap.start_time_unix_nanoseconds:
        document["startTime"] = precise(utc(gap.start_time_unix_nanoseconds))
    if gap.end_time_unix_nanoseconds:
        document["endTime"] = precise(utc(gap.end_time_unix_nanoseconds))
    return document


def io_uring(trust: Trust, *, counted: bool) -> dict[str, Any]:
    """Return trust.ioUring: how many rings there were and whose; `counted`: a view counts what they did."""
    if not trust.io_uring:
        return {"used": False}
    ordered = sorted(trust.ring_users.items(), key=lambda item: (not item[1].polled, -item[1].rings, item[0]))
    processes = [_ring_user(node, user) for (node, *_), user in ordered[:MAX_RING_USERS]]
    return {
        "used": True,
        "rings": sum(trust.rings.values()),
        "processes": processes,
        "otherProcesses": len(ordered) - len(processes) + trust.other_ring_users,
        **({} if counted else {"advice": "What was done by io_uring is not counted: views.ioUring counts it."}),
    }


def _ring_user(node: str, user: agent_pb2.RingUser) -> dict[str, Any]:
    return {
        "process": user.process,
        "pid": user.pid,
        "hostPid": user.host_pid,
        "rings": user.rings,
        "polled": user.polled,
        "pod": user.pod_name,
        "container": user.container_name,
        "node": node,
    }
