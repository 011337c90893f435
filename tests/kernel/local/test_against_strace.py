"""Ordinary programs: strace and a local trace watch the same run, and count the same calls and errors."""

import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_runs import KUBESTRACE, Known, until

_ROOT = Path(__file__).parents[3]
# What known_calls makes before strace looks: it stops itself until both watch, and becomes the program.
_BEFORE = Counter({"execve": 1, "getpid": 1, "kill": 1})
# strace -c counts what returns. These never do.
_ENDS = {"exit", "exit_group"}
# strace takes the value that it restores, the result of the call that the signal interrupted, for its own.
_RESTORES = "rt_sigreturn"

_ROW = re.compile(r" *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:(\d+) +)?(\w+)")
_CALL = r"(?P<pid>\d+) +(?:<\.\.\. )?(?P<name>\w+)(?: resumed>|\().*\) += \?"
_NEVER_RETURNED = re.compile(rf"{_CALL}(?: <unavailable>)?")
_RESTARTED = re.compile(rf"{_CALL} ERESTART\w+ .*")

_THREADS = (
    "import threading, time\n"
    "threads = [threading.Thread(target=time.sleep, args=(0.05,)) for _ in range(4)]\n"
    "[thread.start() for thread in threads], [thread.join() for thread in threads]"
)
_PROGRAMS = {
    "ls": ["ls", "-lR", "/etc", "/usr/share/doc/bash"],
    "grep": ["grep", "-r", "kubestrace", "/etc/default", "/usr/include/linux"],
    "python": [sys.executable, "-c", _THREADS],
    "git": ["git", "-c", "safe.directory=*", "-C", str(_ROOT), "log", "-n", "20", "--stat"],
    "make": ["make", "-j2", "-C", "{folder}"],
    "tar": ["tar", "czf", "{folder}/all.tar.gz", "/usr/include/linux"],
    "find": ["find", "/usr/share/doc", "-name", "*.gz", "-size", "+1k"],
    "curl": ["curl", "-s", "http://127.0.0.1:{port}/"],
    "sqlite": ["sqlite3", "{folder}/db", "create table if not exists t(a); insert into t values (1); select * from t"],
    "pipeline": ["sh", "-c", "cat /etc/services | sort | uniq -c | head -n 3; ls / | wc -l"],
    "daemon": ["sh", "-c", "setsid sh -c 'sleep 0.2; seq 100; (sleep 0.2; ls /) &' >/dev/null 2>&1 & exit 4"],
    "sort": ["sort", "-S", "1M", "--parallel=2", "-T", "{folder}", "{folder}/numbers"],
    "gcc": ["gcc", "-O1", "-o", "{folder}/hello", "{folder}/hello.c"],
    "exit": ["sh", "-c", "exit 3"],
    "killed": ["sh", "-c", "sleep 9 & sleep 0.1; kill -KILL $!; wait; kill -SEGV $$"],
    "timeout": ["timeout", "-s", "INT", "0.2", "sleep", "9"],
}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Serve a folder to the traced client."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(timeout=200)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make what the programs read."""
    (tmp_path / "numbers").write_text("".join(f"{number * 7919 % 100003}\n" for number in range(300_000)))
    (tmp_path / "hello.c").write_text('#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n')
    (tmp_path / "Makefile").write_text("all: a b c\na b c:\n\tsleep 0.05; gcc -c -o $@ hello.c\n")
    return tmp_path


@pytest.mark.parametrize("name", _PROGRAMS)
def test_strace_counts_the_same(known: Known, folder: Path, port: int, name: str) -> None:
    """Calls and errors by name, in the same run, to the last process; the exit code is the program's."""
    words = [word.format(folder=folder, port=port) for word in _PROGRAMS[name]]
    found = shutil.which(words[0])
    assert found, f"install {words[0]}"

    code, log = _watched(folder, [known.path, "stop", found, *words[1:]])

    rows = json.loads((folder / "result.json").read_text())["status"]["summary"]["syscalls"]
    calls, errors, interrupted = (_sums(rows, field) for field in ("calls", "errors", "interrupted"))
    seen, failed = _summary(log)
    never, restarted = _matching(_NEVER_RETURNED, log), _matching(_RESTARTED, log)
    assert calls - _BEFORE == seen + never
    # A call that a signal interrupts before it has done anything begins again: no error here, one for strace.
    assert errors == failed - restarted
    assert interrupted == restarted + Counter({each: count for each, count in never.items() if each not in _ENDS})
    assert code == _exit_code(words)


def _watched(folder: Path, words: list[str]) -> tuple[int, list[str]]:
    """Run the words under both; returns the exit code and the lines of strace."""
    log = folder / "strace.log"
    with subprocess.Popen(
        [KUBESTRACE, "local", "--until-empty", "-o", "json", "--to", folder / "result.json", "--", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as ours:
        try:
            until(lambda: _stopped(ours.pid))
            (pid,) = _stopped(ours.pid)
            _attach(pid, log, ours)
        finally:
            ours.kill()
    return ours.returncode, log.read_text(errors="replace").splitlines()


def _attach(pid: int, log: Path, ours: subprocess.Popen[bytes]) -> None:
    words = ["strace", "-f", "-C", "-o", str(log), "-p", str(pid)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as strace:
        try:
            assert strace.stderr
            assert "attached" in strace.stderr.readline()
            os.kill(pid, signal.SIGCONT)
            ours.wait(timeout=100)
            assert strace.wait(timeout=200) == 0
        finally:
            strace.kill()


def _stopped(parent: int) -> list[int]:
    """Return the program that has stopped itself, once it has."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(pid) for pid in children if _is_stopped(Path("/proc", pid))]


def _is_stopped(process: Path) -> bool:
    try:
        return "\nState:\tT" in (process / "status").read_text()
    except OSError:
        return False


def _summary(log: list[str]) -> tuple[Counter[str], Counter[str]]:
    """Return the calls and the errors of strace's table."""
    rows = [match.groups() for match in map(_ROW.fullmatch, log) if match and match[3] != "total"]
    calls = Counter({name: int(count) for count, _, name in rows})
    return calls, Counter({name: int(failed) for _, failed, name in rows if failed and name != _RESTORES})


def _matching(pattern: re.Pattern[str], log: list[str]) -> Counter[str]:
    return Counter(match["name"] for match in map(pattern.fullmatch, log) if match)


def _sums(rows: list[dict[str, int]], field: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in rows:
        found[str(row["name"])] += row[field]
    return +found


def _exit_code(words: list[str]) -> int:
    """Return the exit code of a run that nobody watches, as a shell has it."""
    alone = subprocess.run(words, input=b"", capture_output=True, check=False, timeout=200)
    return 128 - alone.returncode if alone.returncode < 0 else alone.returncode
