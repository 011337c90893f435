"""How often nodes report while many do: a report costs the operator up to a millisecond, whatever is read of it."""

from collections.abc import Iterator
from contextlib import contextmanager

# Of all nodes of all sessions; beyond, each reports more rarely.
_REPORTS_A_SECOND = 200.0
# What an agent counts after its last report is lost with it.
_MOST_SECONDS = 8.0


class OpenStreams:
    """The streams of reports that are open, of all sessions."""

    def __init__(self) -> None:
        self._count = 0

    @contextmanager
    def opened(self, seconds: float) -> Iterator[float]:
        """Count one more while it is open; yield its interval, which is the given one as long as there are few."""
        self._count += 1
        try:
            yield max(seconds, min(_MOST_SECONDS, self._count / _REPORTS_A_SECOND))
        finally:
            self._count -= 1
