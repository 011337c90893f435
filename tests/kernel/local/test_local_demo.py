"""The service of examples/slow-checkout: the page begins with its six faults."""

import json
from pathlib import Path

from local_runs import kubestrace

ROOT = Path(__file__).parents[3]
FAULTS = {
    "connect-failing",
    "pauses-between-attempts",
    "fsync-storm",
    "lock-contended",
    "missing-files",
    "small-io",
}


def test_the_six_faults_of_the_example_are_findings(tmp_path: Path) -> None:
    """Whatever the machine does beside it; with what the program counted itself."""
    result = tmp_path / "result.json"
    program = ("python3", "examples/slow-checkout/checkout.py", "--counts")
    done = kubestrace("local", "--profile", "everything", "-o", "json", "--to", str(result), "--", *program, cwd=ROOT)
    status = json.loads(result.read_text())["status"]
    counted = json.loads(done.stdout)
    calls = {row["name"]: row for row in status["summary"]["syscalls"] if not row["wait"]}

    assert {each["id"] for each in status["findings"]} >= FAULTS
    assert calls["fsync"]["calls"] == counted["fsync"]
    assert calls["connect"]["errors"] == counted["connect ECONNREFUSED"]
    (lock, *_) = status["locks"]["locks"]
    assert lock["threads"] == 4
    assert lock["handedOn"] >= 0.9 * lock["wakes"] > 200
