"""What is done by io_uring, also by a program that makes no system call."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_runs import PROGRAMS, Run, compiled
from local_runs import Running, condition

Start = Callable[..., Running]


@pytest.mark.parametrize("views", [(), ("--io-uring",)], ids=["without", "with"])
def test_a_ring_from_before_is_told_with_or_without_the_view(
    start: Start, tmp_path: Path, views: tuple[str, ...]
) -> None:
    """By whom, with how many rings; how much was done, or that it is not counted. Its kernel thread is not its own."""
    run = Run(None, compiled(PROGRAMS / "ring_work.c", tmp_path / "ring_work"), "polled", "again")
    run.hear()
    tracing = start("--pid", str(run.process.pid), "--processes", *views).started()
    run.say()
    status = tracing.ended(signal.SIGINT)["status"]
    run.finish()

    ring = status["trust"]["ioUring"]
    (process,) = ring["processes"]
    assert (ring["used"], ring["rings"], ring["otherProcesses"]) == (True, 1, 0)
    assert (process["process"], process["hostPid"], process["polled"]) == ("ring_work", run.process.pid, True)
    assert (ring.get("operations"), "advice" in ring) == ((560, False) if views else (None, True))
    assert "io_uring was used" in condition({"status": status}, "DataComplete")["message"]
    assert all(each["threads"] == 1 for each in status["processes"])
    if views:
        rows = {row["operation"]: row for row in status["ioUring"]["operations"]}
        assert {name: row["submitted"] for name, row in rows.items()} == {
            "nop": 308, "read": 200, "openat": 50, "operation 200": 2,
        }  # fmt: skip
        assert rows["openat"]["errorCounts"] == [{"errno": "ENOTDIR", "count": 50}]
        assert rows["read"]["bytes"] == 200 * 512
