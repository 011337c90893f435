"""Slow calls as the kernel tells them: what they are, what they cost when nobody asks, and who is silenced by whom."""

import platform
import time
from pathlib import Path

import pytest
from engine_runs import Cgroup, Runs, links

from kubestrace_agent.syscalls import SyscallKey, name, names
from kubestrace_agent.views.slow_calls.collector import Slowest, message
from kubestrace_agent.views.slow_calls.values import Floors
from kubestrace_protos.v1.views import slow_calls_pb2

MS = 1_000_000
# Between the program's own clock and the tracepoints, on a machine that does other things.
ROUGHLY_NS = 10 * MS


def number_of(called: str) -> int:
    """Of this machine."""
    return next(number for number, known in names(platform.machine()).items() if known == called)


def slow(runs: Runs, cgroup: Cgroup, threshold_ms: int = 10) -> int:
    """Trace a cgroup and ask for its slow calls."""
    slot = runs.trace(cgroup)
    runs.tracer.enable("slow_calls", slot, Floors(threshold_ms * MS, threshold_ms * MS))
    return slot


def told(runs: Runs, slot: int) -> list[slow_calls_pb2.SlowCall]:
    """What came since the last time."""
    offset = time.time_ns() - time.monotonic_ns()
    return [message(call, offset) for call in runs.tracer.read("slow_calls").get(slot, [])]


def own(output: str) -> dict[str, tuple[int, int, int]]:
    """Call -> when it began, how long it took, its number; as the program says."""
    lines = [line.split() for line in output.splitlines() if line.count(" ") == 3]
    return {called: (int(began), int(took), int(number)) for called, began, took, number in lines}


@pytest.fixture
def whole(runs: Runs, tmp_path: Path) -> tuple[str, dict[str, slow_calls_pb2.SlowCall]]:
    """A run of slow.c: its words, and what was told of its own four calls."""
    cgroup = runs.cgroup()
    slot = slow(runs, cgroup)
    output = runs.start(cgroup, "slow", str(tmp_path)).finish()
    pid = int(output.split()[-1])
    # On a busy machine its start may be slow, too.
    return output, {call.name: call for call in told(runs, slot) if call.host_pid == pid and call.name in own(output)}


def test_when_and_how_long(whole: tuple[str, dict[str, slow_calls_pb2.SlowCall]]) -> None:
    """Start and length are the program's own, and so are the process and its thread."""
    output, calls = whole

    for called, (began, took, _) in own(output).items():
        assert abs(calls[called].start_time_unix_nanoseconds - began) < ROUGHLY_NS, called
        assert abs(calls[called].nanoseconds - took) < ROUGHLY_NS, called
        assert calls[called].pid == calls[called].tid == calls[called].host_tid == int(output.split()[-1])
        assert calls[called].wait


def test_arguments_in_straces_words(whole: tuple[str, dict[str, slow_calls_pb2.SlowCall]], tmp_path: Path) -> None:
    """The file behind a descriptor, the path of an open, the peer of a socket; never what was read."""
    output, calls = whole
    expected = own(output)

    assert calls["fcntl"].arguments == (
        f"{expected['fcntl'][2]}<{tmp_path}/file>, F_SETLKW, {{l_type=F_WRLCK, l_whence=SEEK_SET, l_start=0, l_len=0}}"
    )
    assert calls["openat"].arguments == f'AT_FDCWD<{tmp_path}>, "a \\x1b[31m\\"fifo", O_RDONLY'
    assert calls["openat"].result == expected["openat"][2]
    assert calls["recvfrom"].arguments.partition(", ")[0].endswith(f"<127.0.0.1:{expected['recvfrom'][2]}>")
    assert calls["recvfrom"].arguments.partition(", ")[2] == "..., 32, 0, NULL, NULL"
    assert not any("never-to-be-seen" in str(call) for call in calls.values())


def test_names_are_made_safe(whole: tuple[str, dict[str, slow_calls_pb2.SlowCall]]) -> None:
    """A thread may call itself what it likes: no escape gets to a terminal."""
    _, calls = whole

    assert {call.thread for call in calls.values()} == {"slow\\x1b[1mname"}
    assert {call.process for call in calls.values()} == {"slow\\x1b[1mname"}


def test_pids_are_those_of_the_processs_own_namespace(runs: Runs) -> None:
    """Of a process that has ended before anybody could look at it."""
    cgroup = runs.cgroup()
    slot = slow(runs, cgroup)

    runs.start_shell(cgroup, "unshare --pid --fork sleep 0.05").finish()
    (slept,) = [call for call in told(runs, slot) if call.name == "clock_nanosleep"]

    assert (slept.pid, slept.tid) == (1, 1)
    assert slept.host_pid == slept.host_tid > 1
    assert slept.thread == "sleep"


