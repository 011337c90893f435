"""Findings about real programs: each fault is the first or the second finding, and others have no warning.

The programs run for as long as they must; nothing here depends on how fast they are.
"""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from local_runs import kubestrace

SEGFAULT = """
#include <stdio.h>
int main(void) { return fgetc(fopen("/etc/shop/app.conf", "r")); }
"""

PYTHON = ("/usr/bin/python3", "-c")
Trace = Callable[..., Sequence[Mapping[str, Any]]]


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    """Trace a program with these views, in a folder of its own; return its findings."""

    def run(views: str, *words: str) -> Sequence[Mapping[str, Any]]:
        kubestrace("local", "-o", "json", "--to", "result.json", "--views", views, "--", *words, cwd=tmp_path)
        found: Sequence[Mapping[str, Any]] = json.loads((tmp_path / "result.json").read_text())["status"]["findings"]
        return found

    return run


def first_two(findings: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return what a reader sees at once."""
    return {each["id"]: each for each in reversed(findings[:2])}


def compiled(source: str, to: Path) -> str:
    """Compile a program in C."""
    subprocess.run(["gcc", "-w", "-x", "c", "-o", to, "-"], input=source, text=True, check=True, timeout=200)
    return str(to)


def test_programs_that_end_badly_are_told(trace: Trace, tmp_path: Path) -> None:
    """Children of a shell that goes on: one crashes, with the call that failed before it, one has an exit code."""
    worker = compiled(SEGFAULT, tmp_path / "worker")
    script = f"{worker}; {worker}; for n in 1 2 3; do /usr/bin/python3 -c 'exit(3)'; done; true"
    found = first_two(trace("processes,errors", "sh", "-c", script))

    assert found["crashed"]["severity"] == "critical"
    assert found["crashed"]["summary"] == (
        "worker in sh crashed 2 times with SIGSEGV: it used memory that it does not have. Just before that worker "
        'could not open "/etc/shop/app.conf": no such file (ENOENT).'
    )
    assert found["ended-with-error"]["summary"] == "python3 in sh ended with exit code 3, 3 times."


LIMITS = """
import ctypes, os, resource, time
resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))
os.setuid(65533)
try:
    while True:
        if os.fork() == 0: time.sleep(1), os._exit(0)
except BlockingIOError:
    pass
while ctypes.CDLL(None).inotify_init1(0) >= 0: pass
"""


def test_limits_of_processes_and_of_watches_are_told(trace: Trace) -> None:
    """The kernel counts both by user. That there is no further watch is no leak of descriptors."""
    found = trace("errors", *PYTHON, LIMITS)

    assert [each["id"] for each in found] == ["task-limit", "watch-limit"]
    assert found[0]["summary"].endswith(": 1 time by clone. For example python3 could not start a process or a thread.")


# The one who holds the lock looks whether the other waits for it: flock is call 73.
WAITING = """
import fcntl, os, socket, time
ready, told = os.pipe()
if os.fork() == 0:
    file = open("lock", "w")
    fcntl.flock(file, fcntl.LOCK_EX)
    os.write(told, b"x")
    while not open(f"/proc/{os.getppid()}/syscall").read().startswith("73 "): time.sleep(0.02)
    time.sleep(1.2)
    os._exit(0)
os.read(ready, 1)
fcntl.flock(open("lock", "w"), fcntl.LOCK_EX)
server = socket.create_server(("127.0.0.1", 0))
for number in range(2):
    client = socket.create_connection(server.getsockname(), 0.6)
    client.sendall(b"GET / HTTP/1.0")
    try: client.recv(99)
    except TimeoutError: client.close()
"""


def test_waits_for_a_lock_and_for_an_answer_are_told(trace: Trace, tmp_path: Path) -> None:
    """As of two replicas that share a volume, and of a peer whose kernel accepts for a program that does not."""
    found = first_two(trace("network,slowCalls", *PYTHON, WAITING))

    silent = found["no-answer"]["summary"]
    assert "2 connections sent 28B and received nothing. 2 waits for it ended in a timeout" in silent
    assert found["lock-held"]["summary"].endswith(f" python3 waited to lock {tmp_path}/lock.")


def test_settings_that_are_empty_are_told_by_the_path_that_was_opened(trace: Trace, tmp_path: Path) -> None:
    """A ConfigMap's files are links; what the program says of it is a mistake in its first line."""
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data/app.json").touch()
    (tmp_path / "app.json").symlink_to("..data/app.json")
    found = first_two(trace("files,errors", *PYTHON, "import json; json.load(open('app.json'))"))

    assert found["empty-file"]["summary"] == (
        f"{tmp_path}/app.json is empty: it was opened 1 time and had nothing to read. python3 ended with an error."
    )


READS = """
for number in range(4000): open("app.json").read()
"""


def test_settings_that_are_read_again_and_again_are_told(trace: Trace, tmp_path: Path) -> None:
    """How much of the time that takes depends on what else the program does."""
    (tmp_path / "app.json").write_text("[]" * 1000)
    found = first_two(trace("files", *PYTHON, READS))["read-again"]

    assert found["summary"].startswith(f"{tmp_path}/app.json is opened and read ")
    assert found["evidence"][1] == {"name": "opens", "value": 4000, "threshold": 100}


CONNECTS = """
import socket, sys
client = socket.socket()
client.setblocking(False)
client.connect_ex(("127.0.0.1", 9))
sys.exit(1)
"""
NO_PROGRAM = """
import os
open("app", "w").write("x")
os.chmod("app", 0o755)
os.execv("./app", ["app"])
"""


@pytest.mark.parametrize(
    ("views", "words", "told"),
    [
        (
            "errors",
            ("sh", "-c", "exec shop-migrate --now"),
            "sh could not find the command shop-migrate in any folder of",
        ),
        ("errors,network", (*PYTHON, CONNECTS), "python3 could not connect to 127.0.0.1:9: the connection was refused"),
        ("errors", (*PYTHON, NO_PROGRAM), "python3 could not execute"),
    ],
)
def test_why_a_program_ended_is_told(trace: Trace, views: str, words: Sequence[str], told: str) -> None:
    """A command that nobody has, a connect that does not wait, and a file that is no program."""
    found = first_two(trace(views, *words))["died-after-error"]

    assert found["summary"].startswith(told)


# Others may use the CPUs and the disk.
OF_THE_MACHINE = {"cpu-starved", "disk-slow"}
# None of these is at fault, however often it comes: they run one after the other, and a warning is one too many.
INNOCENT = {
    "told to end": "sleep 100 & kill -TERM $!; wait $!; sleep 100 & kill -KILL $!; wait $!",
    "answers by exit codes": "for n in 1 2 3; do grep -q zz /etc/passwd; diff /etc/passwd /etc/group; done >/dev/null",
    "a lock that is free": "flock lock true; flock -n lock true",
    "settings": ": >empty.json; echo '{}' >settings.json; cat empty.json settings.json",
    "a pipe that nobody reads any more": "yes | head -n 1",
}


def test_programs_without_a_fault_have_no_warning(trace: Trace) -> None:
    """Each is the twin of one that has a fault."""
    findings = trace("all", "sh", "-c", "\n".join([*INNOCENT.values(), "true"]))

    told = [each for each in findings if each["severity"] != "info" and each["id"] not in OF_THE_MACHINE]
    assert [each["summary"] for each in told] == []
