"""What changed in the rows of views: files, peers, disks, processes. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubestrace_operator.comparison import reading
from kubestrace_operator.comparison.calls import Sessions
from kubestrace_operator.comparison.noise import Noise
from kubestrace_operator.comparison.ratios import LEAST_CALLS, LEAST_FOR_P99, Pair, rounded, words
from kubestrace_operator.views.registry import VIEWS
from kubestrace_operator.views.view import ComparedRows

# Of each list, by key.
_Rows = dict[str, list[Mapping[str, Any]]]


@dataclass(frozen=True)
class _Summed:
    """The rows of one key as one."""

    rows: list[Mapping[str, Any]]

    def count(self, name: str) -> float:
        return sum(reading.number(row, name) for row in self.rows)

    def length(self, path: tuple[str, ...]) -> float:
        """Return a percentile; 0 where there are several, of which there is no percentile."""
        return reading.number(self.rows[0], *path) if len(self.rows) == 1 else 0.0


def rows(sessions: Sessions, noise: Noise) -> list[dict[str, Any]]:
    """Return the rows that both have, those that changed first.

    Lists of views have their first rows only: what one of the two does not show may have been there.
    """
    found = [
        _row(view.name, key, (_Summed(here[key]), _Summed(before[key])), compared, sessions, noise)
        for view in VIEWS
        for compared in view.compared_rows
        for here, before in [(_by_key(sessions.here, compared), _by_key(sessions.before, compared))]
        for key in here
        if key in before
    ]
    return sorted(found, key=lambda row: not row["changed"])


def _by_key(status: Mapping[str, Any], compared: ComparedRows) -> _Rows:
    found: _Rows = {}
    for row in reading.rows(status, *compared.path):
        if key := " ".join(filter(None, _names(row, compared.key))):
            found.setdefault(key, []).append(row)
    return found


def _names(row: Mapping[str, Any], key: tuple[str, ...]) -> Iterator[str]:
    for alternatives in key:
        for name in alternatives.split("|"):
            if shown := reading.word(row, name) or f"{reading.number(row, name):.0f}" * (reading.number(row, name) > 0):
                yield shown
                break


def _row(
    view: str,
    key: str,
    both: tuple[_Summed, _Summed],
    compared: ComparedRows,
    sessions: Sessions,
    noise: Noise,
) -> dict[str, Any]:
    here, before = both
    enough = [each.count(next(iter(compared.counts.values()))) for each in both]
    pairs = {
        name: Pair(here.length(path), before.length(path))
        for name, path in compared.lengths.items()
        if min(enough) >= LEAST_FOR_P99
    }
    for name, field in compared.counts.items():
        pairs[name] = sessions.rate("", {"": here.count(field)}, {"": before.count(field)})
    moved = any(pair.changed(noise.bound(name)) for name, pair in pairs.items())
    return {
        "view": view,
        "row": key,
        "changed": moved and max(enough) >= LEAST_CALLS,
        "change": words(pairs),
        "ratios": [
            {"name": name, "ratio": rounded(pair.ratio)} for name, pair in pairs.items() if pair.ratio is not None
        ],
    }
