"""Which descriptors a call waits for, by a program that knows: those of polls, selects and epolls."""

import platform
import re
import time
from pathlib import Path

import pytest
from engine_runs import Run, Runs

from kubestrace_agent.traces.unreturned import Unreturned
from kubestrace_agent.views.slow_calls.collector import message
from kubestrace_agent.views.slow_calls.values import Floors
from kubestrace_protos.v1 import agent_pb2

MS = 1_000_000
# Two files of an epoll stand in the order of their addresses.
FEW = ("fd=100<{peer}>, events=EPOLLIN|EPOLLRDHUP|EPOLLET", "fd=102<anon_inode:[eventfd]>, events=EPOLLIN")


def port_of(run: Run) -> str:
    """The peer of the program's socket."""
    assert run.process.stdout
    word, number = run.process.stdout.readline().split()
    assert word == b"port"
    return f"127.0.0.1:{int(number)}"


def settled(arguments: str) -> str:
    """What differs from run to run made alike: the number of the terminal, and the order of an epoll's two files."""
    text = re.sub(r"<\.\.\./\d+>", "<.../N>", arguments)
    return re.sub(r"^(104.*)\[(\{fd=102[^}]*\}), (\{fd=100[^}]*\})\]", r"\1[\3, \2]", text)


def test_what_slow_calls_waited_for(runs: Runs) -> None:
    """As the call began, whatever it has left in its sets; eight at most, negative ones and empty sets too."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    runs.tracer.enable("slow_calls", slot, Floors(15 * MS, 15 * MS))
    run = runs.start(cgroup, "waits_for")
    peer = port_of(run)
    run.finish()
    told = [
        (call.name, call.abi, settled(call.arguments))
        for call in (message(each, 0) for each in runs.tracer.read("slow_calls")[slot])
        if call.host_pid == run.process.pid and call.name not in {"execve", "connect", "mmap"}
    ]

    pipes = ", ".join(["{fd=101<pipe>, events=POLLIN}"] * 8)
    few = ", ".join(f"{{{each.format(peer=peer)}}}" for each in FEW)
    in_many = ", ".join(f"{{fd={200 + number}<pipe>, events=EPOLLIN}}" for number in range(8))
    expected = [
        (
            "poll",
            f"[{{fd=100<{peer}>, events=POLLIN|POLLRDHUP}}, {{fd=101<pipe>, events=POLLIN|POLLPRI}}, "
            "{fd=-5, events=POLLOUT}, {fd=106<.../N>, events=POLLIN}], 4, 30",
        ),
        ("poll", f"[{pipes}, ...], 12, 30"),
        ("poll", "NULL, 0, 30"),
        ("ppoll", "[{fd=103<anon_inode:[timerfd]>, events=POLLIN}], 1, ..., NULL, 8"),
        ("pselect6", f"701, [101<pipe> 700<pipe>], NULL, [100<{peer}> 101<pipe>], ..., NULL"),
        ("pselect6", "103, [101<pipe> 102<anon_inode:[eventfd]>], [], NULL, NULL, NULL"),
        ("pselect6", "0, NULL, NULL, NULL, ..., ..."),
        ("pselect6", "102, [101<pipe>], NULL, NULL, ..., ..."),
        ("epoll_wait", f"104<epoll [{few}]>, ..., 2, 30"),
        ("epoll_pwait", f"105<epoll [{in_many}, ...]>, ..., 2, 30, NULL, 8"),
    ]
    old = [
        ("poll", "i386", "[{fd=102<anon_inode:[eventfd]>, events=POLLIN}], 1, 30"),
        ("_newselect", "i386", "103, [102<anon_inode:[eventfd]>], NULL, NULL, ..."),
    ]
    assert told == [
        *((name, "", arguments) for name, arguments in expected),
        *(old if platform.machine() == "x86_64" else []),
    ]


def hanging(runs: Runs, slot: int, run: Run, called: str, *, paths: bool = True) -> agent_pb2.UnreturnedCall:
    """Wait until the program hangs in a call; what is told of it."""
    for _ in range(500):
        calls = Unreturned(None, wanted=None, paths=paths).calls(runs.snapshot(slot))
        found = [call for call in calls if call.host_pid == run.process.pid and call.name == called and call.wait]
        if found:
            return found[0]
        time.sleep(0.01)
    raise AssertionError(f"the program is not in {called}")


@pytest.mark.parametrize("called", ["poll", "pselect6", "epoll_wait"])
def test_what_a_call_waits_for_that_hangs(runs: Runs, called: str) -> None:
    """From another task; who may not see peers and paths sees numbers and kinds."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    run = runs.start(cgroup, "waits_for", {"pselect6": "select"}.get(called, called))
    peer = port_of(run)
    whole = settled(hanging(runs, slot, run, called).arguments)
    without = hanging(runs, slot, run, called, paths=False).arguments

    expected = {
        "poll": f"[{{fd=100<{peer}>, events=POLLIN|POLLRDHUP}}, {{fd=101<pipe>, events=POLLIN|POLLPRI}}, "
        "{fd=-5, events=POLLOUT}, {fd=106<.../N>, events=POLLIN}], 4, -1",
        "pselect6": f"102, [100<{peer}> 101<pipe>], NULL, NULL, NULL, NULL",
        "epoll_wait": f"104<epoll [{', '.join(f'{{{each.format(peer=peer)}}}' for each in FEW)}]>, ..., 2, -1",
    }
    assert whole == expected[called]
    assert peer not in without
    assert "eventfd" not in without
    assert "100<socket>" in without


def test_an_epoll_that_was_waited_for_before_the_trace(runs: Runs) -> None:
    """The kernel has its files; what a poll was told then is gone."""
    cgroup = runs.cgroup()
    epoll, poll = runs.start(cgroup, "waits_for", "epoll_wait"), runs.start(cgroup, "waits_for", "poll")
    peer = port_of(epoll)
    port_of(poll)
    for run in (epoll, poll):
        while "S" not in Path(f"/proc/{run.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]:
            time.sleep(0.001)
    slot = runs.trace(cgroup)

    assert (
        f"{{fd=100<{peer}>, events=EPOLLIN|EPOLLRDHUP|EPOLLET}}" in hanging(runs, slot, epoll, "epoll_wait").arguments
    )
    assert hanging(runs, slot, poll, "poll").arguments == "..., 4, -1"
