"""The result of a local trace: its status, and how table, YAML and JSON are written."""

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubestrace_cli.local.endings import Ending
from kubestrace_cli.output import results
from kubestrace_cli.session_file import sessions
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import processes_pb2, slow_calls_pb2

SESSION = sessions.make(None, {"command": ["shop"]}, duration_seconds=None, syscalls=None)
SLOW = {"slowCalls": {"thresholdMilliseconds": 5}}
COMMAND_ENDED = Ending("COMMAND ended after 2.5 s")
OPENAT = agent_pb2.SyscallCounts(
    name="openat",
    calls=5,
    errors=3,
    timed=5,
    total_nanoseconds=50_000,
    max_nanoseconds=20_000,
    errnos=[agent_pb2.ErrnoCount(name="ENOENT", count=2), agent_pb2.ErrnoCount(name="EACCES", count=1)],
    latency=agent_pb2.Histogram(buckets=[90], counts=[5]),
)


def report(*counts: agent_pb2.SyscallCounts, **trust: Any) -> agent_pb2.Report:
    """Make a final report of one container."""
    state = agent_pb2.ContainerState(
        container=agent_pb2.Container(container_name="shop"),
        phase=agent_pb2.ContainerState.PHASE_ENDED,
        host_pid=41,
        pid=7,
    )
    return agent_pb2.Report(
        node="here",
        agent_id="local-1",
        sequence=1,
        final=True,
        start_time_unix_nanoseconds=1_000_000_000,
        time_unix_nanoseconds=3_500_000_000,
        containers=[agent_pb2.ContainerReport(state=state, syscalls=counts, trust=agent_pb2.Trust(**trust))],
        trust=agent_pb2.Trust(**trust),
    )


def document(
    *counts: agent_pb2.SyscallCounts,
    ending: Ending = COMMAND_ENDED,
    remark: str = "",
    **trust: Any,
) -> dict[str, Any]:
    """Make the whole document of a trace."""
    status = results.status(
        SESSION, report(*counts, **trust), ending, agent_pb2.CGROUP_MODE_UNIFIED, [remark] * bool(remark)
    )
    return SESSION.document(status)


def finished(status: dict[str, Any]) -> dict[str, Any]:
    """Return the condition Finished."""
    return next(each for each in status["conditions"] if each["type"] == "Finished")


def test_a_trace_that_came_to_its_end_has_succeeded() -> None:
    """Phase, reason, times and targets are those of a session in a cluster."""
    status = document(OPENAT)["status"]

    assert (status["phase"], finished(status)["reason"]) == ("Succeeded", "Completed")
    assert (status["startTime"], status["completionTime"]) == (
        "1970-01-01T00:00:01.000000Z",
        "1970-01-01T00:00:03.500000Z",
    )
    assert status["targets"]["matched"] == status["targets"]["finished"] == 1
    assert (status["observedGeneration"], status["trust"]["cgroupMode"]) == (1, "unified")


def test_a_trace_that_a_person_ended_is_cancelled_and_complete() -> None:
    """What was counted until Ctrl-C is all there."""
    status = document(OPENAT, ending=Ending("ended by SIGINT after 2.5 s", by_person=True))["status"]

    assert (status["phase"], finished(status)["reason"]) == ("Cancelled", "Cancelled")
    assert finished(status)["message"] == "Ended by SIGINT after 2.5 s."
    assert status["trust"]["complete"] is True


def test_why_nothing_was_counted_stands_in_the_conditions_message() -> None:
    """The sentence about the end is followed by the reason for the empty table."""
    status = document(remark="nothing was counted: nobody was there")["status"]

    assert finished(status)["message"] == "COMMAND ended after 2.5 s. Nothing was counted: nobody was there."


def test_the_table_is_followed_by_the_errors_and_the_end() -> None:
    """Errors by name and how it ended stand below the table; a clean trace has no further remark."""
    text = results.table(document(OPENAT))

    # What rules lack stands last.
    assert text.partition("Not judged: ")[0].endswith(
        "\n"
        "   errors errno            syscall\n"
        "        2 ENOENT           openat\n"
        "        1 EACCES           openat\n"
        "\n"
        "COMMAND ended after 2.5 s.\n"
    )


