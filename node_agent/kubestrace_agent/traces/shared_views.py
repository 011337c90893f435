"""What parts of views tell of the counted containers, read once for all who collect it. Used by shared_counters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from kubestrace_agent.kernel.loader.programs import UnsupportedKernelError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from kubestrace_agent.traces.shared_counters import Counter, Tracer
    from kubestrace_agent.views.view import Collector

_UNAVAILABLE = (UnsupportedKernelError, OSError)
# A counter, a user of it, and what that user collects of it.
Asked = tuple["Counter", str, "Sequence[Collector]"]


class SharedViews:
    """Reads parts of views and passes what they tell to every collector; belongs to the thread that owns the tracer."""

    def __init__(self, tracer: Tracer, clock_ns: Callable[[], int]) -> None:
        self._tracer = tracer
        self._clock_ns = clock_ns

    def begin(self, asked: Sequence[Asked], counters: Collection[Counter]) -> list[list[tuple[Collector, Exception]]]:
        """Have parts collected: each is read once and enabled once for a container, however many ask.

        Returns, for each of `asked`, the collectors whose part cannot be had, and why.
        """
        missing: list[list[tuple[Collector, Exception]]] = [[] for _ in asked]
        # In the order in which the collectors stand: one part may build on another.
        for part in dict.fromkeys(each.part for _, _, collectors in asked for each in collectors if each.part):
            asking = [
                (at, counter, user, collector)
                for at, (counter, user, collectors) in enumerate(asked)
                for collector in collectors
                if collector.part == part
            ]
            problems = self._begin_part(part, [entry[1:] for entry in asking], counters)
            for at, counter, user, collector in asking:
                if counter in problems:
                    counter.collectors.get(part, {}).pop(user, None)
                    missing[at].append((collector, problems[counter]))
        return missing

    def _begin_part(
        self, part: str, asking: Sequence[tuple[Counter, str, Collector]], counters: Iterable[Counter]
    ) -> dict[Counter, Exception]:
        """Begin one part for some; by counter why it cannot be had."""
        try:
            # What was told until now belongs to others.
            self.read(part, counters)
        except _UNAVAILABLE as error:
            return dict.fromkeys((counter for counter, _, _ in asking), error)
        now_ns = time.monotonic_ns()
        for counter, user, collector in asking:
            collector.begin(now_ns, self._tracer.lost(part, counter.slot))
            counter.collectors.setdefault(part, {})[user] = collector
        problems: dict[Counter, Exception] = {}
        for counter in dict.fromkeys(counter for counter, _, _ in asking):
            try:
                self.enable(part, counter)
            except _UNAVAILABLE as error:
                problems[counter] = error
        return problems

    def read(self, part: str, counters: Iterable[Counter]) -> None:
        """Read a part, if anybody collects it, and ask the kernel for what is still wanted."""
        collecting = [counter for counter in counters if counter.collectors.get(part)]
        if not collecting:
            return
        told = self._tracer.read(part)
        unix_minus_monotonic_ns = self._clock_ns() - time.monotonic_ns()
        for counter in collecting:
            lost = self._tracer.lost(part, counter.slot)
            for collector in counter.collectors[part].values():
                collector.take(told.get(counter.slot), lost, unix_minus_monotonic_ns)
            self.enable(part, counter)

    def enable(self, part: str, counter: Counter) -> None:
        """Ask the kernel for what all users of a container want of a part together, if that has changed."""
        union = _union(counter.collectors[part].values())
        if union == counter.enabled.get(part):
            return
        self._tracer.enable(part, counter.slot, union)
        counter.enabled[part] = union

    def release(self, part: str, counter: Counter, users: Iterable[str]) -> bool:
        """Drop what users collect of a container; tells whether there was anything. `enable` is the caller's."""
        collecting = counter.collectors.get(part, {})
        dropped = [collecting.pop(user) for user in users if user in collecting]
        return bool(dropped)


def _union(collectors: Collection[Collector]) -> Any:
    """Give what serves all; None when nobody collects."""
    wanted = [each.wanted for each in collectors]
    return next(iter(collectors)).union(wanted) if wanted else None
