"""Starts a tracer on a target, waits until it traces, and takes its result at the end."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tracers import Target, Tracer

_SECONDS_TO_START, _SECONDS_TO_END = 30, 60
# From an opened hook to one at work on all CPUs, and for what a tracer does once at its start.
_SETTLE_SECONDS = 0.2


class TracerError(Exception):
    """It could not start, or did not see what it should have."""


@contextmanager
def attached(tracer: Tracer, target: Target) -> Iterator[Callable[[], str]]:
    """Trace the target; what is given tells the tracer's output once this has ended."""
    output, errors = target.folder / "output", target.folder / "errors"
    if tracer.command is None:
        yield lambda: ""
        return
    # Not the tracer's business to run where the target does: pinned to nothing, as a person starts it.
    with output.open("wb") as to, errors.open("wb") as to_errors:
        process = subprocess.Popen(tracer.command(target), stdin=subprocess.PIPE, stdout=to, stderr=to_errors)
        try:
            _wait_until(lambda: _is_ready(tracer, process, [output, errors]), process, errors)
            time.sleep(_SETTLE_SECONDS)
            yield lambda: output.read_text(encoding="utf-8", errors="replace")
        finally:
            _end(process)


def _is_ready(tracer: Tracer, process: "subprocess.Popen[bytes]", said: list[Path]) -> bool:
    if tracer.ready.startswith("anon_inode:"):
        return tracer.ready in _open_files(process.pid)
    return any(tracer.ready in file.read_text(encoding="utf-8", errors="replace") for file in said)


def _open_files(pid: int) -> set[str]:
    found = set()
    with suppress(FileNotFoundError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                found.add(str(link.readlink()))
    return found


def _wait_until(ready: Callable[[], bool], process: "subprocess.Popen[bytes]", errors: Path) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            last = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise TracerError(f"does not start: {' '.join(last) or 'no word of it'}")
        time.sleep(0.01)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it as a person does, by Ctrl-C; a holder of programs ends with its input."""
    assert process.stdin
    process.stdin.close()
    if process.args[-2].endswith("hold.py"):  # type: ignore[index, union-attr]
        process.wait(_SECONDS_TO_END)
    elif process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=30)
