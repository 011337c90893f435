"""Local mode when something goes wrong around it: the result's place, signals, kills, targets that say nothing."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from local_runs import KUBESTRACE, Document, Group, Known, condition, counted, kubestrace, until

from kubestrace_agent.containers import cgroups
from kubestrace_cli.local import targets

MakeGroup = Callable[[str], Group]
EINTR = """\
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

static void handle(int number) { (void)number; }

int main(void) {
    struct sigaction action = {.sa_handler = handle}; /* no SA_RESTART */
    struct itimerval timer = {{0, 20000}, {0, 20000}};
    int ends[2];
    char byte;

    if (pipe(ends) || sigaction(SIGALRM, &action, 0) || setitimer(ITIMER_REAL, &timer, 0))
        return 1;
    for (int i = 0; i < 5; i++)
        if (read(ends[0], &byte, 1) != -1)
            return 1;
    for (int i = 0; i < 5; i++)
        pause();
    return 0;
}
"""


def document(done: subprocess.CompletedProcess[str]) -> Document:
    """Return the result of a run without a complaint."""
    assert (done.returncode, done.stderr) == (0, "")
    whole: Document = json.loads(done.stdout)
    return whole


def in_a_shell(redirection: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command with its output redirected as a shell does it."""
    script = ["sh", "-c", f'exec "$@" {redirection}', "sh", KUBESTRACE, *words]
    return subprocess.run(script, capture_output=True, text=True, timeout=200, check=False)


def test_a_full_disk_loses_the_result_and_not_the_commands_exit_code() -> None:
    """One line says it, for a file and for standard output."""
    by_name = kubestrace("local", "--to", "/dev/full", "--", "sh", "-c", "exit 3")
    redirected = in_a_shell(">/dev/full", "local", "--", "sh", "-c", "exit 3")
    without_a_command = kubestrace("local", "--to", "/dev/full", "-d", "1", "--pid", str(os.getpid()))

    said = "kubestrace: cannot write the result to {}: No space left on device\n"
    assert (by_name.returncode, by_name.stderr) == (3, said.format("/dev/full"))
    assert (redirected.returncode, redirected.stderr) == (3, said.format("standard output"))
    assert (without_a_command.returncode, without_a_command.stderr) == (1, said.format("/dev/full"))


