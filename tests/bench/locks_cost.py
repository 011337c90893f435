"""What the view of locks costs: calls of futex with and without it.

    PYTHONPATH=tests/support python tests/bench/locks_cost.py [ROUNDS]

A loop that wakes nobody, and two threads on one CPU that wake each other, in turns without a tracer, with counting, and
with the view. Needs root and gcc.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from engine_runs import Cgroup, cgroup_root, compiled

from kubestrace_agent.views import loading

_COUNT = 100_000


def measured(program: Path, cgroup: Cgroup) -> tuple[float, ...]:
    """Run it in a cgroup: nanoseconds for a call that wakes nobody, and for a word that goes to and fro."""
    done = subprocess.run(
        [program, str(_COUNT)], preexec_fn=cgroup.enter, capture_output=True, text=True, check=True, timeout=600
    )
    return tuple(map(float, done.stdout.split()))


def main() -> None:
    """Print medians of the rounds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    target, tracer = Cgroup(cgroup_root()), loading.load()
    found: dict[str, list[tuple[float, ...]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(Path(__file__).parent / "futexes.c", Path(folder) / "futexes")
        try:
            for _ in range(rounds):
                found.setdefault("no tracer", []).append(measured(program, target))
                slot = tracer.add_container(target.path, wanted=None)
                found.setdefault("counting", []).append(measured(program, target))
                tracer.enable("locks", slot, True)
                found.setdefault("with the view", []).append(measured(program, target))
                tracer.remove(slot)
        finally:
            tracer.close()
            target.remove()
    print(f"load {os.getloadavg()[0]:.2f}, {rounds} rounds of {_COUNT}, {os.uname().release}")
    for mode, each in found.items():
        wakes, turns = (median(values) for values in zip(*each, strict=True))
        print(f"{mode:14} {wakes:6.0f} ns a call that wakes nobody, {turns:6.0f} ns to and fro (four calls)")


main()
