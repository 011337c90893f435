"""Programs that know their own counts, traced from execve to exit: every number must agree."""

from pathlib import Path

import pytest
from engine_runs import Runs, agree, counted, moved, told

from kubestrace_agent.kernel.counters.tracer import Tracer
from kubestrace_agent.kernel.maps.rows import SPARE_ROWS


@pytest.fixture(scope="module", params=["tracer", "kept_tracer"], ids=["compiled", "kept"])
def tracer(request: pytest.FixtureRequest) -> Tracer:
    """Count by programs that were just compiled, and by those of an earlier start."""
    given: Tracer = request.getfixturevalue(request.param)
    return given


def errnos(difference, name: str) -> dict[str, int]:
    """The errno counts of one call."""
    return {errno.name: errno.count for each in difference.syscalls if each.name == name for errno in each.errnos}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("plain", ()),
        ("threads", ("8", "20000")),
        ("threads", ("4000", "2")),
        ("forks", ("2000",)),
        ("spawns", ()),
        ("oldcalls", ()),
        ("pure32", ()),
        ("denied", ()),
        ("endings", ()),
        ("interrupted", ()),
        ("unknown", ("500", "8", "5")),
        ("unknown", ("100000", "20", "3")),
        ("skipped", ()),
        ("ring", ()),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value) or None,
)
def test_a_programs_own_counts_are_ours(runs: Runs, name: str, arguments: tuple[str, ...]) -> None:
    """Calls, errors, interruptions and timed calls are exactly those that the program counted."""
    output, difference = runs.whole(name, *arguments)

    agree(told(output), counted(difference.syscalls), runs.may_lose(difference))
    assert difference.trust.unreturned_calls == 0


def test_what_calls_moved_is_what_the_program_knows(runs: Runs, tmp_path: Path) -> None:
    """By every call whose result is a number of bytes, beyond 32 bits; nothing by errors, and 0 is counted apart."""
    output, difference = runs.whole("moves", str(tmp_path / "one"), str(tmp_path / "two"))

    found = moved(difference.syscalls)
    expected = told(output)
    assert {key: found.pop(key) for key in expected} == expected
    # Its own words, and nothing by calls that return something else.
    assert found.pop(("write", "")) == (len(output) + 1, 0, 0, 0)
    assert set(found.values()) == {(0, 0, 0, 0)}


def test_errnos_are_counted_by_name(runs: Runs) -> None:
    """Two errors of one call are two counts."""
    _, difference = runs.whole("plain")

    assert errnos(difference, "flock") == {"EBADF": 30, "EINVAL": 7}
    assert errnos(difference, "faccessat") == {"ENOENT": 200}


def test_a_filters_odd_errno_is_kept(runs: Runs) -> None:
    """A seccomp filter may answer with a number that is no errno."""
    _, difference = runs.whole("denied")

    assert errnos(difference, "swapoff") == {"errno_1000": 5}
    assert errnos(difference, "mkdirat") == {"EPERM": 100}


def test_io_uring_is_said(runs: Runs) -> None:
    """A program that makes a ring does work that no call shows; others do not."""
    _, with_ring = runs.whole("ring")
    _, without = runs.whole("plain")

    assert (with_ring.trust.io_uring, without.trust.io_uring) == (True, False)


@pytest.mark.parametrize("arguments", [(), ("plain",)], ids=["polled", "plain"])
def test_a_ring_from_before_the_trace_is_said(runs: Runs, arguments: tuple[str, ...]) -> None:
    """Who has it, though no call of the trace is one of io_uring's; a neighbour without one is not named."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "polled", *arguments)
    run.hear()
    neighbour = runs.cgroup()
    runs.start(neighbour, "blocked", "1").hear()
    slot, other = runs.trace(cgroup), runs.trace(neighbour)
    trust = runs.since(slot).trust
    run.finish()

    (user,) = trust.ring_users
    assert trust.io_uring
    assert (user.process, user.host_pid, user.pid) == ("polled", run.process.pid, run.process.pid)
    assert user.polled == (not arguments)
    assert not runs.since(other).trust.io_uring


@pytest.mark.parametrize(("how", "rings"), [("forked", 1), ("passed", 1), ("registered", 1), ("two", 2)])
def test_whoever_has_a_ring_is_found(runs: Runs, how: str, rings: int) -> None:
    """Inherited or taken over, registered and closed, never used: by its context or descriptors, with how many."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "ring_holder", how)
    run.hear()
    slot = runs.trace(cgroup)
    trust = runs.since(slot).trust
    run.finish()

    assert {(user.process, user.rings, user.polled) for user in trust.ring_users if user.rings} == {
        ("ring_holder", rings, False)
    }
    assert trust.rings == rings


def test_a_ring_that_is_gone_is_none(runs: Runs) -> None:
    """A program that tried io_uring out as it started, and gave it up, has no work that is not seen."""
    cgroup = runs.cgroup()
    run = runs.start(cgroup, "ring_holder", "closed")
    run.hear()
    slot = runs.trace(cgroup)
    trust = runs.since(slot).trust
    run.finish()

    assert (trust.io_uring, list(trust.ring_users)) == (False, [])


def test_who_makes_a_ring_and_ends_is_named(runs: Runs) -> None:
    """Though nobody looks while it lives."""
    _, difference = runs.whole("ring")

    assert [(user.process, user.rings) for user in difference.trust.ring_users] == [("ring", 1)]


def test_nothing_is_lost_with_all_cpus_saturated(runs: Runs) -> None:
    """Two threads on each CPU, as fast as they can, with snapshots being taken meanwhile."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    storm = runs.start(cgroup, "storm", "10")
    while storm.process.poll() is None:
        runs.snapshot(slot)
    difference = runs.since(slot)

    agree(told(storm.finish()), counted(difference.syscalls), runs.may_lose(difference))


def test_calls_without_a_row_are_counted_as_lost(runs: Runs) -> None:
    """A hostile program makes more different calls than fit: each one is either in a row or in lost_calls."""
    different, times = 900, 3
    output, difference = runs.whole("unknown", "1000", str(different), str(times))

    unknown = [each for each in difference.syscalls if each.name.startswith("syscall_")]
    assert {each.calls for each in unknown} == {times}
    late = 4  # the program's last calls are of new kinds too: 3 of x32, exit_group
    assert different * times <= sum(each.calls for each in unknown) + difference.trust.lost_calls
    assert sum(each.calls for each in unknown) + difference.trust.lost_calls <= different * times + late + 4
    assert len(unknown) > SPARE_ROWS  # however many rows earlier tests left
    assert ("getpid", "x32") in told(output)
