"""Latency histograms as the agents count them: added bucket by bucket, read as percentiles.

A histogram here is a dict of bucket index to count. The buckets are those of agent.proto: values below 16 ns have one
each, from there an octave has 8, so a bucket is at most 12.5 % wide and its middle at most 6.25 % wrong.
"""

from collections.abc import Mapping

LINEAR = 16
PER_OCTAVE = 8
BUCKETS = 320


def bucket_index(value_ns: int) -> int:
    """Return the bucket that counts a value; the last one also takes everything longer."""
    if value_ns < LINEAR:
        return max(value_ns, 0)
    exponent = value_ns.bit_length() - 1
    below_highest = (value_ns >> (exponent - 3)) & (PER_OCTAVE - 1)
    return min(LINEAR + (exponent - 4) * PER_OCTAVE + below_highest, BUCKETS - 1)


def bucket_bounds(index: int) -> tuple[int, int]:
    """Return the smallest and the largest value of a bucket, in nanoseconds, both included."""
    if index < LINEAR:
        return index, index
    octave, part = divmod(index - LINEAR, PER_OCTAVE)
    width = 1 << (octave + 1)
    low = (PER_OCTAVE + part) * width
    return low, low + width - 1


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
