"""How long calls took: histogram, sum and maxima against what a program measured itself."""

import platform
from itertools import pairwise

from engine_runs import Runs

from kubestrace_agent.traces.delta import difference
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
