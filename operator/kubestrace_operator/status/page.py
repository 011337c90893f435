"""One page for people, of a whole status: what was found, the table, what views have to say, and what to trust. Pure.

It is status.report, and what local mode prints.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubestrace_operator.comparison import text as comparison_text
from kubestrace_operator.findings import text as findings_text
from kubestrace_operator.findings.rules import RULES
from kubestrace_operator.results.places import Places
from kubestrace_operator.results.rows import shown_mark
from kubestrace_operator.status import error_lines, narrow
from kubestrace_operator.views import registry
from kubestrace_operator.views.view import Loss

# As a terminal or a ticket shows it. Lines of lists may hold paths of any length.
COLUMNS = 120
# Lines of the lists below the table; the status has more.
_SHOWN_UNRETURNED = 20


def lines(status: Mapping[str, Any], table: str, columns: int | None = None) -> tuple[list[str], list[str]]:
    """Return the page's body, and its end: what to know before trusting it.

    Without `columns` the table is as wide as it is.
    """
    body = []
    for block in (findings_text.lines(status, columns or COLUMNS, len(RULES)), _compared(status, columns or COLUMNS)):
        rows = list(block)
        body += [*rows, ""] if rows else []
    text = table.rstrip("\n")
    body += (narrow.fitted(text, columns) if columns else text).splitlines()
    below, remarks = _below(status), _remarks(status)
    body += narrow.wrapped(below, columns) if columns else below
    return body, ["", *(narrow.wrapped(remarks, columns) if columns else remarks)]


def _below(status: Mapping[str, Any]) -> Iterator[str]:
    """Yield what stands below the table."""
    for view in registry.VIEWS:
        yield from view.overview(status)
    places = Places(status)
    yield from error_lines.lines(status["summary"]["errorCounts"], places)
    for view in registry.VIEWS:
        yield from view.details(status)
    yield from _unreturned(status["unreturned"], places)


def _compared(status: Mapping[str, Any], columns: int) -> Iterator[str]:
    return narrow.wrapped(comparison_text.lines(status), columns)


def _unreturned(rows: Sequence[Mapping[str, Any]], places: Places) -> Iterator[str]:
    """Yield the calls that have not returned: for how long, who, and what; `>` means at least."""
    if not rows:
        return
    yield from ("", "not returned and not counted, those that wait at the end")
    yield "        sec   pid   tid  thread           call"
    for row in rows[:_SHOWN_UNRETURNED]:
        age = f"{'>' if row['beganEarlier'] else ''}{row['ageNanoseconds'] / 1e9:.3f}"
        mark = shown_mark(row.get("abi", ""), wait=row["wait"])
        who = f"{row.get('pid', row['hostPid']):5} {row.get('tid', row['hostTid']):5}  {row.get('thread', ''):<16}"
        call = f"{row['syscall']}({row.get('arguments', '')})  {mark}".rstrip()
        yield f"{age:>11} {who} {call}{places.behind(row)}"
    if len(rows) > _SHOWN_UNRETURNED:
        yield f"({len(rows) - _SHOWN_UNRETURNED} more)"


def _remarks(status: Mapping[str, Any]) -> Iterator[str]:
    """Yield how it ended, and what the numbers do not hold."""
    conditions = {each["type"]: each for each in status["conditions"]}
    trust = status["trust"]
    yield conditions["Finished"]["message"]
    if not trust["complete"]:
        yield f"NOT COMPLETE: {conditions['DataComplete']['message']}"
    if trust["unmatchedCalls"]:
        yield f"In progress when counting began: {trust['unmatchedCalls']}, counted without a length."
    # The list above says so of those that are in it.
    if trust["unreturnedCalls"] and not status["unreturned"]:
        yield f"Not returned when counting ended: {trust['unreturnedCalls']}, not counted."
    for view in registry.VIEWS:
        yield from view.remarks(status)
        yield from _losses(view.known_losses, trust.get("losses", {}))
    if rules := findings_text.not_judged(status):
        yield rules


def _losses(known: Sequence[Loss], losses: Mapping[str, int]) -> Iterator[str]:
    """Yield the losses that leave the result complete: the others are in DataComplete."""
    for loss in known:
        if not loss.reason and losses.get(loss.name):
            yield loss.sentence(losses[loss.name])
