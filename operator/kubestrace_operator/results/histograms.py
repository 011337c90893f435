"""Latency histograms as the agents count them: added bucket by bucket, read as percentiles.

A histogram here is a dict of bucket index to count. The buckets are those of agent.proto: values below 16 ns have one
each, from there an octave has 8, so a bucket is at most 12.5 % wide and its middle at most 6.25 % wrong.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TypeVar

from kubestrace_protos.v1.histograms import BUCKETS, bucket_bounds, bucket_index

__all__ = ["BUCKETS", "add_into", "bucket_bounds", "bucket_index", "percentile", "percentiles"]

_Key = TypeVar("_Key")


def add_into(total: dict[_Key, int], more: Mapping[_Key, int]) -> None:
    """Add the counts of one histogram, or of any other sums by key, to another's."""
    for key, count in more.items():
        total[key] = total.get(key, 0) + count


def percentile(histogram: Mapping[int, int], percent: int, max_ns: int) -> int:
    """Return the length that `percent` of 100 values do not pass, in nanoseconds; 0 for an empty histogram.

    By nearest rank: the middle of the bucket in which the ranked value lies, never above the exact maximum.
    The value ranked last is the maximum itself.
    """
    return percentiles(histogram, (percent,), max_ns)[0]


def percentiles(histogram: Mapping[int, int], percents: Sequence[int], max_ns: int) -> list[int]:
    """Return what `percentile` says for each of some percents, of one sum: a status has hundreds of rows."""
    indices = sorted(histogram)
    seen = list(accumulate(map(histogram.__getitem__, indices)))
    total = seen[-1] if seen else 0
    if not total:
        return [0] * len(percents)
    found = []
    for percent in percents:
        rank = max(1, -(-percent * total // 100))
        if rank >= total:
            found.append(max_ns)
        else:
            low, high = bucket_bounds(indices[bisect_left(seen, rank)])
            found.append(min((low + high) // 2, max_ns))
    return found
