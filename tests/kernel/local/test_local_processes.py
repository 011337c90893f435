"""Who made the calls, and which of them failed: the views of processes and errors in local mode."""

import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from local_runs import Known, Running, kubestrace

# In the C locale: no files of messages are looked for.
SCRIPT = 'export LC_ALL=C; "$1"; "$1"; ls /nowhere 2>/dev/null; exec cat /nowhere/at/all 2>/dev/null'


SUMS = ("calls", "errors", "totalNanoseconds")


def traced(to: Path, *words: str) -> dict[str, Any]:
    """The status of a trace of what the words say."""
    kubestrace("local", "-o", "json", "--to", str(to), *words)
    status: dict[str, Any] = json.loads(to.read_text())["status"]
    return status


def test_processes_and_their_errors(known: Known, tmp_path: Path) -> None:
    """Each process has its own calls, and all together are the summary; a missing file has its name."""
    words = ["--processes", "--errors", "10", "--", "/bin/sh", "-c", SCRIPT, "sh", known.path]
    status = traced(tmp_path / "result.json", *words)
    processes, summary = status["processes"], status["summary"]
    own = [each for each in processes if each["executable"] == known.path]
    shell = next(each for each in processes if each["execsSeen"] == 2)
    missing = {(row["syscall"], row["errno"]): row for row in summary["errorCounts"]}

    assert len(processes) == 4
    assert {name: sum(each[name] for each in processes) for name in ("calls", "errors", "totalNanoseconds")} == {
        name: summary[name] for name in ("calls", "errors", "totalNanoseconds")
    }
    assert status["otherProcesses"] == dict.fromkeys(status["otherProcesses"], 0)
    assert [each["exitCode"] for each in own] == [Known.exit_code] * 2
    for each in own:
        assert {row["name"]: row["calls"] for row in each["syscalls"]}["getppid"] == 1000
        assert (each["command"], each["parentPid"]) == (known.path, shell["pid"])
    assert (shell["command"], shell["exitCode"]) == ("cat", 1)
    samples = missing["openat", "ENOENT"]["samples"]
    assert any('"/nowhere/at/all"' in sample["arguments"] and sample["process"] == "cat" for sample in samples)
    assert status["trust"]["losses"]["processCalls"] == status["trust"]["losses"]["errorSamples"] == 0


def test_the_life_of_command_is_within_the_trace(tmp_path: Path) -> None:
    """Its process waits until it is counted: that is not part of COMMAND's life, and all of its calls are."""
    status = traced(tmp_path / "result.json", "--processes", "--", "sleep", "0.2")
    (process,) = status["processes"]
    begin, end = (datetime.fromisoformat(status[name]) for name in ("startTime", "completionTime"))
    start = datetime.fromisoformat(process["startTime"])

    assert begin <= start <= end
    assert process["lifetimeNanoseconds"] / 1e9 <= (end - begin).total_seconds()
    assert process["totalNanoseconds"] + process["waitNanoseconds"] <= process["lifetimeNanoseconds"]


def test_the_table_says_both(known: Known) -> None:
    """In the words of strace -f -c."""
    text = kubestrace(
        "local", "--processes", "1", "--errors", "1", "--", "/bin/sh", "-c", SCRIPT, "sh", known.path
    ).stdout

    assert "processes, by time in calls that work\n\npid " in text
    assert "3 other processes: " in text
    assert "first and last (UTC)\n" in text
    assert text.count("openat(AT_FDCWD, ") == 1


def test_a_process_by_its_pid(known: Known, tmp_path: Path) -> None:
    """Its later children too, each with its own calls; it is older than the trace and lives on."""
    script = 'read word; "$1" >/dev/null; read word; exit 3'
    with subprocess.Popen(["/bin/sh", "-c", script, "sh", known.path], stdin=subprocess.PIPE, bufsize=0) as shell:
        assert shell.stdin
        running = Running(tmp_path / "result.json", "--processes", "--pid", str(shell.pid)).started()
        # The view begins a moment after the counting.
        time.sleep(0.5)
        shell.stdin.write(b"\n\n")
    document = running.ended()
    processes = {each["hostPid"]: each for each in document["status"]["processes"]}

    old = processes.pop(shell.pid)
    (child,) = processes.values()
    assert (old["command"], old["execsSeen"], old["exitCode"]) == ("/bin/sh", 0, 3)
    assert (child["command"], child["exitCode"], child["parentPid"]) == (known.path, Known.exit_code, shell.pid)
    assert {row["name"]: row["calls"] for row in child["syscalls"]}["getppid"] == 1000


BUSY = """
import os, threading, time
def call():
    while True: os.getppid()
def sleep():
    while True: time.sleep(0.001)
threads = [threading.Thread(target=each) for each in (call, call, sleep, sleep, sleep)]
for thread in threads: thread.start()
print("ready", flush=True)
"""


def test_a_busy_process_has_the_calls_of_the_summary(tmp_path: Path) -> None:
    """It makes calls as the trace begins and as it ends: each is in all views, or in none."""
    views = ["--processes", "--errors", "1", "--timeline", "10", "--cpu-time", "--slow", "10", "--stacks"]
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE) as busy:
        assert busy.stdout
        busy.stdout.readline()
        status = traced(tmp_path / "result.json", "-d", "1", *views, "--pid", str(busy.pid))
        busy.kill()
    summary, (process,) = status["summary"], status["processes"]
    begin, end = (datetime.fromisoformat(status[name]) for name in ("startTime", "completionTime"))
    # One whose time was over before it slept is no wait.
    (sleeps,) = (row for row in summary["syscalls"] if row["name"] == "clock_nanosleep" and row["wait"])

    assert summary["calls"] > 10_000
    assert {name: process[name] for name in SUMS} == {name: summary[name] for name in SUMS}
    assert {name: sum(status["timeline"][name]) for name in SUMS} == {name: summary[name] for name in SUMS}
    assert status["trust"]["losses"]["processCalls"] == 0
    # Three threads sleep all the time, and no longer than the trace lasted; each may be in a last call as it ends.
    most = 3 * ((end - begin).total_seconds() * 1e9 + sleeps["maxNanoseconds"])
    assert sleeps["totalNanoseconds"] <= most
