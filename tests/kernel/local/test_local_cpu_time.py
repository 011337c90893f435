"""Where the time of a command's threads went, as a person asks for it."""

import json
import re
import subprocess
import sys
from pathlib import Path

from local_runs import KUBESTRACE, kubestrace

# Two threads: one waits for a lock while the other reads zeros; says how long it took, and how much of that on a CPU.
BUSY = """\
import os, threading, time
done = threading.Lock()
done.acquire()
waiting = threading.Thread(target=done.acquire)
waiting.start()
zeros, block, end = os.open("/dev/zero", os.O_RDONLY), bytearray(1 << 20), time.monotonic() + 0.6
begin, used = time.monotonic(), time.process_time()
while time.monotonic() < end: os.readv(zeros, [block])
print(time.monotonic() - begin, time.process_time() - used, flush=True)
done.release()
waiting.join()
"""


def test_a_slow_call_worked_or_waited(tmp_path: Path) -> None:
    """The reads of zeros were on a CPU for all of their time that the program ran, the lock's futex was not."""
    to = tmp_path / "result.json"
    done = subprocess.run(
        [KUBESTRACE, "local", "--cpu-time", "-o", "json", "--to", to, "--", sys.executable, "-S", "-c", BUSY],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    status = json.loads(to.read_text())["status"]
    budget, rows = status["timeBudget"], {row["name"]: row for row in status["summary"]["syscalls"]}
    lived, ran = (float(word) * 1e9 for word in done.stdout.split())

    parts = [budget[key] for key in budget if key.endswith("Nanoseconds") and key != "threadNanoseconds"]
    assert sum(parts) == budget["threadNanoseconds"] >= 2 * lived
    assert abs(budget["otherNanoseconds"]) <= budget["threadNanoseconds"] / 100
    assert 0.85 * ran <= rows["readv"]["cpuNanoseconds"] <= ran
    assert rows["futex"]["cpuNanoseconds"] <= 0.05 * rows["futex"]["totalNanoseconds"]
    assert budget["kernel"][0]["syscall"] == "readv"
    assert budget["waiting"][0]["syscall"] == "futex"
    assert status["containers"][0]["timeBudget"] == budget
    assert status["trust"]["losses"]["cpuTime"] == 0


def test_the_table_has_the_column_and_the_budget() -> None:
    """Below it, at a glance."""
    done = kubestrace("local", "--cpu-time", "--", "sleep", "0.2")

    assert "     seconds      on cpu  usecs/call" in done.stdout
    assert "\nwhere the time of " in done.stdout
    assert re.search(r"waiting  \|#+ *\| clock_nanosleep \(waited\) \d", done.stdout)
    assert done.stdout.index("waiting  |") > done.stdout.index("total")
