"""Moments at which many sessions want a snapshot, brought together."""

from hypothesis import given
from hypothesis import strategies as st

from kubestrace_agent.views.grid import Grid
from kubestrace_agent.views.view import Moment

SECOND = 10**9


@given(st.integers(0, 10**15), st.integers(0, 10**12))
def test_a_moment_moves_no_farther_than_its_view_allows(at_ns: int, within_ns: int) -> None:
    """And is then where it stays."""
    rounded = Moment(at_ns, within_ns).rounded()

    assert abs(rounded.at_ns - at_ns) <= within_ns
    assert rounded.rounded() == rounded
    assert rounded.within_ns == within_ns


def test_moments_of_sessions_that_began_apart_are_few() -> None:
    """Of 64 sessions with 60 buckets of 0.75 s: two or three in each bucket, where each had its own."""
    grids = [Grid(SECOND * 1000 + number * 11_718_750, 45 * SECOND, 60) for number in range(64)]
    moments = [Moment(grid.border(index), grid.bucket_ns // 4) for grid in grids for index in range(1, 60)]

    together = {moment.rounded() for moment in moments}

    assert len(set(moments)) == 64 * 59
    assert len(together) <= 125


def test_the_next_moment_is_behind_one_that_was_early() -> None:
    """A snapshot before its border does not ask for that border again."""
    grid = Grid(0, 4 * SECOND, 4)
    first = grid.next_snapshot(1)
    assert first

    following = grid.next_snapshot(first.at_ns)

    assert following
    assert (first.at_ns, following.at_ns) == (SECOND, 2 * SECOND)
