"""The last reading of what is no longer counted anew. Pure; used by counters, and by local mode."""

from collections.abc import Callable

# A thread returns once from the call that it was in.
_MOST_READINGS = 5


def read_until_settled(read: Callable[[], object]) -> None:
    """Read until it gives the same twice.

    Counts and views are not read at one moment: a call that was under way may return after its count was read and
    before the views are, and would be in these alone.
    """
    before = read()
    for _ in range(_MOST_READINGS - 1):
        now = read()
        if now == before:
            return
        before = now
