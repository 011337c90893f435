"""What changed in the findings of two sessions. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubestrace_operator.comparison import reading
from kubestrace_operator.comparison.calls import Sessions
from kubestrace_operator.comparison.ratios import Pair, rounded, times

# Evidence that is no count: a share, a mean, a length or a rate is the same however long the session lasts.
_NO_COUNT = re.compile(
    r"(share|mean|median)[A-Z]|.*(PerSecond|Seconds|Milliseconds|Microseconds|ForEach[A-Za-z]*|Share|Ratio|P\d+)$"
)
# What a status tells at most: of more, the last may be missing.
_MOST_FINDINGS = 10


@dataclass(frozen=True)
class FindingChanges:
    """The parts of status.comparison about findings; `unknown` are sentences about what cannot be said."""

    rows: list[dict[str, Any]]
    new: list[str]
    gone: list[str]
    unknown: list[str]

    def document(self) -> dict[str, Any]:
        """Return the parts of status.comparison."""
        return {"findings": self.rows, "newSince": self.new, "goneSince": self.gone}


def changes(sessions: Sessions) -> FindingChanges:
    """Return what is new, what is gone, and how the numbers of the rest changed."""
    here, before = (_by_id(each) for each in (sessions.here, sessions.before))
    new, not_judged_before = _missing(here, before, sessions.before)
    gone, not_judged_here = _missing(before, here, sessions.here)
    both = [each for each in here if each in before]
    unknown = []
    if not_judged_before:
        unknown.append(f"Not judged in the baseline, so perhaps not new: {', '.join(not_judged_before)}.")
    if not_judged_here:
        unknown.append(f"Not judged here, so perhaps not gone: {', '.join(not_judged_here)}.")
    return FindingChanges([_row(each, here[each], before[each], sessions) for each in both], new, gone, unknown)


def _by_id(status: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for each in reading.rows(status, "findings")[:_MOST_FINDINGS]:
        if name := reading.word(each, "id"):
            found.setdefault(name, []).append(each)
    return found


def _missing(
    there: Iterable[str], other: Mapping[str, Any], other_status: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Return the findings that the other session does not have: those it was judged by, and the rest."""
    missing = [each for each in there if each not in other]
    shown = reading.part(other_status, "findings")
    if not isinstance(shown, list) or len(shown) >= _MOST_FINDINGS:
        return [], missing
    unjudged = {reading.word(each, "id") for each in reading.rows(other_status, "notJudged")}
    return [each for each in missing if each not in unjudged], [each for each in missing if each in unjudged]


def _row(
    name: str, here: list[Mapping[str, Any]], before: list[Mapping[str, Any]], sessions: Sessions
) -> dict[str, Any]:
    row: dict[str, Any] = {"id": name}
    if len(here) > 1 or len(before) > 1:
        # Which of them is which is not known.
        return {**row, "change": f"{len(here)} of them, {len(before)} in the baseline", "evidence": []}
    evidence = list(_evidence(here[0], before[0], sessions))
    words = [f"{each['name']} {times(each['ratio'])}" for each in evidence if "ratio" in each]
    severities = [reading.word(each, "severity") for each in (here[0], before[0])]
    if severities[0] != severities[1]:
        words.insert(0, f"{severities[0]}, was {severities[1]}")
    return {**row, "change": ", ".join(words), "evidence": evidence}


def _evidence(here: Mapping[str, Any], before: Mapping[str, Any], sessions: Sessions) -> Iterable[dict[str, Any]]:
    known = {reading.word(each, "name"): each for each in reading.rows(before, "evidence")}
    for each in reading.rows(here, "evidence"):
        name = reading.word(each, "name")
        if name not in known:
            continue
        pair = Pair(reading.number(each, "value"), reading.number(known[name], "value"))
        compared = pair if _NO_COUNT.match(name) else sessions.rate("value", each, known[name])
        row: dict[str, Any] = {"name": name, "value": rounded(pair.here), "baselineValue": rounded(pair.before)}
        yield row | ({} if compared.ratio is None else {"ratio": rounded(compared.ratio)})
