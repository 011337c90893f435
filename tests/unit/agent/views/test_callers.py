"""Chosen calls added up by stack for one session; and what they may take of a node."""

import platform
from collections.abc import Iterable
from typing import cast

import pytest
from view_messages import packed

from kubestrace_agent.symbols.frames import CodeMapping, UserFrame, UserStack
from kubestrace_agent.symbols.names import Names, Question
from kubestrace_agent.symbols.naming import Name, Place
from kubestrace_agent.syscalls import SyscallKey
from kubestrace_agent.views.callers import collector as callers
from kubestrace_agent.views.callers.collector import CallStacks
from kubestrace_agent.views.callers.kernel import allowance, window_seconds
from kubestrace_agent.views.callers.values import Sample
from kubestrace_agent.views.callers.view import VIEW
from kubestrace_agent.views.view import RequestError
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import callers_pb2

READ, OPENAT, EXECVE = (SyscallKey(platform.machine(), number) for number in (0, 257, 59))
APP = CodeMapping(0x400000, 0x500000, 0, b"/srv/app")
ENOENT = 2


class Namer:
    """Names each address at once, or when it is told to."""

    def __init__(self) -> None:
        self.waits = False

    def ask(self, questions: Iterable[Question]) -> None:
        """Answer."""
        for question in questions if not self.waits else ():
            question.answer = [
                Place(frame, APP, Name(b"f%x" % (frame.address >> 8), frame.address & 0xFF))
                for frame in question.stack.followed
            ]
            question.done = True

    def wait(self, questions: Iterable[Question]) -> None:
        """Never."""


def sample(*addresses: int, key: SyscallKey = READ, weight: int = 1, errno: int = 0) -> Sample:
    """Return a call that was chosen."""
    stack = UserStack(tuple(map(UserFrame, addresses)), 0, 0, ())
    return Sample(key, errno, weight, 7, 1, stack, lambda _pid, _frames: [APP])


def collector(namer: Namer, *, by_errno: bool = False, wanted: frozenset[SyscallKey] | None = None) -> CallStacks:
    """Return one that asks this namer."""
    return CallStacks(200, by_errno, wanted, cast("Names", namer))


def result(of: CallStacks, lost: int = 0) -> dict[tuple[str, str], dict[tuple[str, ...], tuple[int, int, int]]]:
    """Return samples, calls and variance by call and errno and stack; () are all of a row."""
    report = agent_pb2.ContainerReport()
    of.write(report)
    assert report.trust.losses.get("callers", 0) == lost
    message = callers_pb2.CallersResult()
    assert report.views["callers"].Unpack(message)

    def numbers(sums: callers_pb2.CallerSums) -> tuple[int, int, int]:
        return sums.samples, sums.calls, sums.variance

    return {
        (row.name, row.errno): {(): numbers(row.sums)}
        | {tuple(message.functions[each] for each in stack.functions): numbers(stack.sums) for stack in row.stacks}
        for row in message.rows
    }


def test_calls_from_several_places_of_a_function_are_one_stack() -> None:
    """Each stands for its weight, and what was chosen for sure has no variance."""
    of = collector(Namer())
    of.begin(0, 5)

    of.take([sample(0x400110), sample(0x400120, weight=4), sample(0x400210, weight=4)], 7, 0)

    assert result(of, lost=2) == {
        ("read", ""): {(): (3, 9, 24), ("f4001 (app)",): (2, 5, 12), ("f4002 (app)",): (1, 4, 12)}
    }


def test_errnos_are_told_apart_where_that_is_asked_for() -> None:
    """Else failures are in the row of their call."""
    calls = [sample(0x400110, key=OPENAT), sample(0x400110, key=OPENAT, errno=ENOENT)]
    plain, by_errno = collector(Namer()), collector(Namer(), by_errno=True)
    plain.take(calls, 0, 0)
    by_errno.take(calls, 0, 0)

    assert set(result(plain)) == {("openat", "")}
    assert set(result(by_errno)) == {("openat", ""), ("openat", "ENOENT")}


