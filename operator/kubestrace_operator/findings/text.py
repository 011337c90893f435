"""Findings in words, for a page and for a terminal. Pure; from the status."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_INDENT = "   "
# Rules that were not judged: of more only the number, as what they need says more.
_MOST_NAMED = 6


def lines(status: Mapping[str, Any], columns: int) -> Iterator[str]:
    """Yield two lines for each, what was found and what to do, as long as they fit into the columns.

    None where nothing was judged.
    """
    if "findings" not in status:
        return
    findings: Sequence[Mapping[str, Any]] = status["findings"]
    if not findings:
        yield "findings: none"
    for number, each in enumerate(findings, 1):
        head = f"{number}. {each['severity'].upper()} {each['id']}: {each['summary']}{_pods(each)}"
        yield from _wrapped(head, columns, first="")
        yield from _wrapped(f"{each['advice']} No problem if: {each['clearedBy']}", columns, first=_INDENT)


def not_judged(status: Mapping[str, Any]) -> str:
    """Return which rules were not judged, and what they need; empty: all were."""
    rules = status.get("notJudged", ())
    words = {need for each in rules for need in each["needs"].split(", ")}
    needs = sorted(need for need in words if not need.startswith("missing of "))
    names = ", ".join(each["id"] for each in rules) if len(rules) <= _MOST_NAMED else f"{len(rules)} rules"
    return f"Not judged: {names} (they need {', '.join(needs)})." if rules else ""


def _pods(finding: Mapping[str, Any]) -> str:
    if finding.get("ofPods", 1) <= 1:
        return ""
    return f" In {finding['pods']} of {finding['ofPods']} pods."


def _wrapped(text: str, columns: int, *, first: str) -> list[str]:
    # A path or an address stays whole: it is to be copied.
    return textwrap.wrap(
        text, columns, initial_indent=first, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False
    )
