"""Who made the calls, and which of them failed: the views of processes and errors in local mode."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from local_runs import Known, Running, kubestrace

# In the C locale: no files of messages are looked for.
SCRIPT = 'export LC_ALL=C; "$1"; "$1"; ls /nowhere 2>/dev/null; exec cat /nowhere/at/all 2>/dev/null'


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
    assert status["trust"]["processCallsLost"] == status["trust"]["errorSamplesLost"] == 0


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
