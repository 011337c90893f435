"""All rules, and what a result comes to by them. Pure. Used by status.builder, and so by local mode."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kubestrace_operator.findings import (
    answers,
    attempts,
    connections,
    crashes,
    disks,
    dns,
    endings,
    errors,
    executions,
    exhaustion,
    exits,
    file_locks,
    files,
    limits,
    memory,
    programs,
    thread_locks,
    threads,
    unusual_calls,
    waiting,
    work,
)
from kubestrace_operator.findings.finding import Facts, Finding, Rule, Severity, many

RULES: tuple[Rule, ...] = (
    *endings.RULES,
    *crashes.RULES,
    *exits.RULES,
    *files.RULES,
    *exhaustion.RULES,
    *errors.RULES,
    *limits.RULES,
    *memory.RULES,
    *waiting.RULES,
    *file_locks.RULES,
    *work.RULES,
    *programs.RULES,
    *disks.RULES,
    *dns.RULES,
    *connections.RULES,
    *answers.RULES,
    *threads.RULES,
    *thread_locks.RULES,
    *attempts.RULES,
    *executions.RULES,
    *unusual_calls.RULES,
)
# What a status tells.
MOST = 10
# Rules in a column of kubectl get: a line of it stays readable.
_IN_COLUMN = 3
# They say why a container ended.
_EXPLAIN_AN_END = frozenset({"crashed", "died-after-error", "oom-killed"})
# What a rule may need beside views.
_ALL_CALLS, _NO_LOSS = "every system call: leave spec.syscalls out", "no lost calls: see trust.lostCalls"


@dataclass(frozen=True)
class Judgement:
    """What was found, the worst first, and which rules could not be judged for lack of what."""

    findings: tuple[Finding, ...]
    # Rule -> what it needs.
    not_judged: tuple[tuple[str, str], ...]
    pods: int = 0

    def document(self) -> dict[str, Any]:
        """Return the part of a status."""
        shown = self.findings[:MOST]
        return {
            "findings": [each.document(self.pods) for each in shown],
            "notJudged": [{"id": rule, "needs": needs} for rule, needs in self.not_judged],
            "findingIds": _column(list(dict.fromkeys(each.id for each in shown))),
        }


def _column(ids: list[str]) -> str:
    """Return what kubectl get shows: the worst rules, and how many more there are."""
    more = [f"+{len(ids) - _IN_COLUMN}"] if len(ids) > _IN_COLUMN else []
    return ", ".join(ids[:_IN_COLUMN] + more)


def judge(facts: Facts) -> Judgement:
    """Judge all rules."""
    judged: list[Finding] = []
    missing: list[tuple[str, str]] = []
    for rule in RULES:
        if needs := _missing(rule, facts):
            missing.append((rule.id, needs))
            continue
        found = list(rule.judge(facts))
        judged += found
        if not found and (lacking := rule.unclear(facts) or _unread(rule, facts)):
            missing.append((rule.id, lacking))
    told = _without_repetition(judged)
    return Judgement(tuple(sorted(told, key=_order)), tuple(missing), pods=facts.pods)


def _missing(rule: Rule, facts: Facts) -> str:
    views = [view for view in rule.needs if not facts.has(view)]
    if views:
        return ", ".join(f"views.{view}" for view in views)
    if facts.seconds < rule.least_seconds:
        return f"a session of {rule.least_seconds:.0f} s or longer"
    if rule.compares and facts.filtered:
        return _ALL_CALLS
    return _NO_LOSS if rule.compares and facts.lost_calls else ""


def _unread(rule: Rule, facts: Facts) -> str:
    """Return which numbers are not there of which containers: an older agent, or a node that does not count them."""
    containers = [row.get("resources", {}) for row in facts.status.get("containers", ())]
    for name in rule.numbers:
        if name == "pods":
            if containers and not any(facts.status.get(part, {}).get("pods") for part in ("resources", "network")):
                return "resources.pods, which no agent could read"
            continue
        group, _, field = name.partition(".")
        lacking = sum(field not in row.get(group, {}) for row in containers)
        if lacking:
            return f"resources.{name}, missing of {lacking} of {many(len(containers), 'container')}"
    return ""


def _without_repetition(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Leave out what another finding says better: that containers crash, or wait for memory or a CPU."""
    known = list(findings)
    throttled = any(each.id == "cpu-throttled" for each in known)
    explained = {place for each in known if each.id in _EXPLAIN_AN_END for place in each.places}
    thrashing = {place for each in known if each.id == "thrashing" for place in each.places}
    better = {"crash-loop": explained, "memory-pressure": thrashing}
    limited = any(each.id == "pids-limit" and each.severity == Severity.CRITICAL for each in known)
    for each in known:
        repeats = each.id in better and set(each.places) <= better[each.id]
        is_known = (throttled and each.id == "cpu-starved") or (limited and each.id == "task-limit")
        if not repeats and not is_known:
            yield each


def _order(finding: Finding) -> tuple[int, float, str, str]:
    return finding.severity, -finding.weight, finding.id, finding.summary