def test_more_errors_than_are_shown_are_summed() -> None:
    """The list below the table ends with what it leaves out."""
    errnos = [agent_pb2.ErrnoCount(name=f"E{index:02}", count=index + 1) for index in range(12)]
    counts = agent_pb2.SyscallCounts(name="ioctl", calls=78, errors=78, errnos=errnos)

    assert "\n        3 (2 more)\n" in results.table(document(counts))


def test_everything_that_is_missing_is_said_below_the_table() -> None:
    """Lost, unmatched and unreturned calls and io_uring each have their sentence."""
    text = results.table(document(OPENAT, lost_calls=4, unmatched_calls=3, unreturned_calls=2, io_uring=True))

    assert "NOT COMPLETE: 4 calls not counted" in text
    assert "In progress when counting began: 3," in text
    assert "Not returned when counting ended: 2," in text
    assert "io_uring is in use: what is done by it never shows as system calls, and is not counted here." in text


def test_who_uses_io_uring_is_named() -> None:
    """Those that the kernel polls first; what is left out is counted."""
    users = [
        agent_pb2.RingUser(pid=n, host_pid=n, process=f"db{n}", polled=n == 10, rings=1 + (n == 1))
        for n in range(1, 11)
    ]
    traced = document(OPENAT, io_uring=True, ring_users=users[:10], other_ring_users=2, rings=11)
    ring = traced["status"]["trust"]["ioUring"]

    assert (ring["used"], len(ring["processes"]), ring["otherProcesses"]) == (True, 10, 2)
    assert "by db10 (process 10, polled by the kernel), db1 (process 1, 2 rings), db2 (process 2)" in results.table(
        traced
    )
    assert "2 more: what is done by it never shows" in results.table(traced)
    assert "views.ioUring" in ring["advice"]
    (complete,) = (each for each in traced["status"]["conditions"] if each["type"] == "DataComplete")
    assert complete["message"].endswith("io_uring was used, whose work is in no system call; see trust.ioUring.")
    assert document(OPENAT)["status"]["trust"]["ioUring"] == {"used": False}


def test_calls_that_have_not_returned_are_listed_with_their_threads() -> None:
    """The list says that they are not counted: no other line repeats it."""
    made = report(unreturned_calls=1)
    made.containers[0].unreturned.add(
        name="read", age_nanoseconds=10**9, pid=7, tid=9, host_pid=41, host_tid=43, thread="io", process="shop"
    )

    status = results.status(SESSION, made, COMMAND_ENDED, agent_pb2.CGROUP_MODE_UNIFIED)
    text = results.table(SESSION.document(status))

    assert text.startswith("findings: none, by ")
    assert "\n\nNo system call returned.\n1 call has not returned: read 1.0s\n" in text
    assert "\n      1.000     7     9  io               read()\n" in text
    assert "Not returned when counting ended" not in text


def test_a_call_that_waits_and_has_not_returned_says_so() -> None:
    """In the words of the table, in its line and in the list."""
    made = report(unreturned_calls=1)
    made.containers[0].unreturned.add(name="read", abi="i386", wait=True, age_nanoseconds=10**9, pid=7, tid=9)

    status = results.status(SESSION, made, COMMAND_ENDED, agent_pb2.CGROUP_MODE_UNIFIED, "")
    text = results.table(SESSION.document(status))

    assert "\n1 call has not returned: read (i386, waited) 1.0s\n" in text
    assert " read()  (i386, waited)\n" in text


def test_interrupted_calls_are_said_once() -> None:
    """EINTR is no error of the table, and must show all the same: the table that every status has says it."""
    read = agent_pb2.SyscallCounts(name="read", calls=6, interrupted=5)

    assert results.table(document(OPENAT, read)).count("nterrupted") == 1