@pytest.mark.parametrize("broken", ["read", "finish"])
def test_an_error_of_ours_does_not_lose_the_commands_exit_code(broken: str) -> None:
    """Whether it comes while COMMAND runs or after that: COMMAND goes on to its end, and what is wrong is said."""
    program = (
        "import sys\n"
        "from kubestrace_cli import main\n"
        "from kubestrace_cli.local import recordings\n"
        "def fail(*_): raise ValueError('odd counts')\n"
        f"recordings.Recording.{broken} = fail\n"
        "sys.exit(main.main(['local', '--', 'sh', '-c', 'sleep 1; echo done; exit 3']))\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=200, check=False)

    assert (done.returncode, done.stdout) == (3, "done\n")
    assert done.stderr.endswith("kubestrace: there is no result, because of an unexpected ValueError('odd counts')\n")


def test_names_that_are_no_text_lose_nothing(group: MakeGroup, name: str, tmp_path: Path) -> None:
    """COMMAND, a cgroup without processes, and one with a process whose name looks like a line of /proc."""
    tool = tmp_path / "t\udcff"
    tool.symlink_to("/bin/true")
    odd = group(f"{name}\udcff")
    rename = "import ctypes; ctypes.CDLL(None).prctl(15, b'x\\x0cNSpid:\\tzz', 0, 0, 0); input()"

    of_command = document(kubestrace("local", "-o", "json", "--", str(tool)))
    of_nobody = document(kubestrace("local", "-o", "json", "-d", "1", "--cgroup", f"{name}\udcff"))
    process = odd.waiting(sys.executable, "-c", rename)
    of_process = document(kubestrace("local", "-o", "json", "-d", "1", "--cgroup", f"{name}\udcff"))

    shown = [each["status"]["containers"][0] for each in (of_command, of_nobody, of_process)]
    assert [each["container"] for each in shown] == [r"t\xff", rf"/{name}\xff", rf"/{name}\xff"]
    assert (shown[2]["pid"], shown[2]["hostPid"]) == (process.pid, process.pid)
    assert rf"{name}\xff" in condition(of_nobody, "Finished")["message"]


def test_with_standard_output_closed_nothing_runs(tmp_path: Path) -> None:
    """There is no place for the result, and --to is one; COMMAND then gets what a shell would have given it."""
    mark, to = tmp_path / "mark", tmp_path / "result"
    refused = in_a_shell(">&-", "local", "--", "touch", str(mark))
    had_run = mark.exists()

    done = in_a_shell("<&- >&- 2>&-", "local", "-o", "json", "--to", str(to), "--", "touch", str(mark))

    assert (refused.returncode, refused.stderr.count("\n"), had_run) == (1, 1, False)
    assert "standard output is closed; name a file with --to" in refused.stderr
    assert done.returncode == 0
    assert mark.exists()
    assert counted(json.loads(to.read_text()))["execve"] == 1


def test_a_result_with_standard_output_closed_replaces_the_last_one(tmp_path: Path) -> None:
    """The file of --to does not become standard output itself; COMMAND finds that closed, as it would without us."""
    to, seen = tmp_path / "result", tmp_path / "seen"
    script = 'a=closed; test ! -e /proc/$$/fd/1 || a=open; echo $a >"$0"'
    words = ["local", "-o", "json", "--to", str(to), "--", "sh", "-c", script, str(seen)]
    for _ in range(2):
        done = in_a_shell(">&-", *words)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(to.read_text())["kind"] == "TraceSession"
    assert seen.read_text() == "closed\n"


def test_a_file_keeps_what_it_holds_when_no_trace_is_possible(tmp_path: Path) -> None:
    """A missing interpreter is found only by the execve itself; a missing program, and a missing root, before."""
    to, script, new = tmp_path / "result", tmp_path / "script", tmp_path / "new"
    to.write_text("yesterday's")
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    kubestrace("local", "--to", str(to), "--", "no-such-command")
    not_executed = kubestrace("local", "--to", str(to), "--", str(script))
    without_a_file = kubestrace("local", "--to", str(new), "--", str(script))
    without_root = kubestrace("local", "--to", str(to), "--", "true", preexec_fn=_drop_capabilities)

    assert (not_executed.returncode, without_a_file.returncode, without_root.returncode) == (127, 127, 1)
    assert to.read_text() == "yesterday's"
    assert not new.exists()


def _drop_capabilities() -> None:
    """Give up root, but keep what the test's folder needs: it is root's own, and 0755 is enough to run programs."""
    os.setgroups([])
    os.seteuid(65534)


def test_our_own_output_as_the_results_file_is_not_emptied(tmp_path: Path) -> None:
    """--to /dev/stderr with standard error in a file: what COMMAND wrote there stays in front of the result."""
    to = tmp_path / "both"
    with to.open("w") as both:
        words = [KUBESTRACE, "local", "-o", "json", "--to", "/dev/stderr", "--", "sh", "-c", "echo hello >&2"]
        subprocess.run(words, stderr=both, check=True, timeout=200)

    first, document = to.read_text().split("\n", 1)
    assert first == "hello"
    assert json.loads(document)["kind"] == "TraceSession"


def test_interrupted_calls_show_below_the_table(tmp_path: Path) -> None:
    """Five reads and five pauses that really returned EINTR."""
    source, program = tmp_path / "eintr.c", tmp_path / "eintr"
    source.write_text(EINTR)
    subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", str(program), str(source)], check=True, timeout=200)

    done = kubestrace("local", "--", str(program))

    line = r"^5 (pause|ppoll) \(waited\), 5 read \(waited\) were interrupted by a signal"
    assert re.search(line, done.stdout, re.MULTILINE)


def test_a_session_from_standard_input_and_its_result_to_standard_output(known: Known, tmp_path: Path) -> None:
    """Two dashes, and no file of that name."""
    session = "apiVersion: kubestrace.io/v1alpha1\nkind: TraceSession\nspec: {syscalls: ['?nope', getppid]}\n"

    done = kubestrace("local", "-f", "-", "--to", "-", "-o", "json", "--", known.path, input=session, cwd=tmp_path)

    assert counted(json.loads(done.stdout.split("\n", 1)[1])) == {"getppid": 1000}
    assert list(tmp_path.iterdir()) == []


def test_straces_words_for_all_and_nothing(known: Known) -> None:
    """`-e all` counts everything, `-e none` is refused as wrong use."""
    everything = kubestrace("local", "-o", "json", "-e", "trace=all", "--", known.path)
    nothing = kubestrace("local", "-e", "none", "--", known.path)
    not_made = kubestrace("local", "-e", "?nope,mount", "--", known.path)

    assert counted(json.loads(everything.stdout.split("\n", 1)[1])) == known.calls
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert nothing.stderr == "kubestrace: The patterns select no system call.\n"
    assert "\nNone of the chosen system calls was made.\n" in not_made.stdout


def test_a_signal_before_the_counting_is_told() -> None:
    """Ctrl-C while the programs are made ready: one line, and COMMAND has not run."""
    process = subprocess.Popen(
        [KUBESTRACE, "local", "--", "echo", "ran"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    # From here on signals are events: a bit of SigBlk is set (proc(5)).
    until(lambda: _blocks(process.pid, signal.SIGINT))
    process.send_signal(signal.SIGINT)

    written, said = process.communicate(timeout=200)

    assert (process.returncode, written) == (130, "")
    assert said == "kubestrace: ended by SIGINT before counting began\n"


def _blocks(pid: int, number: int) -> bool:
    match = re.search(r"^SigBlk:\t([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return match is not None and bool(int(match[1], 16) & 1 << (number - 1))


def test_the_callers_ignored_sigchld_is_kept_from_us_and_passed_on() -> None:
    """It would take COMMAND's exit code away; COMMAND itself starts with it, as without us."""
    words = ["local", "--to", "/dev/null", "--", "grep", "SigIgn", "/proc/self/status"]

    done = kubestrace(*words, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))

    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout.split()[1], 16) == 1 << (signal.SIGCHLD - 1)


def test_without_a_cgroup_for_the_command_nothing_is_left(
    group: Callable[[str], Group], name: str, tmp_path: Path
) -> None:
    """In a threaded cgroup one can be made and nothing moved into it: one line, no process and no cgroup."""
    folder, said = group(name).path, tmp_path / "said"
    (folder / "cgroup.type").write_text("threaded")
    script = f'echo $$ > {folder}/cgroup.threads && exec "$@"'

    # Not into a pipe: whoever is left would hold it open.
    with said.open("w") as file:
        words = ["sh", "-c", script, "sh", KUBESTRACE, "local", "--", "true"]
        exit_code = subprocess.run(words, stdout=file, stderr=file, timeout=200, check=False).returncode
    left = (folder / "cgroup.threads").read_text()

    assert (exit_code, left) == (1, "")
    assert re.fullmatch("kubestrace: cannot move a process into the cgroup .*\n", said.read_text())
    assert [path for path in folder.iterdir() if path.is_dir()] == []


def test_a_folder_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    """COMMAND runs in the folder that we were started in, wherever that is."""
    words = ["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", KUBESTRACE, "local", "--to", "/dev/null", "--", "true"]
    gone = tmp_path / "gone"
    gone.mkdir()

    done = subprocess.run(words, cwd=gone, capture_output=True, text=True, timeout=200, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("exec unshare -r", "this process is in a user namespace, "),
        ("ulimit -n 9; exec", "too many open files. Raise their limit"),
        ("ulimit -n 20; exec", "too many open files. Raise their limit"),
        ("ulimit -n 32; exec", "too many open files. Raise their limit"),
        ("ulimit -n 33; exec", "too many open files. Raise their limit"),
    ],
)
def test_what_hinders_the_programs_is_told_with_the_way_out(before: str, said: str) -> None:
    """In one line, without what the compiler remarked."""
    words = ["sh", "-c", f'{before} "$@"', "sh", KUBESTRACE, "local", "--", "true"]

    done = subprocess.run(words, capture_output=True, text=True, timeout=200, check=False)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert said in done.stderr
    assert "warning" not in done.stderr


def test_a_thread_of_the_kernel_is_refused_at_once() -> None:
    """The process 2 is all kernel: there is nothing to wait for."""
    done = kubestrace("local", "--pid", "2")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "kubestrace: process 2 is a thread of the kernel, which makes no system calls\n"


@pytest.fixture
def killed() -> Iterator[Path]:
    """Kill a run at its work, with COMMAND and all: its cgroup stays."""
    root = cgroups.detect(targets.CGROUP_MOUNT).root
    process = subprocess.Popen([KUBESTRACE, "local", "--to", "/dev/null", "--", "sleep", "60"])
    mine = f"kubestrace-{process.pid}-"
    folder = until(lambda: next((each for each in cgroups.below(root) if each.name.startswith(mine)), None))
    until(lambda: any(targets.named(pid).startswith("sleep") for pid in _pids(folder)))
    process.kill()
    process.wait(timeout=200)
    for pid in _pids(folder):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not cgroups.populated(folder))
    yield folder
    if folder.exists():
        folder.rmdir()


def _pids(folder: Path) -> list[int]:
    return [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]


def test_the_cgroup_of_a_killed_run_goes_with_the_next_run(killed: Path) -> None:
    """Nothing can be done at a SIGKILL; a later run from the same cgroup clears up."""
    was_there = killed.is_dir()

    kubestrace("local", "--to", "/dev/null", "--", "true")

    assert was_there
    assert not killed.exists()
