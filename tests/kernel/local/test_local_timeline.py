"""When it was: the timeline of a program whose burst comes at a known time."""

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from local_runs import KUBESTRACE, kubestrace

# Five calls at once, then 20,000 in the middle, then three at the end; says when the middle was.
BURST = """\
import os, time
for _ in range(5): os.getppid()
time.sleep(1.2)
begin = time.time()
for _ in range(20000): os.getppid()
print(begin, time.time(), flush=True)
time.sleep(1.2)
for _ in range(3): os.getppid()
"""


def traced(tmp_path: Path, *words: str) -> tuple[dict[str, Any], range]:
    """Trace the program; return the status, and the buckets that its burst was in."""
    to = tmp_path / "result.json"
    options = ["-e", "getppid", "-o", "json", "--to", str(to), *words]
    done = subprocess.run(
        [KUBESTRACE, "local", *options, "--", sys.executable, "-S", "-c", BURST],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    status: dict[str, Any] = json.loads(to.read_text())["status"]
    start = datetime.fromisoformat(status["timeline"]["startTime"]).timestamp()
    seconds = status["timeline"]["bucketNanoseconds"] / 1e9
    first, last = (int((float(word) - start) / seconds) for word in done.stdout.split())
    return status, range(first, last + 1)


def test_a_burst_is_where_it_was(tmp_path: Path) -> None:
    """The buckets sum up to the summary, and 20,000 of 20,008 calls stand where the program says it made them."""
    status, burst = traced(tmp_path, "-d", "10", "--timeline", "40")
    timeline = status["timeline"]

    assert status["summary"]["calls"] == sum(timeline["calls"]) == 20_008
    assert status["summary"]["totalNanoseconds"] == sum(timeline["totalNanoseconds"])
    # A border's snapshot comes a little after it, on a busy machine later than that.
    assert sum(timeline["calls"][burst.start - 1 : burst.stop + 1]) >= 20_000
    assert max(timeline["calls"]) in timeline["calls"][burst.start - 1 : burst.stop + 1]
    assert timeline["containers"][0]["calls"] == timeline["calls"]


def test_a_command_without_a_duration_gets_buckets_that_fit(tmp_path: Path) -> None:
    """Eight buckets of 100 ms double until the program's 2.4 s are in: 400 ms each, nothing lost on the way."""
    status, burst = traced(tmp_path, "--timeline", "8")
    timeline = status["timeline"]

    assert timeline["bucketNanoseconds"] == 400_000_000
    assert 6 <= len(timeline["calls"]) <= 8
    assert status["summary"]["calls"] == sum(timeline["calls"]) == 20_008
    assert sum(timeline["calls"][burst.start - 1 : burst.stop + 1]) >= 20_000


def test_the_chart_stands_below_the_table() -> None:
    """A person sees it without asking for the document."""
    done = kubestrace("local", "--timeline", "10", "--", "true")

    assert "\n calls |" in done.stdout
    assert done.stdout.index("calls |") > done.stdout.index("total")


def test_too_many_buckets_for_the_duration_are_refused() -> None:
    """Wrong usage, with the number that would do."""
    done = kubestrace("local", "-d", "2", "--timeline", "21", "--", "true")

    assert done.returncode == 2
    assert (
        "spec.views.timeline.buckets is 21; a bucket is at least 100 ms long, and 2 s have room for 20" in done.stderr
    )
