"""Findings in words, for a page and for a terminal. Pure; from the status."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_WIDTH = 120


def lines(status: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines; none where nothing was judged."""
    if "findings" not in status:
        return
    findings: Sequence[Mapping[str, Any]] = status["findings"]
    not_judged: Sequence[Mapping[str, Any]] = status.get("notJudged", ())
    if not findings:
        yield "findings: none"
    for number, each in enumerate(findings, 1):
        yield from _wrapped(f"{number}. {each['severity'].upper()} {each['id']}: {each['summary']}{_pods(each)}")
        yield from _indented("What to do", each["advice"])
        yield from _indented("No problem if", each["clearedBy"])
    if not_judged:
        views = sorted({need for each in not_judged for need in each["needs"].split(", ")})
        yield from _wrapped(
            f"not judged: {', '.join(each['id'] for each in not_judged)} (they need {', '.join(views)})"
        )


def _pods(finding: Mapping[str, Any]) -> str:
    if finding.get("ofPods", 1) <= 1:
        return ""
    return f" In {finding['pods']} of {finding['ofPods']} pods."


def _indented(head: str, text: str) -> list[str]:
    return _wrapped(f"   {head}: {text}")


def _wrapped(text: str) -> list[str]:
    """Return lines for a terminal and a ticket; a path that is longer stays whole, to be copied."""
    return textwrap.wrap(text, _WIDTH, subsequent_indent="   ", break_long_words=False, break_on_hyphens=False)
