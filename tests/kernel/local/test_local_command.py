"""`kubestrace local -- COMMAND`: exact counts from the first call to the last, and COMMAND left as it is."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest
from local_runs import KUBESTRACE, Group, Known, condition, counted, counts, kubestrace, until

from kubestrace_agent.containers import cgroups


def test_a_command_is_counted_exactly_from_its_execve_to_its_exit(known: Known) -> None:
    """Every call is there with its errors, nothing of the launcher is, and the exit code is COMMAND's."""
    done = kubestrace("local", "-o", "json", "--to", "/dev/stderr", "--", known.path)

    document = json.loads(done.stderr)
    assert done.returncode == known.exit_code
    assert counted(document) == known.calls
    assert document["status"]["summary"]["errorCounts"] == known.errors
    assert document["status"]["trust"] | {"agentCpuMillicores": 0} == {
        "complete": True,
        "lostCalls": 0,
        "runtimeCalls": 0,
        "skippedCalls": 0,
        "unmatchedCalls": 0,
        "unreturnedCalls": 0,
        "gaps": [],
        "ioUring": {"used": False},
        "losses": {"counters": 0},
        "agentCpuMillicores": 0,
        "cgroupMode": document["status"]["trust"]["cgroupMode"],
    }


def test_the_names_are_those_that_strace_sees(tmp_path: Path) -> None:
    """A shell with a pipe and a child: the same system calls, by name, as strace -f -c lists."""
    words = ["sh", "-c", "ls / | cat >/dev/null; true"]
    seen = tmp_path / "strace"
    subprocess.run(["strace", "-f", "-c", "-o", str(seen), *words], check=True, stderr=subprocess.DEVNULL, timeout=200)
    by_strace = {line.split()[-1] for line in seen.read_text().splitlines()[2:] if re.match(r" *\d", line)} - {"total"}

    done = kubestrace("local", "-o", "json", "--", *words)

    # strace attaches no count to what never returns.
    assert set(counted(json.loads(done.stdout))) - {"exit_group", "rt_sigreturn"} == by_strace - {"rt_sigreturn"}


def test_children_and_their_children_are_counted() -> None:
    """All that COMMAND starts is in its cgroup: five execs are five, whoever made them."""
    done = kubestrace("local", "-o", "json", "--", "sh", "-c", "(/bin/true; /bin/true) & /bin/true; wait; /bin/true")

    assert counted(json.loads(done.stdout))["execve"] == 5


def test_the_commands_own_output_and_input_are_left_alone(tmp_path: Path) -> None:
    """With --to, standard output and standard error hold what COMMAND wrote and nothing else; input arrives."""
    to = tmp_path / "result.yaml"

    done = kubestrace("local", "-o", "yaml", "--to", str(to), "--", "sh", "-c", "cat; echo err >&2", input="in\n")

    assert (done.stdout, done.stderr, done.returncode) == ("in\n", "err\n", 0)
    assert to.read_text().startswith("apiVersion: kubestrace.io/v1alpha1\nkind: TraceSession\n")


def test_the_result_follows_the_commands_output_on_standard_output(known: Known) -> None:
    """Without --to the document comes after what COMMAND wrote, and standard error stays empty."""
    done = kubestrace("local", "-o", "json", "--", known.path)

    first, document = done.stdout.split("\n", 1)
    assert first == "known"
    assert json.loads(document)["spec"] == {"target": {"podName": "local"}}
    assert done.stderr == ""


def test_the_table_shows_the_rows_the_errors_and_how_it_ended(known: Known) -> None:
    """For people: strace -c's columns, the errors by name below, and one sentence about the end."""
    done = kubestrace("local", "--", known.path)

    assert re.search(r"^ .* +300 +300 .*openat$", done.stdout, re.MULTILINE)
    assert re.search(r"^ +300 ENOENT +openat\n +200 EBADF +close$", done.stdout, re.MULTILINE)
    assert re.search(r"^COMMAND ended after (\d+ ms|\d+\.\d s)\.$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM),
        (["sh", "-c", "kill -SEGV $$"], 128 + signal.SIGSEGV),
    ],
)
def test_the_exit_code_is_passed_on(words: list[str], exit_code: int) -> None:
    """COMMAND's own, or 128 and the signal that killed it; the result has it, too."""
    done = kubestrace("local", "-o", "json", "--", *words)

    assert done.returncode == exit_code
    assert json.loads(done.stdout)["status"]["containers"][0]["exitCode"] == exit_code


