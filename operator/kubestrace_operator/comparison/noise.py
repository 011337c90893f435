"""How much a session differs from itself: its two halves. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubestrace_operator.comparison import reading
from kubestrace_operator.comparison.ratios import NOTEWORTHY, Pair, rounded, times
from kubestrace_operator.views.registry import VIEWS
from kubestrace_operator.views.view import Spans

_NAMES = {"calls": "calls", "errors": "errors", "time": "time", "waitTime": "waits"}
# Of fewer there are no halves.
_LEAST_SPANS = 4


@dataclass(frozen=True)
class Noise:
    """How many times as much one half has as the other, at least 1; of all calls together."""

    ratios: Mapping[str, float] = field(default_factory=dict)
    why_unknown: str = ""

    def bound(self, name: str) -> float:
        """Return from which ratio on a number has changed."""
        return max(NOTEWORTHY, self.ratios.get(name, 1.0))

    def document(self) -> dict[str, Any]:
        """Return status.comparison.noise."""
        values = {f"{name}Ratio": rounded(ratio) for name, ratio in self.ratios.items()}
        return {"known": bool(self.ratios), **values, "message": self.message}

    @property
    def message(self) -> str:
        """A sentence."""
        if not self.ratios:
            return f"Noise: not known, {self.why_unknown}."
        shown = ", ".join(f"{_NAMES[name]} {times(ratio)}" for name, ratio in self.ratios.items())
        return (
            f"Noise: the two halves of the baseline differ in {shown} (all calls together; single calls may vary more)."
        )


def noise(status: object) -> Noise:
    """Return the noise of a session, from what it has by time."""
    ((name, spans),) = ((view.name, view.spans) for view in VIEWS if view.spans)
    part = reading.part(status, spans.part)
    if not isinstance(part, Mapping):
        return Noise(why_unknown=f"the baseline has no {name}: trace it with views.{name}")
    whole = _whole_spans(status, part, spans)
    half = whole // 2
    if half * 2 < _LEAST_SPANS:
        return Noise(why_unknown=f"the baseline's {name} has fewer than {_LEAST_SPANS} whole buckets")
    found = {}
    for counted, series in spans.series.items():
        values = reading.numbers(part, series)[:whole]
        ratio = Pair(sum(values[:half]), sum(values[-half:])).ratio
        if ratio is not None:
            found[counted] = max(ratio, 1 / ratio)
    return Noise(found, why_unknown="one half of the baseline is empty")


def _whole_spans(status: object, part: Mapping[str, Any], spans: Spans) -> int:
    """Return how many spans are whole: a session that was cancelled ends within one."""
    counted = min(len(reading.numbers(part, series)) for series in spans.series.values())
    length_ns = reading.number(part, spans.length_ns)
    # One that lacks less than a thousandth is whole.
    return min(counted, int(reading.seconds(status) * 1e9 / length_ns + 1e-3)) if length_ns else 0
