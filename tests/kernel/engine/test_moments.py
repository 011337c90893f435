"""Calls at the edges of a trace: in flight at its start, at its end, and across cgroups."""

import os
import time

from engine_runs import Runs, counted

from kubestrace_agent.syscalls import SyscallKey, parse_patterns


def test_calls_in_flight_at_the_start_are_unmatched(runs: Runs) -> None:
    """A read that began before counting did is counted without a length when it returns, and said in trust."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "blocked", "0")
    run.hear()
    slot = runs.trace(cgroup)
    run.say()
    difference = runs.since(slot)

    found = counted(difference.syscalls)
    assert found["getppid", ""] == (10, 0, 0, 10)
    assert (found["read", ""][0], found["read", ""][3]) == (1, 0)
    assert difference.trust.unmatched_calls == 1


def test_calls_in_flight_at_the_end_are_unreturned(runs: Runs) -> None:
    """Waiting threads and a reading leader: not calls yet, but said in trust, with age and thread."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    run = runs.start(cgroup, "blocked", "5")
    run.hear()
    time.sleep(0.05)
    now = runs.snapshot(slot)
    difference = runs.since(slot)

    assert (
        sorted(call.key for call in now.in_flight)
        == [SyscallKey("x86_64", 0, waited=True)] + [SyscallKey("x86_64", 202, waited=True)] * 5
    )
    assert {call.pid for call in now.in_flight} == {run.process.pid}
    assert len({call.tid for call in now.in_flight}) == 6
    assert all(0.05e9 < call.age_ns < 5e9 for call in now.in_flight)
    assert difference.trust.unreturned_calls == 6
    assert ("futex", "") not in counted(difference.syscalls)


def test_threads_killed_inside_a_call_leave_nothing_behind(runs: Runs) -> None:
    """The kernel ends their calls with a restart code that no program sees; nobody is inside a call any more."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    run = runs.start(cgroup, "blocked", "64")
    run.hear()
    before = runs.since(slot)
    run.finish()
    after = runs.since(slot)

    assert (before.trust.unreturned_calls, after.trust.unreturned_calls) == (65, 0)
    assert counted(after.syscalls)["futex", ""] == (64, 0, 64, 64)


def test_a_process_goes_on_after_its_leader_ended(runs: Runs) -> None:
    """A zombie leader's threads are counted like others."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "blocked", "0", "z")
    run.hear()
    slot = runs.trace(cgroup)
    run.say()
    run.say()

    assert counted(runs.since(slot).syscalls)["getppid", ""] == (20, 0, 0, 20)


def test_a_call_counts_where_it_began(runs: Runs) -> None:
    """A process that is moved to another container in the middle of a call."""
    first, second, nowhere = runs.cgroup(), runs.cgroup(), runs.cgroup()
    run = runs.start(first, "blocked", "0")
    run.hear()
    here, there = runs.trace(first), runs.trace(second)
    run.say()
    second.take(run.process.pid)
    run.say()
    nowhere.take(run.process.pid)
    run.say()

    ours, others = runs.since(here), runs.since(there)
    # The read before the move returned in the second, and so on: one read in each was begun there and timed.
    assert counted(ours.syscalls)["getppid", ""] == (10, 0, 0, 10)
    assert counted(others.syscalls)["getppid", ""] == (10, 0, 0, 10)
    assert (counted(ours.syscalls)["read", ""][0], counted(ours.syscalls)["read", ""][3]) == (2, 1)
    assert counted(others.syscalls)["read", ""] == (1, 0, 0, 1)
    assert others.trust.unmatched_calls == 0


def test_the_neighbour_is_not_counted_and_nested_cgroups_are(runs: Runs) -> None:
    """The same program in the container, in a cgroup below it, two below, and beside it."""
    container, neighbour = runs.cgroup(), runs.cgroup()
    below = runs.cgroup(runs.cgroup(container))
    slot = runs.trace(container)
    outputs = [runs.start(where, "plain").finish() for where in (container, below, neighbour)]
    made_later = runs.cgroup(below)
    outputs.append(runs.start(made_later, "plain").finish())

    assert len(outputs) == 4
    assert counted(runs.since(slot).syscalls)["getppid", ""] == (3000, 0, 0, 3000)


