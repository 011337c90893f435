"""What must hold after a fault, over made-up observations: each test shows one thing that would be noticed."""

from typing import Any

import invariants
import pytest
from invariants import NodeLeft, Program

BEGUN = invariants.seconds("2026-01-01T10:00:02Z")
PROGRAMS = [
    Program(node, {"getppid": 500, "mkdirat": 500}, {"mkdirat": {"EEXIST": 500}}, BEGUN, BEGUN + 5, 200)
    for node in ("node-1", "node-2")
]


def session(*, missing: int = 0, **status: Any) -> dict[str, Any]:
    """A session of ten seconds around the programs, complete but for what is given."""
    complete = str(status.pop("complete", True))
    return {
        "metadata": {},
        "spec": {"durationSeconds": 10},
        "status": {
            "startTime": "2026-01-01T10:00:00.000000Z",
            "conditions": [
                {"type": "Finished", "status": "True", "reason": "Completed"},
                {"type": "DataComplete", "status": complete},
            ],
            "containers": [{"node": "node-1"}, {"node": "node-2"}],
            "summary": {
                # Those that waited have a row of their own.
                "syscalls": [
                    {"name": "getppid", "calls": 600},
                    {"name": "getppid", "calls": 400 - missing},
                    {"name": "mkdirat", "calls": 1000},
                    {"name": "pause", "calls": 2},
                ],
                "errorCounts": [{"syscall": "mkdirat", "errno": "EEXIST", "count": 1000}],
            },
            "trust": {"gaps": [], "losses": {}},
            **status,
        },
    }


def gap(start: str, end: str | None, node: str = "node-1", reason: str = "AgentRestarted") -> dict[str, Any]:
    """A gap on a node, in seconds after ten o'clock."""
    whole = {"reason": reason, "message": "", "node": node, "startTime": f"2026-01-01T10:00:{start}Z"}
    return whole | ({"endTime": f"2026-01-01T10:00:{end}Z"} if end else {})


def trust(*gaps: dict[str, Any]) -> dict[str, Any]:
    """The gaps as a part of a status that is not complete."""
    return {"complete": False, "trust": {"gaps": list(gaps)}}


def test_nothing_is_wrong_with_a_whole_session() -> None:
    """Of none of the invariants."""
    whole = session()

    assert invariants.ended_with_a_reason("s", whole) == []
    assert invariants.never_more_than_the_truth("s", whole["status"], PROGRAMS) == []
    assert invariants.missing_lies_in_gaps("s", whole, PROGRAMS) == []


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"conditions": [], "phase": "Tracing"}, "not finished, in phase Tracing"),
        ({"conditions": [{"type": "Finished", "status": "True", "reason": "OperatorFailed"}]}, "OperatorFailed"),
        ({"trust": {"gaps": [gap("03", "04")]}}, "DataComplete in spite of AgentRestarted"),
        ({"failures": [{"reason": "AgentUnavailable", "node": "node-1"}]}, "DataComplete in spite of AgentUnavailable"),
        ({"complete": False}, "nothing says why"),
        ({"completionTime": "2026-01-01T13:00:10.000000Z"}, "took 10810.0 s by its dates"),
        ({"completionTime": "2026-01-01T07:00:10.000000Z"}, "took -10790.0 s by its dates"),
    ],
)
def test_an_end_without_a_reason_is_noticed(status: dict[str, Any], said: str) -> None:
    """And one that does not go with what the session tells."""
    assert said in " ".join(invariants.ended_with_a_reason("s", session(**status)))


def test_losses_are_a_reason_to_be_incomplete() -> None:
    """Gaps in time are not the only one."""
    lost = session(complete=False, trust={"gaps": [], "losses": {"files": {"paths": 3}}})

    assert invariants.ended_with_a_reason("s", lost) == []


def test_an_orphan_finalizer_is_noticed() -> None:
    """A finished session has none."""
    orphan = {**session(), "metadata": {"finalizers": ["kubestrace.io/finalizer"]}}

    assert "kubestrace.io/finalizer" in invariants.ended_with_a_reason("s", orphan)[0]


