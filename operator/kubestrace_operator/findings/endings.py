"""Findings about containers that end: killed for memory, or after a call that failed. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kubestrace_operator.api.sizes import size
from kubestrace_operator.findings import exit_codes, failed_call, last_call
from kubestrace_operator.findings.crashes import signal_of
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
from kubestrace_operator.findings.last_call import FailedCall, Sample
from kubestrace_operator.results.rows import ContainerRow

_KILLED = "OOMKilled"
# A program that looks up a name as it starts.
_SHORT_NS = 60_000_000_000
# Ends with an error that are a loop.
_LIVES = 2


def _oom(facts: Facts) -> Iterator[Finding]:
    """By the reason of the end, and by the kernel's count: a container whose child is killed goes on."""
    ended = [place_of(row) for row in facts.containers if row.state.exit_reason == _KILLED]
    counted: Counter[Place] = Counter()
    for row in facts.status.get("containers", ()):
        counted[Place(row["pod"], row["container"])] += _memory(row).get("oomKills", 0)
    # The count of a cgroup that is gone may never have been read.
    kills = {place: max(ended.count(place), counted[place]) for place in {*ended, *+counted}}
    if not kills:
        return
    places, total = tuple(sorted(kills)), sum(kills.values())
    yield Finding(
        "oom-killed",
        Severity.CRITICAL,
        Confidence.HIGH,
        f"The kernel killed {many(total, 'process', 'processes')} of {named_places(places)} for memory in "
        f"{facts.seconds:.0f} s{_limit(facts, places)}.",
        "Raise the memory limit, or cap the heap below it (GOMEMLIMIT, MaxRAMPercentage, --max-old-space-size).",
        "The process is meant to be ended this way.",
        (Evidence("oomKills", total, 1),),
        places,
        weight=1.0,
    )


