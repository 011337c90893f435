"""Buckets and percentiles, against the values that were counted."""

import itertools
import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kubestrace_operator.results import histograms

LENGTHS = st.integers(min_value=0, max_value=2**42 - 1)


def formula(value: int) -> int:
    """As agent.proto has it, word by word."""
    if value < 16:
        return value
    high = value.bit_length() - 1
    return 319 if high >= 42 else 16 + (high - 4) * 8 + ((value >> (high - 3)) & 7)


@given(st.integers(0, 2**44))
def test_the_bucket_is_that_of_the_formula(value: int) -> None:
    """Both sides and the kernel's programs count by it."""
    assert histograms.bucket_index(value) == formula(value)


@given(LENGTHS)
def test_the_middle_of_a_bucket_is_near_its_values(value: int) -> None:
    """Within 6.25 %."""
    assert abs(sum(histograms.bucket_bounds(histograms.bucket_index(value))) / 2 - value) <= 0.0625 * value


@given(LENGTHS)
def test_a_value_lies_within_its_bucket(value: int) -> None:
    """The bounds of the bucket that counts a value hold it."""
    low, high = histograms.bucket_bounds(histograms.bucket_index(value))

    assert low <= value <= high


def test_buckets_follow_each_other_without_a_hole() -> None:
    """320 buckets cover everything up to 2^42 ns."""
    bounds = [histograms.bucket_bounds(index) for index in range(histograms.BUCKETS)]

    assert bounds[0] == (0, 0)
    assert bounds[-1][1] == 2**42 - 1
    assert all(high + 1 == low for (_, high), (low, _) in itertools.pairwise(bounds))


def test_longer_values_are_in_the_last_bucket() -> None:
    """Nothing is too long to be counted."""
    assert histograms.bucket_index(2**60) == histograms.BUCKETS - 1


@given(st.lists(LENGTHS, min_size=1, max_size=200), st.sampled_from([1, 50, 95, 99, 100]))
def test_a_percentile_is_at_most_one_sixteenth_wrong(values: list[int], percent: int) -> None:
    """Relative error 6.25 % at most, against the nearest rank of the values themselves; never above the maximum."""
    histogram = Counter(histograms.bucket_index(value) for value in values)
    exact = sorted(values)[math.ceil(percent * len(values) / 100) - 1]

    found = histograms.percentile(histogram, percent, max(values))

    assert abs(found - exact) <= exact / 16
    assert found <= max(values)


def test_the_last_rank_is_the_exact_maximum() -> None:
    """Where the percentile is the largest value, the maximum is known exactly."""
    assert histograms.percentile({histograms.bucket_index(1000): 3}, 99, 1003) == 1003


def test_an_empty_histogram_has_no_lengths() -> None:
    """Nothing counted: zero."""
    assert histograms.percentile({}, 50, 0) == 0


@given(st.lists(LENGTHS, max_size=200), st.lists(st.sampled_from([1, 50, 95, 99, 100]), max_size=4))
def test_several_percentiles_are_what_each_is(values: list[int], percents: list[int]) -> None:
    """In whatever order they are asked for."""
    histogram = Counter(histograms.bucket_index(value) for value in values)
    longest = max(values, default=0)

    found = histograms.percentiles(histogram, percents, longest)

    assert found == [histograms.percentile(histogram, percent, longest) for percent in percents]
