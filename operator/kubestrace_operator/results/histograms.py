"""Latency histograms as the agents count them: added bucket by bucket, read as percentiles.

A histogram here is a dict of bucket index to count. The buckets are those of agent.proto: values below 16 ns have one
each, from there an octave has 8, so a bucket is at most 12.5 % wide and its middle at most 6.25 % wrong.
"""

from collections.abc import Mapping
from typing import TypeVar

from kubestrace_protos.v1.histograms import BUCKETS, bucket_bounds, bucket_index

__all__ = ["BUCKETS", "add_into", "bucket_bounds", "bucket_index", "percentile"]

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
    total = sum(histogram.values())
    rank = max(1, -(-percent * total // 100))
    if rank >= total:
        return max_ns if total else 0
    seen = 0
    for index in sorted(histogram):
        seen += histogram[index]
        if seen >= rank:
            low, high = bucket_bounds(index)
            return min((low + high) // 2, max_ns)
    raise AssertionError("the counts of a histogram add up to their own sum")
