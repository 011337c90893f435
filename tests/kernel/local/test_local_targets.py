"""`kubestrace local` on what runs already: --pid, --cgroup, --container."""

import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from local_runs import KUBESTRACE, Group, Known, Running, condition, counted, kubestrace, say_go, until

WITHOUT_MAIN = """\
#include <pthread.h>
#include <unistd.h>

static void *work(void *nothing) {
    char byte;

    if (read(0, &byte, 1) == 1)
        for (int i = 0; i < 50; i++)
            getppid();
    return nothing;
}

int main(void) {
    pthread_t thread;

    pthread_create(&thread, 0, work, 0);
    pthread_exit(0);
}
"""

Start = Callable[..., Running]
MakeGroup = Callable[[str], Group]


def test_a_process_is_counted_with_its_later_children_until_it_ends(
    start: Start, group: MakeGroup, name: str, known: Known
) -> None:
    """Exactly what it does from now on, its child's calls too, and nothing of its neighbour's; its end is the end."""
    ours = group(name)
    process = ours.waiting(known.path, "w", "c")
    neighbour = ours.waiting(known.path, "w", "c")
    running = start("--pid", str(process.pid)).started()
    say_go(neighbour)
    say_go(process)

    document = running.ended()

    # The read it waited in had begun before: counted when it returns, without a length.
    assert counted(document) == known.with_child
    assert document["status"]["trust"]["unmatchedCalls"] == 1
    assert condition(document, "Finished")["message"].startswith(f"Process {process.pid} ended after")
    [row] = document["status"]["containers"]
    assert (row["container"], row["hostPid"], row["pid"]) == ("known", process.pid, process.pid)


def test_a_process_whose_first_thread_has_ended_is_counted_until_the_others_end(start: Start, tmp_path: Path) -> None:
    """It is no zombie: what its other thread does counts, and the trace ends with that."""
    source, program = tmp_path / "without.c", tmp_path / "without"
    source.write_text(WITHOUT_MAIN)
    subprocess.run(
        ["gcc", "-O1", "-Wall", "-Werror", "-pthread", "-o", str(program), str(source)], check=True, timeout=200
    )
    with subprocess.Popen([program], stdin=subprocess.PIPE) as process:
        until(lambda: "\nState:\tZ" in Path(f"/proc/{process.pid}/status").read_text())
        running = start("-d", "60", "--pid", str(process.pid)).started()
        say_go(process)

        document = running.ended()

    assert counted(document)["getppid"] == 50
    assert condition(document, "Finished")["message"].startswith(f"Process {process.pid} ended after")


def test_a_cgroup_is_counted_with_those_below_until_ctrl_c(
    start: Start, group: MakeGroup, name: str, known: Known
) -> None:
    """Both processes count, wherever in the cgroup they are; Ctrl-C ends early and keeps what was counted."""
    ours = group(name)
    processes = [ours.waiting(known.path, "w"), ours.waiting(known.path, "w", below="nested")]
    sleeper = ours.waiting("cat")
    running = start("--cgroup", f"/{name}").started()
    for process in processes:
        say_go(process)

    document = running.ended(signal.SIGINT)

    assert sleeper.poll() is None
    assert counted(document) == {name: 2 * count for name, count in known.body.items()} | {"read": 2, "exit_group": 2}
    assert (document["status"]["phase"], condition(document, "Finished")["reason"]) == ("Cancelled", "Cancelled")
    assert condition(document, "DataComplete")["status"] == "True"


def test_the_last_process_of_a_cgroup_ends_the_trace(start: Start, group: MakeGroup, name: str, known: Known) -> None:
    """An empty cgroup ends by itself, long before the duration."""
    process = group(name).waiting(known.path, "w")
    running = start("--cgroup", name, "-d", "60").started()
    say_go(process)

    document = running.ended()

    assert document["status"]["phase"] == "Succeeded"
    assert condition(document, "Finished")["message"].startswith(f"The last process of /{name} ended after")