def test_only_calls_over_the_floor_come(runs: Runs) -> None:
    """Shorter ones cost the comparison and are not told."""
    cgroup = runs.cgroup()
    slot = slow(runs, cgroup, threshold_ms=1000)

    runs.start_shell(cgroup, "sleep 0.02; sleep 1.2").finish()
    slept = [call.nanoseconds for call in told(runs, slot) if call.name == "clock_nanosleep"]

    assert len(slept) == 1
    assert slept[0] >= 60 * MS


def test_the_program_runs_only_while_asked_for(runs: Runs) -> None:
    """The counting goes on with it from the first that asks to the last; beside it, names that change are seen."""
    first, second = runs.trace(runs.cgroup()), runs.trace(runs.cgroup())
    counting, attached = runs.tracer.active, links()
    assert "on_slow_exit" not in counting
    floors = Floors(MS, MS)

    runs.tracer.enable("slow_calls", first, floors)
    runs.tracer.enable("slow_calls", second, floors)
    assert runs.tracer.active == counting | {"on_slow_exit", "on_slow_rename"}
    assert len(links()) == len(attached) + 1
    runs.tracer.enable("slow_calls", first, None)
    assert runs.tracer.active == counting | {"on_slow_exit", "on_slow_rename"}
    runs.tracer.remove(second)
    runs.slots.remove(second)
    assert runs.tracer.active == counting


def test_a_container_that_has_not_asked_tells_nothing(runs: Runs) -> None:
    """Although another one on the node asks."""
    asking, silent = runs.cgroup(), runs.cgroup()
    slow(runs, asking)
    slot = runs.trace(silent)

    runs.start_shell(silent, "sleep 0.05").finish()

    assert told(runs, slot) == []
    assert runs.tracer.lost("slow_calls", slot) == 0


def test_a_noisy_neighbour_silences_nobody(runs: Runs, tmp_path: Path) -> None:
    """It fills its part of the ring; what it loses is counted, and the quiet container's calls all come."""
    noisy, quiet = runs.cgroup(), runs.cgroup()
    noisy_slot, quiet_slot = slow(runs, noisy, threshold_ms=1), slow(runs, quiet)

    noise = runs.start(noisy, "noisy", "200")
    time.sleep(0.5)
    output = runs.start(quiet, "slow", str(tmp_path)).finish()
    made = int(noise.finish())
    raw = runs.tracer.read("slow_calls")
    sleeps = sum(name(call.key) == "clock_nanosleep" for call in raw.get(noisy_slot, []))
    heard = {name(call.key) for call in raw[quiet_slot]}

    assert own(output).keys() <= heard
    assert runs.tracer.lost("slow_calls", quiet_slot) == 0
    assert runs.tracer.lost("slow_calls", noisy_slot) > 0
    # Told and lost together are all that it made, but for the few calls of the program itself that were slow.
    uncounted = runs.may_lose(runs.since(noisy_slot))
    assert made <= sleeps + runs.tracer.lost("slow_calls", noisy_slot) + 2 * uncounted
    assert sleeps + runs.tracer.lost("slow_calls", noisy_slot) <= made + 300


def test_once_enough_are_held_only_slower_ones_are_told(runs: Runs) -> None:
    """The floor rises to what is held, so that a steady noise is lost no more."""
    cgroup = runs.cgroup()
    slot = slow(runs, cgroup)
    # On a busy machine an execve may be as slow, and calls that work come first.
    sleep = SyscallKey(platform.machine(), number_of("clock_nanosleep"))
    slowest = Slowest(10 * MS, 2, frozenset({sleep}))

    runs.start_shell(cgroup, "sleep 0.05; sleep 0.03; sleep 0.04").finish()
    slowest.take(runs.tracer.read("slow_calls")[slot], 0, 0)
    runs.tracer.enable("slow_calls", slot, slowest.wanted)
    runs.start_shell(cgroup, "sleep 0.02").finish()
    after = [call for call in told(runs, slot) if call.name == "clock_nanosleep"]

    assert [round(call.nanoseconds / 10 / MS) for call in slowest.calls() if call.name == "clock_nanosleep"] != []
    assert after == []


def test_a_slow_exec_is_the_program_befores(runs: Runs) -> None:
    """Its name is that of the time of the call, and what the new program calls has the new name."""
    cgroup = runs.cgroup()
    slot = slow(runs, cgroup, 1)

    runs.start(cgroup, "images", "slow").finish()

    (executed,) = [call for call in told(runs, slot) if call.name == "execve" and call.process == "before"]
    assert (executed.thread, executed.result) == ("before", 0)