@pytest.mark.parametrize("until", [[], ["--until-empty"]])
def test_the_last_failed_call_before_the_end_is_found(until: list[str]) -> None:
    """The file that is missing, not the translation of the message about it; whoever is left behind lives on."""
    script = "sleep 2 & cat /no-such-file; exit 3"
    done = kubestrace("local", "--errors", "-o", "json", *until, "--", "sh", "-c", script)

    (found,) = json.loads(done.stdout)["status"]["findings"]
    assert found["id"] == "died-after-error"
    assert found["summary"] == (
        'cat could not open "/no-such-file": no such file (ENOENT). Just after that sh ended with exit code 3.'
    )


@pytest.mark.parametrize(
    ("word", "exit_code", "said"),
    [
        ("no-such-command", 127, "kubestrace: cannot find 'no-such-command' in the folders of PATH\n"),
        ("/etc/passwd", 126, "kubestrace: cannot execute /etc/passwd: Permission denied\n"),
    ],
)
def test_a_command_that_cannot_start_is_told_as_by_a_shell(word: str, exit_code: int, said: str) -> None:
    """127 when it is not there and 126 when it cannot be executed, without a result."""
    done = kubestrace("local", "-o", "json", "--", word)

    assert (done.returncode, done.stdout, done.stderr) == (exit_code, "", said)


def test_a_file_that_the_kernel_refuses_is_told(tmp_path: Path) -> None:
    """What is executable but of no known format is refused by the execve itself: 126, no result."""
    path = tmp_path / "tool"
    path.write_text("\x7fELF no program")
    path.chmod(0o755)

    done = kubestrace("local", "--", str(path))

    assert (done.returncode, done.stdout) == (126, "")
    assert done.stderr == f"kubestrace: cannot execute {path}: Exec format error\n"


def test_a_signal_is_passed_on_and_the_result_is_printed() -> None:
    """SIGTERM reaches COMMAND, which ends as it likes; what was counted is printed."""
    script = "trap 'echo got it; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen([KUBESTRACE, "local", "--", "sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)

    rest, _ = process.communicate(timeout=200)

    assert process.returncode == 5
    assert rest.startswith("got it\n")
    assert "total" in rest


