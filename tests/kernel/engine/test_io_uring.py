"""What programs have done by io_uring, against what they handed over themselves."""

import time

import pytest
from engine_runs import Runs
from view_messages import io_uring

from kubestrace_agent.kernel.loader.btf import Btf, BtfError
from kubestrace_agent.views.io_uring import opcodes
from kubestrace_agent.views.io_uring.collector import RingOperations
from kubestrace_agent.views.processes.values import Wants
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import io_uring_pb2

# As programs/ring_work.c has them; one nop more is the last of each run.
NOPS, READS, OPENS, BAD, SILENT = 301, 200, 50, 2, 7
WORK = {
    "nop": (NOPS + SILENT, NOPS, 0, SILENT, 0, {}),
    "read": (READS, READS, 0, 0, READS * 512, {}),
    "openat": (OPENS, OPENS, OPENS, 0, 0, {"ENOTDIR": OPENS}),
    "operation 200": (BAD, BAD, BAD, 0, 0, {"EINVAL": BAD}),
}


def counts(row: io_uring_pb2.RingRow) -> tuple[int, int, int, int, int, dict[str, int]]:
    """Return what is counted exactly."""
    errnos = {each.name: each.count for each in row.errnos}
    return row.submitted, row.completed, row.errors, row.silent, row.bytes, errnos


class Watched:
    """A container with the view, collected as a session does."""

    def __init__(self, runs: Runs, slot: int) -> None:
        self.runs, self.slot = runs, slot
        self.collector = RingOperations()
        self.collector.begin(time.monotonic_ns(), 0)
        runs.tracer.enable("io_uring", slot, True)
        self.read()

    def read(self) -> None:
        """Take what there is."""
        told = self.runs.tracer.read("io_uring").get(self.slot)
        self.collector.take(told, self.runs.tracer.lost("io_uring", self.slot), 0)

    def told(self) -> io_uring_pb2.IOUringResult:
        """Give what was counted."""
        self.read()
        report = agent_pb2.ContainerReport()
        self.collector.write(report)
        assert not report.trust.losses
        return io_uring(report)

    def rows(self) -> dict[str, io_uring_pb2.RingRow]:
        """Give the rows by operation."""
        return {row.operation: row for row in self.told().rows}


@pytest.mark.parametrize("how", ["enter", "polled", "worker", "registered", "child"])
def test_every_operation_is_counted_with_what_came_of_it(runs: Runs, how: str) -> None:
    """Whoever hands it over and whoever does it: the program's call, a thread or a worker of the kernel."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "ring_work", how)
    run.hear()
    watched = Watched(runs, runs.trace(cgroup))
    run.say_and_finish()
    rows = watched.rows()

    # A polled program may be told of a ring that went to sleep; what it waits by is no operation.
    assert {name: counts(row) for name, row in rows.items()} == WORK
    for name, row in rows.items():
        timed = row.completed - row.untimed
        assert sum(row.counts) == timed, name
        assert 0 < row.max_nanoseconds <= row.total_nanoseconds, name
    assert watched.told().further_results == 0


def test_two_rings_and_two_containers_are_told_apart(runs: Runs) -> None:
    """A container has what its own programs did, of all rings; another one nothing of it."""
    cgroup, neighbour = runs.cgroup(), runs.cgroup()
    run = runs.start(cgroup, "ring_work", "two")
    run.hear()
    watched, other = Watched(runs, runs.trace(cgroup)), Watched(runs, runs.trace(neighbour))
    run.say_and_finish()

    assert {name: counts(row)[0] for name, row in watched.rows().items()} == {
        name: 2 * expected[0] for name, expected in WORK.items()
    }
    assert other.rows() == {}


def test_a_session_counts_from_its_own_beginning(runs: Runs) -> None:
    """Of two sessions the one that begins later has the second half; what nobody asks for is not counted."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "ring_work", "enter", "again")
    run.hear()
    first = Watched(runs, runs.trace(cgroup))
    run.say()
    second = RingOperations()
    second.begin(time.monotonic_ns(), 0)
    second.take(runs.tracer.read("io_uring")[first.slot], 0, 0)
    run.say()
    first.read()
    second.take(runs.tracer.read("io_uring")[first.slot], 0, 0)
    report = agent_pb2.ContainerReport()
    second.write(report)

    assert {row.operation: row.submitted for row in io_uring(report).rows} == {
        name: expected[0] for name, expected in WORK.items()
    }
    assert {name: row.submitted for name, row in first.rows().items()} == {
        name: 2 * expected[0] for name, expected in WORK.items()
    }
    runs.tracer.enable("io_uring", first.slot, None)
    assert not {"on_ring_submit", "on_ring_submit_sqe", "on_ring_complete"} & runs.tracer.active
    run.finish()


def test_workers_of_the_kernel_are_no_threads_of_the_program(runs: Runs) -> None:
    """Neither its workers nor the thread that takes its work, also when one of them is the last to end."""
    own = runs.cgroup()
    slot = runs.trace(own)
    runs.tracer.enable("processes", slot, Wants())
    for how in ("worker", "polled"):
        run = runs.start(own, "ring_work", how)
        run.hear()
        run.say_and_finish()
    told = runs.tracer.read("processes")[slot]

    with_calls = {thread.tid: thread.pid for thread in told.threads if thread.used}
    assert len(with_calls) == 2
    assert all(tid == pid for tid, pid in with_calls.items())


def test_operations_that_are_not_plainly_begun_and_done(runs: Runs) -> None:
    """One from before the trace has no length, a multishot one has further results, and a full ring hides results."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "ring_odd")
    run.hear()
    watched = Watched(runs, runs.trace(cgroup))
    run.say_and_finish()
    result = watched.told()
    rows = {row.operation: row for row in result.rows}

    read = rows["read"]
    assert (read.submitted, read.completed, read.untimed, read.bytes, sum(read.counts)) == (0, 1, 1, 1, 0)
    assert (result.further_results, result.further_errors) == (3 + 4, 0)
    assert counts(rows["poll_add"]) == (1, 1, 1, 0, 0, {"ECANCELED": 1})
    assert counts(rows["poll_remove"]) == (1, 1, 0, 0, 0, {})
    # The last one's request is not used again.
    assert counts(rows["nop"]) == (20, 16, 0, 3, 0, {})


def test_the_table_of_names_is_this_kernels() -> None:
    """Each of them has the number that the kernel gives it, as far as it has it."""
    btf, known = Btf.of_kernel(), 0
    for opcode, name in enumerate(opcodes.NAMES):
        try:
            assert btf.value(f"IORING_OP_{name.upper()}") == opcode
            known += 1
        except BtfError:
            continue

    assert known >= min(48, btf.value("IORING_OP_LAST"))