def test_json_and_yaml_hold_the_same_document() -> None:
    """Both are read back to what was written, other letters and the table's lines included."""
    whole = document(OPENAT)
    whole["metadata"]["name"] = "größer"
    places = {"json": io.StringIO(), "yaml": io.StringIO()}
    for output, place in places.items():
        results.write(whole, output, place)

    assert json.loads(places["json"].getvalue()) == whole
    assert yaml.safe_load(places["yaml"].getvalue()) == whole
    assert "  table: |" in places["yaml"].getvalue()
    assert "größer" in places["yaml"].getvalue()


def test_what_the_encoding_does_not_have_is_written_as_an_escape() -> None:
    """A label of the file may be no text, and the place may take ASCII only: the result is not lost for that."""
    whole = {"a": "\ud800", "b": "█", "c": "nö"}
    places = {output: io.TextIOWrapper(io.BytesIO(), encoding="ascii") for output in ("json", "yaml")}
    for output, place in places.items():
        results.write(whole, output, place)
        place.seek(0)

    assert json.load(places["json"]) == whole
    # PyYAML itself takes no lone surrogates.
    assert yaml.safe_load(places["yaml"].read().replace(r"\uD800", "x")) == whole | {"a": "x"}


def test_a_reader_that_has_gone_away_is_no_error() -> None:
    """`kubestrace local ... | head` ends without a traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as place:
        results.write(document(OPENAT), "json", place)


def test_a_result_file_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """The message names the file and the reason."""
    with (
        pytest.raises(results.ResultFileError, match="/nowhere/result: No such file"),
        results.opened(tmp_path / "nowhere/result"),
    ):
        pass


def test_a_name_that_no_file_can_have_is_refused() -> None:
    """Longer than the kernel takes: told as any other reason."""
    with pytest.raises(results.ResultFileError, match="x: File name too long"), results.opened(Path("x" * 300)):
        pass


def test_a_file_is_emptied_only_when_the_result_is_written(tmp_path: Path) -> None:
    """What it held stays when there is no trace, and goes when there is one."""
    to = tmp_path / "result"
    to.write_text("old " * 10_000)
    with pytest.raises(KeyError), results.opened(to):
        raise KeyError
    kept = to.read_text()

    with results.opened(to) as place:
        results.write(document(OPENAT), "json", place, anew=True)

    assert kept == "old " * 10_000
    assert json.loads(to.read_text())["kind"] == "TraceSession"


def test_no_empty_file_is_left_when_there_is_no_result(tmp_path: Path) -> None:
    """A file that was made for a result that never came goes; one that was there and empty stays."""
    there = tmp_path / "there"
    there.touch()
    for path in (tmp_path / "new", there):
        with results.opened(path):
            pass

    assert list(tmp_path.iterdir()) == [there]


def test_a_full_disk_is_told_and_closing_the_file_is_no_second_error() -> None:
    """The message names the place and the reason."""
    with (
        pytest.raises(
            results.ResultFileError, match=r"^cannot write the result to /dev/full: No space left on device$"
        ),
        results.opened(Path("/dev/full")) as place,
    ):
        results.write(document(OPENAT), "json", place, anew=True)


def test_a_closed_standard_output_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """`>&-` is told before the trace, with the way out."""
    monkeypatch.setattr("sys.stdout", None)

    with (
        pytest.raises(results.ResultFileError, match="standard output is closed; name a file with --to"),
        results.opened(None),
    ):
        pass


def test_slow_calls_stand_below_the_table() -> None:
    """A line each as strace -T has it, with when and who; what had no room is told."""
    session = sessions.make(
        None,
        {"command": ["shop"]},
        duration_seconds=None,
        syscalls=None,
        views={"slowCalls": {"thresholdMilliseconds": 5}},
    )
    made = report(OPENAT, losses={"slowCalls": 2})
    slow = slow_calls_pb2.SlowCall(
        name="fsync", start_time_unix_nanoseconds=1_767_268_800_123_456_789, nanoseconds=21_500_000,
        arguments="3</data/wal>", errno="EIO", pid=7, tid=9,
        thread="wal-writer",
    )  # fmt: skip
    made.containers[0].views["slowCalls"].Pack(slow_calls_pb2.SlowCallsResult(calls=[slow]))

    status = results.status(session, made, COMMAND_ENDED, agent_pb2.CGROUP_MODE_UNIFIED)
    text = results.table(session.document(status))

    assert "\n12:00:00.123456     21.500     7     9  wal-writer       fsync(3</data/wal>) = -1 EIO\n" in text
    assert "2 slow calls had no room: slowCalls may miss some." in text
    assert "slow call" not in results.table(document(OPENAT))


def test_a_page_shows_few_of_the_slow_calls_that_waited() -> None:
    """Idle workers wait long and are well; those that worked are all there, and the status has the others."""
    views = {"slowCalls": {"thresholdMilliseconds": 5}}
    session = sessions.make(None, {"command": ["shop"]}, duration_seconds=None, syscalls=None, views=views)
    made, found = report(OPENAT), slow_calls_pb2.SlowCallsResult()
    for _ in range(12):
        found.calls.add(name="futex", nanoseconds=9_000_000, wait=True)
        found.calls.add(name="fsync", nanoseconds=8_000_000)
    made.containers[0].views["slowCalls"].Pack(found)

    status = results.status(session, made, COMMAND_ENDED, agent_pb2.CGROUP_MODE_UNIFIED)
    text = results.table(session.document(status))

    assert (text.count("fsync("), text.count("futex(")) == (12, 10)
    assert "\n(2 more that waited)\n" in text
    assert len(status["slowCalls"]) == 24


def test_rows_of_several_containers_say_in_which_they_were() -> None:
    """Process 1 is in each of them."""
    session = sessions.make(None, {"command": ["shop"]}, duration_seconds=None, syscalls=None, views=SLOW)
    made = report(OPENAT)
    made.containers[0].state.container.pod_name = "shop-1"
    made.containers.add().CopyFrom(made.containers[0])
    made.containers[1].state.container.pod_name = "shop-2"
    for each in made.containers:
        slow = slow_calls_pb2.SlowCall(name="fsync", nanoseconds=21_500_000, arguments="3", pid=1, tid=1, thread="wal")
        each.state.container.pod_uid = each.state.container.pod_name
        each.views["slowCalls"].Pack(slow_calls_pb2.SlowCallsResult(calls=[slow]))
        each.unreturned.add(name="futex", age_nanoseconds=1, pid=1, tid=1, thread="shop")

    text = results.table(session.document(results.status(session, made, COMMAND_ENDED, agent_pb2.CGROUP_MODE_UNIFIED)))

    for pod in ("shop-1", "shop-2"):
        assert text.count(f"fsync(3) = 0  in {pod}/shop\n") == 1
        assert text.count(f"futex()  in {pod}/shop\n") == 1
    assert " in shop" not in results.table(document(OPENAT))


def test_stacks_stand_indented_below_their_call() -> None:
    """The kernel's, then the program's; lost ones are told."""
    views = {"slowCalls": {"thresholdMilliseconds": 5, "stacks": True}}
    session = sessions.make(None, {"command": ["shop"]}, duration_seconds=None, syscalls=None, views=views)
    made = report(OPENAT, losses={"stacks": 3})
    found = slow_calls_pb2.SlowCallsResult()
    found.calls.add(
        name="fsync",
        start_time_unix_nanoseconds=1,
        kernel_stack=["io_schedule", "ext4_sync_file"],
        user_stack=["fsync+0x10 (libc.so.6)", "commit+0x4 (shop)"],
    )
    made.containers[0].views["slowCalls"].Pack(found)

    status = results.status(session, made, COMMAND_ENDED, agent_pb2.CGROUP_MODE_UNIFIED)
    text = results.table(session.document(status))
    below = text.partition("fsync(")[2].splitlines()[1:5]

    assert [line[:44].strip() for line in below] == ["kernel:", "", "user:", ""]
    assert [line[44:] for line in below] == [
        "io_schedule",
        "ext4_sync_file",
        "fsync+0x10 (libc.so.6)",
        "commit+0x4 (shop)",
    ]
    assert "3 stacks of slow calls could not be taken." in text


def test_slow_calls_say_how_much_of_them_was_on_a_cpu() -> None:
    """In a column that is there only when it is known; a call that was under way when the view began has none."""
    views = {"slowCalls": {"thresholdMilliseconds": 5}, "cpuTime": {}}
    session = sessions.make(None, {"command": ["shop"]}, duration_seconds=None, syscalls=None, views=views)
    made = report(OPENAT)
    found = slow_calls_pb2.SlowCallsResult()
    for pid, cpu_ns in ((7, 20_000_000), (8, None)):
        found.calls.add(
            name="fsync",
            start_time_unix_nanoseconds=1_767_268_800_123_456_789,
            nanoseconds=21_500_000,
            pid=pid,
            tid=pid,
            cpu_nanoseconds=cpu_ns,
            runnable_nanoseconds=None if cpu_ns is None else 0,
            thread="wal-writer",
        )
    made.containers[0].views["slowCalls"].Pack(found)

    status = results.status(session, made, COMMAND_ENDED, agent_pb2.CGROUP_MODE_UNIFIED)
    text = results.table(session.document(status))

    assert [row.get("cpuNanoseconds") for row in status["slowCalls"]] == [20_000_000, None]
    assert "\ntime (UTC)            msec     on cpu   pid   tid  thread           call\n" in text
    assert "\n12:00:00.123456     21.500     20.000     7     7  wal-writer       fsync()" in text
    assert "\n12:00:00.123456     21.500                8     8  wal-writer       fsync()" in text


def test_a_trace_without_a_slow_call_says_so() -> None:
    """An empty list is an answer."""
    session = sessions.make(
        None,
        {"command": ["shop"]},
        duration_seconds=None,
        syscalls=None,
        views={"slowCalls": {"thresholdMilliseconds": 5}},
    )

    made = report(OPENAT)
    made.containers[0].views["slowCalls"].Pack(slow_calls_pb2.SlowCallsResult())
    status = results.status(session, made, COMMAND_ENDED, agent_pb2.CGROUP_MODE_UNIFIED)

    assert "\nNo call was slow.\n" in results.table(session.document(status))


def test_processes_say_what_they_were_and_what_they_became() -> None:
    """Names that changed, words, how it ended, calls that seccomp denied, threads by their names, the others' sum."""
    session = sessions.make(
        None, {"command": ["x"]}, duration_seconds=None, syscalls=None, views={"processes": {"threads": 1}}
    )
    sums = processes_pb2.CallSums(calls=9, errors=2, total_nanoseconds=1_500_000)
    found = processes_pb2.ProcessesResult(seen=601)
    single = found.processes.add(
        pid=7, command="python3", executable="memfd:app", arguments=["app.py", "a b"], title="app: worker",
        name="new", first_name="old", end="killed for memory (SIGKILL)", signal="SIGKILL", from_outside=True, denied=2,
        sums=sums, threads=3, other_threads=processes_pb2.CallSums(calls=6),
    )  # fmt: skip
    single.syscalls.add(name="mkdirat", calls=9, errors=2, denied=2, total_nanoseconds=1_500_000)
    single.busiest_threads.add(tid=8, name="b", first_name="a", sums=processes_pb2.CallSums(calls=3))
    found.processes.add(
        command="leaf", executable="/bin/leaf", processes=600, living=2, sums=sums,
        ends=[processes_pb2.ProcessEnds(end="exited with 0", count=598)],
    )  # fmt: skip
    made = report(OPENAT)
    made.containers[0].views["processes"].Pack(found)

    status = results.status(session, made, COMMAND_ENDED, agent_pb2.CGROUP_MODE_UNIFIED, "")
    text = results.table(session.document(status))

    assert (
        "\npid 7  python3 app.py 'a b' [memfd:app]  "
        "(parent 0, from outside the container, killed for memory (SIGKILL))\n"
        "  now app: worker\n"
        "  renamed from old to new\n"
        "  2 of the errors are calls that seccomp denied\n"
    ) in text
    assert " mkdirat, 2 denied by seccomp\n" in text
    assert (
        "\n  thread     8 b                3 calls, 0 errors, 0.000000 s (was a)\n"
        "  2 other threads               6 calls, 0 errors, 0.000000 s\n"
    ) in text
    assert "\nleaf [/bin/leaf] x 600  (2 alive, 598 exited with 0)\n" in text
    assert "other process" not in text