def test_ctrl_c_on_a_terminal_reaches_the_command_once() -> None:
    """The terminal sends SIGINT to both; COMMAND gets it once, keeps its terminal, and its end ends the trace."""
    script = (
        "trap 'echo INT' INT; test -t 0 && test -t 1 && echo ready;"
        " i=0; while [ $i -lt 20 ]; do sleep 0.05; i=$((i+1)); done; echo done"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(KUBESTRACE, [KUBESTRACE, "local", "--", "sh", "-c", script])  # noqa: S606 (the child of a fork)
    assert os.read(terminal, 1000) == b"ready\r\n"
    os.write(terminal, b"\x03")
    said = _read_all(terminal)
    _, status = os.waitpid(pid, 0)

    assert said.count(b"INT\r\n") == 1
    assert b"done\r\n" in said
    assert b"total" in said
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_fits_the_terminal(columns: int) -> None:
    """Whatever its width: no line of the table or of the sentences is longer; of 120 columns none at all."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        os.execv(KUBESTRACE, [KUBESTRACE, "local", "--cpu-time", "--", "sh", "-c", "sleep 0.1; ls /etc >/dev/null"])  # noqa: S606 (the child of a fork)
    said = _read_all(terminal).decode()
    os.waitpid(pid, 0)
    lines = said.splitlines()

    head = next(line for line in lines if line.endswith("syscall"))
    assert ("usecs/call" in head) == (columns == 120)
    assert any("clock_nanosleep (waited)" in line for line in lines)
    # A row of a view's own table stays whole.
    rows = [line for line in lines if columns == 120 or not line.startswith("  ")]
    assert max(map(len, rows)) <= columns, said


def _read_all(terminal: int) -> bytes:
    said = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # the last program with this terminal has ended
            return said
        if not part:
            return said
        said += part


def test_a_given_duration_ends_the_trace_and_not_the_command(tmp_path: Path) -> None:
    """When the duration is over the result is written; COMMAND runs on and its exit code is passed on."""
    to = tmp_path / "result.json"
    process = subprocess.Popen(
        [KUBESTRACE, "local", "-d", "1", "-o", "json", "--to", str(to), "--", "sh", "-c", "sleep 6; exit 4"]
    )
    until(lambda: to.exists() and to.read_text().endswith("}\n"))
    still_running = process.poll() is None

    exit_code = process.wait(timeout=200)

    document = json.loads(to.read_text())
    assert exit_code == 4
    assert still_running
    assert condition(document, "Finished")["message"].startswith("The duration of 1 s is over.")
    assert document["spec"]["durationSeconds"] == 1
    # What it is inside of at the end: sh waits for sleep, sleep sleeps.
    assert document["status"]["trust"]["unreturnedCalls"] == 2


def test_what_the_command_leaves_running_is_told_and_moved() -> None:
    """The trace ends with COMMAND; a daemon that it left goes to the caller's cgroup, and ours is removed."""
    script = "setsid sleep 30 >/dev/null 2>&1 </dev/null & echo $!; grep ^0:: /proc/self/cgroup"

    done = kubestrace("local", "--to", "/dev/null", "--", "sh", "-c", script)
    daemon, own = int(done.stdout.split()[0]), done.stdout.split()[1].removeprefix("0::/")
    cgroup = Path(f"/proc/{daemon}/cgroup").read_text()
    os.kill(daemon, signal.SIGKILL)

    assert "1 process that COMMAND started still runs: no longer traced" in done.stderr
    assert "kubestrace-" not in cgroup
    assert re.search(r"kubestrace-\d+-\w+$", own)
    assert not (cgroups.detect(Path("/sys/fs/cgroup")).root / own).exists()


SERVICE = """
import os, sys, time
if os.fork():
    sys.exit(3)
os.setsid()
if os.fork():
    os._exit(0)
null = os.open("/dev/null", os.O_RDWR)
for fd in range(3):
    os.dup2(null, fd)
time.sleep(0.3)
for _ in range(500):
    os.getppid()
for done in sys.argv[2:]:
    open(done, "w").close()
time.sleep(float(sys.argv[1]))
"""


def test_until_the_last_process_that_the_command_left(tmp_path: Path) -> None:
    """A service that goes to the background is counted to its end; the exit code is COMMAND's."""
    to = tmp_path / "result.json"
    words = ("local", "--until-empty", "-o", "json", "--to", str(to), "--", sys.executable, "-S", "-c", SERVICE, "0.2")

    done = kubestrace(*words)

    document = json.loads(to.read_text())
    assert done.returncode == 3
    assert counted(document)["getppid"] == 500
    assert condition(document, "Finished")["message"].startswith("The last process of COMMAND ended after")
    assert document["status"]["trust"]["complete"]
    assert "still run" not in done.stderr


def test_what_the_command_left_is_said_in_the_result(tmp_path: Path) -> None:
    """With the way to count it."""
    to = tmp_path / "result.json"

    done = kubestrace("local", "-o", "json", "--to", str(to), "--", sys.executable, "-S", "-c", SERVICE, "2")

    message = condition(json.loads(to.read_text()), "Finished")["message"]
    assert done.returncode == 3
    assert re.search(
        r"A process that it left behind goes on uncounted: python\S* \(\d+\); --until-empty traces", message
    )


def test_a_trace_of_what_was_left_ends_by_a_signal_or_its_time(tmp_path: Path) -> None:
    """While COMMAND runs the signal is its own; later it is the trace's."""
    words = ("local", "--until-empty", "-o", "json")
    calls_made = tmp_path / "made"
    service = [sys.executable, "-S", "-c", SERVICE, "60", str(calls_made)]
    process = subprocess.Popen([KUBESTRACE, *words, "--to", tmp_path / "a.json", "--", *service])
    until(calls_made.exists)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=200) == 3
    ended = json.loads((tmp_path / "a.json").read_text())
    assert condition(ended, "Finished")["message"].startswith("Ended by SIGINT after")
    assert counted(ended)["getppid"] == 500

    timed = kubestrace(
        *words, "-d", "1", "--to", str(tmp_path / "b.json"), "--", sys.executable, "-S", "-c", SERVICE, "9"
    )
    assert timed.returncode == 3
    message = condition(json.loads((tmp_path / "b.json").read_text()), "Finished")["message"]
    assert message.startswith("The duration of 1 s is over. A process that it left behind goes on uncounted")


def test_a_command_that_never_ends_is_ended_by_a_signal(tmp_path: Path) -> None:
    """It is COMMAND's while that runs; what COMMAND started ends the trace later, or the next signal does."""
    to = tmp_path / "result.json"
    script = "sleep 60 & echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        [KUBESTRACE, "local", "--until-empty", "-o", "json", "--to", to, "--", "sh", "-c", script],
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)

    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=200) == 128 + signal.SIGTERM
    message = condition(json.loads(to.read_text()), "Finished")["message"]
    assert re.match(r"Ended by SIGTERM .* A process that it left behind goes on uncounted: sleep", message), message


