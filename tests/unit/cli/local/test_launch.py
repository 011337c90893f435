"""Starting a COMMAND: where it is found, when it begins, how it ends. Real processes, no root."""

import errno
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubestrace_cli.local import gates, launch

_children: list[launch.Child] = []
SECONDS = 30


def child(*words: str) -> launch.Child:
    """Make a child that waits at the gate."""
    _children.append(launch.Child(launch.find(words[0]), words))
    return _children[-1]


@pytest.fixture(autouse=True)
def _no_child_stays() -> Iterator[None]:
    """End the children of a test that failed: one that waits at the gate uses a whole CPU."""
    yield
    for each in _children:
        each.kill()
    _children.clear()


def end_of(started: launch.Child) -> int:
    """Return a child's exit code; the test fails when it does not end."""
    deadline = time.monotonic() + SECONDS
    while not started.ended():
        assert time.monotonic() < deadline, f"the child still runs after {SECONDS} s"
        time.sleep(0.001)
    return started.wait()  # has ended


def without_default_signals(*words: str) -> list[str]:
    """Return a command line under which the command starts as in the background of a script, or by nohup."""
    return ["sh", "-c", "trap '' HUP INT QUIT; exec \"$@\"", "sh", *words]


def executable(path: Path, text: str) -> str:
    """Write a file that may be executed."""
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_a_name_is_found_in_the_folders_of_path_in_their_order(tmp_path: Path) -> None:
    """The first executable file wins; folders and files that cannot be executed are passed over."""
    for folder in "abc":
        (tmp_path / folder).mkdir()
    (tmp_path / "a" / "tool").mkdir()
    (tmp_path / "b" / "tool").write_text("not executable")
    executable(tmp_path / "c" / "tool", "")
    search_path = os.pathsep.join(str(tmp_path / folder) for folder in "abc")

    assert launch.find("tool", search_path) == f"{tmp_path}/c/tool"


def test_what_is_executed_is_what_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Letter by letter, as a script's $0 has it: a script that executes itself again finds itself."""
    monkeypatch.chdir(tmp_path)
    executable(tmp_path / "again", '#!/bin/sh\n[ "$1" = once ] && exit 5\nexec "$0" once\n')
    started = child("./again")
    started.release()

    assert end_of(started) == 5
    assert launch.find("./again") == "./again"
    assert launch.find(f"{tmp_path}//./again") == f"{tmp_path}//./again"


@pytest.mark.parametrize("search_path", ["", "/no/such/folder:", ":/no/such/folder"])
def test_an_empty_element_of_path_is_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, search_path: str
) -> None:
    """As for execvp and shells."""
    monkeypatch.chdir(tmp_path)
    executable(tmp_path / "tool", "")

    assert launch.find("tool", search_path) == "./tool"


@pytest.mark.parametrize(
    ("name", "exit_code"),
    [("no-such-tool", 127), ("", 127), ("/no/such/tool", 127), ("/bin/true/", 127), ("/", 126), ("/etc/passwd", 126)],
)
def test_what_cannot_be_found_or_executed_has_a_shells_exit_code(name: str, exit_code: int) -> None:
    """127 when it is not there, 126 when it is but cannot be executed."""
    with pytest.raises(launch.CommandError) as refused:
        launch.find(name)

    assert refused.value.exit_code == exit_code
    assert name in str(refused.value)


def test_the_child_is_not_the_command_before_the_gate_opens(tmp_path: Path) -> None:
    """COMMAND has no effect before release and has its effect after it."""
    mark = tmp_path / "mark"
    waiting = child("touch", str(mark))
    time.sleep(0.05)

    early = mark.exists()
    waiting.release()

    assert not early
    assert end_of(waiting) == 0
    assert mark.exists()


def test_the_child_makes_no_call_at_the_gate() -> None:
    """While it waits it is in user space: the kernel's count of its voluntary switches stands still."""
    waiting = child("true")

    def switches() -> str:
        return Path(f"/proc/{waiting.pid}/status").read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0]

    try:
        before = switches()
        time.sleep(0.2)
        assert switches() == before
    finally:
        waiting.kill()


