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


def test_a_crash_is_told_with_the_call_that_failed_before_it(trace: Trace, tmp_path: Path) -> None:
    """The child of a shell that goes on; the shell's own end says nothing."""
    worker = compiled(SEGFAULT, tmp_path / "worker")
    found = first_two(trace("processes,errors", "sh", "-c", f"{worker}; {worker}; true"))["crashed"]

    assert found["severity"] == "critical"
    assert found["summary"] == (
        "worker in sh crashed 2 times with SIGSEGV: it used memory that it does not have. Just before that worker "
        'could not open "/etc/shop/app.conf": no such file (ENOENT).'
    )


def test_a_program_that_fails_again_and_again_is_told_with_its_exit_code(trace: Trace) -> None:
    """And one that is not there."""
    found = first_two(
        trace("processes,errors", "sh", "-c", "for n in 1 2 3; do /usr/bin/python3 -c 'exit(3)'; done; true")
    )

    assert "ended with exit code 3, 3 times." in found["ended-with-error"]["summary"]


FORKS = """
import os, resource, time
resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))
os.setuid(65533)
try:
    while True:
        if os.fork() == 0: time.sleep(1), os._exit(0)
except BlockingIOError:
    pass
"""


def test_a_limit_of_processes_is_told(trace: Trace) -> None:
    """By ulimit -u: the kernel counts those of a user."""
    found = first_two(trace("errors", *PYTHON, FORKS))["task-limit"]

    assert found["summary"].endswith(": 1 time by clone. For example python3 could not start a process or a thread.")


WATCHES = """
import ctypes, os
os.setuid(65533)
while ctypes.CDLL(None).inotify_init1(0) >= 0: pass
"""


def test_a_limit_of_watches_is_no_leak_of_descriptors(trace: Trace) -> None:
    """Both fail with EMFILE."""
    found = trace("errors", *PYTHON, WATCHES)

    assert [each["id"] for each in found] == ["watch-limit"]


LOCKED = """
import fcntl, os, time
ready, told = os.pipe()
if os.fork() == 0:
    file = open("lock", "w")
    fcntl.flock(file, fcntl.LOCK_EX)
    os.write(told, b"x")
    time.sleep(2)
    os._exit(0)
os.read(ready, 1)
fcntl.flock(open("lock", "w"), fcntl.LOCK_EX)
"""


def test_a_wait_for_a_lock_is_told_with_its_file(trace: Trace, tmp_path: Path) -> None:
    """As of two replicas that share a volume."""
    found = first_two(trace("slowCalls", *PYTHON, LOCKED))["lock-held"]

    assert found["summary"].endswith(f" python3 waited to lock {tmp_path}/lock.")


SILENT = """
import socket
server = socket.create_server(("127.0.0.1", 0))
for number in range(2):
    client = socket.create_connection(server.getsockname(), 0.6)
    client.sendall(b"GET / HTTP/1.0")
    try: client.recv(99)
    except TimeoutError: client.close()
"""


def test_a_peer_that_never_answers_is_told(trace: Trace) -> None:
    """The kernel accepts for a program that does not."""
    found = first_two(trace("network,slowCalls", *PYTHON, SILENT))["no-answer"]

    assert "2 connections sent 28B and received nothing. 2 waits for it ended in a timeout" in found["summary"]


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

    assert [each["summary"] for each in findings if each["severity"] != "info"] == []
