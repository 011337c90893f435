"""How long local mode and an agent take to start: with nothing kept, and with compiled programs kept.

    python tests/bench/start_up.py [ROUNDS]

Starts `kubestrace local -- date` and an agent, each with an empty folder and then with what that left there. Local mode
has two times: until COMMAND, whose first call is counted, has told the time; and until all is over. The agent's is that
from the start of its process until it serves: what a restart of its container adds to the runtime's own time. Prints
medians: seconds, seconds of CPU with child processes (on a busy machine, the better figure), and the peak memory of the
largest process. Needs root.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

# The counts alone: what views add is measured with some of them.
_LOCAL = [str(Path(sys.executable).with_name("kubestrace")), "local", "--profile", "Counts"]
_FOUR_VIEWS = ["--processes", "--errors", "3", "--slow", "10", "--cpu-time"]
_DATE = ["--", "date", "+%s.%N"]

# What was measured -> seconds, and MiB.
Measured = dict[str, tuple[float, float]]
Start = Callable[[Path], Measured]


def local(*options: str) -> Start:
    """Run local mode with some options."""

    def run(folder: Path) -> Measured:
        begin = time.time()
        child = subprocess.Popen(
            [*_LOCAL, *options, *_DATE],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"KUBESTRACE_PROGRAMS_DIR": str(folder)},
        )
        assert child.stdout
        said = child.stdout.read().split()[0]
        _, status, used = os.wait4(child.pid, 0)
        assert status == 0
        mebibytes = used.ru_maxrss / 1024
        return {"until COMMAND runs": (float(said) - begin, mebibytes), "in all": (time.time() - begin, mebibytes)}

    return run


def agent() -> Start:
    """Start an agent, wait until it serves, and end it."""
    # Only now: a child's peak memory is never said to be less than what its parent had when it was made.
    sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
    from agent_process import Agent  # noqa: PLC0415
    from authority import Authority  # noqa: PLC0415

    authority = Authority()

    def run(folder: Path) -> Measured:
        with tempfile.TemporaryDirectory() as place:
            begin = time.monotonic()
            started = Agent(Path(place), authority, KUBESTRACE_PROGRAMS_DIR=str(folder)).ready()
            seconds = time.monotonic() - begin
            status = Path(f"/proc/{started.process.pid}/status").read_text(encoding="utf-8")
            started.end()
        return {"until it serves": (seconds, int(status.partition("VmHWM:")[2].split()[0]) / 1024)}

    return run


def cpu_seconds() -> float:
    """Seconds that all ended children have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(who: str, start: Start, rounds: int) -> None:
    """Print the lines of one kind of start."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for number in range(rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            for state in ("nothing kept", "programs kept"):
                before = cpu_seconds()
                measured = start(Path(folder))
                used = cpu_seconds() - before
                for what, (seconds, mebibytes) in measured.items():
                    if number:  # the first round writes the bytecode
                        found.setdefault(f"{who}, {state}, {what}", []).append((seconds, used, mebibytes))
    for what, columns in found.items():
        seconds, used, mebibytes = (median(each) for each in zip(*columns, strict=True))
        print(f"{what:56} {seconds:5.2f} s, {used:5.2f} s of CPU, {mebibytes:4.0f} MiB")


def main() -> None:
    """Print all lines."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    # As installed packages are: their bytecode is there.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    measure("local", local(), rounds)
    measure("local, four views", local(*_FOUR_VIEWS), rounds)
    measure("agent", agent(), rounds)
    print(f"medians of {rounds} rounds, load {os.getloadavg()[0]:.2f}")


main()