def test_the_inner_of_two_containers_counts(runs: Runs) -> None:
    """A container inside another one: each call is counted once."""
    outer = runs.cgroup()
    inner = runs.cgroup(outer)
    outer_slot, inner_slot = runs.trace(outer), runs.trace(inner)
    for where in (outer, inner):
        runs.start(where, "plain").finish()

    for slot in (outer_slot, inner_slot):
        assert counted(runs.since(slot).syscalls)["getppid", ""] == (1000, 0, 0, 1000)


def test_a_slot_that_is_used_again_starts_at_zero(runs: Runs) -> None:
    """The same cgroup traced twice, with a call in flight from the first time to the second."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "blocked", "0")
    run.hear()
    run_slot = runs.tracer.add_container(cgroup.path, wanted=None)
    run.say()
    runs.tracer.remove(run_slot)
    assert not runs.tracer.attached
    again = runs.trace(cgroup)
    run.say()
    difference = runs.since(again)

    assert counted(difference.syscalls)["getppid", ""] == (10, 0, 0, 10)
    assert difference.trust.unmatched_calls == 1


def test_only_what_is_wanted_is_counted(runs: Runs) -> None:
    """A selection of two classes, and a wider one later."""
    cgroup = runs.cgroup()
    narrow = parse_patterns(["getppid"], "x86_64").keys()
    slot = runs.tracer.add_container(cgroup.path, wanted=narrow)
    runs.slots.append(slot)
    runs.start(cgroup, "plain").finish()
    first = set(counted(runs.since(slot).syscalls))
    runs.tracer.set_wanted(slot, parse_patterns(["getppid", "flock"], "x86_64").keys())
    runs.start(cgroup, "plain").finish()
    second = counted(runs.since(slot).syscalls)

    assert first == {("getppid", "")}
    assert second == {("getppid", ""): (2000, 0, 0, 2000), ("flock", ""): (37, 37, 0, 37)}


def test_unknown_numbers_belong_to_a_negative_selection(runs: Runs) -> None:
    """Everything but one call is also what no table has a name for."""
    cgroup = runs.cgroup()
    slot = runs.tracer.add_container(cgroup.path, wanted=parse_patterns(["!getppid"], "x86_64").keys())
    runs.slots.append(slot)
    runs.start(cgroup, "unknown", "505", "2", "4").finish()
    runs.start(cgroup, "unknown", "70000", "2", "4").finish()
    runs.start(cgroup, "plain").finish()
    found = counted(runs.since(slot).syscalls)

    assert ("getppid", "") not in found
    assert [found[f"syscall_{nr}", ""][0] for nr in (505, 506, 70000, 70001)] == [4, 4, 4, 4]
    assert found["flock", ""][0] == 37


def test_a_process_is_followed_with_its_later_children(runs: Runs) -> None:
    """By PID: all threads, children from then on, and no neighbour of the same cgroup."""
    cgroup = runs.cgroup()
    script = "read go; for i in 1 2 3; do (exec {0} >/dev/null) & done; wait; {0} >/dev/null; read end"
    run = runs.start_shell(cgroup, script.format(runs.program("plain")))
    time.sleep(0.1)
    slot = runs.tracer.add_process(run.process.pid, wanted=None)
    runs.slots.append(slot)
    runs.start(cgroup, "plain").finish()
    run.stdin.write(b"go\nend\n")
    run.finish()

    found = counted(runs.since(slot).syscalls)
    assert found["getppid", ""][0] >= 4000
    assert found["flock", ""] == (4 * 37, 4 * 37, 0, 4 * 37)
    assert os.getpid() not in {call.pid for call in runs.snapshot(slot).in_flight}
