"""The time budget of a session: the difference of two readings, whose parts add up."""

from view_messages import cpu_time

from kubestrace_agent.syscalls import SyscallKey
from kubestrace_agent.views.cpu_time.collector import TimeBudget
from kubestrace_agent.views.cpu_time.values import CpuParts, CpuTimes
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import cpu_time_pb2

READ, FUTEX, READ_32 = SyscallKey("x86_64", 0), SyscallKey("x86_64", 202, waited=True), SyscallKey("i386", 3)
# Another session's time, before ours began: 50 ns of a read that goes on are in it.
START = CpuTimes(
    time_ns=1_000,
    thread_ns=500,
    user=CpuParts(300, 20, 10),
    other=CpuParts(5, 0, 5),
    ended={READ: CpuParts(60, 10, 40)},
    under_way={READ: CpuParts(10, 0, 40)},
)
NOW = CpuTimes(
    time_ns=2_000,
    thread_ns=2_500,
    user=CpuParts(700, 120, 30),
    other=CpuParts(25, 0, 105),
    ended={READ: CpuParts(170, 30, 580), READ_32: CpuParts(40, 0, 0)},
    under_way={FUTEX: CpuParts(0, 0, 690)},
)


def taken(*times: CpuTimes | None, syscalls: frozenset[SyscallKey] | None = None, lost: int = 3) -> TimeBudget:
    """A session's collector after these readings."""
    budget = TimeBudget(syscalls, architecture="x86_64")
    budget.begin(0, 3)
    for each in times:
        budget.take(each, lost, 0)
    return budget


def parts(budget: cpu_time_pb2.TimeBudget) -> int:
    """Everything that is told apart."""
    calls = sum(call.kernel_nanoseconds + call.waiting_nanoseconds + call.blocked_nanoseconds for call in budget.calls)
    uncounted = budget.uncounted_kernel_nanoseconds + budget.uncounted_waiting_nanoseconds
    return calls + uncounted + budget.user_nanoseconds + budget.runnable_nanoseconds + budget.blocked_nanoseconds


def test_the_budget_is_what_was_added() -> None:
    """Of a call that was under way at the start, what it took since; the parts are the threads' time."""
    budget = taken(START, NOW).message()

    assert budget == cpu_time_pb2.TimeBudget(
        thread_nanoseconds=2_000,
        wall_nanoseconds=1_000,
        user_nanoseconds=400,
        blocked_nanoseconds=20,
        runnable_nanoseconds=120,
        uncounted_kernel_nanoseconds=20,
        uncounted_waiting_nanoseconds=100,
        other_nanoseconds=2_000 - parts(budget),
        calls=[
            cpu_time_pb2.CallTime(name="read", kernel_nanoseconds=100, blocked_nanoseconds=500),
            cpu_time_pb2.CallTime(name="read", abi="i386", kernel_nanoseconds=40),
            cpu_time_pb2.CallTime(name="futex", waiting_nanoseconds=690),
        ],
    )
    assert budget.other_nanoseconds == 10


def test_the_wall_of_a_container_that_was_waited_for() -> None:
    """Begins with the container, not with the waiting."""
    budget = taken(CpuTimes(time_ns=1_000))
    budget.began(1_800)
    budget.take(NOW, 3, 0)

    assert budget.message().wall_nanoseconds == 200


def test_calls_that_the_session_left_out_are_not_named() -> None:
    """A slot may be shared with one that counts all: the sum stays whole."""
    every, some = (
        taken(START, NOW).message(),
        taken(START, NOW, syscalls=frozenset({FUTEX._replace(waited=False)})).message(),
    )

    assert [call.name for call in some.calls] == ["futex"]
    assert some.uncounted_kernel_nanoseconds == 20 + 100 + 40
    assert some.uncounted_waiting_nanoseconds == 100 + 500
    assert parts(some) == parts(every)


def test_rows_get_what_their_ended_calls_used() -> None:
    """By name and ABI; a row that nothing is known of used nothing."""
    rows = [
        agent_pb2.SyscallCounts(name="read"),
        agent_pb2.SyscallCounts(name="read", abi="i386"),
        agent_pb2.SyscallCounts(name="futex", wait=True),
    ]
    report = agent_pb2.ContainerReport(syscalls=rows)

    taken(START, NOW, lost=5).write(report)

    rows = cpu_time(report).calls
    assert [(row.name, row.abi, row.wait) for row in rows] == [
        ("read", "", False),
        ("read", "i386", False),
        ("futex", "", True),
    ]
    used = [(row.cpu_nanoseconds, row.runnable_nanoseconds, row.asleep_nanoseconds) for row in rows]
    assert used == [(110, 20, 540), (40, 0, 0), (0, 0, 0)]
    assert cpu_time(report).HasField("budget")
    assert report.trust.losses["cpuTime"] == 2


def test_reads_that_waited_are_reads() -> None:
    """They have a row of their own among the counts, and in the budget the sleep of those that worked is apart."""
    waited = SyscallKey("x86_64", 0, waited=True)
    ended = CpuTimes(ended={READ: CpuParts(9, 0, 1), waited: CpuParts(1, 0, 90)})
    rows = [agent_pb2.SyscallCounts(name="read", wait=wait) for wait in (False, True)]
    report = agent_pb2.ContainerReport(syscalls=rows)

    taken(CpuTimes(), ended).write(report)

    assert [(row.cpu_nanoseconds, row.asleep_nanoseconds) for row in cpu_time(report).calls] == [(9, 1), (1, 90)]
    assert list(cpu_time(report).budget.calls) == [
        cpu_time_pb2.CallTime(name="read", kernel_nanoseconds=10, waiting_nanoseconds=90, blocked_nanoseconds=1)
    ]


def test_a_call_that_worked_until_the_start_and_then_waited() -> None:
    """What it slept before is nobody's; the parts are no more than what was added."""
    waited = SyscallKey("x86_64", 0, waited=True)
    start, now = CpuTimes(under_way={READ: CpuParts(9, 0, 40)}), CpuTimes(ended={waited: CpuParts(10, 0, 100)})

    assert list(taken(start, now).message().calls) == [
        cpu_time_pb2.CallTime(name="read", kernel_nanoseconds=1, waiting_nanoseconds=60)
    ]


def test_a_reading_without_this_container_changes_nothing() -> None:
    """It has ended, and its last reading holds."""
    assert taken(START, NOW, None).message() == taken(START, NOW).message()


def test_nothing_was_told() -> None:
    """No budget is better than one of zeros."""
    report = agent_pb2.ContainerReport()

    taken(None).write(report)

    assert report == agent_pb2.ContainerReport()


def test_a_sum_that_shrinks_is_no_debt() -> None:
    """A reading may catch a thread in the middle of a change."""
    torn = CpuTimes(time_ns=2_000, thread_ns=500, user=CpuParts(290, 20, 10))

    assert taken(START, torn).message().user_nanoseconds == 0
