"""What must hold after every fault: pure functions over what was observed, each of which returns what is wrong."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Document = Mapping[str, Any]

# Reasons with which a session may end when everything asked for was right (docs/reasons.md).
ENDINGS = frozenset({"Completed", "PartiallyCompleted", "AgentUnavailable", "DeadlineExceeded"})
# Gaps that say nothing of a time in which calls were not counted.
_NO_TIME = frozenset(
    {"ContainerStateUnknown", "ViewUnsupported", "StacksUnavailable", "RuntimeCallsCounted", "TasksNotRead"}
)
# No session of a round takes so long; clocks are moved by more.
_MOST_SECONDS = 1800
# A call that is under way as a gap begins or ends, at the programs' rate.
_SLACK_SECONDS = 0.1


@dataclass(frozen=True)
class Program:
    """A program that knows its own counts: what it did, on which node, and when (seconds of the epoch)."""

    node: str
    calls: Mapping[str, int]
    errors: Mapping[str, Mapping[str, int]]
    begun: float
    ended: float
    # Counted calls a second, at most.
    rate: float


@dataclass(frozen=True)
class NodeLeft:
    """What an agent's process holds when no session runs, and what it held when it was new."""

    node: str
    links: int
    perf_events: int
    # Entries of the maps that hold one for each traced container, pod or process.
    entries: Mapping[str, int] = field(default_factory=dict)
    # Maps by their names; each name may be of several.
    maps: Mapping[str, int] = field(default_factory=dict)
    maps_at_first: Mapping[str, int] = field(default_factory=dict)
    files: frozenset[str] = frozenset()
    files_at_first: frozenset[str] = frozenset()


def ended_with_a_reason(name: str, session: Document) -> list[str]:
    """A session is finished, by one of the reasons that a fault can have, and says so in each of its conditions."""
    status = session.get("status", {})
    finished = condition(status, "Finished")
    if finished.get("status") != "True":
        return [f"{name}: not finished, in phase {status.get('phase')}"]
    wrong = []
    if finished.get("reason") not in ENDINGS:
        wrong.append(f"{name}: ended as {finished.get('reason')}: {finished.get('message')}")
    wrong += _tells_whether_it_is_complete(name, status)
    wrong += _tells_how_long_it_took(name, status)
    if session["metadata"].get("finalizers"):
        wrong.append(f"{name}: finished with the finalizers {session['metadata']['finalizers']}")
    return wrong


def _tells_whether_it_is_complete(name: str, status: Document) -> list[str]:
    complete = condition(status, "DataComplete").get("status") == "True"
    reasons = _reasons(status)
    if complete and reasons:
        return [f"{name}: DataComplete in spite of {', '.join(reasons)}"]
    if not complete and not reasons and not _losses(status) and status.get("containers"):
        return [f"{name}: not DataComplete, and nothing says why"]
    return []


def _tells_how_long_it_took(name: str, status: Document) -> list[str]:
    if not status.get("startTime") or not status.get("completionTime"):
        return []
    took = seconds(status["completionTime"]) - seconds(status["startTime"])
    return [] if 0 <= took < _MOST_SECONDS else [f"{name}: took {took:.1f} s by its dates"]


def never_more_than_the_truth(name: str, status: Document, programs: Sequence[Program]) -> list[str]:
    """No count is above what the programs did; of errors neither."""
    counted, failed = counts(status), errors(status)
    made, went_wrong = truth(programs), truth_of_errors(programs)
    return [
        *(
            f"{name}: {counted[call]} {call}, {made[call]} were made"
            for call in made
            if counted.get(call, 0) > made[call]
        ),
        *(
            f"{name}: {failed[key]} {' '.join(key)}, {went_wrong[key]} were made"
            for key in went_wrong
            if failed.get(key, 0) > went_wrong[key]
        ),
    ]


def missing_lies_in_gaps(name: str, session: Document, programs: Sequence[Program]) -> list[str]:
    """What is missing is no more than the programs can have done in the spans that the session tells."""
    made, missing = truth(programs), missing_calls(session, programs)
    told = told_seconds(session, programs)
    allowed = round(sum(told[program.node] * program.rate for program in programs))
    if missing <= allowed:
        return []
    spans = ", ".join(f"{seconds:.2f} s on {node}" for node, seconds in sorted(told.items()))
    return [f"{name}: {missing} of {sum(made.values())} calls are missing, at most {allowed} lie in gaps ({spans})"]


