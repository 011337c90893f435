"""Where the time of threads went: added up over containers, as a document and as text."""

from dataclasses import replace

from kubestrace_operator.views import cpu_time
from kubestrace_operator.views.cpu_time import Budget, CallName
from kubestrace_protos.v1.views import cpu_time_pb2

MS = 1_000_000
MESSAGE = cpu_time_pb2.TimeBudget(
    thread_nanoseconds=14_000 * MS,
    wall_nanoseconds=1_000 * MS,
    user_nanoseconds=2_800 * MS,
    runnable_nanoseconds=700 * MS,
    blocked_nanoseconds=10 * MS,
    uncounted_kernel_nanoseconds=100 * MS,
    uncounted_waiting_nanoseconds=200 * MS,
    other_nanoseconds=-14 * MS,
    calls=[
        cpu_time_pb2.CallTime(
            name="read", kernel_nanoseconds=1_000 * MS, waiting_nanoseconds=200 * MS, blocked_nanoseconds=4 * MS
        ),
        cpu_time_pb2.CallTime(name="read", abi="i386", kernel_nanoseconds=300 * MS),
        cpu_time_pb2.CallTime(name="futex", waiting_nanoseconds=8_700 * MS),
    ],
)
BUDGET = cpu_time.from_message(MESSAGE)


def test_the_sum_over_containers() -> None:
    """Times are added, call by call; they were followed at the same time, so the longest wall time holds."""
    total = cpu_time.added([BUDGET, replace(BUDGET, wall_ns=5, kernel={CallName("write", ""): 7})])

    assert total.thread_ns == 28_000 * MS
    assert total.wall_ns == 1_000 * MS
    assert total.other_ns == -28 * MS
    assert total.kernel == BUDGET.kernel | {CallName("write", ""): 7}
    assert total.waiting[CallName("futex", "")] == 17_400 * MS
    assert cpu_time.from_message(MESSAGE) == BUDGET
    assert cpu_time.added([]) == Budget()


def test_the_document() -> None:
    """The parts add up; calls by their time, and only those that have any."""
    document = cpu_time.document(BUDGET)

    assert document == {
        "threadNanoseconds": 14_000 * MS,
        "userNanoseconds": 2_800 * MS,
        "kernelNanoseconds": 1_400 * MS,
        "waitingNanoseconds": 9_100 * MS,
        "runnableNanoseconds": 700 * MS,
        "blockedNanoseconds": 14 * MS,
        "otherNanoseconds": -14 * MS,
        "kernel": [
            {"syscall": "read", "nanoseconds": 1_000 * MS},
            {"syscall": "read", "abi": "i386", "nanoseconds": 300 * MS},
        ],
        "waiting": [
            {"syscall": "futex", "nanoseconds": 8_700 * MS},
            {"syscall": "read", "nanoseconds": 200 * MS},
        ],
        "blocked": [{"syscall": "read", "nanoseconds": 4 * MS}],
    }
    parts = [document[key] for key in document if key.endswith("Nanoseconds") and key != "threadNanoseconds"]
    assert sum(parts) == document["threadNanoseconds"]


def test_ten_calls_are_enough() -> None:
    """Of each list, those with the most."""
    many = Budget(kernel={CallName(f"call{number}", ""): number for number in range(40)})

    assert [row["nanoseconds"] for row in cpu_time.document(many)["kernel"]] == list(range(39, 29, -1))


def test_the_text() -> None:
    """A line a part, with its share, its seconds, a bar and its greatest calls."""
    assert cpu_time.text(BUDGET) == (
        "where the time of 14.0 threads x 1.0s went\n"
        " 20.00    2.800000 user     |####                |\n"
        " 10.00    1.400000 kernel   |##                  | read 1.0s, read (i386) 300.0ms\n"
        " 65.00    9.100000 waiting  |#############       | futex (waited) 8.7s, read (waited) 200.0ms\n"
        "  5.00    0.700000 runnable |#                   | ready to run, without a CPU\n"
        "  0.10    0.014000 blocked  |                    | read 4.0ms, 10.0ms outside of calls\n"
        " -0.10   -0.014000 other    |                    | not attributed\n"
    )


def test_what_rounding_hides_is_not_named() -> None:
    """Less than a thousandth."""
    assert "other" not in cpu_time.text(replace(BUDGET, other_ns=13 * MS))


def test_no_thread() -> None:
    """A container that never ran anything."""
    assert cpu_time.text(Budget()) == "No thread was followed.\n"
