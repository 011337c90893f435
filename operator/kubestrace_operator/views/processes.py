"""Processes of all containers, added up, and as the status shows them. Pure; used by merge and status."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kubestrace_operator.api.timestamps import moment, precise
from kubestrace_protos.v1 import agent_pb2

# As many as a session may ask for: the busiest of all are among the busiest of each part.
MAX_ROWS = 100


@dataclass(frozen=True)
class ProcessRow:
    """One process, and where it ran."""

    process: agent_pb2.Process
    container: agent_pb2.Container
    node: str


@dataclass
class Sums:
    """Calls of many processes."""

    calls: int = 0
    errors: int = 0
    total_ns: int = 0
    wait_ns: int = 0

    def add(self, sums: agent_pb2.CallSums) -> None:
        """Add what came by the wire."""
        self.calls += sums.calls
        self.errors += sums.errors
        self.total_ns += sums.total_nanoseconds
        self.wait_ns += sums.wait_nanoseconds

    def message(self) -> agent_pb2.CallSums:
        """Return it as the wire carries it."""
        return agent_pb2.CallSums(
            calls=self.calls, errors=self.errors, total_nanoseconds=self.total_ns, wait_nanoseconds=self.wait_ns
        )


@dataclass
class Processes:
    """The processes with the most time in calls that work, the sums of the others, and how many all are."""

    rows: list[ProcessRow] = field(default_factory=list)
    others: Sums = field(default_factory=Sums)
    seen: int = 0
    execs_lost: int = 0


def from_report(report: agent_pb2.Report) -> Processes:
    """Return the processes of one report."""
    found = Processes()
    rows = []
    for each in report.containers:
        counts = each.processes
        rows += [ProcessRow(process, each.state.container, report.node) for process in counts.processes]
        found.others.add(counts.others)
        found.seen += counts.seen
        found.execs_lost += counts.execs_lost
    return _cut(found, rows, MAX_ROWS)


def add(parts: Iterable[Processes]) -> Processes:
    """Return the sum of any number of parts, which stay as they are."""
    total = Processes()
    rows: list[ProcessRow] = []
    for part in parts:
        rows += part.rows
        total.others.add(part.others.message())
        total.seen += part.seen
        total.execs_lost += part.execs_lost
    return _cut(total, rows, MAX_ROWS)


def shown(processes: Processes, limit: int) -> Processes:
    """Return it with no more rows than that: the rest is among the others."""
    less = Processes(seen=processes.seen, execs_lost=processes.execs_lost)
    less.others.add(processes.others.message())
    return _cut(less, processes.rows, limit)


def _cut(found: Processes, rows: list[ProcessRow], limit: int) -> Processes:
    found.rows = heapq.nsmallest(limit, rows, key=_order)
    kept = {id(row) for row in found.rows}
    for row in rows:
        if id(row) not in kept:
            found.others.add(row.process.sums)
    return found


def _order(row: ProcessRow) -> tuple[int, int, int, int, str, str, int]:
    sums, process = row.process.sums, row.process
    place = row.node, row.container.container_id, process.host_pid
    return (
        -sums.total_nanoseconds, -sums.wait_nanoseconds, -sums.calls, process.start_time_unix_nanoseconds, *place,
    )  # fmt: skip


def document(row: ProcessRow) -> dict[str, Any]:
    """Return a row of processes. What came from an agent is bounded there."""
    process = row.process
    found: dict[str, Any] = {
        "pid": process.pid,
        "parentPid": process.parent_pid,
        "hostPid": process.host_pid,
        "command": process.command,
        "executable": process.executable,
        "startTime": precise(moment(process.start_time_unix_nanoseconds)),
    }
    if process.lifetime_nanoseconds:
        found["lifetimeNanoseconds"] = process.lifetime_nanoseconds
    if process.HasField("exit_code"):
        found["exitCode"] = process.exit_code
    if process.signal:
        found["signal"] = process.signal
    return found | {
        **_sums(process.sums),
        "threads": process.threads,
        "syscalls": [_syscall(each) for each in process.syscalls],
        # Of a process with one thread that says nothing new.
        "busiestThreads": [_thread(each) for each in process.busiest_threads] if process.threads > 1 else [],
        "execs": [_exec(each) for each in process.execs],
        "execsSeen": process.execs_seen,
        "pod": row.container.pod_name,
        "container": row.container.container_name,
        "node": row.node,
    }


def others(processes: Processes) -> dict[str, Any]:
    """Return what is not shown one by one."""
    return {"processes": processes.seen - len(processes.rows), **_sums(processes.others.message())}


def _sums(sums: agent_pb2.CallSums) -> dict[str, int]:
    return {
        "calls": sums.calls,
        "errors": sums.errors,
        "totalNanoseconds": sums.total_nanoseconds,
        "waitNanoseconds": sums.wait_nanoseconds,
    }


def _syscall(each: agent_pb2.ProcessSyscall) -> dict[str, Any]:
    return {
        "name": each.name,
        **({"abi": each.abi} if each.abi else {}),
        "calls": each.calls,
        "errors": each.errors,
        "totalNanoseconds": each.total_nanoseconds,
        "wait": each.wait,
    }


def _thread(each: agent_pb2.ProcessThread) -> dict[str, Any]:
    return {"tid": each.tid, "hostTid": each.host_tid, "name": each.name, **_sums(each.sums)}


def _exec(each: agent_pb2.Exec) -> dict[str, str]:
    return {
        "time": precise(moment(each.time_unix_nanoseconds)),
        "command": each.command,
        "executable": each.executable,
    }
