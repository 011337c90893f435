"""Adding up reports: of several nodes, and of several agents that served one node one after the other.

A report is a full snapshot, so of one agent only the latest counts; reports of different agents never overlap and are
added. Adding is associative and commutative: the order in which reports come does not matter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubestrace_operator.results import histograms
from kubestrace_operator.results.rows import (
    ContainerKey,
    ContainerRow,
    SyscallKey,
    SyscallRow,
    UnreturnedRow,
    first,
    oldest,
)
from kubestrace_operator.views import registry
from kubestrace_protos.v1 import agent_pb2

RingKey = tuple[str, int, str]


@dataclass
class Trust:
    """What is missing from the counts."""

    unmatched_calls: int = 0
    lost_calls: int = 0
    io_uring: bool = False
    # By node, process ID there, and name: agents of one node may tell of one process one after the other.
    ring_users: dict[RingKey, agent_pb2.RingUser] = field(default_factory=dict)
    other_ring_users: int = 0
    # By node.
    rings: dict[str, int] = field(default_factory=dict)
    gaps: list[agent_pb2.Gap] = field(default_factory=list)
    # By node: the agents of one node ran one after the other, their use is no sum.
    agent_cpu_millicores: dict[str, int] = field(default_factory=dict)
    skipped_calls: int = 0
    runtime_calls: int = 0
    # What views had no room for, by the loss's name.
    losses: dict[str, int] = field(default_factory=dict)


@dataclass
class Merged:
    """Everything counted by any number of reports."""

    syscalls: dict[SyscallKey, SyscallRow] = field(default_factory=dict)
    containers: dict[ContainerKey, ContainerRow] = field(default_factory=dict)
    trust: Trust = field(default_factory=Trust)
    # The merged results of each view that was reported, by its name.
    views: dict[str, Any] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """All calls, working and waiting."""
        return sum(row.calls for row in self.syscalls.values())

    @property
    def errors(self) -> int:
        """All calls that returned an error."""
        return sum(row.errors for row in self.syscalls.values())

    @property
    def interrupted(self) -> int:
        """All calls that a signal interrupted to be restarted."""
        return sum(row.interrupted for row in self.syscalls.values())

    @property
    def total_ns(self) -> int:
        """Time in calls that work."""
        return sum(row.total_ns for row in self.syscalls.values() if not row.wait)

    @property
    def wait_ns(self) -> int:
        """Time in calls that waited."""
        return sum(row.total_ns for row in self.syscalls.values() if row.wait)

    @property
    def unreturned_calls(self) -> int:
        """Calls that have not returned, over all containers."""
        return sum(row.unreturned_calls for row in self.containers.values())

    @property
    def unreturned(self) -> list[UnreturnedRow]:
        """The oldest of them: calls that work by age, then those that wait."""
        rows = (
            UnreturnedRow(call, row.state.container, row.node)
            for row in self.containers.values()
            for call in row.unreturned
        )
        return oldest(rows)


def merge(reports: Iterable[agent_pb2.Report]) -> Merged:
    """Return the sum of the latest report of each agent."""
    newest = list(latest(reports).values())
    rows: dict[SyscallKey, SyscallRow] = {}
    for counts in (each for report in newest for container in report.containers for each in container.syscalls):
        _count(rows, counts)
    return Merged(
        rows,
        _add_containers(_containers(report) for report in newest),
        _add_trust(_trust(report.node, report.trust) for report in newest),
        registry.add(registry.from_report(report) for report in newest),
    )


def totals(reports: Iterable[agent_pb2.Report]) -> Merged:
    """Return what `merge` says of containers and trust, and of all calls one sum for each kind, working and waiting."""
    newest = list(latest(reports).values())
    sums: list[SyscallRow] = []
    containers = _add_containers(_containers(report, sums) for report in newest)
    return Merged(
        syscalls=add_rows(row for row in sums if row.calls),
        containers=containers,
        trust=_add_trust(_trust(report.node, report.trust) for report in newest),
    )


def latest(reports: Iterable[agent_pb2.Report]) -> dict[tuple[str, str], agent_pb2.Report]:
    """Return the report with the highest sequence for each (node, agent id)."""
    newest: dict[tuple[str, str], agent_pb2.Report] = {}
    for report in reports:
        known = newest.get((report.node, report.agent_id))
        if known is None or known.sequence < report.sequence:
            newest[report.node, report.agent_id] = report
    return newest


def add(parts: Iterable[Merged]) -> Merged:
    """Return the sum of any number of sums."""
    parts = list(parts)
    with_rows = [part.syscalls for part in parts if part.syscalls]
    return Merged(
        # Nobody changes rows once they are there.
        dict(with_rows[0]) if len(with_rows) == 1 else add_rows(row for rows in with_rows for row in rows.values()),
        _add_containers(part.containers for part in parts),
        _add_trust(part.trust for part in parts),
        registry.add(part.views for part in parts),
    )


def add_rows(rows: Iterable[SyscallRow]) -> dict[SyscallKey, SyscallRow]:
    """Return rows summed by call and ABI; the given rows stay as they are."""
    total: dict[SyscallKey, SyscallRow] = {}
    for row in rows:
        key = SyscallKey(row.name, row.abi, row.wait)
        sum_row = total.setdefault(key, SyscallRow(*key))
        sum_row.calls += row.calls
        sum_row.errors += row.errors
        sum_row.interrupted += row.interrupted
        sum_row.timed += row.timed
        sum_row.total_ns += row.total_ns
        sum_row.max_ns = max(sum_row.max_ns, row.max_ns)
        sum_row.bytes += row.bytes
        sum_row.zero_results += row.zero_results
        sum_row.first_seen_ns = first(sum_row.first_seen_ns, row.first_seen_ns)
        histograms.add_into(sum_row.errnos, row.errnos)
        histograms.add_into(sum_row.latency, row.latency)
    return total


def _count(rows: dict[SyscallKey, SyscallRow], counts: agent_pb2.SyscallCounts) -> None:
    """Add one row of one container. A report has thousands: nothing is built on the way."""
    named = (counts.name, counts.abi, counts.wait)
    # Equal to the key, and made in a fifth of the time.
    row = rows.get(named)  # type: ignore[call-overload]
    if row is None:
        row = rows[SyscallKey(*named)] = SyscallRow(*named)
    row.calls += counts.calls
    row.errors += counts.errors
    row.interrupted += counts.interrupted
    row.timed += counts.timed
    row.total_ns += counts.total_nanoseconds
    if (max_ns := counts.max_nanoseconds) > row.max_ns:
        row.max_ns = max_ns
    row.bytes += counts.bytes
    row.zero_results += counts.zero_results
    row.first_seen_ns = first(row.first_seen_ns, counts.first_seen_unix_nanoseconds)
    for errno in counts.errnos:
        row.errnos[errno.name] = row.errnos.get(errno.name, 0) + errno.count
    known, latency = row.latency, counts.latency
    # Plain lists: going through the message's own takes three times as long.
    found = zip(latency.buckets[:], latency.counts[:], strict=True)
    if not known:
        known.update(found)
        return
    for bucket, count in found:
        known[bucket] = known.get(bucket, 0) + count


def _containers(report: agent_pb2.Report, sums: list[SyscallRow] | None = None) -> dict[ContainerKey, ContainerRow]:
    """Return a row of each container; `sums` takes their sums over all calls, of those that work and that waited."""
    rows = [_container(report.node, each, sums if sums is not None else []) for each in report.containers]
    return {row.key: row for row in rows}


def _container(node: str, report: agent_pb2.ContainerReport, sums: list[SyscallRow]) -> ContainerRow:
    works, waits = _both_sums(report.syscalls)
    sums += works, waits
    return ContainerRow(
        state=report.state,
        node=node,
        calls=works.calls + waits.calls,
        errors=works.errors + waits.errors,
        total_ns=works.total_ns,
        wait_ns=waits.total_ns,
        unreturned_calls=report.trust.unreturned_calls,
        unreturned=tuple(report.unreturned),
        unreturned_names=frozenset(report.unreturned_names),
    )


def _both_sums(rows: Iterable[agent_pb2.SyscallCounts]) -> tuple[SyscallRow, SyscallRow]:
    """Return the sums of calls that work and of those that waited, in one pass: there are hundreds of rows."""
    works, waits = SyscallRow(""), SyscallRow("", wait=True)
    for counts in rows:
        row = waits if counts.wait else works
        row.calls += counts.calls
        row.errors += counts.errors
        row.interrupted += counts.interrupted
        row.total_ns += counts.total_nanoseconds
    return works, waits


def _add_containers(parts: Iterable[Mapping[ContainerKey, ContainerRow]]) -> dict[ContainerKey, ContainerRow]:
    total: dict[ContainerKey, ContainerRow] = {}
    for part in parts:
        for key, row in part.items():
            known = total.get(key)
            total[key] = row if known is None else _both(known, row)
    return total


def _both(one: ContainerRow, other: ContainerRow) -> ContainerRow:
    """Return the counts that two agents, one after the other, made of the same container."""
    later = max(one, other, key=_progress)
    return ContainerRow(
        state=later.state,
        node=later.node,
        calls=one.calls + other.calls,
        errors=one.errors + other.errors,
        total_ns=one.total_ns + other.total_ns,
        wait_ns=one.wait_ns + other.wait_ns,
        # A call is in one agent's last report and in the next one's too: it is one call.
        unreturned_calls=later.unreturned_calls,
        unreturned=later.unreturned,
        # In the first agent's last report, they may have returned before the next one counted.
        unreturned_names=one.unreturned_names | other.unreturned_names,
    )


def _progress(row: ContainerRow) -> tuple[bool, int, int, bytes, int, bytes]:
    state = row.state
    failed = state.phase == agent_pb2.ContainerState.PHASE_FAILED
    # The bytes decide between equals, so that the order of adding does not.
    named = state.SerializeToString(deterministic=True)
    calls = b"".join(call.SerializeToString(deterministic=True) for call in row.unreturned)
    return not failed, state.start_time_unix_nanoseconds, state.phase, named, row.unreturned_calls, calls


def _trust(node: str, trust: agent_pb2.Trust) -> Trust:
    return Trust(
        unmatched_calls=trust.unmatched_calls,
        lost_calls=trust.lost_calls,
        skipped_calls=trust.skipped_calls,
        runtime_calls=trust.runtime_calls,
        losses=dict(trust.losses),
        io_uring=trust.io_uring,
        ring_users={(node, user.host_pid, user.process): user for user in trust.ring_users},
        other_ring_users=trust.other_ring_users,
        rings={node: trust.rings} if trust.rings else {},
        gaps=list(trust.gaps),
        agent_cpu_millicores={node: trust.agent_cpu_millicores},
    )


def _add_trust(parts: Iterable[Trust]) -> Trust:
    total = Trust()
    for part in parts:
        total.unmatched_calls += part.unmatched_calls
        total.lost_calls += part.lost_calls
        total.skipped_calls += part.skipped_calls
        total.runtime_calls += part.runtime_calls
        histograms.add_into(total.losses, part.losses)
        total.io_uring = total.io_uring or part.io_uring
        for key, user in part.ring_users.items():
            known = total.ring_users.get(key)
            if known is None or _ring_worth(user) > _ring_worth(known):
                total.ring_users[key] = user
        total.other_ring_users += part.other_ring_users
        for node, rings in part.rings.items():
            total.rings[node] = max(total.rings.get(node, 0), rings)
        total.gaps.extend(part.gaps)
        for node, millicores in part.agent_cpu_millicores.items():
            total.agent_cpu_millicores[node] = max(total.agent_cpu_millicores.get(node, 0), millicores)
    return total


def _ring_worth(user: agent_pb2.RingUser) -> tuple[bool, int, bytes]:
    # The bytes decide between equals, so that the order of adding does not.
    return user.polled, user.rings, user.SerializeToString(deterministic=True)
