"""Ratios of two sessions: of rates a second, so that sessions of different lengths compare. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

# What is called a change, where the noise is not known or less: a bucket of the histograms is 12.5 % wide, so a
# percentile that did not move may be shown as 1.13 times.
NOTEWORTHY = 1.25
# Of fewer calls a rate is chance, and so is a percentile.
LEAST_CALLS, LEAST_FOR_P99 = 30, 100


@dataclass(frozen=True)
class Pair:
    """A number here and in the baseline."""

    here: float
    before: float

    @property
    def ratio(self) -> float | None:
        """How many times the baseline's; None where one of the two is none."""
        return self.here / self.before if self.here > 0 and self.before > 0 else None

    def changed(self, bound: float) -> bool:
        """Return whether it is that many times as much or as little."""
        ratio = self.ratio
        return ratio is not None and (ratio >= bound or ratio <= 1 / bound)


def rounded(value: float) -> float | int:
    """Return a number with three digits that count."""
    short = float(f"{value:.3g}")
    return int(short) if short.is_integer() else short


def times(ratio: float) -> str:
    """Return a ratio for people: 3.1 times, 0.98 times."""
    if ratio >= 9.95:
        return f"{ratio:,.0f} times"
    if ratio >= 0.995:
        return f"{ratio:.1f} times"
    return f"{ratio:.2g} times" if ratio >= 0.01 else "under 0.01 times"


def ratios(pairs: Mapping[str, Pair]) -> dict[str, float | int]:
    """Return the ratios that there are, as fields of a document."""
    return {f"{name}Ratio": rounded(pair.ratio) for name, pair in pairs.items() if pair.ratio is not None}


def words(pairs: Mapping[str, Pair]) -> str:
    """Return the ratios that there are, for people: p99 3.1 times, calls 0.98 times."""
    shown = {"waitTime": "waits"}
    return ", ".join(
        f"{shown.get(name, name)} {times(pair.ratio)}" for name, pair in pairs.items() if pair.ratio is not None
    )
