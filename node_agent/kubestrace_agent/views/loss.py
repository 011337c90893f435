"""What a view had no room for, as one session sees it: the view counts for all. Pure; used by the collectors."""

from dataclasses import dataclass


@dataclass(slots=True)
class Loss:
    """Two readings of a view's count: as the session began, and the newest."""

    before: int = 0
    now: int = 0

    def begin(self, lost: int) -> None:
        """Leave out what was lost until now."""
        self.before = self.now = lost

    @property
    def own(self) -> int:
        """The session's own part."""
        return self.now - self.before
