"""Findings in words, for a page and for a terminal. Pure; from the status.

First two lines for each, so that all of them are seen at once; what to do and the numbers behind them stand below.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_INDENT = "   "
# As a pager, a ticket or a terminal of any width shows them.
_HEAD_COLUMNS, _HEAD_LINES = 80, 2
# Characters that long names may keep, from what is whole on; the middle of one goes first: its ends tell it apart.
_NAME_LENGTHS = (80, 40, 28, 20)
_MORE = "..."
# Is no place to break a line at.
_BOUND = "\xa0"
# A sentence ends where the next one begins: a path or an address does not hold such a place.
_NEXT_SENTENCE = re.compile(r"(?<=[.;]) (?=[A-Z0-9])")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z0-9])")
# Rules that were not judged: of more only the number, as what they need says more.
_MOST_NAMED = 6
# Containers of a finding.
_MOST_PLACES = 4


def lines(status: Mapping[str, Any], columns: int, rules: int) -> Iterator[str]:
    """Yield what was found, then for each what to do, what would clear it, and its numbers.

    None where nothing was judged. `rules` is how many there are: that they found nothing is a statement too.
    """
    if "findings" not in status:
        return
    findings: Sequence[Mapping[str, Any]] = status["findings"]
    if not findings:
        yield from _wrapped(_nothing(status, rules), columns, first="")
    for number, each in enumerate(findings, 1):
        yield from head(number, each, columns)
    for number, each in enumerate(findings, 1):
        yield ""
        yield from _below(number, each, columns)


def head(number: int, finding: Mapping[str, Any], columns: int) -> list[str]:
    """Return the two lines of a finding: how bad it is, its rule, and as much of the summary as there is room for."""
    before = f"{number}. {finding['severity'].upper()} {finding['id']}: "
    width, after = min(columns, _HEAD_COLUMNS), _pods(finding)
    texts = _shorter(finding["summary"])
    for text in texts:
        wrapped = _wrapped(f"{before}{text}{after}", width, first="")
        if len(wrapped) <= _HEAD_LINES and max(map(len, wrapped)) <= width:
            break
    else:
        wrapped = _wrapped(f"{before}{text}", width, first="", max_lines=_HEAD_LINES, placeholder=f" {_MORE}")
    return wrapped


def _nothing(status: Mapping[str, Any], rules: int) -> str:
    missing = len(status.get("notJudged", ()))
    others = f"; {missing} could not be judged" if missing else ""
    return f"findings: none, by {rules - missing} of the {rules} rules of docs/findings.md{others}"


def not_judged(status: Mapping[str, Any]) -> str:
    """Return which rules were not judged, and what they need; empty: all were."""
    rules = status.get("notJudged", ())
    words = {need for each in rules for need in each["needs"].split(", ")}
    needs = sorted(need for need in words if not need.startswith("missing of "))
    names = ", ".join(each["id"] for each in rules) if len(rules) <= _MOST_NAMED else f"{len(rules)} rules"
    verb = "it needs" if len(rules) == 1 else "they need"
    return f"Not judged: {names} ({verb} {', '.join(needs)})." if rules else ""


def _shorter(summary: str) -> Iterator[str]:
    """Yield a summary and shorter ones: with fewer of its later sentences, then with shorter names."""
    sentences = _NEXT_SENTENCE.split(summary)
    for length in _NAME_LENGTHS:
        for count in range(len(sentences), 0, -1):
            text = " ".join(sentences[:count])
            yield " ".join(_with_ends(word, length) for word in text.removesuffix(";").split())


def _with_ends(word: str, length: int) -> str:
    """Return a name of so many characters at most, without its middle."""
    if len(word) <= length:
        return word
    begin = (length - len(_MORE)) // 2
    return f"{word[:begin]}{_MORE}{word[len(word) - (length - len(_MORE) - begin) :]}"


def _below(number: int, finding: Mapping[str, Any], columns: int) -> Iterator[str]:
    yield f"{number}. {finding['id']} (confidence: {finding['confidence']})"
    whole = f"{finding['summary']}{_pods(finding)}"
    if " ".join(whole.split()) not in " ".join(" ".join(head(number, finding, columns)).split()):
        yield from _wrapped(whole, columns, first=_INDENT)
    yield from _wrapped(f"What to do: {finding['advice']}", columns, first=_INDENT)
    yield from _wrapped(f"No problem if: {finding['clearedBy']}", columns, first=_INDENT)
    yield from _wrapped(f"Numbers: {'; '.join(map(_number, finding['evidence']))}.", columns, first=_INDENT)
    if places := finding.get("containers", ()):
        yield from _wrapped(f"Where: {_places(places)}.", columns, first=_INDENT)


def _number(evidence: Mapping[str, Any]) -> str:
    """Return a number and its bound: syncs per second 212 (bound 10)."""
    name = _HUMP.sub(" ", evidence["name"]).lower()
    bound = f" (bound {evidence['threshold']:,})" if "threshold" in evidence else ""
    return f"{name} {evidence['value']:,}{bound}"


def _places(rows: Sequence[Mapping[str, str]]) -> str:
    named = [f"{row['container']} of {row['pod']}" if row["pod"] else row["container"] for row in rows]
    more = [f"{len(named) - _MOST_PLACES} more"] if len(named) > _MOST_PLACES else []
    return ", ".join(named[:_MOST_PLACES] + more)


def _pods(finding: Mapping[str, Any]) -> str:
    if finding.get("ofPods", 1) <= 1:
        return ""
    return f" In {finding['pods']} of {finding['ofPods']} pods."


def _wrapped(text: str, columns: int, *, first: str, **limits: Any) -> list[str]:
    # A path or an address stays whole: it is to be copied. So does a share: 68 %.
    lines = textwrap.wrap(
        text.replace(" %", f"{_BOUND}%"),
        columns,
        initial_indent=first,
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
        **limits,
    )
    return [line.replace(_BOUND, " ") for line in lines]
