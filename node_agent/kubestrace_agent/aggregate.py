"""Two snapshots of a slot -> what was counted between them, as the wire carries it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from kubestrace_agent.kernel.counts import EarlyCall, RawCounts, Row
from kubestrace_agent.syscalls import UNKNOWN_NUMBERS, SyscallKey, errno_name, name, names, waits
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.histograms import BUCKETS, LINEAR, PER_OCTAVE, bucket_index

# Returns that the kernel turns into a restart or EINTR before the program sees them (Linux include/linux/errno.h:
# ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK).
RESTARTS = frozenset({512, 513, 514, 516})
_IO_URING = frozenset({"io_uring_setup", "io_uring_enter"})


@dataclass(frozen=True, slots=True)
class Difference:
    """Syscalls by falling total time, and the numbers of Trust that counting knows.

    `trust` holds unmatched_calls, unreturned_calls, lost_calls and io_uring; gaps and agent_cpu_millicores are the
    caller's to add.
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


class Since:
    """The growing difference of one trace: `difference` that does not work out again what has not changed."""

    def __init__(self, start: RawCounts | None, *, wanted: frozenset[SyscallKey] | None, architecture: str) -> None:
        self._start = start or RawCounts()
        self._wanted = wanted
        self._architecture = architecture
        # Row as it was worked out last -> its counts; a Row never changes, a newer one takes its place.
        self._done: dict[SyscallKey, tuple[Row, agent_pb2.SyscallCounts]] = {}

    def to(self, now: RawCounts) -> Difference:
        """Everything counted from the start up to a snapshot of the same slot."""
        trust = agent_pb2.Trust(lost_calls=now.lost_calls - self._start.lost_calls)
        syscalls = []
        starts = without_lengths(self._start.rows, began_before(self._start, self._start, now))
        for key, row in now.rows.items():
            then = starts.get(key, _NOTHING)
            if row is then:
                continue
            if name(key) in _IO_URING:
                trust.io_uring = True
            if is_wanted(key, self._wanted):
                counts = self._counts(key, then, row, now)
                if counts.calls:
                    syscalls.append(counts)
                    trust.unmatched_calls += row.unmatched - then.unmatched
        trust.unreturned_calls = sum(is_wanted(call.key, self._wanted) for call in now.in_flight)
        syscalls.sort(key=lambda counts: (-counts.total_nanoseconds, counts.name, counts.abi, counts.wait))
        return Difference(syscalls, trust)

    def _counts(self, key: SyscallKey, then: Row, row: Row, now: RawCounts) -> agent_pb2.SyscallCounts:
        done = self._done.get(key)
        if done is None or done[0] is not row:
            counts = _counts(key, then, row, self._start.epoch, self._architecture)
            counts.max_nanoseconds = max(counts.max_nanoseconds, self._longest_told_apart(key, now))
            done = row, counts
            self._done[key] = done
        return done[1]

    def _longest_told_apart(self, key: SyscallKey, now: RawCounts) -> int:
        """Of the calls that are early to other traces and not to this one: they are in no row's maxima."""
        own = (call for call in now.early[len(self._start.early) :] if call.start_ns >= self._start.joined_ns)
        return max((call.length_ns for call in own if call.key == key), default=0)


_NOTHING = Row()


def began_before(start: RawCounts, then: RawCounts, now: RawCounts) -> list[EarlyCall]:
    """Calls that ended between two snapshots of a trace and had begun before it, which joined with `start`."""
    return [call for call in now.early[len(then.early) :] if call.start_ns < start.joined_ns]


def without_lengths(rows: Mapping[SyscallKey, Row], calls: Sequence[EarlyCall]) -> Mapping[SyscallKey, Row]:
    """What to subtract from a later snapshot so that these calls are left as calls whose beginning was not seen."""
    if not calls:
        return rows
    changed = dict(rows)
    for call in calls:
        row, bucket = changed.get(call.key, _NOTHING), bucket_index(call.length_ns)
        changed[call.key] = replace(
            row,
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
    errnos = _grown(then.errnos, row.errnos)
    timed = sum(buckets.values())
    called = name(key)
    indexes = sorted(buckets)
    interrupted = sum(errnos[number] for number in RESTARTS & errnos.keys()) if errnos else 0
    return agent_pb2.SyscallCounts(
        name=called,
        abi="" if key.abi == architecture else key.abi,
        wait=waits(key),
        calls=timed + row.untimed - then.untimed,
        errors=sum(errnos.values()) - interrupted,
        interrupted=interrupted,
        timed=timed,
        total_nanoseconds=row.total_ns - then.total_ns,
        max_nanoseconds=_longest(row, since_epoch, buckets),
        errnos=[
            agent_pb2.ErrnoCount(name=errno_name(number), count=count)
            for number, count in sorted(errnos.items())
            if number not in RESTARTS
        ],
        latency=agent_pb2.Histogram(buckets=indexes, counts=map(buckets.__getitem__, indexes)),
    )


def _grown(then: Mapping[int, int], now: Mapping[int, int]) -> dict[int, int]:
    """What was added, without zeros."""
    if not then:
        return dict(now)
    return {index: count - then.get(index, 0) for index, count in now.items() if count != then.get(index, 0)}


def _longest(row: Row, since_epoch: int, buckets: dict[int, int]) -> int:
    """The longest call since an epoch, which lies in the highest bucket.

    A call that ended in the microseconds of the first snapshot may be counted before it and have its length noted
    after it, or the other way round: the bucket knows better.
    """
    if not buckets:
        return 0
    longest = next((ns for epoch, ns in row.maxima if epoch > since_epoch), 0)
    low, high = bucket_bounds(max(buckets))
    return min(max(longest, low), high) if high else max(longest, low)


def bucket_bounds(index: int) -> tuple[int, int]:
    """Smallest and largest value of a histogram bucket; the last one has no largest (0)."""
    if index < LINEAR:
        return index, index
    octave, part = divmod(index - LINEAR, PER_OCTAVE)
    low = (PER_OCTAVE + part) << (octave + 1)
    return low, 0 if index == BUCKETS - 1 else low + (1 << (octave + 1)) - 1
