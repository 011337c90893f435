"""Two snapshots of a slot -> what was counted between them, as the wire carries it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from kubestrace_agent.kernel.counters.counts import CallAtAttach, RawCounts, RingUser, Row
from kubestrace_agent.syscalls import UNKNOWN_NUMBERS, SyscallKey, errno_name, name, names
from kubestrace_agent.text import safe
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.histograms import BUCKETS, bucket_bounds, bucket_index
from kubestrace_protos.v1.limits import MAX_RING_USERS

# Returns that the kernel turns into a restart or EINTR before the program sees them (Linux include/linux/errno.h:
# ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK).
RESTARTS = frozenset({512, 513, 514, 516})
_IO_URING = frozenset({"io_uring_setup", "io_uring_enter"})


@dataclass(frozen=True, slots=True)
class Difference:
    """Syscalls by falling total time, and the numbers of Trust that counting knows.

    `trust` holds unmatched_calls, unreturned_calls, lost_calls, io_uring and ring_users; gaps and
    agent_cpu_millicores are the caller's to add.
    """

    syscalls: list[agent_pb2.SyscallCounts] = field(default_factory=list)
    trust: agent_pb2.Trust = field(default_factory=agent_pb2.Trust)


def difference(
    start: RawCounts | None, now: RawCounts, *, wanted: frozenset[SyscallKey] | None, architecture: str
) -> Difference:
    """Everything counted after `start` up to `now`; both of the same slot. start=None: since the slot was made.

    `wanted` is the trace's own Selection.keys() (a shared slot may count more); `architecture` is the machine's
    (platform.machine()): rows of another ABI carry its name. Who asks each second uses Since.
    """
    return Since(start, wanted=wanted, architecture=architecture).to(now)


class _Done(NamedTuple):
    """What was worked out of a row; a Row never changes, a newer one takes its place."""

    row: Row
    io_uring: bool = False
    # None: nothing was counted, or it is not wanted.
    counts: agent_pb2.SyscallCounts | None = None
    unmatched: int = 0
    # The place among all.
    order: tuple[int, str, str, bool] = (0, "", "", False)


_order = attrgetter("order")


class Since:
    """The growing difference of one trace: `difference` that does not work out again what has not changed."""

    def __init__(
        self,
        start: RawCounts | None,
        *,
        wanted: frozenset[SyscallKey] | None,
        architecture: str,
        unix_offset_ns: int = 0,
    ) -> None:
        """`unix_offset_ns`: Unix time less CLOCK_MONOTONIC."""
        self._unix_offset_ns = unix_offset_ns
        # Unix time of the first snapshot with a call.
        self._first_seen: dict[SyscallKey, int] = {}
        self._start = start or RawCounts()
        self._wanted = wanted
        self._architecture = architecture
        self._done: dict[SyscallKey, _Done] = {}
        # How many calls in flight at attach were looked at. Those that began before are in what is to be subtracted;
        # of the others, in flight at the attach of other traces alone and so in no row's maxima, the longest are kept.
        self._attach_calls = self._start.attach_end
        self._rows = self._start.rows
        self._longest: dict[SyscallKey, int] = {}
        # By process: they may end, and stay known.
        self._ring_users: dict[int, RingUser] = {}
        # The most at one time.
        self._ring_count = 0
        # Who made a ring before is of earlier sessions, unless it lives.
        self._note_rings([user for user in self._start.ring_users if not user.noted])

    def to(self, now: RawCounts) -> Difference:
        """Everything counted from the start up to a snapshot of the same slot."""
        trust = agent_pb2.Trust(lost_calls=now.lost_calls - self._start.lost_calls)
        self._take_attach_calls(now.attached_since(self._attach_calls))
        grown = []
        for key, row in now.rows.items():
            done = self._done.get(key)
            if done is None or done.row is not row:
                self._done[key] = done = self._work_out(
                    key, self._rows.get(key, _NOTHING), row, now.time_ns + self._unix_offset_ns
                )
            trust.io_uring |= done.io_uring
            if done.counts is not None:
                grown.append(done)
                trust.unmatched_calls += done.unmatched
        self._note_rings([user for user in now.ring_users if not user.noted or user.noted > self._start.epoch])
        trust.io_uring |= bool(self._ring_users)
        trust.rings = self._ring_count
        trust.other_ring_users = max(0, len(self._ring_users) - MAX_RING_USERS)
        trust.ring_users.extend(map(_ring_user, islice(sorted(self._ring_users.values(), key=_worth), MAX_RING_USERS)))
        trust.unreturned_calls = sum(is_wanted(call.key, self._wanted) for call in now.in_flight)
        grown.sort(key=_order)
        return Difference([done.counts for done in grown if done.counts is not None], trust)

    def _note_rings(self, users: Sequence[RingUser]) -> None:
        for user in users:
            known = self._ring_users.get(user.pid)
            rings = max(user.rings, known.rings if known else frozenset(), key=len)
            self._ring_users[user.pid] = replace(user, rings=rings)
        self._ring_count = max(self._ring_count, len({ring for user in users for ring in user.rings}))

    def _take_attach_calls(self, calls: Sequence[CallAtAttach]) -> None:
        self._attach_calls += len(calls)
        self._rows = without_lengths(self._rows, [call for call in calls if call.start_ns < self._start.joined_ns])
        for call in calls:
            if call.start_ns >= self._start.joined_ns:
                self._longest[call.key] = max(self._longest.get(call.key, 0), call.length_ns)

    def _work_out(self, key: SyscallKey, then: Row, row: Row, now_ns: int) -> _Done:
        if row is then:
            return _Done(row)
        rings, wanted = name(key) in _IO_URING, is_wanted(key, self._wanted)
        if not (rings or wanted):
            return _Done(row)
        counts = _counts(key, then, row, self._start.epoch, self._architecture)
        # Programs try it as they start, where it may be forbidden (seccomp, kernel.io_uring_disabled) or missing.
        io_uring = rings and counts.calls > counts.errors
        if not (wanted and counts.calls):
            return _Done(row, io_uring)
        counts.first_seen_unix_nanoseconds = self._first_seen.setdefault(key, now_ns)
        counts.max_nanoseconds = max(counts.max_nanoseconds, self._longest.get(key, 0))
        order = (-counts.total_nanoseconds, counts.name, counts.abi, counts.wait)
        return _Done(row, io_uring, counts, row.unmatched - then.unmatched, order)


_NOTHING = Row()


def _worth(user: RingUser) -> tuple[bool, int, int]:
    """Return the order of those that are named: whose work needs no call first."""
    return not user.polled, -len(user.rings), user.pid


def _ring_user(user: RingUser) -> agent_pb2.RingUser:
    process = safe(user.process, len(user.process))
    return agent_pb2.RingUser(
        pid=user.inner_pid, host_pid=user.pid, process=process, polled=user.polled, rings=len(user.rings)
    )


def began_before(start: RawCounts, then: RawCounts, now: RawCounts) -> list[CallAtAttach]:
    """Calls that ended between two snapshots of a trace and had begun before it, which joined with `start`."""
    return [call for call in now.attached_since(then.attach_end) if call.start_ns < start.joined_ns]


def without_lengths(rows: Mapping[SyscallKey, Row], calls: Sequence[CallAtAttach]) -> Mapping[SyscallKey, Row]:
    """What to subtract from a later snapshot so that these calls are left as calls whose beginning was not seen."""
    if not calls:
        return rows
    changed = dict(rows)
    for call in calls:
        row, bucket = changed.get(call.key, _NOTHING), bucket_index(call.length_ns)
        changed[call.key] = row._replace(
            total_ns=row.total_ns + call.length_ns,
            untimed=row.untimed - 1,
            unmatched=row.unmatched - 1,
            buckets={**row.buckets, bucket: row.buckets.get(bucket, 0) + 1},
        )
    return changed


def is_wanted(key: SyscallKey, wanted: frozenset[SyscallKey] | None) -> bool:
    """Whether a selection holds this call."""
    if wanted is None or key._replace(waited=False) in wanted:
        return True
    return SyscallKey(key.abi, UNKNOWN_NUMBERS) in wanted and key.number not in names(key.abi)


def _counts(key: SyscallKey, then: Row, row: Row, since_epoch: int, architecture: str) -> agent_pb2.SyscallCounts:
    buckets = _grown(then.buckets, row.buckets)
    indexes = sorted(buckets)
    timed = sum(buckets.values())
    counts = agent_pb2.SyscallCounts(
        name=name(key),
        abi="" if key.abi == architecture else key.abi,
        wait=key.waited,
        calls=timed + row.untimed - then.untimed,
        timed=timed,
        total_nanoseconds=row.total_ns - then.total_ns,
        max_nanoseconds=_longest(row, since_epoch, indexes[-1]) if indexes else 0,
        bytes=row.bytes - then.bytes,
        zero_results=row.nothings - then.nothings,
    )
    # Twice as quick as a Histogram made for it, which would be copied.
    counts.latency.buckets.extend(indexes)
    counts.latency.counts.extend([buckets[index] for index in indexes])
    if row.errnos:
        _add_errnos(counts, _grown(then.errnos, row.errnos))
    return counts


def _add_errnos(counts: agent_pb2.SyscallCounts, errnos: Mapping[int, int]) -> None:
    counts.interrupted = sum(errnos[number] for number in RESTARTS & errnos.keys())
    counts.errors = sum(errnos.values()) - counts.interrupted
    counts.errnos.extend(
        agent_pb2.ErrnoCount(name=errno_name(number), count=errnos[number])
        for number in sorted(errnos.keys() - RESTARTS)
    )


def _grown(then: Mapping[int, int], now: Mapping[int, int]) -> Mapping[int, int]:
    """What was added, without zeros."""
    if not then:
        return now
    return {index: count - then.get(index, 0) for index, count in now.items() if count != then.get(index, 0)}


def _longest(row: Row, since_epoch: int, highest_bucket: int) -> int:
    """The longest call since an epoch, which lies in the highest bucket.

    A call that ended in the microseconds of the first snapshot may be counted before it and have its length noted
    after it, or the other way round: the bucket knows better.
    """
    longest = next((ns for epoch, ns in row.maxima if epoch > since_epoch), 0)
    low, high = bucket_bounds(highest_bucket)
    return max(longest, low) if highest_bucket == BUCKETS - 1 else min(max(longest, low), high)