def _memory(row: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = row.get("resources", {}).get("memory", {})
    return found


def _limit(facts: Facts, places: Sequence[Place]) -> str:
    """Name the limit of one container, where it is known."""
    limits = {
        _memory(row).get("limitBytes", 0)
        for row in facts.status.get("containers", ())
        if Place(row["pod"], row["container"]) in places
    } - {0}
    return f": its limit is {size(limits.pop())}" if len(limits) == 1 else ""


def explained(facts: Facts) -> dict[FailedCall, list[ContainerRow]]:
    """Return containers that ended with an error by the last failed call within a second of the end."""
    ended = [
        row for row in facts.containers if has_error(row) and row.state.exit_code not in exit_codes.ENDED_BY_OTHERS
    ]
    # Most results have no such end: their samples need not be read.
    samples = list(last_call.samples(facts.status)) if ended else []
    last: dict[FailedCall, list[ContainerRow]] = {}
    unexplained = []
    for row in ended:
        if call := _last_call(row, samples):
            last.setdefault(call, []).append(row)
        else:
            unexplained.append(row)
    # There are a few samples of each error, not one of each life: others of the container ended alike.
    for row in unexplained:
        alike = [call for call, rows in last.items() if any(_ends_alike(row, each) for each in rows)]
        if len(alike) == 1:
            last[alike[0]].append(row)
    name = last_call.missing_name(facts.status)
    if name and not last and len({row.state.container.container_name for row in facts.containers}) == 1:
        last[name] = [row for row in unexplained if _is_short(row)]
    return {call: rows for call, rows in last.items() if rows}


def _is_short(row: ContainerRow) -> bool:
    """Tell whether a container lived for so short a time that all of its failures are near its end."""
    state = row.state
    life_ns = state.finish_time_unix_nanoseconds - state.start_time_unix_nanoseconds
    return state.from_start and 0 <= life_ns <= _SHORT_NS


def has_error(row: ContainerRow) -> bool:
    """Tell whether a container ended with an error; that it crashed, or ran out of memory, is another story."""
    return row.has_failed and row.state.exit_reason != _KILLED and not signal_of(row.state.exit_code)


def _died_after_error(facts: Facts) -> Iterator[Finding]:
    for call, rows in explained(facts).items():
        yield _died_after(call, rows)


def _died_after(call: FailedCall, rows: Sequence[ContainerRow]) -> Finding:
    names, codes = _names(rows), Counter(row.state.exit_code for row in rows)
    times = f", {len(rows)} times" if len(rows) > 1 else ""
    ended = "it" if call.process == names else names
    # When a name was looked up is not known.
    is_timed = call.errno != failed_call.NO_NAME
    then = "Just after that" if is_timed else "Within a minute"
    return Finding(
        "died-after-error",
        Severity.CRITICAL if is_timed else Severity.WARNING,
        Confidence.MEDIUM if is_timed else Confidence.LOW,
        f"{call.told()}. {then} {ended} ended with exit code {', '.join(map(str, codes))}{times}.",
        call.advice(),
        "The same call failed in runs that went on.",
        (Evidence("endsAfterThisError", len(rows), 1),),
        places_of(rows),
        weight=1.0 + len(rows),
    )


def _last_call(row: ContainerRow, samples: Iterable[Sample]) -> FailedCall | None:
    own = (each for each in samples if each.place == place_of(row))
    return last_call.before(row.state.finish_time_unix_nanoseconds, own, row.state.exit_code)


def _ends_alike(one: ContainerRow, other: ContainerRow) -> bool:
    names = one.state.container.container_name, other.state.container.container_name
    return names[0] == names[1] and one.state.exit_code == other.state.exit_code


def _crash_loop(facts: Facts) -> Iterator[Finding]:
    """Ends with an error, again and again, of which no call is known that failed before."""
    if rows := loops(facts):
        codes = Counter((row.state.exit_code, row.state.exit_reason) for row in rows)
        words = ", ".join(f"{_code(*code)} {many(count, 'time')}" for code, count in codes.most_common(3))
        yield Finding(
            "crash-loop",
            Severity.CRITICAL,
            Confidence.HIGH,
            f"{at_head(_names(rows))} started and ended with an error again and again: exit code {words}."
            f"{exit_codes.meaning(codes.most_common(1)[0][0][0])}",
            "Look at the last failed calls in the errors and at the container's log: kubectl logs --previous.",
            "The container is a job that is meant to be tried again.",
            (Evidence("endsWithAnError", len(rows), _LIVES),),
            places_of(rows),
            weight=0.5,
        )


def loops(facts: Facts) -> list[ContainerRow]:
    """Return the lives of containers that ended with an error again and again."""
    failed = [row for row in facts.containers if row.has_failed]
    lives = Counter(map(place_of, failed))
    return [row for row in failed if lives[place_of(row)] >= _LIVES]


def _code(code: int, reason: str) -> str:
    return f"{code} ({reason})" if reason else str(code)


def places_of(rows: Iterable[ContainerRow]) -> tuple[Place, ...]:
    """Return where they ran."""
    return tuple(sorted({place_of(row) for row in rows}))


def _names(rows: Iterable[ContainerRow]) -> str:
    """Name one container, or say how many of how many pods."""
    return named_places(places_of(rows))


def named_places(places: Sequence[Place]) -> str:
    """Name one container, or say how many there are."""
    if len(places) == 1:
        return named(places[0].pod, places[0].container)
    return f"{len(places)} containers of {many(len({place.pod for place in places}), 'pod')}"


RULES = (
    Rule(
        "oom-killed",
        _oom,
        about="A container, or a process of it, was killed for memory.",
        source="the container's reason, from kubelet, and oom_kill of its cgroup",
    ),
    Rule(
        "died-after-error",
        _died_after_error,
        needs=("errors",),
        about="A container ended with an error within a second after a call failed that a program needs: a file, a "
        "peer, an address, a command, a lock, room. Or, a warning, within a minute of its start, and DNS had no "
        "address for a name (views.network.dns).",
        source="measured here: the last failed call names the cause of most crash loops",
    ),
    Rule(
        "crash-loop",
        _crash_loop,
        about="A container ended with an error twice or more.",
        source="kubelet's back-off",
    ),
)
