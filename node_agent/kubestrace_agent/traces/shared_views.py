"""What the kernel's views tell of the counted containers, read once for all who collect it. Used by shared_counters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from kubestrace_agent.kernel.counters.tracer import UnsupportedKernelError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from kubestrace_agent.traces.shared_counters import Counter, Tracer
    from kubestrace_agent.views.collectors import Collector

_UNAVAILABLE = (UnsupportedKernelError, OSError)
# A counter, a user of it, and what that user collects of it.
Asked = tuple["Counter", str, "Sequence[Collector]"]


class SharedViews:
    """Reads views and passes what they tell to every collector; belongs to the thread that owns the tracer."""

    def __init__(self, tracer: Tracer, clock_ns: Callable[[], int]) -> None:
        self._tracer = tracer
        self._clock_ns = clock_ns

    def begin(self, asked: Sequence[Asked], counters: Collection[Counter]) -> list[list[tuple[Collector, Exception]]]:
        """Have views collected: each is read once and enabled once for a container, however many ask.

        Returns, for each of `asked`, the collectors whose view cannot be had, and why.
        """
        missing: list[list[tuple[Collector, Exception]]] = [[] for _ in asked]
        # In the order in which the collectors stand: one view may build on another.
        for view in dict.fromkeys(collector.view for _, _, collectors in asked for collector in collectors):
            asking = [
                (at, counter, user, collector)
                for at, (counter, user, collectors) in enumerate(asked)
                for collector in collectors
                if collector.view == view
            ]
            problems = self._begin_view(view, [entry[1:] for entry in asking], counters)
            for at, counter, user, collector in asking:
                if counter in problems:
                    counter.collectors.get(view, {}).pop(user, None)
                    missing[at].append((collector, problems[counter]))
        return missing

    def _begin_view(
        self, view: str, asking: Sequence[tuple[Counter, str, Collector]], counters: Iterable[Counter]
    ) -> dict[Counter, Exception]:
        """Begin one view for some; by counter why it cannot be had."""
        try:
            # What was told until now belongs to others.
            self.read(view, counters)
        except _UNAVAILABLE as error:
            return dict.fromkeys((counter for counter, _, _ in asking), error)
        now_ns = time.monotonic_ns()
        for counter, user, collector in asking:
            collector.begin(now_ns, self._tracer.lost(view, counter.slot))
            counter.collectors.setdefault(view, {})[user] = collector
        problems: dict[Counter, Exception] = {}
        for counter in dict.fromkeys(counter for counter, _, _ in asking):
            try:
                self.enable(view, counter)
            except _UNAVAILABLE as error:
                problems[counter] = error
        return problems

    def read(self, view: str, counters: Iterable[Counter]) -> None:
        """Read a view, if anybody collects it, and ask the kernel for what is still wanted."""
        collecting = [counter for counter in counters if counter.collectors.get(view)]
        if not collecting:
            return
        told = self._tracer.read(view)
        unix_minus_monotonic_ns = self._clock_ns() - time.monotonic_ns()
        for counter in collecting:
            lost = self._tracer.lost(view, counter.slot)
            for collector in counter.collectors[view].values():
                collector.take(told.get(counter.slot), lost, unix_minus_monotonic_ns)
            self.enable(view, counter)

    def enable(self, view: str, counter: Counter) -> None:
        """Ask the kernel for what all users of a container want of a view together, if that has changed."""
        union = _union(counter.collectors[view].values())
        if union == counter.enabled.get(view):
            return
        self._tracer.enable(view, counter.slot, union)
        counter.enabled[view] = union

    def release(self, view: str, counter: Counter, users: Iterable[str]) -> bool:
        """Drop what users collect of a container; tells whether there was anything. `enable` is the caller's."""
        collecting = counter.collectors.get(view, {})
        dropped = [collecting.pop(user) for user in users if user in collecting]
        return bool(dropped)


def _union(collectors: Collection[Collector]) -> Any:
    """Give what serves all; None when nobody collects."""
    wanted = [each.wanted for each in collectors]
    return next(iter(collectors)).union(wanted) if wanted else None
