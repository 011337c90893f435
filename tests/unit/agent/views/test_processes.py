"""Processes as a session collects them: what is kept, what becomes one sum, and how it is made safe to print."""

import platform

import pytest
from view_messages import asking
from view_messages import processes as processes_of

from kubestrace_agent.service import limits
from kubestrace_agent.symbols.roots import Held
from kubestrace_agent.syscalls import SyscallKey, parse_patterns
from kubestrace_agent.views.processes.collector import ProcessCalls, Settings
from kubestrace_agent.views.processes.values import RawExec, RawProcesses, RawThread, Used
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import processes_pb2


def key(called: str) -> SyscallKey:
    """A system call of this machine."""
    found = parse_patterns([called], platform.machine()).keys() or ()
    return next(each for each in found if each.abi == platform.machine())


def thread(pid: int, *used: Used, tid: int = 0, **more: object) -> RawThread:
    """What was read of a thread, the process's first one unless said otherwise."""
    values: dict[str, object] = {
        "id": (tid or pid, tid or pid), "pid": pid, "start_ns": 1000, "tid": tid or pid, "inner_tid": tid or pid,
        "inner_pid": pid, "inner_parent": 1, "name": b"worker", "process": b"app", "file": b"app", "argument": b"./app",
        "used": used,
    }  # fmt: skip
    return RawThread(**(values | more))  # type: ignore[arg-type]  # of a test's own choice


def ended(pid: int, *used: Used, status: int = 0) -> RawThread:
    """A process's last word, a microsecond after it began."""
    return thread(pid, *used, told_ns=2000, ended=True, process_ended=True, status=status)


def collected(processes: ProcessCalls, *told: RawProcesses, lost: int = 0) -> agent_pb2.ContainerReport:
    """A report after some readings."""
    for each in told:
        processes.take(each, lost, 500)
    report = agent_pb2.ContainerReport()
    processes.write(report)
    return report


READ, FUTEX, OPENAT = key("read"), key("futex")._replace(waited=True), key("openat")


def test_calls_of_a_process_are_the_sum_of_its_threads() -> None:
    """By call and by thread; calls that wait have their own time and stand behind."""
    told = RawProcesses(
        [
            thread(7, Used(READ, 3, 1, 30)),
            thread(7, Used(READ, 5, 0, 50), Used(FUTEX, 1, 0, 900), tid=8),
            thread(7, Used(READ, 1, 0, 10)),
        ]
    )

    (process,) = processes_of(collected(ProcessCalls(Settings(20), None), told)).processes

    assert process.sums == processes_pb2.CallSums(calls=10, errors=1, total_nanoseconds=90, wait_nanoseconds=900)
    assert [(each.name, each.calls, each.total_nanoseconds) for each in process.syscalls] == [
        ("read", 9, 90),
        ("futex", 1, 900),
    ]
    assert [(each.tid, each.sums.calls) for each in process.busiest_threads] == [(8, 6), (7, 4)]
    assert (process.threads, process.start_time_unix_nanoseconds, process.lifetime_nanoseconds) == (2, 1500, 0)


def test_the_others_are_one_sum() -> None:
    """However many there are, all together are what was counted, and those with the most time are told."""
    processes = ProcessCalls(Settings(2), None)
    readings = [RawProcesses([ended(1000 * n + pid, Used(READ, 1, 0, pid)) for pid in range(1, 301)]) for n in range(5)]

    report = collected(processes, *readings)
    shown = processes_of(report).processes

    assert [each.sums.total_nanoseconds for each in shown] == [300, 300]
    assert processes_of(report).seen == 1500
    assert processes_of(report).others.calls + sum(each.sums.calls for each in shown) == 1500
    assert processes_of(report).others.total_nanoseconds == 5 * 300 * 301 // 2 - 600


def test_one_process_of_many_threads_is_bounded() -> None:
    """Threads that have ended are forgotten but for the busiest; their calls stay in the process's."""
    processes = ProcessCalls(Settings(2), None)
    told = [thread(7, Used(READ, 1, 0, tid), tid=tid, ended=True) for tid in range(10, 2010)]

    (process,) = processes_of(collected(processes, RawProcesses(told))).processes

    assert (process.threads, process.sums.calls) == (2000, 2000)
    assert [each.tid for each in process.busiest_threads] == [2009, 2008, 2007]


@pytest.mark.parametrize(
    ("status", "code", "signal"),
    [
        (0, 0, ""),
        (0x300, 3, ""),
        (9, None, "SIGKILL"),
        (0x80 | 31, None, "SIGSYS"),
        (32, None, "SIGRTMIN"),
        (34, None, "SIGRT_2"),
        (37, None, "SIGRT_5"),
        (64, None, "SIGRT_32"),
    ],
)
def test_how_a_process_ends(status: int, code: int | None, signal: str) -> None:
    """As wait(2) has it: an exit code, or the name that strace gives to the signal."""
    (process,) = processes_of(
        collected(ProcessCalls(Settings(2), None), RawProcesses([ended(7, status=status)]))
    ).processes

    assert (process.exit_code if process.HasField("exit_code") else None, process.signal) == (code, signal)
    assert process.lifetime_nanoseconds == 1000


