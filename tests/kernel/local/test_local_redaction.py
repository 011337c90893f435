"""What a session does not show is in no part of its result, and no control character is."""

import json
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from local_runs import KUBESTRACE

# In names of files, sockets, threads, programs and arguments below a folder that is not shown.
HIDDEN = "hunter2"
CONTROL = "\x1b[2J\n\x07"
# Sums that a row of status.files has.
SUMS = ("calls", "opens", "stats", "other", "reads", "readBytes", "writes", "writeBytes", "syncs", "errors")
SCRIPT = r"""
import contextlib, ctypes, fcntl, os, signal, socket, threading
secrets = root + "/secrets"
failing = contextlib.suppress(OSError)
libc = ctypes.CDLL(None)

def name(text):
    libc.prctl(15, text.encode(), 0, 0, 0)

# By its whole path, by its folder's descriptor, from its folder, by steps that lead nowhere or up, renamed, too long.
for _ in range(5):
    os.close(os.open(f"{secrets}/{secret}", os.O_RDONLY))
    with failing: os.stat(f"{secrets}/{secret}-missing")
    with failing: os.open(f"{root}/./secrets//../secrets/{secret}-missing", os.O_RDONLY)
    with failing: os.open(f"{secrets}/{control}{secret}", os.O_RDONLY)
folder = os.open(secrets, os.O_RDONLY)
with failing: os.open(f"{secret}-missing", os.O_RDONLY, dir_fd=folder)
with failing: os.rename(f"{secret}-1", f"{secret}-2", src_dir_fd=folder, dst_dir_fd=folder)
with failing: os.link(f"{secrets}/{secret}-1", f"{secrets}/{secret}-2")
with failing: os.symlink(f"{secrets}/{secret}", f"{secrets}/{secret}")
with failing: os.stat(f"{secrets}/{secret}{'y' * 200}/{'x' * 200}/{secret}")
os.chdir(root)
with failing: os.stat(f"secrets/{secret}-missing")
os.chdir(secrets)
with failing: os.unlink(f"{secret}-missing")
with failing: os.mkdir(f"./{secret}")
# Written, synced, mapped.
with open(f"{secret}", "a") as file:
    file.write(control)
    file.flush()
    os.fsync(file.fileno())
# Unix sockets, by a whole path and by a relative one; what one is called has control characters, too.
with failing: socket.socket(socket.AF_UNIX).connect(f"{secrets}/{secret}-socket")
with failing: socket.socket(socket.AF_UNIX).connect(f"/{control}")
listener = socket.socket(socket.AF_UNIX)
listener.bind(f"{secret}-socket")
listener.listen()
client = socket.socket(socket.AF_UNIX)
client.connect(f"{secret}-socket")
datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
with failing: datagram.sendto(b"x", f"{secrets}/{secret}-socket")
# Peers by their address and port.
with failing: socket.create_connection(("127.0.0.77", 7))
with failing: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.77", 7))
# Names of threads, programs that are executed, and their arguments.
def thread():
    name(f"secrets/{secret}")
    with failing: os.open(f"{secrets}/{secret}-missing", os.O_RDONLY)
worker = threading.Thread(target=thread)
worker.start(), worker.join()
name(control)
if os.fork() == 0:
    os.execv(f"{secrets}/program", [f"{secrets}/program", f"--key={secrets}/{secret}", control])
os.wait()
# A call that has not returned.
signal.alarm(20)
for _ in range(2):
    fcntl.flock(os.open(f"{secrets}/{secret}", os.O_RDONLY), fcntl.LOCK_EX)
"""


@pytest.fixture(scope="module")
def result() -> Iterator[str]:
    """The result of a session with all views, as text."""
    # A short folder: of argv[0] the first 64 bytes are told, and what is hidden must be among them.
    with tempfile.TemporaryDirectory(prefix="hide-") as root:
        yield traced(Path(root))


def traced(root: Path) -> str:
    """Trace the script in this folder."""
    secrets = root / "secrets"
    secrets.mkdir()
    (secrets / HIDDEN).write_text("x")
    program = secrets / "program"
    program.write_bytes(Path("/bin/true").read_bytes())
    program.chmod(stat.S_IRWXU)
    script, to = root / "script.py", root / "result.json"
    script.write_text(f"root, secret, control = {(str(root), HIDDEN, CONTROL)!r}\n{SCRIPT}")
    flags = ["--profile", "everything", "--slow", "1", "--stacks", "--process-arguments", "--errors", "10", "-d", "6"]
    flags += ["--redact", "*/secrets/*", "--redact", "127.0.0.77*", "-o", "json", "--to", str(to)]
    words = [KUBESTRACE, "local", *flags, "--", sys.executable, str(script), f"{secrets}/{HIDDEN}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200, check=False)
    assert to.exists(), done.stderr
    return to.read_text()


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield all texts of a document, with where each stands."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from texts(each, f"{path}.{key}")
    elif isinstance(value, list):
        for each in value:
            yield from texts(each, path)
    elif isinstance(value, str):
        yield path, value


def test_what_is_not_shown_is_nowhere(result: str) -> None:
    """Not in rows, samples, slow calls, names, arguments, sockets, calls that have not returned, nor in the page."""
    document = json.loads(result)
    patterns = document["spec"].pop("redact")

    assert patterns == ["*/secrets/*", "127.0.0.77*"]
    for hidden in (HIDDEN, "127.0.0.77"):
        assert [(path, text) for path, text in texts(document) if hidden in text] == []


def test_what_is_hidden_shows_as_such(result: str) -> None:
    """In each place, so that one sees that something was there."""
    status = json.loads(result)["status"]
    hidden = {path for path, text in texts(status) if "***" in text}

    assert hidden >= {
        ".files.paths.path",
        ".summary.errorCounts.samples.arguments",
        ".processes.executable",
        ".processes.command",
        ".processes.arguments",
        ".processes.busiestThreads.name",
        ".network.sockets.path",
        ".network.peers.address",
        ".unreturned.arguments",
        ".table",
    }


def test_counts_of_what_is_hidden_are_exact(result: str) -> None:
    """Its rows are one; all rows together are the sums."""
    status = json.loads(result)["status"]
    files = status["files"]
    rows = [*files["paths"], files["otherPaths"], *files["withoutPath"]]
    (row,) = (row for row in files["paths"] if row["path"].endswith("/secrets/***"))
    failed = {each["errno"]: each["count"] for each in row["failed"]}
    (peer,) = (peer for peer in status["network"]["peers"] if peer["address"] == "***")

    assert {name: sum(row[name] for row in rows) for name in SUMS} == {name: files[name] for name in SUMS}
    assert status["trust"]["losses"]["fileCalls"] == 0
    # By descriptor of the folder the names begin there, as by the whole path.
    assert failed["ENOENT"] >= 5 * 3 + 1
    assert row["writeBytes"] == len("\x1b[2J\n\x07")
    assert row["syncs"] == 1
    assert (peer["attempts"], peer["failed"]) == (1, [{"errno": "ECONNREFUSED", "count": 1}])


def test_no_control_character_gets_through(result: str) -> None:
    """Names, paths, titles and arguments that have some show them as text; lines end in texts of many lines alone."""
    many_lines = {".status.table", ".status.report", ".status.timeline.chart"}

    wrong = [
        (path, text)
        for path, text in texts(json.loads(result))
        if any(not char.isprintable() for char in (text.replace("\n", "") if path in many_lines else text))
    ]

    assert wrong == []
    assert "\\\\x1b" in result
