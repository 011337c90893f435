"""What parts of views report of the counted containers, read once for all who collect it. Used by shared_counters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from kubestrace_agent.kernel.loader.programs import UnsupportedKernelError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from kubestrace_agent.traces.counter import Counter, Tracer
    from kubestrace_agent.traces.sharing import Share
    from kubestrace_agent.views.view import Collector

_UNAVAILABLE = (UnsupportedKernelError, OSError)


class SharedViews:
    """Reads parts of views and passes it to every collector; belongs to the thread that owns the tracer."""

    def __init__(self, tracer: Tracer, clock_ns: Callable[[], int]) -> None:
        self._tracer = tracer
        self._clock_ns = clock_ns

    def begin(self, shares: Sequence[tuple[Counter, Share]], counters: Collection[Counter]) -> None:
        """Have parts collected: each is read once and enabled once for a container, however many ask.

        Collectors whose part cannot be had are moved to Share.missing.
        """
        # In the order in which the collectors stand: one part may build on another.
        for part in dict.fromkeys(collector.part for _, share in shares for collector in share.collectors):
            asking = [
                (counter, share, collector)
                for counter, share in shares
                for collector in share.collectors
                if collector.part == part
            ]
            problems = self._begin_part(part, asking, counters)
            for counter, share, collector in asking:
                if counter in problems:
                    counter.collectors.get(part, {}).pop(share, None)
                    share.collectors.remove(collector)
                    share.missing.append((collector, problems[counter]))

    def _begin_part(
        self, part: str, asking: Sequence[tuple[Counter, Share, Collector]], counters: Iterable[Counter]
    ) -> dict[Counter, Exception]:
        """Begin one part for some; by counter why it cannot be had."""
        try:
            # What was reported until now belongs to others; of a container that does not exist that is nothing.
            if any(counter.place.is_there for counter, _, _ in asking):
                self.read(part, counters)
        except _UNAVAILABLE as error:
            return dict.fromkeys((counter for counter, _, _ in asking), error)
        now_ns = time.monotonic_ns()
        for counter, share, collector in asking:
            collector.begin(now_ns, self._tracer.lost(part, counter.slot))
            counter.collectors.setdefault(part, {})[share] = collector
        problems: dict[Counter, Exception] = {}
        for counter in dict.fromkeys(counter for counter, _, _ in asking):
            try:
                self.enable(part, counter)
            except _UNAVAILABLE as error:
                problems[counter] = error
        return problems

    def read(self, part: str, counters: Iterable[Counter], *, only_news: bool = False) -> None:
        """Read a part, if anybody collects it, and ask the kernel for what is still wanted.

        `only_news`: those of whom nothing is reported are left out; the next reading says what they have lost.
        """
        collecting = [counter for counter in counters if counter.collectors.get(part)]
        if not collecting:
            return
        reported = self._tracer.read(part)
        unix_minus_monotonic_ns = self._clock_ns() - time.monotonic_ns()
        for counter in collecting:
            told = reported.get(counter.slot)
            if only_news and not told:
                continue
            lost = self._tracer.lost(part, counter.slot)
            for collector in counter.collectors[part].values():
                collector.take(told, lost, unix_minus_monotonic_ns)
            counter.reads += 1
            self.enable(part, counter)

    def enable(self, part: str, counter: Counter) -> None:
        """Ask the kernel for what all users of a container want of a part together, if that has changed."""
        union = _union(counter.collectors[part].values())
        if union == counter.enabled.get(part):
            return
        self._tracer.enable(part, counter.slot, union)
        counter.enabled[part] = union

    def release(self, counter: Counter, users: Iterable[str]) -> list[str]:
        """Drop what only these users collect of a container; gives the parts of views, to be enabled anew."""
        for share in counter.shares:
            share.users.difference_update(users)
        gone = [share for share in counter.shares if not share.users]
        counter.shares.difference_update(gone)
        changed = [part for part, collecting in counter.collectors.items() if collecting.keys() & set(gone)]
        for part in changed:
            for share in gone:
                counter.collectors[part].pop(share, None)
        return changed


def _union(collectors: Collection[Collector]) -> Any:
    """Give what serves all; None when nobody collects."""
    wanted = [each.wanted for each in collectors]
    return next(iter(collectors)).union(wanted) if wanted else None