@pytest.mark.parametrize("form", ["{}", "containerd://{}", "{:.10}"])
def test_a_container_is_found_by_its_id_and_by_a_beginning(
    start: Start, group: MakeGroup, container_id: str, known: Known, form: str
) -> None:
    """A cgroup named as a runtime names it is the container, and its calls are counted."""
    process = group(f"docker-{container_id}.scope").waiting(known.path, "w", below="nested")
    running = start("--container", form.format(container_id)).started()
    say_go(process)

    document = running.ended()

    assert counted(document) == {**known.body, "read": 1, "exit_group": 1}
    assert document["status"]["containers"][0]["container"] == container_id[:12]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--pid", "4194304"], "there is no process 4194304"),
        (["--cgroup", "no/such/group"], "there is no cgroup"),
        (["--container", "0000000000000000"], "no running container has an id that begins with '0000000000000000'"),
        (["-f", "/no/such/session.yaml", "--pid", "1"], "/no/such/session.yaml: cannot be read"),
        (["-e", "opennat", "--pid", "1"], "openat"),
    ],
)
def test_what_is_not_there_is_refused_with_a_sentence(words: list[str], said: str) -> None:
    """Each names what was looked for; a wrong session or system call is a usage error, the rest is not."""
    done = kubestrace("local", *words)

    assert done.returncode == (2 if words[0] in {"-f", "-e"} else 1)
    assert done.stderr.startswith("kubestrace: ")
    assert said in done.stderr
    assert done.stdout == ""


def test_a_trace_that_counted_nothing_says_why(start: Start, group: MakeGroup, name: str) -> None:
    """Nothing called, nothing wanted was called, nobody there: three different sentences, never a bare empty table."""
    ours = group(name)
    nobody = start("--cgroup", name, "-d", "1")
    process = ours.waiting("cat")
    stuck = start("--pid", str(process.pid), "-d", "1")
    unwanted = start("--pid", str(process.pid), "-d", "1", "-e", "fsync")

    said = [condition(each.ended(), "Finished")["message"] for each in (nobody, stuck, unwanted)]

    assert "othing was counted" in said[0]
    assert said[1].endswith("Nothing was counted: no system call returned.")  # status.unreturned says which call
    assert "no call of fsync was made" in said[2]


def test_what_hangs_is_told_although_nothing_was_counted(start: Start, group: MakeGroup, name: str) -> None:
    """A process that was inside a read before the trace began, and stayed there."""
    process = group(name).waiting("cat")
    document = start("--pid", str(process.pid), "-d", "1").ended()

    (hung,) = document["status"]["unreturned"]
    assert (hung["syscall"], hung["beganEarlier"], hung["hostPid"]) == ("read", True, process.pid)
    assert hung["arguments"].startswith("0<pipe>, ")
    assert document["status"]["trust"]["unreturnedCalls"] == 1
    assert document["status"]["table"].startswith(
        "No system call returned.\n1 call has not returned: read (waited) over "
    )


def test_progress_shows_on_a_terminal_and_is_gone_at_the_end(group: MakeGroup, name: str) -> None:
    """The line is drawn on standard error while that is a terminal, and erased before the result."""
    process = group(name).waiting("cat")
    terminal, other_end = pty.openpty()
    words = [KUBESTRACE, "local", "-p", str(process.pid), "-d", "2", "-o", "json"]
    done = subprocess.run(words, stderr=other_end, stdout=subprocess.PIPE, timeout=200, check=True)
    os.close(other_end)
    drawn = os.read(terminal, 10_000).decode()

    assert "\rtracing: 1 of 2 s, 0 calls" in drawn
    assert drawn.endswith("\r\x1b[K")
    assert done.stdout.startswith(b"{")


def test_two_traces_at_once_do_not_disturb_each_other(start: Start, group: MakeGroup, name: str, known: Known) -> None:
    """Each has programs of its own: both count the same cgroup exactly."""
    process = group(name).waiting(known.path, "w")
    both = [start("--cgroup", name).started(), start("--cgroup", name).started()]
    say_go(process)

    results = [counted(each.ended()) for each in both]

    assert results == [{**known.body, "read": 1, "exit_group": 1}] * 2
