"""How long local mode and an agent take to start: with nothing kept, and with compiled programs kept.

    python tests/bench/start_up.py [ROUNDS]

Starts `kubestrace local -- true` and loads what an agent loads (all views), with an empty folder and then with what
that left there. Prints medians of the seconds, and the peak memory of local mode with its child processes. Needs root.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

_LOCAL = [str(Path(sys.executable).with_name("kubestrace")), "local", "--", "true"]
_AGENT = [
    *(sys.executable, "-c"),
    "import sys; from pathlib import Path; from kubestrace_agent.kernel.counters.tracer import Tracer;"
    "Tracer.load(folder=Path(sys.argv[1])).close()",
]


def run(command: list[str], folder: str) -> tuple[float, float]:
    """Seconds, and MiB of the largest of its processes."""
    begin = time.monotonic()
    child = subprocess.Popen(
        [*command, folder] if command is _AGENT else command,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"KUBESTRACE_PROGRAMS_DIR": folder},
    )
    _, status, used = os.wait4(child.pid, 0)
    assert status == 0, command
    return time.monotonic() - begin, used.ru_maxrss / 1024


def main() -> None:
    """Print a line for each."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for who, command in (("kubestrace local -- true", _LOCAL), ("an agent's programs", _AGENT)):
            with tempfile.TemporaryDirectory() as folder:
                for kept in ("nothing kept", "programs kept"):
                    found.setdefault(f"{who}, {kept}", []).append(run(command, folder))
    print(f"load {os.getloadavg()[0]:.2f}, medians of {rounds} rounds")
    for what, measured in found.items():
        seconds, mebibytes = (median(column) for column in zip(*measured, strict=True))
        print(f"{what:42} {seconds:5.2f} s, {mebibytes:4.0f} MiB at most")


main()
