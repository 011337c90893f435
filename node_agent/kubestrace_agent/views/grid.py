"""Equal buckets of a session's duration, in which views count by time. Pure. Used by collectors of such views."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from kubestrace_agent.views.view import Moment, RequestError
from kubestrace_protos.v1.bucket_limits import MAX_BUCKETS, MIN_BUCKET_MILLISECONDS
from kubestrace_protos.v1.limits import MAX_DURATION_SECONDS

_MAX_DURATION_MILLISECONDS = 1000 * MAX_DURATION_SECONDS


class Asked(Protocol):
    """A request that has these fields."""

    buckets: int
    duration_milliseconds: int
    elapsed_milliseconds: int


@dataclass(frozen=True)
class Grid:
    """Equal buckets of a duration that began at `origin_ns` (CLOCK_MONOTONIC, as snapshots have it)."""

    origin_ns: int
    duration_ns: int
    buckets: int
    # The duration is not known: buckets double when all are used.
    grows: bool = False

    @property
    def bucket_ns(self) -> int:
        """The length of a bucket."""
        return self.duration_ns // self.buckets

    @property
    def end_ns(self) -> int:
        """The end of the last bucket."""
        return self.origin_ns + self.duration_ns

    def border(self, index: int) -> int:
        """Give the moment at which a bucket begins."""
        return self.origin_ns + self.duration_ns * index // self.buckets

    def bucket(self, moment_ns: int) -> int:
        """Give the bucket of a moment; what lies before or after all of them is in the nearest."""
        return min(max(self._index(moment_ns), 0), self.buckets - 1)

    def next_border(self, now_ns: int) -> int | None:
        """Give the next moment between two buckets; None when the last bucket has begun."""
        index = max(self._index(now_ns) + 1, 1)
        return self.border(index) if index < self.buckets else None

    def is_late(self, since_ns: int, now_ns: int) -> bool:
        """Tell whether the time between two snapshots goes on for more than half a bucket after a border."""
        border = self.next_border(since_ns)
        return border is not None and 2 * self.buckets * (now_ns - border) > self.duration_ns

    def _index(self, moment_ns: int) -> int:
        # The first whole nanosecond of a bucket is its border, rounded down; so is this, the other way round.
        return ((moment_ns - self.origin_ns + 1) * self.buckets - 1) // self.duration_ns

    def doubled(self) -> Grid:
        """Give as many buckets of twice the length."""
        return replace(self, duration_ns=2 * self.duration_ns)

    def is_used_up(self, now_ns: int) -> bool:
        """Tell whether the buckets are to double: not at once, so that the last snapshot may be a little late."""
        return self.grows and now_ns > self._used_up_ns

    @property
    def _used_up_ns(self) -> int:
        return self.end_ns + self.bucket_ns // 2

    def next_snapshot(self, now_ns: int) -> Moment | None:
        """Give when the counts are to be read next: within a quarter of a bucket of a border."""
        grid = self
        while grid.is_used_up(now_ns):
            grid = grid.doubled()
        border = grid.next_border(now_ns)
        if border is None and grid.grows:
            border = grid.end_ns if now_ns < grid.end_ns else grid._used_up_ns + 1
        return None if border is None else Moment(border, grid.bucket_ns // 4)


def asked_for(view: str, reason: str, asked: Asked, now_ns: int) -> Grid:
    """Return the buckets of a request that came at a moment (CLOCK_MONOTONIC). Raises RequestError with this reason."""
    _check(view, reason, asked)
    return Grid(
        origin_ns=now_ns - 1_000_000 * asked.elapsed_milliseconds,
        duration_ns=1_000_000 * (asked.duration_milliseconds or asked.buckets * MIN_BUCKET_MILLISECONDS),
        buckets=asked.buckets,
        grows=not asked.duration_milliseconds,
    )


def _check(view: str, reason: str, asked: Asked) -> None:
    if not 1 <= asked.buckets <= MAX_BUCKETS:
        raise RequestError(reason, f"views.{view}.buckets is {asked.buckets}, and must be from 1 to {MAX_BUCKETS}")
    duration = asked.duration_milliseconds
    if duration and not asked.buckets * MIN_BUCKET_MILLISECONDS <= duration <= _MAX_DURATION_MILLISECONDS:
        raise RequestError(
            reason,
            f"views.{view}.duration_milliseconds is {duration}: {asked.buckets} buckets of at least "
            f"{MIN_BUCKET_MILLISECONDS} ms, and at most {_MAX_DURATION_MILLISECONDS} ms in all, are possible",
        )
