"""Where threads wait for each other, against what a program that knows its own waits says."""

import json
import time
from typing import Any

from engine_runs import Runs
from view_messages import locks

from kubestrace_agent.views.locks.collector import LockWaits
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import locks_pb2

THREADS, ROUNDS = 4, 50


class Watched:
    """A container with the view, collected as a session does."""

    def __init__(self, runs: Runs, slot: int) -> None:
        self.runs, self.slot = runs, slot
        self.collector = LockWaits()
        self.collector.begin(time.monotonic_ns(), 0)
        runs.tracer.enable("locks", slot, True)
        self.read()

    def read(self) -> None:
        """Take what there is."""
        told = self.runs.tracer.read("locks").get(self.slot)
        self.collector.take(told, self.runs.tracer.lost("locks", self.slot), 0)

    def told(self) -> locks_pb2.LocksResult:
        """Give what was counted."""
        self.read()
        report = agent_pb2.ContainerReport()
        self.collector.write(report)
        assert not report.trust.losses
        return locks(report)


def ran(runs: Runs, how: str, microseconds: int) -> tuple[dict[str, Any], locks_pb2.LocksResult, locks_pb2.Lock]:
    """Run the program; what it says, the result, and the row of its one lock."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "locks", how, str(THREADS), str(ROUNDS), str(microseconds))
    run.hear()
    watched = Watched(runs, runs.trace(cgroup))
    said = json.loads(run.say_and_finish())
    result = watched.told()
    (row,) = (each for each in result.locks if each.address == said["address"])
    return said, result, row


def test_a_lock_is_handed_on_by_those_that_waited(runs: Runs) -> None:
    """Waits, wakes and how long it was kept, as the program counted them."""
    said, _, row = ran(runs, "lock", 500)

    # A wait that was over before the thread slept is none.
    assert 0.9 * said["waits"] <= row.waits - row.failed <= said["waits"]
    assert (row.wakes, row.handed_on) == (said["wakes"], said["handed_on"])
    assert row.handed_on >= 0.9 * row.wakes > 10
    assert row.threads == THREADS
    assert row.process == "locks"
    assert sum(row.counts) == row.waits
    assert 0 < row.max_nanoseconds <= row.total_nanoseconds
    # It begins to keep it as its wait ends, and has done so until it wakes the next one. Where a thread was woken and
    # found the lock taken again, the one that keeps it is not known: on a busy machine these are many.
    assert 0 < row.holds <= row.waits
    assert row.held_nanoseconds <= 2 * said["held_ns"]
    assert row.held_nanoseconds / row.holds >= 500_000
    assert row.longest_held_nanoseconds >= 500_000


def test_those_that_wait_for_work_hand_nothing_on(runs: Runs) -> None:
    """They are woken by one that never waits there."""
    said, _, row = ran(runs, "queue", 500)

    assert row.waits > 10
    assert row.wakes == said["wakes"] > 10
    assert (row.handed_on, row.holds) == (0, 0)
