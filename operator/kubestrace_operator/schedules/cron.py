"""The times that a cron expression names, in its time zone: the only user of cronsim. Pure.

Slots are found forwards only: near a change of the clocks, cronsim's way back does not find all that its way forth has.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

# Words that CronJob takes, too.
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = 5
# How far back the latest slot is looked for, step by step: most are found within the first.
_WINDOWS = (timedelta(hours=2), timedelta(days=2), timedelta(days=32), timedelta(days=370))


class CronError(ValueError):
    """An expression or a time zone that says nothing."""


@dataclass(frozen=True)
class Cron:
    """An expression of five fields, or a word such as @daily, and its time zone."""

    expression: str
    zone: str = "UTC"

    @classmethod
    def parse(cls, text: str, zone: str = "UTC") -> "Cron":
        """Return the expression. Raises CronError, which says what is wrong."""
        expression = _MACROS.get(text.strip().lower(), text.strip())
        if len(expression.split()) != _FIELDS:
            raise CronError(f"{text!r} is not a cron expression: it needs five fields, such as '0 3 * * *', or a word")
        cron = cls(expression, zone)
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError) as error:
            raise CronError(f"{zone!r} is not a time zone; name one as the IANA does, such as Europe/Berlin") from error
        try:
            first = cron.following(datetime(2024, 1, 1, tzinfo=UTC))
        except CronSimError as error:
            raise CronError(f"{text!r} is not a cron expression: {str(error).lower()}") from error
        if first is None:
            raise CronError(f"{text!r} names a time that never comes")
        return cron

    def slots(self, after: datetime) -> Iterator[datetime]:
        """Yield every slot after a moment, each once and in order, in UTC.

        A time that the clocks skip is the first after the gap; one that they repeat comes once, the first time.
        Expressions with a star in minute or hour go on through both.
        """
        latest = after
        for each in CronSim(self.expression, after.astimezone(ZoneInfo(self.zone))):
            slot = each.astimezone(UTC)
            if slot > latest:
                latest = slot
                yield slot

    def following(self, moment: datetime) -> datetime | None:
        """Return the next slot; None: there is none within fifty years."""
        return next(self.slots(moment), None)

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """Return the last slot that is later than `after` and not later than `until`."""
        for window in _WINDOWS:
            found = self._last(max(after, until - window), until)
            if found is not None or until - window <= after:
                return found
        return self._last(after, until)

    def count(self, after: datetime, before: datetime, most: int) -> int:
        """Return how many slots lie between two moments, at most so many."""
        between = self._between(after, before - timedelta(microseconds=1))
        return sum(1 for _ in islice(between, most))

    def _last(self, after: datetime, until: datetime) -> datetime | None:
        found = None
        for slot in self._between(after, until):
            found = slot
        return found

    def _between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        for slot in self.slots(after):
            if slot > until:
                return
            yield slot