MOVES = """
import os, sys, time
def move(pid, folder):
    os.makedirs(folder, exist_ok=True)
    open(folder + "/cgroup.procs", "w").write(str(pid))
def calls(count):
    for _ in range(count):
        os.getppid()
who, elsewhere = sys.argv[1:]
own = "/sys/fs/cgroup" + ("/unified" if os.path.exists("/sys/fs/cgroup/unified") else "")
own += next(line for line in open("/proc/self/cgroup") if line.startswith("0::"))[3:].strip()
if who == "below":
    move(os.getpid(), own + "/inner")
    calls(300)
elif who == "child":
    child = os.fork()
    if not child:
        time.sleep(0.8)
        calls(200)
        time.sleep(0.8)
        os._exit(0)
    time.sleep(0.1)
    move(child, elsewhere)
    calls(300)
    os.wait()
else:
    calls(300)
    move(os.getpid(), elsewhere)
    calls(200)
    time.sleep(0.3)
"""


@pytest.mark.parametrize("until_empty", [False, True])
@pytest.mark.parametrize("who", ["child", "itself", "below"])
def test_processes_in_other_cgroups(
    tmp_path: Path, group: Callable[[str], Group], name: str, who: str, until_empty: bool
) -> None:
    """Below COMMAND's own cgroup they are counted, elsewhere not: a gap names them."""
    other, to = group(name), tmp_path / "result.json"
    flags = ["--until-empty"] if until_empty else []

    done = kubestrace(
        "local", *flags, "-o", "json", "--to", str(to), "--", sys.executable, "-S", "-c", MOVES, who, str(other.path)
    )

    document = json.loads(to.read_text())
    gaps = document["status"]["trust"]["gaps"]
    assert (done.returncode, done.stderr) == (0, "")
    assert counted(document)["getppid"] == 300
    if who == "below":
        assert gaps == []
        return
    (gap,) = gaps
    assert gap["reason"] == "ProcessMoved"
    assert re.fullmatch(
        rf"python\S* \(\d+\) was moved to the cgroup \S*/{name}: not counted from then on", gap["message"]
    )
    assert not document["status"]["trust"]["complete"]


def test_what_a_process_leaves_behind_is_said(tmp_path: Path) -> None:
    """A trace of --pid ends with the process; a child that goes on is named."""
    to = tmp_path / "result.json"
    script = "read word; sleep 3 & exit"
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        ours = subprocess.Popen([KUBESTRACE, "local", "-o", "json", "--to", to, "--pid", str(process.pid)])
        until(lambda: counts(ours.pid))
        assert process.stdin
        process.stdin.write(b"x\n")
        process.stdin.close()
        assert process.wait(timeout=200) == 0
        assert ours.wait(timeout=200) == 0

    message = condition(json.loads(to.read_text()), "Finished")["message"]
    assert re.search(r"A process that it left behind goes on uncounted: (sleep|sh) \(\d+\)\.", message), message


FAMILY = """
import os
def calls():
    os.read(0, 1)
    for _ in range(100):
        os.getppid()
for _ in range(2):
    if not os.fork():
        child = os.fork()
        calls()
        if child:
            os.wait()
        os._exit(0)
os.write(1, b"ready\\n")
os.wait(), os.wait()
"""


@pytest.mark.parametrize("asked", [True, False])
def test_children_that_a_process_has_already(tmp_path: Path, asked: bool) -> None:
    """They are counted where that is asked for, and theirs; otherwise the result says that they are not."""
    to = tmp_path / "result.json"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        flags = ["--with-children"] if asked else []
        ours = subprocess.Popen([KUBESTRACE, "local", "-o", "json", "--to", to, "--pid", str(process.pid), *flags])
        until(lambda: counts(ours.pid) == (5 if asked else 1))
        process.stdin.write(b"1234")
        process.stdin.close()
        assert process.wait(timeout=200) == 0
        assert ours.wait(timeout=200) == 0

    document = json.loads(to.read_text())
    message = condition(document, "Finished")["message"]
    assert counted(document).get("getppid", 0) == (400 if asked else 0)
    assert ("4 children, or children of those, that it had before are not counted: python" in message) == (not asked)
    assert ("; --with-children counts them." in message) == (not asked)


def test_only_the_wanted_system_calls_are_counted(known: Known) -> None:
    """-e keeps the rest out of the result, by name, class and exclusion."""
    by_name = kubestrace("local", "-o", "json", "-e", "getppid,openat", "--", known.path)
    but_one = kubestrace("local", "-o", "json", "-e", "!getppid", "--", known.path)

    assert counted(json.loads(by_name.stdout.split("\n", 1)[1])) == {"getppid": 1000, "openat": 300}
    expected = {name: count for name, count in known.calls.items() if name != "getppid"}
    assert counted(json.loads(but_one.stdout.split("\n", 1)[1])) == expected


def test_the_command_gets_no_file_of_ours() -> None:
    """COMMAND inherits standard input, output and error, and none of the tracer's files."""
    done = kubestrace("local", "--to", "/dev/null", "--", "ls", "/proc/self/fd")

    # ls itself opens the folder that it lists.
    assert done.stdout.split() == ["0", "1", "2", "3"]
