"""status.comparison: a result beside its baseline. Pure; works on statuses, so a file of local mode will do."""

from collections.abc import Mapping
from typing import Any

from kubestrace_operator.comparison import calls, objects, reading
from kubestrace_operator.comparison import findings as of_findings
from kubestrace_operator.comparison.baseline import Baseline, Compared, differences
from kubestrace_operator.comparison.calls import Sessions
from kubestrace_operator.comparison.noise import noise
from kubestrace_operator.comparison.ratios import rounded

# The lists of which the last rows may be cut, and their most rows.
LISTS = ("calls", "rows")
MOST_ROWS = 30


def compare(status: Mapping[str, Any], compared: Compared) -> dict[str, Any]:
    """Return how a whole status, nothing cut, differs from its baseline; the last of its calls may be cut."""
    baseline = compared.baseline
    sessions = Sessions(status, baseline.status)
    halves = noise(baseline.status)
    cut = baseline.status.get("truncated") is True
    other_calls = compared.scope.syscalls != baseline.scope.syscalls
    rows = calls.rows(sessions, halves, only_both=cut or other_calls)
    total = calls.total(sessions, halves)
    found = of_findings.changes(sessions)
    remarks = [*differences(compared), *_remarks(sessions, baseline, cut=cut), *found.unknown]
    changed = sum(row["changed"] for row in rows)
    message = (
        f"Compared with {baseline.name}: {total['change'] or 'no calls in one of the two'} (rates a second); "
        f"{changed} of {len(rows)} calls changed."
    )
    return {
        "reason": "Compared",
        "message": message,
        "baseline": _about(baseline),
        "noise": halves.document(),
        "total": total,
        **found.document(),
        "remarks": remarks,
        "calls": rows[:MOST_ROWS],
        "rows": objects.rows(sessions, halves)[:MOST_ROWS],
    }


def _about(baseline: Baseline) -> dict[str, Any]:
    about: dict[str, Any] = {"name": baseline.name, "startTime": reading.word(baseline.status, "startTime")}
    return about | {
        "seconds": rounded(reading.seconds(baseline.status)),
        "pods": reading.pods(baseline.status),
        "complete": reading.part(baseline.status, "trust", "complete") is True,
    }


def _remarks(sessions: Sessions, baseline: Baseline, *, cut: bool) -> list[str]:
    found = []
    here, before = reading.pods(sessions.here), reading.pods(sessions.before)
    if here != before:
        found.append(
            f"Other numbers of pods: {here} here, {before} in {baseline.name}; rates are of all pods together."
        )
    if cut:
        found.append("The baseline's status was cut: calls that it does not show are not compared.")
    for status, where in ((sessions.here, "here"), (sessions.before, f"in {baseline.name}")):
        if reading.part(status, "trust", "complete") is False:
            found.append(f"Not everything was counted {where}: see the condition DataComplete.")
    return found
