"""The buckets of agent.proto's Histogram, for both sides: log-linear, 8 an octave from 16 ns on."""

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
    """Return the smallest and the largest value of a bucket, both included; the last one also has longer ones."""
    if index < LINEAR:
        return index, index
    octave, part = divmod(index - LINEAR, PER_OCTAVE)
    width = 1 << (octave + 1)
    low = (PER_OCTAVE + part) * width
    return low, low + width - 1
