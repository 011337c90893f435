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


def image(process: dict[str, Any]) -> int:
    """Return which program of its process this is."""
    return int(process["image"])


def shell_parent(processes: list[dict[str, Any]]) -> int:
    """Return the parent of the process that is no other's child."""
    pids = {each["pid"] for each in processes}
    return next(int(each["parentPid"]) for each in processes if each["parentPid"] not in pids)


def test_processes_and_their_errors(known: Known, tmp_path: Path) -> None:
    """Each process has its own calls, and all together are the summary; a missing file has its name."""
    words = ["--processes", "--errors", "10", "--", "/bin/sh", "-c", SCRIPT, "sh", known.path]
    status = traced(tmp_path / "result.json", *words)
    processes, summary = status["processes"], status["summary"]
    own = [each for each in processes if each["executable"] == known.path]
    shell, cat = sorted((each for each in processes if each["parentPid"] == shell_parent(processes)), key=image)
    missing = {(row["syscall"], row["errno"]): row for row in summary["errorCounts"]}

    # Three children of the shell were its own program before they executed another.
    assert len(processes) == 8
    assert (shell["command"], shell["image"], shell["end"]) == ("/bin/sh", 0, f"executed {cat['executable']}")
    assert {name: sum(each[name] for each in processes) for name in ("calls", "errors", "totalNanoseconds")} == {
        name: summary[name] for name in ("calls", "errors", "totalNanoseconds")
    }
    assert status["otherProcesses"] == dict.fromkeys(status["otherProcesses"], 0)
    assert [each["exitCode"] for each in own] == [Known.exit_code] * 2
    for each in own:
        assert {row["name"]: row["calls"] for row in each["syscalls"]}["getppid"] == 1000
        assert (each["command"], each["parentPid"]) == (known.path, shell["pid"])
    assert (cat["command"], cat["image"], cat["exitCode"], cat["execsSeen"]) == ("cat", 1, 1, 2)
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
    assert "7 other processes: " in text
    assert "first and last (UTC)\n" in text
    # Below the findings, of which one names the call, too.
    assert text.split("\n% time", 1)[1].count("openat(AT_FDCWD, ") == 1


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
    rows = document["status"]["processes"]

    (old,) = [each for each in rows if each["hostPid"] == shell.pid]
    before, child = sorted((each for each in rows if each["hostPid"] != shell.pid), key=image)
    assert (before["command"], before["end"]) == ("/bin/sh", f"executed {known.path}")
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


def test_programs_as_one_row_with_their_words(tmp_path: Path) -> None:
    """With what the flags ask for: one row for each program, and which script an interpreter ran."""
    script = 'for i in 1 2 3; do "$0" -c "pass" --token=secret; done'
    words = ["--by-program", "--process-arguments", "--process-threads", "5", "--", "/bin/sh", "-c", script]
    status = traced(tmp_path / "result.json", *words, sys.executable)

    python = next(each for each in status["processes"] if each.get("arguments", [""])[0:2] == ["-c", "pass"])
    assert (python["processes"], python["living"]) == (3, 0)
    assert python["arguments"] == ["-c", "pass", "--token=***"]
    assert python["ends"] == [{"end": "exited with 0", "count": 3}]
    assert "secret" not in str(status).replace("--token=***", "")
