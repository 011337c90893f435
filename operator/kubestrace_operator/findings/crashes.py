"""Findings about programs that a signal killed which nobody sent them in order to end them. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubestrace_operator.findings import last_call
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
    place_of,
)
from kubestrace_operator.findings.last_call import FailedCall, Sample, program_of, unseen

# Signal -> its number on Linux, what it means, and where to look.
_STACK = "Look at the program's log and its core file: the function at the top of the stack is the place."
_SIGNALS: Mapping[str, tuple[int, str, str]] = {
    "SIGILL": (
        4,
        "it met an instruction that this CPU does not have",
        "Use a build for this node's CPU and architecture.",
    ),
    "SIGTRAP": (5, "a check of its own failed", _STACK),
    "SIGABRT": (
        6,
        "it gave up itself",
        "Its log says why: a failed assertion, an exception that nobody caught, or a full heap (Node: "
        "--max-old-space-size).",
    ),
    "SIGBUS": (
        7,
        "it used a part of a mapped file that is not there",
        "Look whether a file was cut while it was mapped, and whether /dev/shm or the volume is full.",
    ),
    "SIGFPE": (8, "it divided by zero", _STACK),
    "SIGSEGV": (
        11,
        "it used memory that it does not have",
        f"{_STACK} As the first process of a container abort() ends so, too.",
    ),
    "SIGXCPU": (24, "it used more CPU time than its limit", "Raise or remove the limit (ulimit -t)."),
    "SIGXFSZ": (25, "it wrote a larger file than its limit", "Raise or remove the limit (ulimit -f)."),
    "SIGSYS": (
        31,
        "it made a call that seccomp forbids",
        "Add the call to the profile (securityContext.seccompProfile).",
    ),
}
_BY_NUMBER = {number: name for name, (number, _, _) in _SIGNALS.items()}
# A shell, and a container runtime, add it to the number of the signal.
_BASE = 128
_NAME = re.compile(r"SIG[A-Z]+")

_Row = Mapping[str, Any]


def signal_of(exit_code: int) -> str:
    """Return the signal of this kind that an exit code stands for; empty: none."""
    return _BY_NUMBER.get(exit_code - _BASE, "")


@dataclass
class _Crashes:
    """Of one program by one signal."""

    by_place: Counter[Place] = field(default_factory=Counter)
    call: FailedCall | None = None

    def add(self, place: Place, count: int, call: FailedCall | None) -> None:
        self.by_place[place] += count
        self.call = call or self.call


# By signal and program.
_Found = dict[tuple[str, str], _Crashes]


def _crashed(facts: Facts) -> Iterator[Finding]:
    """By the processes that were seen; of a container that ended so, and has no such process, by its exit code."""
    known, found = list(last_call.samples(facts.status)), _Found()
    for row in facts.status.get("processes", ()):
        for signal, count in _signals(row):
            place = Place(row["pod"], row["container"])
            call = last_call.before(last_call.end_of(row), [each for each in known if each.made_by(row)])
            found.setdefault((signal, program_of(row)), _Crashes()).add(place, count, call)
    ended = _ended_containers(facts)
    for (signal, place), count in ended.items():
        seen = sum(each.by_place[place] for (of, _), each in found.items() if of == signal)
        if count > seen:
            found.setdefault((signal, ""), _Crashes()).add(place, count - seen, _call_of(facts, signal, place, known))
    for (signal, program), crashes in found.items():
        is_end = any(ended[signal, place] for place in crashes.by_place)
        yield _finding(signal, program, crashes, is_end=is_end)


def _finding(signal: str, program: str, crashes: _Crashes, *, is_end: bool) -> Finding:
    count, (_, meaning, advice) = crashes.by_place.total(), _SIGNALS[signal]
    places = tuple(sorted(crashes.by_place))
    where = named(places[0].pod, places[0].container) if len(places) == 1 else f"{len(places)} containers"
    who = f"{program} in {where}" if program and program != where else where
    times = f" {many(count, 'time')}" if count > 1 else ""
    before = f" Just before that {crashes.call.told()}." if crashes.call else ""
    return Finding(
        "crashed",
        Severity.CRITICAL if is_end or count > 1 else Severity.WARNING,
        Confidence.HIGH,
        f"{at_head(who)} crashed{times} with {signal}: {meaning}.{before}",
        advice,
        "A test that provokes it, or a program whose parent starts it anew on purpose.",
        (Evidence("crashes", count, 1),),
        places,
        weight=1.0 + count,
    )


def _signals(row: _Row) -> Iterator[tuple[str, int]]:
    """Yield the signals of this kind that killed a process, or the processes of a program, and how many."""
    ends = row.get("ends") or [{"end": row.get("signal", ""), "count": 1}]
    for each in ends:
        name = _NAME.search(each["end"])
        if name and name[0] in _SIGNALS:
            yield name[0], each["count"]


def _ended_containers(facts: Facts) -> Counter[tuple[str, Place]]:
    ends: Counter[tuple[str, Place]] = Counter()
    for row in facts.containers:
        if row.has_failed and (signal := signal_of(row.state.exit_code)):
            ends[signal, place_of(row)] += 1
    return ends


def _call_of(facts: Facts, signal: str, place: Place, known: Sequence[Sample]) -> FailedCall | None:
    """Return the last failed call before one of the ends of a container."""
    own = [each for each in known if each.place == place]
    calls = (
        last_call.before(row.state.finish_time_unix_nanoseconds, own)
        for row in facts.containers
        if place_of(row) == place and signal_of(row.state.exit_code) == signal
    )
    return next((call for call in calls if call), None)


RULES = (
    Rule(
        "crashed",
        _crashed,
        unclear=unseen,
        about="A signal killed a program that nobody sends in order to end one: SIGSEGV, SIGABRT, SIGBUS, SIGILL, "
        "SIGFPE, SIGTRAP, SIGSYS, SIGXCPU or SIGXFSZ. Critical where the container ended with it, or from the second "
        "time on. Without views.processes containers are judged by their exit codes, and their children are not.",
        source="exact: how the process ended; the exit code is 128 and the signal's number",
    ),
)