@pytest.mark.parametrize(("script", "exit_code"), [("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)])
def test_the_commands_end_is_told_as_a_shell_tells_it(script: str, exit_code: int) -> None:
    """The exit code is COMMAND's own, or 128 and the signal that killed it."""
    started = child("sh", "-c", script)
    started.release()

    assert end_of(started) == exit_code
    assert started.ended()


@pytest.mark.parametrize(("text", "exit_code"), [("\x7fELF no program", 126), ("#!/no/such/interpreter\n", 127)])
def test_what_the_kernel_refuses_to_execute_is_told(tmp_path: Path, text: str, exit_code: int) -> None:
    """A file of no known format ends with 126, a missing interpreter with 127."""
    tool = executable(tmp_path / "tool", text)
    started = child(tool)
    started.release()
    end_of(started)

    with pytest.raises(launch.CommandError, match=f"cannot execute {tool}: ") as refused:
        started.raise_if_not_executed()
    assert refused.value.exit_code == exit_code


def test_the_command_starts_as_a_shell_would_start_it() -> None:
    """Arguments and environment arrive, no file of ours stays open, and signals act as they do by default."""
    script = (
        "import os, signal, sys\n"
        "assert sys.argv[1:] == ['a b', '', 'ü'], sys.argv\n"
        "assert os.environ['KUBESTRACE_TEST'] == 'x=y'\n"
        "assert set(os.listdir('/proc/self/fd')) <= {*sys.stdin.read().split(), '3', '4'}\n"
        "lines = open('/proc/self/status').read().splitlines()\n"
        "status = dict(line.split(':\\t') for line in lines if ':\\t' in line)\n"
        # Python itself ignores SIGPIPE (13) and SIGXFSZ (25) and catches SIGINT.
        "assert int(status['SigIgn'], 16) & ~(1 << 12 | 1 << 24) == 0, status['SigIgn']\n"
        "assert int(status['SigBlk'], 16) == 0\n"
    )
    launcher = (
        "import sys\n"
        "from kubestrace_cli.local import launch\n"
        f"words = [sys.executable, '-c', {script!r}, 'a b', '', 'ü']\n"
        "started = launch.Child(launch.find(words[0]), words)\n"
        "started.release()\n"
        "sys.exit(started.wait())\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", launcher],
        input="0 1 2",
        text=True,
        capture_output=True,
        timeout=SECONDS,
        check=False,
        env=os.environ | {"KUBESTRACE_TEST": "x=y"},
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_environment_is_the_callers_own() -> None:
    """Nothing is added, taken away or put in order, whatever Python and the agent's modules want for themselves."""
    launcher = (
        "import os\n"
        "from kubestrace_cli.local import launch, run\n"
        "os.environ['OURS'] = '1'\n"
        "started = launch.Child(launch.find('/usr/bin/env'), ['env'])\n"
        "started.release()\n"
        "started.wait()\n"
    )
    # No locale is set: Python would set LC_CTYPE, and does for itself.
    given = {"Z": "1", "GRPC_SSL_CIPHER_SUITES": "the user's", "A": "x=y\nz"}

    done = subprocess.run(
        [sys.executable, "-c", launcher], env=given, capture_output=True, text=True, timeout=SECONDS, check=True
    )

    assert done.stdout == "".join(f"{name}={value}\n" for name, value in given.items())


def test_signals_are_sent_and_an_ended_command_gets_none() -> None:
    """A signal reaches COMMAND; after its end sending is no error."""
    started = child("sleep", "60")
    started.release()
    started.send(signal.SIGTERM)

    assert end_of(started) == 143
    started.send(signal.SIGTERM)


def test_the_child_ends_when_nobody_is_left_to_open_the_gate() -> None:
    """The one that started it was killed: the child goes, too, and does not turn at the gate for ever."""
    launcher = (
        "import time\n"
        "from kubestrace_cli.local import launch\n"
        "print(launch.Child(launch.find('true'), ['true']).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", launcher], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        waiting = os.pidfd_open(int(process.stdout.readline()))
        process.kill()

    try:
        assert select.select([waiting], [], [], 10)[0]
    finally:
        os.close(waiting)


def test_a_child_that_cannot_be_watched_is_not_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is free for it: the error is told, and the child has ended."""
    made: list[int] = []

    def full(pid: int) -> int:
        made.append(pid)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "pidfd_open", full)

    with pytest.raises(OSError, match="Too many open files"):
        child("true")
    assert not Path(f"/proc/{made[0]}").exists()


def test_a_signal_while_it_waits_ends_it() -> None:
    """Ctrl-C before COMMAND has begun ends the child by that signal, without a trace of Python's own handling."""
    waiting = child("true")
    waiting.send(signal.SIGINT)

    assert end_of(waiting) == 130


def test_a_signal_that_we_ignore_is_ignored_by_the_command_from_the_beginning() -> None:
    """As strace does it: in the background of a script, Ctrl-C means neither the waiting process nor COMMAND."""
    launcher = (
        "import signal, sys, time\n"
        "from kubestrace_cli.local import launch\n"
        "words = ['/bin/sh', '-c', 'kill -INT $$; exit 7']\n"
        "started = launch.Child(words[0], words)\n"
        "started.send(signal.SIGINT)\n"
        "time.sleep(0.2)\n"
        "assert not started.ended()\n"
        "started.release()\n"
        "sys.exit(started.wait())\n"
    )

    done = subprocess.run(
        without_default_signals(sys.executable, "-c", launcher),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert (done.returncode, done.stderr) == (7, "")


def test_these_tests_pass_in_the_background_of_a_script() -> None:
    """Tests that send signals set the dispositions that they need: none waits for a signal that is ignored."""
    tests = f"{__file__}::{test_a_signal_while_it_waits_ends_it.__name__}"
    words = without_default_signals(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests)

    done = subprocess.run(words, capture_output=True, text=True, timeout=2 * SECONDS, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_child_gives_up_when_its_starter_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """The starter lives and never opens the gate: the child ends, uses no CPU for ever, and the error says why."""
    monkeypatch.setattr(gates, "_PATIENCE_SECONDS", 0.3)
    waiting = child("true")

    assert end_of(waiting) == 126
    with pytest.raises(launch.CommandError, match="true was not started: tracing did not begin in time") as refused:
        waiting.raise_if_not_executed()
    assert refused.value.exit_code == 126


def test_a_child_that_is_stopped_keeps_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-Z stops both sides for as long as a person likes: only time in which the child spins counts."""
    monkeypatch.setattr(gates, "_PATIENCE_SECONDS", 1.0)
    waiting = child("true")
    waiting.send(signal.SIGSTOP)
    time.sleep(1.5)
    waiting.send(signal.SIGCONT)
    waiting.release()

    assert end_of(waiting) == 0
