"""Jobs that scripts/test runs beside others: their output is shown, and their failures count."""

import subprocess
import time
from pathlib import Path

SCRIPTS = Path(__file__).parents[3] / "scripts"
SOURCED = f"set -euo pipefail; source {SCRIPTS}/lib.sh; source {SCRIPTS}/background.sh; trap end_background EXIT\n"


def bash(script: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a script that has sourced the library."""
    words = ["env", f"KUBESTRACE_CACHE={home}", "bash", "-c", SOURCED + script]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_a_jobs_output_is_printed_as_a_whole_when_it_is_collected(tmp_path: Path) -> None:
    """Output of parts that run at the same time is not mixed."""
    done = bash(
        "background job sh -c 'echo one; sleep 0.2; echo two >&2'\necho ours\ncollect job\necho after", tmp_path
    )

    assert (done.returncode, done.stdout) == (0, "ours\none\ntwo\nafter\n")


def test_a_job_that_fails_fails_the_run(tmp_path: Path) -> None:
    """Its output comes first, then its name and its exit code."""
    done = bash("background job sh -c 'echo wrong; exit 3'\ncollect job\necho after", tmp_path)

    assert (done.returncode, done.stdout) == (1, "wrong\n")
    assert "job failed (exit code 3)" in done.stderr


def test_a_failure_is_noticed_before_the_job_is_needed(tmp_path: Path) -> None:
    """Between two parts those jobs are collected that have ended."""
    ended = 'timeout 30 tail --pid="${groups[job]}" -f /dev/null'
    done = bash(f"background job false\nbackground other sleep 50\n{ended}\ncollect_ended\necho after", tmp_path)

    assert (done.returncode, done.stdout) == (1, "")


def test_nothing_runs_on_after_the_end(tmp_path: Path) -> None:
    """The end of the run ends its jobs, with the processes that they have started."""
    mark = tmp_path / "alive"
    begin = time.monotonic()
    done = bash(f"background job sh -c 'sh -c \"sleep 2; touch {mark}\"; true'\nsleep 0.3\nexit 5", tmp_path)
    time.sleep(max(0.0, 3 - (time.monotonic() - begin)))

    assert done.returncode == 5
    assert not mark.exists()


def test_a_job_that_was_never_started_is_nothing_to_wait_for(tmp_path: Path) -> None:
    """Parts that were not asked for start nothing."""
    assert bash("collect job\necho after", tmp_path).stdout == "after\n"


def test_a_job_has_the_lowest_priority_until_it_is_waited_for(tmp_path: Path) -> None:
    """Other programs of a busy machine would go first for as long as we wait."""
    # Until it is raised; 30 s at most.
    show = "for i in {1..300}; do now=$(nice); echo $now; [ $now != 0 ] || exit 0; sleep 0.1; done"
    printed = 'for i in {1..300}; do [ ! -s "${logs[job]}" ] || break; sleep 0.1; done'
    done = bash(f"background job bash -c '{show}'\n{printed}\ncollect job", tmp_path)
    seen = done.stdout.split()

    assert seen[0] == "19"
    assert seen[-1] == "0"
    assert bash(f"background job bash -c '{show}'\ncollect job", tmp_path).stdout.split()[-1] == "0"
