"""Who makes the calls: added up over containers and nodes, as rows, as trees, and as folded stacks."""

import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from kubestrace_operator.results.rows import ContainerKey
from kubestrace_operator.views.callers import MAX_STACKS, Callers, Part, Settings, Sums, share_error
from kubestrace_operator.views.callers_text import folded
from kubestrace_operator.views.view import ContainerResult, Shown
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import callers_pb2

VIEW = Callers()
READ, MAIN = "read (libc.so.6)", "main (app)"


def sums(samples: int, weight: int = 1) -> callers_pb2.CallerSums:
    """Return calls that stand for so many others each."""
    return callers_pb2.CallerSums(samples=samples, calls=samples * weight, variance=samples * weight * (weight - 1))


def result(stacks: dict[tuple[str, ...], int], *, other: int = 0, weight: int = 1, **row: str) -> Any:
    """Return one container's result: chosen calls of read by their stacks, and others without room for theirs."""
    functions = sorted({each for frames in stacks for each in frames})
    whole = callers_pb2.CallerRow(**{"name": "read", **row}, sums=sums(sum(stacks.values()) + other, weight))
    for frames, samples in stacks.items():
        whole.stacks.add(functions=[functions.index(each) for each in frames], sums=sums(samples, weight))
    return callers_pb2.CallersResult(rows=[whole], functions=functions)


def merged(*results: callers_pb2.CallersResult, node: str = "n1") -> Part:
    """Return what a node's containers come to."""
    return VIEW.merge(
        ContainerResult(ContainerKey(node, "pod", "app", f"c{number}"), agent_pb2.Container(), each)
        for number, each in enumerate(results)
    )


def shown(part: Part) -> Shown[Settings, Part]:
    """Return what a status is made of."""
    now = datetime.now(UTC)
    return Shown(Settings(), part, [], [], now, now, 0)


def test_stacks_of_the_same_functions_are_one() -> None:
    """Over containers and nodes; the parts stay as they are."""
    one = merged(result({(READ, "often (app)"): 3}), result({(READ, "often (app)"): 4, (READ, "seldom (app)"): 1}))

    whole = VIEW.add([one, merged(result({(READ, "often (app)"): 10}, weight=8), node="n2")])

    ((_, calls),) = whole.items()
    assert calls.sums == Sums(18, 88, 10 * 8 * 7)
    assert calls.stacks[READ, "often (app)"] == Sums(17, 87, 10 * 8 * 7)
    assert next(iter(one.values())).stacks[READ, "often (app)"].samples == 7


def test_rows_and_what_is_left_out_are_all_there_is() -> None:
    """However many of the rows are kept; a share is of the calls of its own kind."""
    part = merged(
        result({(READ, "a (app)"): 60, (READ, "b (app)"): 30}, other=10),
        result({("open (libc.so.6)",): 5}, name="openat", errno="ENOENT"),
    )
    (section,) = VIEW.sections(shown(part))

    for kept in range(len(section.rows) + 1):
        document = section.document(kept)
        listed = sum(row["samples"] for row in document["callers"])
        assert listed + document["otherCallers"]["samples"] == 105
        assert document["otherCallers"]["stacks"] == len(section.rows) - kept
    first, _, last = section.document(3)["callers"]
    assert (first["syscall"], first["share"], first["stack"]) == ("read", 0.6, [READ, "a (app)"])
    assert (last["syscall"], last["errno"], last["share"]) == ("openat", "ENOENT", 1.0)


def test_the_error_is_that_of_a_binomial_share() -> None:
    """Where all calls stand for as many; nothing is left to chance where all were chosen."""
    part, whole = Sums(300, 300 * 1024, 300 * 1024 * 1023), Sums(1000, 1000 * 1024, 1000 * 1024 * 1023)

    assert share_error(part, whole) == pytest.approx(1.96 * math.sqrt(0.3 * 0.7 / 1000), rel=0.001)
    assert share_error(Sums(3, 3, 0), Sums(10, 10, 0)) == 0
    # A stack that is alone: another may have been missed.
    assert share_error(whole, whole) == pytest.approx(3 / 1000, rel=0.001)


def test_stacks_beyond_the_bound_stay_in_the_sums() -> None:
    """Those with the fewest calls go."""
    part = merged(
        *(result({(READ, f"f{number}-{at} (app)"): at + 1 for at in range(100)}) for number in range(MAX_STACKS // 50))
    )

    ((_, calls),) = part.items()
    assert len(calls.stacks) == MAX_STACKS
    assert calls.sums.samples == sum(range(1, 101)) * (MAX_STACKS // 50)
    assert min(each.samples for each in calls.stacks.values()) == 49


def test_the_tree_shows_where_stacks_part() -> None:
    """Functions that are alone stand on one line, callers below; what found no room is other."""
    stacks = {(READ, "often (app)", MAIN): 60, (READ, "seldom (app)", MAIN): 30, (READ, f"x{1} (app)", MAIN): 10}

    lines = VIEW.table_text(shown(merged(result(stacks, other=100, weight=4)))).splitlines()

    assert lines[2].startswith("read: about 800 calls, 200 stacks: shares are at most 6.0 percentage points off")
    assert lines[3:] == [
        "   50.0 %  read (libc.so.6)",
        "   30.0 %    often (app) < main (app)",
        "   15.0 %    seldom (app) < main (app)",
        "    5.0 %    x1 (app) < main (app)",
        "   50.0 % other",
    ]


def test_the_tree_says_of_how_many_calls_it_is() -> None:
    """As the table does, exactly; what only the chosen calls tell is about so much."""
    part = merged(result({(READ, MAIN): 200}, weight=4))
    failed = merged(result({(READ, MAIN): 200}, weight=4, errno="EIO"))
    counted = Counter({"read": 817})

    (line,) = [each for each in VIEW.table_text(replace(shown(part), calls=counted)).splitlines() if "read:" in each]
    by_errno = replace(shown(failed), calls=counted, settings=Settings(by_errno=True))

    assert line.startswith("read: 200 stacks of 817 calls: shares are at most ")
    assert "read = EIO: about 800 calls, 200 stacks: " in VIEW.table_text(by_errno)


def test_the_tree_says_where_its_shares_say_nothing() -> None:
    """One stack stands for nearly all calls: a program that had ended before there was time for more."""
    part = merged(result({(READ, MAIN): 20}), result({(READ, "late (app)"): 1}, weight=4096))

    assert "read: about 4116 calls, 21 stacks: too few for shares, which may be " in VIEW.table_text(shown(part))


def test_the_tree_of_calls_that_are_all_there_says_so() -> None:
    """And without any call there is a sentence."""
    lines = VIEW.table_text(shown(merged(result({(READ,): 1})))).splitlines()

    assert lines[2] == "read: 1 call, the stacks of all"
    assert VIEW.table_text(shown({})) == "\nNo call was chosen for views.callers.\n"


def test_folded_stacks_end_with_the_call() -> None:
    """The outermost function comes first; a semicolon in a name is none between functions."""
    rows = [{"syscall": "read", "errno": "EIO", "stack": [READ, "js;f (app)"], "calls": 7}]

    assert list(folded(rows)) == [f"js,f (app);{READ};read;EIO 7"]