def nothing_is_left(left: NodeLeft) -> list[str]:
    """An agent without sessions has nothing attached, no entry of a container, no more maps or files than at first."""
    wrong = []
    if left.links or left.perf_events:
        wrong.append(f"{left.node}: {left.links} links and {left.perf_events} perf events are attached")
    wrong += [f"{left.node}: {count} entries left in {name}" for name, count in left.entries.items() if count]
    if more := Counter(left.maps) - Counter(left.maps_at_first):
        wrong.append(f"{left.node}: more maps than at first: {', '.join(f'{n} {name}' for name, n in more.items())}")
    if files := left.files - left.files_at_first:
        wrong.append(f"{left.node}: files left: {', '.join(sorted(files))}")
    return wrong


def missing_calls(session: Document, programs: Sequence[Program]) -> int:
    """How many calls of the programs are not in a session's counts."""
    made, counted = truth(programs), counts(session.get("status", {}))
    return sum(made.values()) - sum(counted.get(call, 0) for call in made)


def told_seconds(session: Document, programs: Iterable[Program]) -> dict[str, float]:
    """How long on each program's node calls may be missing, by what the session tells of it, while the program ran."""
    return {program.node: _told_of(session, program) for program in programs}


def _told_of(session: Document, program: Program) -> float:
    status = session.get("status", {})
    start, end = _session_span(session, program)
    spans = [(program.begun, start), (end, program.ended)]
    spans += [_span(gap, end, program) for gap in _gaps(status) if gap.get("node") in {program.node, None}]
    traced = any(row.get("node") == program.node for row in status.get("containers", []))
    if not traced and any(failure.get("node") == program.node for failure in status.get("failures", [])):
        spans.append((start, end))
    return _union(
        (max(begin - _SLACK_SECONDS, program.begun), min(stop + _SLACK_SECONDS, program.ended)) for begin, stop in spans
    )


def _session_span(session: Document, program: Program) -> tuple[float, float]:
    """When counting began and ended. A session that never began traced nothing."""
    start_time = session.get("status", {}).get("startTime")
    start = _unmoved(start_time, program) if start_time else program.ended
    return start, start + session["spec"]["durationSeconds"]


def _span(gap: Document, session_end: float, program: Program) -> tuple[float, float]:
    return _unmoved(gap["startTime"], program), _unmoved(gap["endTime"], program) if gap.get("endTime") else session_end


def _unmoved(time: str, program: Program) -> float:
    """When something was, as the program's clock tells it: that of who wrote the time may be off by whole hours."""
    moved = seconds(time) - program.begun
    return program.begun + moved - 3600 * round(moved / 3600)


def _union(spans: Iterable[tuple[float, float]]) -> float:
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(span for span in spans if span[1] > span[0]):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def _gaps(status: Document) -> Iterator[Document]:
    for gap in status.get("trust", {}).get("gaps", []):
        if gap["reason"] not in _NO_TIME and gap.get("startTime"):
            yield gap


def _reasons(status: Document) -> list[str]:
    """Of failures and of gaps in time."""
    return [each["reason"] for each in (*status.get("failures", []), *_gaps(status))]


def _losses(status: Document) -> list[str]:
    trust = status.get("trust", {})
    timeless = [gap["reason"] for gap in trust.get("gaps", []) if gap["reason"] in _NO_TIME]
    lost = [name for name, count in _numbers(trust.get("losses", {})) if count]
    return [*timeless, *lost, *(name for name in ("lostCalls", "skippedCalls") if trust.get(name))]


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(inner, key)
    elif isinstance(value, int):
        yield name, value


def condition(status: Document, kind: str) -> Document:
    """One condition; empty when it is not there."""
    return next((entry for entry in status.get("conditions", []) if entry["type"] == kind), {})


def counts(status: Document) -> dict[str, int]:
    """Calls by name; rows of those that waited and those that worked are one."""
    found: dict[str, int] = {}
    for row in status.get("summary", {}).get("syscalls", []):
        found[row["name"]] = found.get(row["name"], 0) + row["calls"]
    return found


def errors(status: Document) -> dict[tuple[str, str], int]:
    """Failed calls by name and errno."""
    rows = status.get("summary", {}).get("errorCounts", [])
    return {(row["syscall"], row["errno"]): row["count"] for row in rows}


def truth(programs: Iterable[Program]) -> dict[str, int]:
    """What all programs did, by call."""
    made: dict[str, int] = {}
    for program in programs:
        for name, count in program.calls.items():
            made[name] = made.get(name, 0) + count
    return made


def truth_of_errors(programs: Iterable[Program]) -> dict[tuple[str, str], int]:
    """What failed of all that the programs did, by call and errno."""
    made: dict[tuple[str, str], int] = {}
    for program in programs:
        for name, by_errno in program.errors.items():
            for errno, count in by_errno.items():
                made[name, errno] = made.get((name, errno), 0) + count
    return made


def seconds(time: str) -> float:
    """Seconds of the epoch of a time in the API's notation."""
    return datetime.fromisoformat(time).timestamp()