def test_calls_that_the_session_has_not_asked_for_are_left_out() -> None:
    """Another session of the container may have."""
    of = collector(Namer(), wanted=frozenset({OPENAT}))

    of.take([sample(0x400110), sample(0x400110, key=OPENAT)], 0, 0)

    assert set(result(of)) == {("openat", "")}


def test_after_an_execve_there_is_no_caller() -> None:
    """Its stack is that of the new program; one that failed has its own."""
    of = collector(Namer(), by_errno=True)

    of.take([sample(0x400110, key=EXECVE), sample(0x400110, key=EXECVE, errno=ENOENT)], 0, 0)

    found = result(of)
    assert set(found["execve", ""]) == {(), (callers.REPLACED,)}
    assert set(found["execve", "ENOENT"]) == {(), ("f4001 (app)",)}


def test_stacks_that_wait_for_names_say_so_and_get_them_later() -> None:
    """They are in the sums at once, and never twice."""
    namer = Namer()
    of = collector(namer)
    namer.waits = True
    of.take([sample(0x400110)], 0, 0)

    assert result(of)["read", ""] == {(): (1, 1, 0), (callers.NOT_NAMED,): (1, 1, 0)}
    namer.waits = False
    assert result(of)["read", ""] == {(): (1, 1, 0), ("f4001 (app)",): (1, 1, 0)}


def test_stacks_and_rows_beyond_the_bounds_stay_in_the_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report has those with the most calls; of calls without a row it is said how many."""
    monkeypatch.setattr(callers, "MOST_STACKS", 3)
    monkeypatch.setattr(callers, "MOST_REPORTED", 2)
    monkeypatch.setattr(callers, "MOST_ROWS", 1)
    of = collector(Namer())

    of.take([sample(0x400010 + 0x100 * at, weight=1 << at) for at in range(5)], 0, 0)
    of.take([sample(0x400010, key=OPENAT)], 0, 0)

    (row,) = result(of, lost=1).values()
    assert row[()][:2] == (5, 31)
    assert {frames: calls for frames, (_, calls, _) in row.items() if frames} == {
        ("f4001 (app)",): 2,
        ("f4002 (app)",): 4,
    }


def test_names_that_come_too_late_hold_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a bound the first stacks that wait are given up."""
    monkeypatch.setattr(callers, "_MOST_PENDING", 10)
    namer = Namer()
    namer.waits = True
    of = collector(namer)

    of.take([sample(0x400110) for _ in range(25)], 0, 0)

    assert len(of._pending) == 10
    assert of._stacks[("read", "", ""), (callers.NOT_NAMED,)].samples == 15


@pytest.mark.parametrize("per_second", [0, 9, 1001])
def test_a_rate_out_of_bounds_is_refused(per_second: int) -> None:
    """With the bounds."""
    with pytest.raises(RequestError, match=f"per_second is {per_second}, and must be from 10 to 1000"):
        VIEW.ask(packed(callers_pb2.CallersRequest(per_second=per_second)), 0)


def test_several_sessions_have_the_stacks_of_the_one_that_asks_for_most() -> None:
    """All get what is taken."""
    assert CallStacks.union([10, 1000, 200]) == 1000


@pytest.mark.parametrize("per_second", [10, 200, 1000])
@pytest.mark.parametrize("rows", [1, 8, 100])
def test_all_rows_together_have_half_of_the_stacks(rows: int, per_second: int) -> None:
    """The other half is for bursts; no row is left without any, which takes longer windows."""
    seconds = window_seconds(rows, per_second)

    assert 0.1 <= seconds <= 10
    assert allowance(rows, per_second, seconds) >= 8
    if seconds < 10:
        assert rows * allowance(rows, per_second, seconds) <= per_second / 2 * seconds + 1
