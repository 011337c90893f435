"""Findings about exit codes: of containers, and of programs that end with an error again and again. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kubestrace_operator.findings import endings, exit_codes, last_call
from kubestrace_operator.findings.finding import (
    Confidence,
    Evidence,
    Facts,
    Finding,
    Place,
    Rule,
    Severity,
    at_head,
    many,
    named,
    percent,
)
from kubestrace_operator.findings.last_call import FailedCall, Sample, program_of, unseen
from kubestrace_operator.findings.programs import BUILDERS
from kubestrace_operator.findings.sightings import names

if TYPE_CHECKING:
    from kubestrace_operator.results.rows import ContainerRow

_LEAST_ENDS, _LEAST_SHARE = 3, 0.5
# Their exit code is an answer: found or not, alike or not.
_ASKING = names("grep egrep fgrep zgrep rg diff cmp test [ expr pgrep pidof which false getent ping find xargs")
_SHELLS = names("sh bash dash ash busybox zsh ksh")
_EXITED = re.compile(r"exited with (\d+)")

_Row = Mapping[str, Any]


@dataclass
class _Ends:
    """How the processes of one program ended."""

    codes: Counter[int] = field(default_factory=Counter)
    total: int = 0
    places: set[Place] = field(default_factory=set)
    call: FailedCall | None = None


def _ended_with_error(facts: Facts) -> Iterator[Finding]:
    yield from _containers(facts)
    yield from _programs(facts)


def _containers(facts: Facts) -> Iterator[Finding]:
    """Those of which no other rule says why they ended, or that they end again and again."""
    told = {id(row) for rows in endings.explained(facts).values() for row in rows}
    told |= {id(row) for row in endings.loops(facts)}
    by_code: dict[int, list[ContainerRow]] = {}
    for row in facts.containers:
        if endings.has_error(row) and id(row) not in told:
            by_code.setdefault(row.state.exit_code, []).append(row)
    for code, rows in by_code.items():
        places = endings.places_of(rows)
        yield Finding(
            "ended-with-error",
            _severity_of(code, places),
            Confidence.HIGH,
            f"{at_head(endings.named_places(places))} ended with exit code {code}.{exit_codes.meaning(code)}",
            exit_codes.advice(code),
            "The exit code is an answer, as that of grep, or the container was meant to end.",
            (Evidence("endsWithThisCode", len(rows), 1),),
            places,
            weight=0.4,
        )


def _severity_of(code: int, places: Sequence[Place]) -> Severity:
    """What could not be started serves nobody. What runs in no pod is a command, whose exit code may be its answer."""
    if code in exit_codes.NOT_STARTED:
        return Severity.CRITICAL
    is_told = code in exit_codes.ENDED_BY_OTHERS or not any(place.pod for place in places)
    return Severity.INFO if is_told else Severity.WARNING


def _programs(facts: Facts) -> Iterator[Finding]:
    for program, ends in _ends(facts).items():
        failed = ends.codes.total()
        share = failed / ends.total if ends.total else 0.0
        if program in _ASKING or failed < _LEAST_ENDS or share < _LEAST_SHARE:
            continue
        ((code, count),) = ends.codes.most_common(1)
        places = tuple(sorted(ends.places))
        where = f" in {endings.named_places(places)}" if named(places[0].pod, places[0].container) != program else ""
        before = f" Just before one of them {ends.call.told()}." if ends.call else ""
        yield Finding(
            "ended-with-error",
            _severity(program, code),
            Confidence.MEDIUM,
            f"{program}{where} ended with exit code {code}, {many(count, 'time')}."
            f"{exit_codes.meaning(code, program)}{before}",
            "Look at its own messages, and at who starts it again and again: views.processes tells the parent.",
            "The exit code is an answer, as that of grep and diff.",
            (Evidence("endsWithAnError", failed, _LEAST_ENDS), Evidence("shareOfEnds", share, _LEAST_SHARE)),
            places,
            weight=0.3,
        )


def _severity(program: str, code: int) -> Severity:
    """A shell ends as its last command does, and builds try what is there."""
    if code in exit_codes.NOT_STARTED:
        return Severity.WARNING
    return Severity.INFO if program in _SHELLS or program in BUILDERS else Severity.WARNING


def _ends(facts: Facts) -> dict[str, _Ends]:
    """Return how processes ended, by program, but the first ones of containers: these are told as such."""
    first = {(row["node"], row["hostPid"]) for row in facts.status.get("containers", ()) if "hostPid" in row}
    known, found = list(last_call.samples(facts.status)), dict[str, _Ends]()
    for row in facts.status.get("processes", ()):
        if (row.get("node"), row.get("hostPid")) in first:
            continue
        codes, total = _codes(row)
        if total:
            ends = found.setdefault(program_of(row), _Ends())
            ends.codes += codes
            ends.total += total
            ends.places |= {Place(row["pod"], row["container"])} if codes else set()
            ends.call = ends.call or (_call(row, known) if codes else None)
    return found


def _codes(row: _Row) -> tuple[Counter[int], int]:
    """Return the exit codes that are an error, and how many processes ended by themselves."""
    if "ends" not in row:
        code = row.get("exitCode")
        return Counter([code] if code else ()), int(code is not None)
    exited = {int(end[1]): each["count"] for each in row["ends"] if (end := _EXITED.search(each["end"]))}
    return Counter({code: count for code, count in exited.items() if code}), sum(exited.values())


def _call(row: _Row, known: Sequence[Sample]) -> FailedCall | None:
    own = [each for each in known if each.made_by(row)]
    return last_call.before(last_call.end_of(row), own, row.get("exitCode"))


RULES = (
    Rule(
        "ended-with-error",
        _ended_with_error,
        unclear=unseen,
        about="A container ended with an exit code other than 0, and no other rule says why: critical for 126 and 127 "
        "(it could not be executed), information for 130, 137 and 143 (it was ended) and for what runs in no pod. Or a "
        f"program in it did so {_LEAST_ENDS} times or more, and {percent(_LEAST_SHARE)} of the times or more; "
        "of shells and builds information, of grep and others whose exit code is an answer nothing.",
        source="exact: exit codes; what they mean: POSIX (126, 127, 128 and more), sysexits.h, curl(1)",
    ),
)
