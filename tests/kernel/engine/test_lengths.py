"""How long calls took: histogram, sum and maxima against what a program measured itself."""

import platform
from itertools import pairwise

from engine_runs import Runs

from kubestrace_agent.kernel.counters.counts import RawCounts
from kubestrace_agent.traces.delta import difference
from kubestrace_protos.v1.agent_pb2 import SyscallCounts
from kubestrace_protos.v1.histograms import bucket_bounds

QUANTILES = (0.5, 0.95, 0.99)


def test_percentiles_sum_and_maximum_of_known_sleeps(runs: Runs) -> None:
    """Percentiles within half a bucket, 6.25 %; sum and maximum within what the program's own clock adds."""
    output, found = runs.whole("sleeps")
    total, longest, *lengths = map(int, output.split())
    (sleep,) = (each for each in found.syscalls if each.name == "clock_nanosleep")

    assert sleep.calls == sleep.timed == len(lengths)
    assert 0 <= total - sleep.total_nanoseconds < 0.02 * total
    assert 0 <= longest - sleep.max_nanoseconds < 0.02 * longest + 200_000
    assert sleep.wait
    for quantile in QUANTILES:
        rank = int(quantile * (len(lengths) - 1))
        own = sorted(lengths)[rank]
        assert abs(middle(sleep.latency, rank) - own) / own < 0.0625 + 0.02, quantile


def middle(histogram, rank: int) -> float:
    """The middle of the bucket that holds the value of a rank."""
    seen = 0
    for index, count in zip(histogram.buckets, histogram.counts, strict=True):
        seen += count
        if rank < seen:
            return sum(bucket_bounds(index)) / 2
    raise AssertionError(rank)


def test_each_trace_has_its_own_maximum(runs: Runs) -> None:
    """Three traces of one container that begin and end at different times see the longest call of their own time."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    run = runs.start(cgroup, "blocked", "0")
    run.hear()
    moments = [runs.snapshot(slot)]
    for word in (b"x", b"s", b"x", b"x"):
        run.say(word)
        moments.append(runs.snapshot(slot))

    def longest(first: int, last: int) -> int:
        found = difference(moments[first], moments[last], wanted=None, architecture=platform.machine())
        return max((each.max_nanoseconds for each in found.syscalls if each.name == "clock_nanosleep"), default=0)

    assert all(later.epoch > earlier.epoch for earlier, later in pairwise(moments))
    assert longest(0, 4) == longest(1, 2) == longest(0, 2) == longest(1, 3) >= 30_000_000
    assert longest(0, 1) == longest(2, 3) == longest(2, 4) == 0


def test_counters_that_are_read_alone_between_snapshots_change_no_other_slot(runs: Runs) -> None:
    """They have every call until then; and the longest call of a slot that is not read stays known meanwhile."""
    cgroups = [runs.cgroup() for _ in range(2)]
    read, left = slots = [runs.trace(cgroup) for cgroup in cgroups]
    started = [runs.start(cgroup, "blocked", "0") for cgroup in cgroups]
    for run in started:
        run.hear()
    starts = runs.tracer.snapshot(slots)
    peeks = []
    for word in (b"s", b"x", b"x", b"x"):
        for run in started:
            run.say(word)
        peeks.append(runs.tracer.peek([read])[read])
    ends = runs.tracer.snapshot(slots)

    def sleeps(slot: int, now: RawCounts) -> SyscallCounts:
        found = difference(starts[slot], now, wanted=None, architecture=platform.machine()).syscalls
        return next(each for each in found if each.name == "clock_nanosleep")

    assert [sleeps(read, peek).calls for peek in peeks] == [1] * 4
    assert sleeps(read, ends[read]).calls == sleeps(left, ends[left]).calls == 1
    assert min(sleeps(slot, ends[slot]).max_nanoseconds for slot in slots) >= 30_000_000
    assert all(starts[read].time_ns < peek.time_ns < ends[read].time_ns for peek in peeks)