def test_more_than_the_truth_is_noticed() -> None:
    """One call or one error too many is enough."""
    one_more = session(missing=-1)["status"]
    one_error = session(summary={"errorCounts": [{"syscall": "mkdirat", "errno": "EEXIST", "count": 1001}]})["status"]

    assert invariants.never_more_than_the_truth("s", one_more, PROGRAMS) == ["s: 1001 getppid, 1000 were made"]
    assert invariants.never_more_than_the_truth("s", one_error, PROGRAMS) == ["s: 1001 mkdirat EEXIST, 1000 were made"]


def test_one_missing_call_without_a_gap_is_noticed() -> None:
    """Nothing is told, so nothing may be missing."""
    assert len(invariants.missing_lies_in_gaps("s", session(missing=1), PROGRAMS)) == 1


@pytest.mark.parametrize(
    ("gaps", "seconds"),
    [
        ([gap("03", "04")], 1.2),
        # Overlapping spans count once; those on another node are another's.
        ([gap("03", "05"), gap("04", "06"), gap("03", "04", "node-2")], 4.4),
        # Only while the program ran; without an end it lasts to the session's end.
        ([gap("00", "03")], 1.1),
        ([gap("06", None)], 1.1),
        # Says that calls were counted.
        ([gap("03", "04", reason="ContainerStateUnknown")], 0),
    ],
)
def test_what_gaps_allow(gaps: list[dict[str, Any]], seconds: float) -> None:
    """As many calls may be missing as the programs make in that time, with a tenth of a second at each end."""
    allowed = round(200 * seconds)

    assert invariants.missing_lies_in_gaps("s", session(missing=allowed, **trust(*gaps)), PROGRAMS) == []
    assert len(invariants.missing_lies_in_gaps("s", session(missing=allowed + 1, **trust(*gaps)), PROGRAMS)) == 1


def test_a_session_that_was_over_before_the_programs_misses_the_rest() -> None:
    """It ended after eight seconds by its own time, two of them before the first call."""
    early = session(missing=90)
    early["spec"]["durationSeconds"] = 6.9

    # 0.1 s, and a tenth, on two nodes.
    assert invariants.missing_lies_in_gaps("s", early, PROGRAMS[:1]) == []
    assert invariants.told_seconds(early, PROGRAMS)["node-1"] == pytest.approx(0.2)


def test_clocks_that_are_off_by_hours_tell_the_same_spans() -> None:
    """Of the operator, which writes the start, or of an agent, which tells a gap."""
    apart = gap("03", "04") | {"startTime": "2026-01-01T13:00:03Z", "endTime": "2026-01-01T07:00:04Z"}
    moved = session(startTime="2026-01-01T13:00:03.000000Z", **trust(apart))

    assert invariants.told_seconds(moved, PROGRAMS) == pytest.approx({"node-1": 2.1, "node-2": 1.1})


def test_a_node_that_was_not_traced_misses_all() -> None:
    """If the failure says so; a container of it in the results needs a gap."""
    failures = [{"reason": "AgentUnavailable", "node": "node-2", "message": ""}]
    untraced = session(complete=False, failures=failures, containers=[{"node": "node-1"}])
    traced = session(complete=False, failures=failures)

    assert invariants.told_seconds(untraced, PROGRAMS) == {"node-1": 0, "node-2": 5}
    assert invariants.told_seconds(traced, PROGRAMS) == {"node-1": 0, "node-2": 0}


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (NodeLeft("n", links=1, perf_events=0), "1 links and 0 perf events are attached"),
        (NodeLeft("n", links=0, perf_events=2), "0 links and 2 perf events are attached"),
        (NodeLeft("n", 0, 0, entries={"containers": 1}), "1 entries left in containers"),
        (
            NodeLeft("n", 0, 0, maps={"rows": 2}, maps_at_first={"rows": 1, "ring": 1}),
            "more maps than at first: 1 rows",
        ),
        (NodeLeft("n", 0, 0, files=frozenset({"tmp/x"})), "files left: tmp/x"),
    ],
)
def test_what_is_left_is_noticed(left: NodeLeft, said: str) -> None:
    """Each kind of thing by itself."""
    assert invariants.nothing_is_left(left) == [f"n: {said}"]


def test_less_than_at_first_is_nothing_left() -> None:
    """A new agent has not loaded what an older one had."""
    left = NodeLeft("n", 0, 0, {"containers": 0}, {"rows": 1}, {"rows": 2}, frozenset(), frozenset({"tmp/x"}))

    assert invariants.nothing_is_left(left) == []