def test_processes_are_told_as_strace_would_sum_up_each() -> None:
    """A head with who and how it ended, a line for each call, and the sum of all others."""
    session = sessions.make(
        None, {"command": ["shop"]}, duration_seconds=None, syscalls=None, views={"processes": {"top": 5}}
    )
    made = report(OPENAT, losses={"processCalls": 3, "execs": 2})
    found = processes_pb2.ProcessesResult(seen=13, others=processes_pb2.CallSums(calls=100))
    sums = processes_pb2.CallSums(calls=9, errors=2, total_nanoseconds=1_500_000, wait_nanoseconds=2_000_000)
    process = found.processes.add(
        pid=7, parent_pid=1, host_pid=4711, command="ls", executable="/bin/ls", exit_code=2, sums=sums, threads=2,
        lifetime_nanoseconds=5_000_000, execs_seen=7, execs=[processes_pb2.Exec(executable="/bin/ls")],
    )  # fmt: skip
    process.syscalls.add(name="openat", calls=4, errors=2, total_nanoseconds=1_000_000)
    process.busiest_threads.add(tid=8, name="reader", sums=processes_pb2.CallSums(calls=3))
    made.containers[0].views["processes"].Pack(found)

    status = results.status(session, made, COMMAND_ENDED, agent_pb2.CGROUP_MODE_UNIFIED)
    text = results.table(session.document(status))

    assert "\npid 7  ls [/bin/ls]  (parent 1, lived 5.0ms, exit code 2)\n  executed 6 before, /bin/ls\n" in text
    assert "\n      0.001000         4         2 openat\n" in text
    assert "\n      0.000500         5           (others), and 0.002000 s waiting\n" in text
    assert "\n      0.001500         9         2 total, and 0.002000 s waiting\n" in text
    assert "\n  thread     8 reader           3 calls, 0 errors, 0.000000 s\n  2 threads in all\n" in text
    assert "\n12 other processes: 100 calls, 0 errors, 0.000000 s\n" in text
    assert "3 calls counted in no process" in text
    assert "2 executed programs had no room: execs may miss some." in text
    assert "other processes" not in results.table(document(OPENAT))