def test_what_was_cut_says_so() -> None:
    """What fills the room of argv[0] (64 bytes with a NUL), a file's name (32) or a path (256) may have been longer."""
    used = Used(READ, 1, 0, 1)
    told = [
        thread(7, used, argument=b"a" * 63, file=b"f" * 31),
        thread(8, used, argument=b"a" * 62, file=b"f" * 30),
        thread(9, used, image=1),
    ]
    execs = [RawExec(2000, 9, 1000, 9, 1, b"a" * 63, b"p" * 255)]

    report = processes_of(collected(ProcessCalls(Settings(20), None), RawProcesses(told, execs))).processes
    shown = {each.pid: (each.command, each.executable) for each in report}

    assert shown[7] == ("a" * 62 + "...", "f" * 30 + "...")
    assert shown[8] == ("a" * 62, "f" * 30)
    assert shown[9][1] == "p" * 254 + "..."
    (executed,) = next(each.execs for each in report if each.pid == 9)
    assert (executed.command, executed.executable) == ("a" * 62 + "...", "p" * 254 + "...")


def test_what_was_executed() -> None:
    """The last five, with time, argv[0] and path; what was executed before the session is another's."""
    processes = ProcessCalls(Settings(20), None)
    processes.begin(100, 0)
    execs = [RawExec(50 + 100 * n, 7, 1000, 7, 1, b"sh%d" % n, b"/bin/sh%d" % n, image=10 + n) for n in range(8)]
    told = RawProcesses([thread(7, Used(READ, 1, 0, 1), image=17)], execs)

    rows = {each.image: each for each in processes_of(collected(processes, told)).processes}
    process, before = rows[7], rows[6]

    assert process.execs_seen == 7
    assert [each.executable for each in process.execs] == [f"/bin/sh{n}" for n in range(3, 8)]
    assert process.execs[0].time_unix_nanoseconds == 850
    assert (process.command, process.executable, process.image) == ("sh7", "/bin/sh7", 7)
    assert (before.command, before.image, before.end, before.lifetime_nanoseconds) == (
        *("sh6", 6, "executed /bin/sh7", 100),
    )


def test_a_program_without_arguments_has_the_name_of_its_file() -> None:
    """What was executed before has another one."""
    first = RawExec(150, 7, 1000, 7, 1, b"./first", b"./first", image=1)
    second = RawExec(160, 7, 1000, 7, 1, b"", b"./second", image=2)
    told = RawProcesses([thread(7, Used(READ, 1, 0, 1), argument=b"", process=b"second", image=2)], [first, second])

    process, _ = processes_of(collected(ProcessCalls(Settings(2), None), told)).processes

    assert (process.command, process.executable) == ("second", "./second")


def test_names_are_made_safe_and_have_a_bound() -> None:
    """No control character of a container gets through; a process without arguments has its name."""
    told = RawProcesses([thread(7, Used(READ, 1, 0, 1), argument=b"\x1b[31m", file=b"x" * 300, name=b"\n")])
    nameless = RawProcesses([thread(8, Used(READ, 1, 0, 1), argument=b"")])

    process = processes_of(collected(ProcessCalls(Settings(2), None), told)).processes[0]

    assert process.command == "\\x1b[31m"
    assert process.executable == "x" * 30 + "..."
    assert process.busiest_threads[0].name == "\\x0a"
    assert processes_of(collected(ProcessCalls(Settings(2), None), nameless)).processes[0].command == "app"


def test_only_the_sessions_own_calls_count() -> None:
    """A shared container may be counted for others too: a process that made none of these calls is not seen."""
    told = RawProcesses([thread(7, Used(READ, 1, 0, 1), Used(OPENAT, 1, 1, 1)), thread(8, Used(OPENAT, 2, 0, 5))])

    report = collected(ProcessCalls(Settings(2), frozenset({READ})), told)

    assert [(each.host_pid, each.sums.calls) for each in processes_of(report).processes] == [(7, 1)]
    assert processes_of(report).seen == 1


def test_what_was_lost_before_the_session_is_not_its_own() -> None:
    """Calls in no process, and programs that are not told."""
    processes = ProcessCalls(Settings(2), None)
    processes.begin(0, 10)

    report = collected(processes, RawProcesses(lost_execs=4), RawProcesses(lost_execs=6), lost=13)

    assert report.trust.losses["processCalls"] == 3
    assert report.trust.losses["execs"] == 2


def test_many_that_live_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes beyond is among the others, and still counted."""
    monkeypatch.setattr("kubestrace_agent.views.processes.collector._MOST", 10)
    told = RawProcesses([thread(pid, Used(READ, 1, 0, 1)) for pid in range(1, 31)])

    report = collected(ProcessCalls(Settings(100), None), told)

    assert len(processes_of(report).processes) == 10
    assert processes_of(report).others.calls == 20


@pytest.mark.parametrize("top", [0, 101])
async def test_the_bound_of_a_request(make_traces, top: int) -> None:  # type: ignore[no-untyped-def]
    """As the resource's schema has it."""
    views = asking(processes=processes_pb2.ProcessesRequest(top=top))
    request = agent_pb2.StartTraceRequest(session_uid="s", duration_milliseconds=1000, views=views)

    with pytest.raises(limits.InvalidRequestError, match="from 1 to 100"):
        await make_traces().start(request)


@pytest.mark.parametrize(("pid", "since_ns", "start_ns"), [(7, 1500, 1800), (8, 1500, 1000), (7, 900, 1000)])
def test_a_held_process_begins_with_its_release(pid: int, since_ns: int, start_ns: int) -> None:
    """Its wait is not part of its life; any other process, and a later one of the same PID, keeps its own start."""
    held = Held(7)
    processes = ProcessCalls(Settings(20), None, held)
    processes.begin(since_ns, 0)
    held.released_ns = 1800

    (process,) = processes_of(collected(processes, RawProcesses([ended(pid, Used(READ, 1, 0, 10))]))).processes

    assert process.start_time_unix_nanoseconds == start_ns + 500
    assert process.lifetime_nanoseconds == 2000 - start_ns
