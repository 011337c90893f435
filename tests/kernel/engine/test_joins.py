"""Traces of one slot: what was under way when one joined has no length there, and its whole length elsewhere."""

import platform
import time

from engine_runs import Runs

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters.counts import RawCounts
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.syscalls import parse_patterns
from kubestrace_agent.traces.delta import Difference, Since
from kubestrace_agent.views.grid import Grid
from kubestrace_agent.views.timeline.collector import Buckets
from kubestrace_protos.v1 import agent_pb2


def to(start: RawCounts | None, now: RawCounts) -> Difference:
    """What a trace that began with `start` has by now."""
    return Since(start, wanted=None, architecture=platform.machine()).to(now)


def row(found: Difference, called: str) -> agent_pb2.SyscallCounts:
    """The one row of a call."""
    (only,) = (each for each in found.syscalls if each.name == called)
    return only


def test_a_call_under_way_when_a_trace_joins(runs: Runs) -> None:
    """The first trace has its whole length, the second one only that it ended; the next call is both's."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    run = runs.start(cgroup, "blocked", "0")
    run.hear()
    time.sleep(0.05)
    start = runs.tracer.join([slot])[slot]
    run.say()
    one_call = runs.snapshot(slot)
    run.say()
    two_calls = runs.snapshot(slot)

    first, second = row(to(None, one_call), "read"), row(to(start, one_call), "read")
    assert (first.calls, first.timed) == (1, 1)
    assert first.total_nanoseconds == first.max_nanoseconds >= 50_000_000
    assert (second.calls, second.timed, second.total_nanoseconds, second.max_nanoseconds) == (1, 0, 0, 0)
    assert list(second.latency.buckets) == []
    # To the first trace that is the write by which the program came into the cgroup.
    assert (to(None, one_call).trust.unmatched_calls, to(start, one_call).trust.unmatched_calls) == (1, 1)
    first, second = row(to(None, two_calls), "read"), row(to(start, two_calls), "read")
    assert (first.calls, first.timed, second.calls, second.timed) == (2, 2, 2, 1)
    assert second.total_nanoseconds == second.max_nanoseconds
    assert first.total_nanoseconds == first.max_nanoseconds + second.total_nanoseconds
    assert row(to(start, two_calls), "getppid").timed == 20


def test_no_trace_has_more_time_than_it_lasts(runs: Runs) -> None:
    """Eight threads sleep all the time while traces join: none gets a nanosecond from before itself, and no call."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    run = runs.start(cgroup, "noisy", "8")
    starts, snapshots, read_at = [], [], []
    while run.process.poll() is None:
        starts.append(runs.tracer.join([slot])[slot])
        time.sleep(0.003)
        snapshots.append(runs.snapshot(slot))
        read_at.append(time.monotonic_ns())
    assert len(starts) > 20

    unmatched = 0
    for start, now, read_ns in zip(starts, snapshots, read_at, strict=True):
        found = to(start, now)
        for each in (each for each in found.syscalls if each.name == "clock_nanosleep"):
            assert each.max_nanoseconds <= read_ns - start.joined_ns
            assert each.calls >= each.timed == sum(each.latency.counts)
            assert 0 <= each.total_nanoseconds <= 9 * (read_ns - start.joined_ns)
        unmatched += found.trust.unmatched_calls
    # None where the sleeps are shorter than a snapshot takes, as under emulation.
    assert unmatched <= 9 * len(starts)
    whole = row(to(None, snapshots[-1]), "clock_nanosleep")
    last = starts[-1]
    rest = sum(each.calls for each in to(last, snapshots[-1]).syscalls if each.name == "clock_nanosleep")
    assert whole.calls == rest + sum(each.calls for each in to(None, last).syscalls if each.name == "clock_nanosleep")


def test_a_timeline_holds_what_the_rows_do(runs: Runs) -> None:
    """The call under way is in its bucket, and its time from before the trace is in none."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    run = runs.start(cgroup, "blocked", "0")
    run.hear()
    time.sleep(0.05)
    start = runs.tracer.join([slot])[slot]
    buckets = Buckets(Grid(start.joined_ns, 60_000_000_000, 60), wanted=None)
    buckets.begin_counts(start, start.joined_ns)
    for _ in range(3):
        run.say()
        buckets.count(runs.snapshot(slot))
    now = runs.snapshot(slot)
    buckets.count(now)
    message, rows = buckets.message(), to(start, now).syscalls

    assert sum(message.calls) == sum(each.calls for each in rows)
    assert sum(message.wait_nanoseconds) == sum(each.total_nanoseconds for each in rows if each.wait)
    assert sum(message.total_nanoseconds) == sum(each.total_nanoseconds for each in rows if not each.wait)


def test_a_joined_slot_is_nothing_to_another(runs: Runs) -> None:
    """What is under way there when a trace joins elsewhere has its length, and is in nobody's list."""
    here, elsewhere = runs.cgroup(), runs.cgroup()
    slot, other = runs.trace(here), runs.trace(elsewhere)
    run = runs.start(here, "blocked", "0")
    run.hear()
    runs.tracer.join([other])
    run.say()
    now = runs.snapshot(slot)

    assert now.at_attach == ()
    found = row(to(None, now), "read")
    assert (found.calls, found.timed) == (1, 1)


def test_more_calls_than_can_be_told_have_no_length(runs: Runs) -> None:
    """They are counted all the same, as if nobody had seen them begin: also to the trace that was there before."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    run = runs.start(cgroup, "blocked", "0")
    run.hear()
    before = to(None, runs.snapshot(slot)).trust.unmatched_calls
    start = runs.tracer.join([slot])[slot]
    for _ in range(layout.MAX_ATTACH_CALLS):
        bpf_syscall.push(runs.tracer._maps.fd("attach_calls"), bytes(layout.ATTACH_CALL.size))
    run.say()
    now = runs.snapshot(slot)

    for begin in (None, start):
        found = to(begin, now)
        assert (row(found, "read").calls, row(found, "read").timed) == (1, 0)
        assert found.trust.unmatched_calls == 1 + (before if begin is None else 0)
        assert found.trust.lost_calls == 0


def test_a_call_under_way_when_more_is_wanted(runs: Runs) -> None:
    """Nobody saw it begin, as it was not wanted then: it is unmatched, whatever else the thread had called."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    runs.tracer.set_wanted(slot, parse_patterns(["write"], platform.machine()).keys())
    run = runs.start(cgroup, "blocked", "0")
    run.hear()
    runs.tracer.set_wanted(slot, None)
    start = runs.tracer.join([slot])[slot]
    run.say()
    found = to(start, runs.snapshot(slot))

    assert (row(found, "read").calls, row(found, "read").timed) == (1, 0)
    assert found.trust.unmatched_calls == 1