def test_colour_is_for_terminals_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Severity is a word; a terminal colours it unless NO_COLOR or TERM say otherwise."""
    shown = document(OPENAT)
    finding = {"severity": "critical", "id": "disk-full", "summary": "Full.", "advice": "Look.", "clearedBy": "A test."}
    finding |= {"confidence": "high", "evidence": [{"name": "failedCalls", "value": 3, "threshold": 1}]}
    shown["status"]["findings"] = [finding]
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain = (
        "1. CRITICAL disk-full: Full.\n\n1. disk-full (confidence: high)\n   What to do: Look.\n"
        "   No problem if: A test.\n   Numbers: failed calls 3 (bound 1).\n\n"
    )

    with (tmp_path / "out").open("w") as to:
        results.write(shown, "table", to)
    assert (tmp_path / "out").read_text().startswith(plain)
    assert on_a_terminal(shown).startswith("1. \x1b[1;31mCRITICAL\x1b[0m disk-full: Full.\n")
    monkeypatch.setenv("NO_COLOR", "1")
    assert on_a_terminal(shown).startswith(plain)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert on_a_terminal(shown).startswith(plain)


def on_a_terminal(shown: dict[str, Any]) -> str:
    """Return what a terminal gets, which may come in pieces."""
    ours, theirs = os.openpty()
    pieces: list[bytes] = []
    with os.fdopen(ours, "rb", buffering=0) as screen:
        with os.fdopen(theirs, "w", encoding="utf-8") as to:
            results.write(shown, "table", to)
        with contextlib.suppress(OSError):  # EIO: the other side is closed, and all is read
            while piece := screen.read(4096):
                pieces.append(piece)
    return b"".join(pieces).decode().replace("\r\n", "\n")
